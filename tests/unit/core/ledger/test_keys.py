# SPDX-License-Identifier: Apache-2.0
"""Keys that sign decisions."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from cabgate.api import CABRequest
from cabgate.ledger.signatures import (
    KeyFileError,
    PublicKeys,
    SigningKeys,
    check_signature,
    public_pem,
)
from cabgate.text.refusal import Refusal
from unit.core.ledger.histories import KEYS, PLAIN, PRIVATE, STORY

OTHER = SigningKeys(Ed25519PrivateKey.generate().private_bytes(*PLAIN).decode())


def test_each_key_of_the_file_is_accepted_and_the_first_signs() -> None:
    both = SigningKeys(
        Ed25519PrivateKey.generate().private_bytes(*PLAIN).decode()
        + PRIVATE.private_bytes(*PLAIN).decode()
    )
    entry = CABRequest.model_validate(STORY.requests[0]).status.decisions[0]
    check_signature(both, "CABRequest", "r-1", entry)
    assert both.key_id != KEYS.key_id
    assert both.public.ids == sorted([both.key_id, KEYS.key_id])
    mine = entry.model_copy(update={"signature": both.sign("CABRequest", "r-1", entry)})
    check_signature(both, "CABRequest", "r-1", mine)
    with pytest.raises(Refusal, match="signed by cabgate's webhook"):
        check_signature(OTHER, "CABRequest", "r-1", mine)


def test_key_files_that_cannot_be_used_are_refused_without_being_shown() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    curve = other.private_bytes(*PLAIN).decode()
    locked = PRIVATE.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    ).decode()
    public = public_pem(PRIVATE.public_key())
    broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    for pem, says in (
        ("", "no PEM block"),
        (curve, "another kind"),
        (locked, "without password"),
        (public, "no private key"),
        (broken, "no private key"),
    ):
        with pytest.raises(KeyFileError, match=says) as error:
            SigningKeys(pem)
        assert "AAAA" not in str(error.value)
    for pem, says in ((broken, "no public key"), (curve, "no public key")):
        with pytest.raises(KeyFileError, match=says):
            PublicKeys(pem)
    assert PublicKeys("no block").ids == []
