# SPDX-License-Identifier: Apache-2.0
"""Who was named as requester is kept, and what a decision was checked against is signed."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api import CABRequest
from cabgate.api.request import RequestDecision
from cabgate.api.types import Checked
from cabgate.ledger.chain import append, entries_of
from cabgate.ledger.signatures import SigningKeys, Verification, payload
from cabgate.lifecycle.requests.opening import request_for
from cabgate.review.reviewers import ReviewSubject
from cabgate.review.submitters import REQUESTERS_KEPT, requesters_of_update
from cabgate.risk.evidence import evidence_digest
from cabgate.text.refusal import Refusal
from cabgate_samples.models import NOW, OTHER_DIGEST, by_person, intent, request

OLD_PAYLOAD = (
    b'{"decision":{"at":"2026-03-01T11:30:00Z","author":{"type":"Person","username":"rita"},'
    b'"evidenceDigest":"v1:sha256:' + b"0" * 64 + b'","rationale":"because","sequence":1,'
    b'"verdict":"Approved"},"purpose":"cabgate.dev/decision/v1",'
    b'"subject":{"kind":"CABRequest","uid":"u-1"}}'
)
"""What the release before signed, byte for byte."""


def kept(old: Any, **spec: Any) -> list[str]:
    return requesters_of_update(old, intent(**spec))


def test_whoever_is_named_stays_named() -> None:
    assert requesters_of_update(None, intent(requester="ann")) == ["ann"]
    assert requesters_of_update(None, intent()) == []
    named = intent(requester="rita", requestedBy=["rita"])
    assert kept(named, requester="ann") == ["rita", "ann"]
    assert kept(named) == ["rita"]
    assert kept(named, requester="rita", summary="x") == ["rita"]


def test_what_a_client_says_of_the_list_counts_for_nothing() -> None:
    named = intent(requester="rita", requestedBy=["rita"])
    assert kept(named, requester="rita", requestedBy=["eve"]) == ["rita"]
    assert requesters_of_update(None, intent(requester="a", requestedBy=["eve"])) == ["a"]


def test_of_an_older_release_the_present_requester_is_kept_too() -> None:
    assert kept(intent(requester="rita"), requester="ann") == ["rita", "ann"]


def test_the_list_starts_anew_after_a_decision() -> None:
    old = intent(
        requester="rita",
        requestedBy=["ann", "rita"],
        status={"state": "Approved", "observedGeneration": 1},
    )
    assert kept(old, requester="bob") == ["bob"]
    assert kept(old, summary="x") == []
    assert kept(old, requester="rita", summary="x") == ["rita"]


def test_a_full_list_refuses_another() -> None:
    names = [f"u{n}" for n in range(REQUESTERS_KEPT)]
    full = intent(requester="u1", requestedBy=names)
    assert kept(full, requester="u5") == names
    with pytest.raises(Refusal) as refusal:
        kept(full, requester="ann")
    assert refusal.value.field == "spec.requester"


@given(st.lists(st.sampled_from(["", "ann", "bob", "rita", "carol"]), min_size=1, max_size=12))
def test_nobody_who_was_ever_named_is_lost(names: list[str]) -> None:
    current = intent()
    for number, name in enumerate(names):
        spec = {"requester": name} if name else {}
        new = intent(summary=f"{number}", **spec)
        people = requesters_of_update(current, new)
        current = intent(summary=f"{number}", requestedBy=people, **spec)
    assert set(current.spec.requested_by) == {name for name in names if name}


def test_the_requester_is_no_part_of_what_is_decided_on() -> None:
    one, other = intent(requester="ann", requestedBy=["ann"]), intent(requester="bob")
    assert evidence_digest(one.spec) == evidence_digest(other.spec)
    assert request_for(one, 2).spec.requested_by == ["ann"]


def test_none_of_them_and_nobody_frozen_is_left_out_of_what_is_checked() -> None:
    frozen = request(of=intent(requester="a", requestedBy=["b"], submittedBy=[{"username": "s"}]))
    live = intent(requester="c", requestedBy=["d"], submittedBy=[{"username": "t"}], generation=4)
    matter = ReviewSubject(frozen, live)
    assert matter.requesters == {"a", "b", "c", "d"}
    assert matter.checked == Checked(
        submitted_by=["s", "t"], requested_by=["a", "b", "c", "d"], intent_generation=4
    )
    assert ReviewSubject(frozen, None).checked == Checked(
        submitted_by=["s"], requested_by=["a", "b"]
    )


def test_what_nobody_can_have_seen_is_told_by_generations() -> None:
    """Of the intent, of its status, and of the intent that the request was opened from."""
    opened = request(of=intent(generation=3))

    def unseen(generation: int, observed: int, made: CABRequest = opened) -> bool:
        status = {"observedGeneration": observed}
        return ReviewSubject(made, intent(generation=generation, status=status)).unseen

    assert not unseen(3, 0), "nothing changed since it was opened"
    assert not unseen(5, 5), "the operator looked"
    assert unseen(4, 3)
    assert unseen(5, 4)
    assert not ReviewSubject(opened, None).unseen
    anew = opened.model_copy(deep=True)
    assert anew.spec.intent_ref is not None
    anew = anew.model_copy(
        update={
            "spec": anew.spec.model_copy(
                update={"intent_ref": anew.spec.intent_ref.model_copy(update={"uid": "older"})}
            )
        }
    )
    assert unseen(1, 0, anew), "another intent of that name"


def entry(**more: Any) -> RequestDecision:
    said = by_person("Approved")
    return RequestDecision.model_validate(
        {"sequence": 1, "evidenceDigest": OTHER_DIGEST, **said, **more}
    )


def test_what_an_older_release_signed_is_signed_as_it_was() -> None:
    assert payload("CABRequest", "u-1", entry()) == OLD_PAYLOAD


def test_what_was_checked_is_signed() -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    keys = SigningKeys(pem.decode())
    checked = {"submittedBy": ["ann"], "requestedBy": ["bob"], "intentGeneration": 3}
    signature = keys.sign("CABRequest", "u-1", entry(checked=checked)).to_dict()

    def check(**more: Any) -> Verification:
        return keys.public.check("CABRequest", "u-1", entry(signature=signature, **more))

    assert check(checked=checked) is Verification.GOOD
    assert check() is Verification.WRONG
    assert check(checked={**checked, "requestedBy": []}) is Verification.WRONG


def test_the_ledger_holds_what_was_checked() -> None:
    checked = {"submittedBy": ["ann"], "requestedBy": ["bob"], "intentGeneration": 3}
    decided = request("ManualReview", by_person("Approved", NOW, checked=checked))
    meta = decided.metadata.model_copy(update={"uid": "u-1"})
    (content,) = entries_of(decided.model_copy(update={"metadata": meta}))
    record = append(None, content)
    assert record.spec.to_dict()["checked"] == checked
