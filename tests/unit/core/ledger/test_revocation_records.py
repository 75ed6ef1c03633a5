# SPDX-License-Identifier: Apache-2.0
"""The images of a revocation are signed and recorded with it, and what was signed before there were
any verifies as it did."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cabgate.api.request import RequestDecision
from cabgate.ledger.chain import Head, append, entries_of, record_object
from cabgate.ledger.signatures import SigningKeys, Verification, payload
from cabgate.ledger.verification import verify
from cabgate.review.identity import User
from cabgate.review.review import REQUEST_REVIEW, stamped_status
from cabgate_samples.models import NOW, by_person, request

KEYS = SigningKeys(
    Ed25519PrivateKey.generate()
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)
DIGEST = "v1:sha256:" + "a" * 64


def entry(**more: object) -> RequestDecision:
    made = by_person("Revoked", NOW, sequence=2, evidenceDigest=DIGEST, **more)
    return RequestDecision.model_validate(made)


def test_what_is_signed_of_a_decision_without_images_is_what_it_was() -> None:
    assert payload("CABRequest", "u-1", entry()).decode() == (
        '{"decision":{"at":"2026-03-01T12:00:00Z","author":{"type":"Person","username":"rita"},'
        f'"evidenceDigest":"{DIGEST}","rationale":"because","sequence":2,"verdict":"Revoked"}},'
        '"purpose":"cabgate.dev/decision/v1","subject":{"kind":"CABRequest","uid":"u-1"}}'
    )


@pytest.mark.parametrize("changed", [[], ["*"], ["a", "b"], ["b"]])
def test_the_signature_covers_the_images(changed: list[str]) -> None:
    signature = KEYS.sign("CABRequest", "u-1", entry(images=["a"])).to_dict()
    right = entry(images=["a"], signature=signature)
    assert KEYS.public.check("CABRequest", "u-1", right) is Verification.GOOD
    other = entry(images=changed, signature=signature)
    assert KEYS.public.check("CABRequest", "u-1", other) is Verification.WRONG


@pytest.mark.parametrize("images", [[], ["*"], ["registry.example.com/shop/checkout:1.4.2"]])
def test_a_record_holds_them_and_verifies(images: list[str]) -> None:
    made = request("ManualReview", by_person("Approved"), by_person("Revoked", images=images))
    raw = made.model_dump(mode="json", by_alias=True, exclude_none=True)
    raw["metadata"]["uid"] = "u-1"
    for decision in raw["status"]["decisions"]:
        parsed = RequestDecision.model_validate(decision)
        decision["signature"] = KEYS.sign("CABRequest", "u-1", parsed).to_dict()
    signed = REQUEST_REVIEW.parse(raw)
    records, head = [], None
    for content in entries_of(signed):
        record = append(head, content)
        records.append(record_object(record))
        head = Head.of(record)
    assert records[-1]["spec"].get("images", []) == images
    assert verify(records, [raw], [], KEYS.public) == []
    records[-1]["spec"]["images"] = ["other"]
    assert verify(records, [raw], [], KEYS.public) != []


def test_the_webhook_writes_them_into_the_entry() -> None:
    made = request("ManualReview", by_person("Approved"))
    old = made.model_dump(mode="json", by_alias=True, exclude_none=True)
    review = {"verdict": "Revoked", "rationale": "CVE"}
    new = {**old, "status": {**old["status"], "review": review}}
    digest, rita = made.spec.evidence_digest, User("rita")
    status = stamped_status(REQUEST_REVIEW, old, new, digest, rita, NOW, images=("*",))
    assert status is not None
    assert status["decisions"][-1]["images"] == ["*"]
    assert status["state"] == "Revoked"
