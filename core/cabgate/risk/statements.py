# SPDX-License-Identifier: Apache-2.0
"""What a pipeline signs of evidence: an in-toto Statement in a DSSE envelope, to the byte.

Signed is DSSE's encoding of the payload as it stands, so that nothing is written anew before it is
checked. What could be read in two ways is not read at all.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from pydantic import BeforeValidator, ConfigDict, Field, ValidationError

from cabgate.api.base import Model, Timestamp, first_problem, rfc3339
from cabgate.api.evidence import (
    MAX_PAYLOAD,
    MOMENT,
    Attestation,
    AttestationSignature,
    Evidence,
)
from cabgate.api.signer import Section
from cabgate.api.types import Target
from cabgate.text.canonical import canonical_json

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE: Literal["https://in-toto.io/Statement/v1"] = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Literal["https://cabgate.dev/evidence/v1"] = "https://cabgate.dev/evidence/v1"

PublicKey = Ed25519PublicKey | EllipticCurvePublicKey
PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey

_DIGEST = re.compile(r"@sha256:([0-9a-f]{64})\Z")


class DoubtError(ValueError):
    """Why something signed says nothing; the message completes "attestation 1: "."""


class KeyProblemError(ValueError):
    """Why a key cannot be used; the message never shows it."""


class _Strict(Model):
    # By one spelling alone: `created_at` would be another way to write the same.
    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=False)


def _written_out(value: object) -> object:
    """A number could be read as seconds or as milliseconds."""
    if not isinstance(value, str) or re.fullmatch(MOMENT, value) is None:
        raise ValueError("is not a time; allowed: RFC 3339, such as 2026-01-31T12:00:00Z")
    return value


class Subject(_Strict):
    """An image that a statement is about."""

    name: str = Field(default="", max_length=512)
    digest: Mapping[str, str]
    """By algorithm; that of sha256 is looked at."""


class Predicate(_Strict):
    """What a statement says."""

    namespace: str = Field(min_length=1, max_length=63)
    """Namespace of the intent."""
    intent: str = Field(min_length=1, max_length=253)
    """Its name."""
    evidence: Mapping[str, Any]
    """The parts of the evidence that it speaks for, as the intent has them."""
    created_at: Annotated[Timestamp, BeforeValidator(_written_out)] = Field(strict=False)
    """When it was signed."""
    commit: str = Field(default="", max_length=64, pattern="^[!-~]*$")
    """The commit that was built; for people. It is stored with the request, as it is."""
    collector: str = Field(default="", max_length=256)
    """What read the reports, with its version; for people."""
    builder: str = Field(default="", max_length=256)
    """The run of the pipeline; for people."""


class Statement(_Strict):
    """An in-toto Statement about evidence."""

    type: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: list[Subject] = Field(min_length=1, max_length=1000)
    predicate_type: Literal["https://cabgate.dev/evidence/v1"]
    predicate: Predicate

    @property
    def digests(self) -> set[str]:
        """The SHA-256 digests of the images that it is about."""
        return {each.digest["sha256"] for each in self.subject}

    @property
    def sections(self) -> dict[Section, Any]:
        """What it says of each part of the evidence."""
        return sections_of(Evidence.model_validate(self.predicate.evidence))


def sections_of(evidence: Evidence) -> dict[Section, Any]:
    """The parts of evidence that are there, in a form in which equal ones are equal: the order of
    artifacts, and of the images of one, does not matter."""
    said = evidence.to_dict()
    if "artifacts" in said:
        said["artifacts"].sort(key=lambda artifact: str(artifact["name"]))
        for artifact in said["artifacts"]:
            if "images" in artifact:
                artifact["images"] = sorted(set(artifact["images"]))
    return {section: said[section.value] for section in Section if section.value in said}


def image_digest(image: str) -> str | None:
    """The SHA-256 that an image is named by; None if it is named by a tag alone."""
    found = _DIGEST.search(image)
    return found[1] if found else None


def image_digests(targets: Iterable[Target]) -> dict[str, str | None]:
    """The same of each image of some targets."""
    return {image: image_digest(image) for target in targets for image in target.images}


def signed_bytes(payload: bytes) -> bytes:
    """What is signed of a payload: DSSE's pre-authentication encoding, version 1."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def statement_of(attestation: Attestation) -> tuple[Statement, bytes, bytes]:
    """What an envelope says, the bytes that are signed of it, and its signature. Nothing of it is
    true by that: `verifies` asks whose it is. Raises `DoubtError`."""
    if attestation.payload is None or attestation.payload_type is None:
        raise DoubtError("holds no envelope: payloadType, payload and signatures")
    if attestation.payload_type != PAYLOAD_TYPE:
        raise DoubtError(f"its payloadType is not {PAYLOAD_TYPE}")
    if len(attestation.signatures or []) != 1:
        raise DoubtError(f"has {len(attestation.signatures or [])} signatures; allowed: one")
    [signature] = attestation.signatures or []
    if len(attestation.payload) > MAX_PAYLOAD:
        raise DoubtError(f"its payload is longer than {MAX_PAYLOAD} characters")
    payload = _decoded(attestation.payload, "payload")
    return _statement(payload), signed_bytes(payload), _decoded(signature.sig, "signature")


def _decoded(text: str, what: str) -> bytes:
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if not found or base64.b64encode(found).decode() != text:
        raise DoubtError(f"its {what} is not base64 as it is written in one way alone")
    return found


def _statement(payload: bytes) -> Statement:
    try:
        raw = json.loads(
            payload.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant
        )
        if not isinstance(raw, dict):
            raise DoubtError("its payload is no JSON object")
        statement = Statement.model_validate(raw)
        given = raw["predicate"]["evidence"]
        evidence = Evidence.model_validate(given)
        said = canonical_json(evidence.to_dict()) == canonical_json(given)
    except DoubtError:
        raise
    except ValidationError as error:
        first = first_problem(error)
        raise DoubtError(f"its statement: {first.path}: {first.message}") from None
    except (ValueError, RecursionError):
        raise DoubtError("its payload is no JSON that can be read in one way alone") from None
    if not said or evidence.attestations is not None:
        raise DoubtError(
            "its evidence is not written as cabgate writes it: a field that is not known, empty, "
            "or of another type"
        )
    for subject in statement.subject:
        if not re.fullmatch("[0-9a-f]{64}", subject.digest.get("sha256", "")):
            raise DoubtError(f"its subject {subject.name!r} has no digest sha256")
    return statement


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise DoubtError(f"its payload has the key {key[:64]!r} twice")
        found[key] = value
    return found


def _no_constant(name: str) -> None:
    raise DoubtError(f"its payload has the number {name}")


def public_key(pem: str) -> PublicKey:
    """A public key that evidence may be signed with. Raises `KeyProblemError`."""
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyProblemError("is no public key in PEM") from None
    if isinstance(key, Ed25519PublicKey) or (
        isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
    ):
        return key
    raise KeyProblemError("is neither Ed25519 nor ECDSA on P-256")


def private_key(pem: bytes) -> PrivateKey:
    """A private key to sign evidence with. Raises `KeyProblemError`."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyProblemError("is no private key in PEM without a password") from None
    if isinstance(key, Ed25519PrivateKey) or (
        isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1)
    ):
        return key
    raise KeyProblemError("is neither Ed25519 nor ECDSA on P-256")


def verifies(key: PublicKey, signed: bytes, signature: bytes) -> bool:
    """Whether a signature is one of a key. How it is checked follows from the key, and from nothing
    that comes with the signature."""
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, signed)
        else:
            key.verify(signature, signed, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def signed_statement(
    key: PrivateKey,
    *,
    digests: Mapping[str, str],
    namespace: str,
    intent: str,
    evidence: Evidence,
    sections: Sequence[Section],
    now: datetime,
    people: Mapping[str, str],
) -> Attestation:
    """An envelope with a statement about some parts of evidence.

    `digests` are the SHA-256 digests of the images by their names, `people` the fields of the
    predicate that are for people.
    """
    said = sections_of(evidence)
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": name, "digest": {"sha256": digest}} for name, digest in sorted(digests.items())
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "namespace": namespace,
            "intent": intent,
            "evidence": {each.value: said[each] for each in sections},
            "createdAt": rfc3339(now),
            **people,
        },
    }
    payload = canonical_json(statement)
    signed = signed_bytes(payload)
    if isinstance(key, Ed25519PrivateKey):
        signature = key.sign(signed)
    else:
        signature = key.sign(signed, ECDSA(SHA256()))
    return Attestation(
        payload_type=PAYLOAD_TYPE,
        payload=base64.b64encode(payload).decode(),
        signatures=[AttestationSignature(sig=base64.b64encode(signature).decode())],
    )
