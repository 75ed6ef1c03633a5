# SPDX-License-Identifier: Apache-2.0
"""Signatures of people's decisions: made by the webhook, checked by whoever has the public key.

A decision that was written while the webhook was out of the way has none.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from cabgate.api.types import AuthorType, DecisionEntry, Signature
from cabgate.ledger.shortening import of_entry, shortened_entry
from cabgate.text.canonical import canonical_json
from cabgate.text.refusal import Refusal, RefusalReason

_BLOCK = re.compile(rb"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----", re.DOTALL)
_PURPOSE = "cabgate.dev/decision/v1"


class KeyFileError(ValueError):
    """A key file that cannot be used; the message says why, and never shows the key."""


class Verification(StrEnum):
    """What a check of a signature says."""

    GOOD = "Good"
    ABSENT = "Absent"
    UNKNOWN_KEY = "UnknownKey"
    WRONG = "Wrong"


class PublicKeys:
    """The keys that signatures are checked with, by their ids."""

    def __init__(self, *pems: str) -> None:
        self._keys: dict[str, Ed25519PublicKey] = {}
        for pem in pems:
            for block in _blocks(pem):
                key = _public(block)
                self._keys[key_id(key)] = key

    @property
    def ids(self) -> list[str]:
        """Ids of the keys."""
        return sorted(self._keys)

    @property
    def pems(self) -> dict[str, str]:
        """The keys as PEM, by their ids."""
        return {each: public_pem(key) for each, key in sorted(self._keys.items())}

    def check(
        self,
        kind: str,
        uid: str,
        entry: DecisionEntry,
        cut: Sequence[Mapping[str, Any]] = (),
    ) -> Verification:
        """Whether an entry of a subject's decisions was signed as it stands.

        `cut` says what a record has cut of it: then it is signed as it was cut.
        """
        signature = entry.signature
        if signature is None:
            return Verification.ABSENT
        key = self._keys.get(signature.key_id)
        if key is None:
            return Verification.UNKNOWN_KEY
        try:
            value = base64.b64decode(signature.value, validate=True)
        except binascii.Error:
            return Verification.WRONG
        for signed in _signed(kind, uid, entry, cut):
            try:
                key.verify(value, signed)
            except InvalidSignature:
                continue
            return Verification.GOOD
        return Verification.WRONG


class SigningKeys:
    """The webhook's private keys, from one file of PEM blocks: the first signs, and what any of
    them signed is accepted, so that replicas agree while a key is rotated."""

    def __init__(self, pem: str) -> None:
        keys = [_private(block) for block in _blocks(pem)]
        if not keys:
            raise KeyFileError("holds no PEM block")
        self._key = keys[0]
        self.public = PublicKeys(*(public_pem(key.public_key()) for key in keys))

    @property
    def key_id(self) -> str:
        """Id of the key that signs."""
        return key_id(self._key.public_key())

    def sign(self, kind: str, uid: str, entry: DecisionEntry) -> Signature:
        """The signature of an entry of a subject's decisions."""
        said = _said(entry)
        short = shortened_entry(said)
        value = base64.b64encode(self._key.sign(_payload(kind, uid, short))).decode()
        return Signature(key_id=self.key_id, value=value, form=None if short == said else 2)


def key_id(key: Ed25519PublicKey) -> str:
    """Id of a key: the first 16 hexadecimal digits of the SHA-256 of its DER form."""
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()[:16]


def public_pem(key: Ed25519PublicKey) -> str:
    """A public key as PEM."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def payload(kind: str, uid: str, entry: DecisionEntry) -> bytes:
    """What is signed: the subject and the whole entry, as canonical JSON; of what is too long for a
    record its beginning and its digest.

    The whole entry, so that neither a condition nor a rationale can be changed under a verdict.
    """
    return _payload(kind, uid, shortened_entry(_said(entry)))


def _signed(
    kind: str, uid: str, entry: DecisionEntry, cut: Sequence[Mapping[str, Any]]
) -> Iterator[bytes]:
    """What may have been signed of an entry as it stands.

    No entry of a request or an exception has `cut`: so what is cut is never taken for all of it.
    """
    said = _said(entry)
    own = of_entry(cut)
    if own:
        yield _payload(kind, uid, {**said, "cut": own})
        return
    short = shortened_entry(said)
    yield _payload(kind, uid, short)
    if short != said and entry.signature is not None and entry.signature.form is None:
        yield _payload(kind, uid, said)  # by a release that signed everything as it was


def _said(entry: DecisionEntry) -> dict[str, Any]:
    return {key: value for key, value in entry.to_dict().items() if key != "signature"}


def _payload(kind: str, uid: str, said: Mapping[str, Any]) -> bytes:
    subject = {"kind": kind, "uid": uid}
    return canonical_json({"purpose": _PURPOSE, "subject": subject, "decision": said})


def check_signature(keys: SigningKeys, kind: str, uid: str, entry: DecisionEntry) -> None:
    """Raise `Refusal` unless a person's decision carries a signature of ours."""
    if keys.public.check(kind, uid, entry) is not Verification.GOOD:
        raise Refusal(
            RefusalReason.WRONG_CONTENT,
            "a decision is signed by cabgate's webhook as it is made; write status.review and "
            "leave the rest to the webhook (if you did, its mutating configuration was bypassed, "
            "or its replicas have different keys)",
            "status.decisions.signature",
        )


def needs_signature(entry: DecisionEntry) -> bool:
    """Whether an entry is a person's."""
    return entry.author.type is AuthorType.PERSON


def _blocks(pem: str) -> Iterator[bytes]:
    return (found.group(0) for found in _BLOCK.finditer(pem.encode()))


def _private(block: bytes) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(block, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyFileError("holds a PEM block that is no private key without password") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError("holds a key of another kind than Ed25519")
    return key


def _public(block: bytes) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(block)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyFileError("holds a PEM block that is no public key") from None
    if not isinstance(key, Ed25519PublicKey):
        raise KeyFileError("holds a key of another kind than Ed25519")
    return key
