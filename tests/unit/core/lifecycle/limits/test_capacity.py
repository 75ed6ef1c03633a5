# SPDX-License-Identifier: Apache-2.0
"""However large an intent is and however often it goes back and forth, what is decided on it can be
ended, taken back and revoked, and stays far below what etcd takes."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cabgate.api import CABException, CABRequest
from cabgate.api.request import RequestDecision, RequestState, RequestVerdict
from cabgate.api.types import (
    ALL_IMAGES,
    MAX_CONDITIONS_OF_APPROVAL,
    MAX_DECISIONS,
    MAX_DECLARED_TARGETS,
    MAX_GROUP_NAME,
    MAX_GROUPS,
    MAX_LIFTS,
    MAX_REQUESTER,
    AuthorType,
    Checked,
)
from cabgate.lifecycle.limits.capacity import (
    MAX_BYTES,
    MAX_EXCEPTION_BYTES,
    MAX_NAMES_BYTES,
    MAX_SPEC_BYTES,
    RESERVED_FOR_PEOPLE,
    check_size,
    lacking,
    stored_bytes,
)
from cabgate.lifecycle.requests.opening import request_for
from cabgate.lifecycle.state.states import next_request_state, state_of, with_entry
from cabgate.review.identity import User
from cabgate.review.review import EXCEPTION_REVIEW, REQUEST_REVIEW, stamped_status
from cabgate.review.reviewers import ReviewSubject
from cabgate.review.submitters import REQUESTERS_KEPT, added, requesters_of_update
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_samples.decisions import numbered
from cabgate_samples.models import NOW, by_person, by_system, exception, intent, request, target
from cabgate_samples.objects import GOOD, MIDDLING
from support.examples import examples

ETCD = 1536 * 1024
WORST = "<"
"""A character that is stored in six bytes."""

WORST_WORDS = f"x{WORST * 4095}"
"""The longest rationale: it has a letter."""

RITA = User(
    f"rita{WORST * 508}",
    WORST * 256,
    tuple(f"{number:02}{WORST * (MAX_GROUP_NAME - 2)}" for number in range(MAX_GROUPS)),
)
"""A reviewer of whom the API server tells as much as is recorded."""

LIFTS = [f"{n:02}{'x' * 251}" for n in range(MAX_LIFTS)]
"""The longest names of requests whose refusals an approval lifts."""

FLAP = (by_system("Superseded"), by_system("Reopened"), by_system("AutoApproved"))


def entry_of(made: CABRequest, verdict: str, kind: str = "System", **more: Any) -> RequestDecision:
    author = by_system if kind == "System" else by_person
    return RequestDecision.model_validate(
        {
            **author(verdict, **more),
            "sequence": min(len(made.status.decisions) + 1, MAX_DECISIONS),
            "evidenceDigest": made.spec.evidence_digest,
        }
    )


def said(made: CABRequest, verdict: str, kind: str = "System", **more: Any) -> CABRequest | None:
    """The request with one more entry, None where there is no room for it."""
    entry, before = entry_of(made, verdict, kind, **more), state_of(made)
    after = next_request_state(made, before, entry.verdict, entry.author.type)
    assert after is not None, (before, verdict)
    longer = with_entry(made, entry)
    return None if lacking(longer, before, after) else longer


def flapped(made: CABRequest, verdicts: tuple[str, ...]) -> CABRequest:
    """A request that went back and forth until there was no more room for it."""
    while True:
        for verdict in verdicts:
            longer = said(made, verdict)
            if longer is None:
                return made
            made = longer


@pytest.mark.parametrize("gate", ["AutoApprove", "ManualReview"])
def test_however_often_it_went_back_and_forth_the_system_leaves_people_their_room(gate):
    verdicts = ("AutoApproved",) if gate == "AutoApprove" else ()
    made = flapped(request(gate), (*verdicts, "Superseded", "Reopened"))
    left = MAX_DECISIONS - len(made.status.decisions)
    assert left >= RESERVED_FOR_PEOPLE - 1
    assert len(made.status.decisions) > 150, "flapping is bounded, and not forbidden"


def test_an_approval_by_score_ends_and_is_revoked_however_full_the_list_is():
    made = flapped(request("AutoApprove"), ("AutoApproved", "Superseded", "Reopened"))
    if state_of(made) is not RequestState.SUPERSEDED:
        ended = said(made, "Superseded")
        assert ended is not None
        made = ended
    revoked = said(made, "Revoked", "Person", images=[ALL_IMAGES])
    assert revoked is not None
    assert state_of(revoked) is RequestState.REVOKED


@settings(max_examples=examples(30), deadline=None)
@given(st.integers(min_value=180, max_value=MAX_DECISIONS), st.sampled_from(["Approved", "Cond"]))
def test_what_a_person_approves_can_be_taken_back_superseded_and_revoked(filled, how):
    conditions = [
        {"name": f"c{n}", "description": "x", "attestation": "Required"}
        for n in range(MAX_CONDITIONS_OF_APPROVAL)
    ]
    more = {} if how == "Approved" else {"conditions": conditions}
    verdict = "Approved" if how == "Approved" else "ConditionallyApproved"
    turns = [by_system("Superseded"), by_system("Reopened")] * (filled // 2)
    made = said(request("ManualReview", *turns), verdict, "Person", **more)
    if made is None:
        needed = 3 + len(more.get("conditions", ()))
        assert len(turns) + 1 + needed > MAX_DECISIONS
        assert len(turns) > MAX_DECISIONS - RESERVED_FOR_PEOPLE, "system leaves more than that"
        return
    for condition in more.get("conditions", ()):
        attested = said(made, "Attested", "Person", condition=condition["name"])
        assert attested is not None
        made = attested
    taken = said(made, "Reopened")
    assert taken is not None
    superseded = said(taken, "Superseded")
    assert superseded is not None
    assert said(superseded, "Revoked", "Person") is not None


def test_what_an_older_release_filled_can_be_ended_to_the_last_place():
    made = request("AutoApprove", by_system("AutoApproved"), *(FLAP * 84))
    made = with_entry(made, entry_of(made, "Superseded"))
    made = with_entry(made, entry_of(made, "Reopened"))
    assert len(made.status.decisions) == MAX_DECISIONS - 1
    assert said(made, "AutoApproved") is None
    assert said(made, "Superseded") is not None


def test_a_superseded_request_is_revoked_only_if_it_was_approved_once():
    person = AuthorType.PERSON

    def may(made: CABRequest) -> bool:
        revoked = RequestVerdict.REVOKED
        return next_request_state(made, state_of(made), revoked, person) is not None

    assert may(request("AutoApprove", by_system("AutoApproved"), by_system("Superseded")))
    flapping = (by_system("AutoApproved"), *FLAP[:2], by_system("Superseded"))
    assert may(request("AutoApprove", *flapping))
    taken_back = (by_person("Approved"), by_system("Reopened"), by_system("Superseded"))
    assert may(request("ManualReview", *taken_back))
    assert not may(request("AutoApprove", by_system("Superseded")))
    assert not may(request("ManualReview", by_person("UnderReview"), by_system("Superseded")))


# Bytes


def worst_intent(images: int, length: int, names: int) -> Any:
    """An intent with that many images and names, of characters that take most bytes."""
    listed = [f"{n:04}{WORST * length}" for n in range(images)]
    targets = [target(f"web-{n}", *listed[n : n + 50]) for n in range(0, images, 50)]
    people: list[dict[str, str]] = []
    for number in range(names):
        user = User(f"{number:03}{WORST * 250}", WORST * 100)
        try:
            people = [each.to_dict() for each in added(intent(submittedBy=people).spec.submitted_by,
                                                       user)]  # fmt: skip
        except Refusal:
            break
    asked = intent(MIDDLING, targets, submittedBy=people, named=False, summary=WORST * 4096)
    for number in range(names):
        name = f"{number:03}{WORST * (MAX_REQUESTER - 3)}"
        new = intent(MIDDLING, targets, requester=name, requestedBy=asked.spec.requested_by,
                     submittedBy=people, named=False, summary=WORST * 4096)  # fmt: skip
        try:
            requesters = requesters_of_update(asked, new)
        except Refusal:
            break
        asked = intent(MIDDLING, targets, requester=name, requestedBy=requesters,
                       submittedBy=people, named=False, summary=WORST * 4096)  # fmt: skip
    return asked


def reviewed(made: CABRequest, live: Any, review: dict[str, Any]) -> CABRequest:
    """The request after a person's review, as the webhook stamps it. Raises `Refusal`."""
    old = {"metadata": {"name": made.metadata.name}, "spec": made.spec.to_dict()}
    old["status"] = made.status.to_dict()
    status = stamped_status(
        REQUEST_REVIEW,
        old,
        {**old, "status": {**old["status"], "review": review}},
        made.spec.evidence_digest,
        RITA,
        NOW,
        ReviewSubject(made, live).checked.model_copy(
            update={"refusals": MAX_LIFTS, "lifts": LIFTS}
        ),
    )
    return CABRequest.model_validate({**old, "status": status})


@settings(max_examples=examples(25), deadline=None)
@given(
    images=st.integers(1, 100),
    length=st.integers(0, 500),
    names=st.integers(0, 40),
    reviews=st.lists(st.sampled_from(["Approved", "Worst", "TakenBack", "Flap"]), max_size=8),
)
def test_a_revocation_is_stored_whatever_stands_in_the_request(images, length, names, reviews):
    live = worst_intent(images, length, names)
    try:
        check_size(None, live)
    except Refusal:
        return
    made = request_for(live, 2)
    worst = [
        {"name": f"c{n}", "description": WORST * 4096} for n in range(MAX_CONDITIONS_OF_APPROVAL)
    ]
    rationale = WORST_WORDS
    for step in reviews:
        state = state_of(made)
        if step == "TakenBack" and state.value.endswith("Approved"):
            taken = said(made, "Reopened", rationale=WORST * 600)
            assert taken is not None
            made = taken
        elif step == "Flap" and state is RequestState.SUBMITTED:
            for verdict in ("Superseded", "Reopened") * 10:
                longer = said(made, verdict, rationale="x" * 400)
                made = made if longer is None else longer
                if longer is None:
                    break
        elif state is RequestState.SUBMITTED:
            review: dict[str, Any] = {"verdict": "Approved", "rationale": rationale}
            if step == "Worst":
                review |= {"verdict": "ConditionallyApproved", "conditions": worst}
            with suppress(Refusal):  # too much: shorten rationale and conditions
                made = reviewed(made, live, review)
    if state_of(made) is RequestState.SUBMITTED:
        try:
            made = reviewed(made, live, {"verdict": "Approved", "rationale": "ok"})
        except Refusal:
            made = reviewed(made, live, {"verdict": "Rejected", "rationale": rationale})
    if state_of(made).value.endswith("Approved"):
        made = reviewed(
            made, live, {"verdict": "Revoked", "rationale": rationale, "images": [ALL_IMAGES]}
        )
        assert state_of(made) is RequestState.REVOKED
    content = stored_bytes([made.spec.to_dict(), made.status.to_dict()])
    assert content <= MAX_BYTES == ETCD // 2


def test_an_ended_approval_of_the_largest_intent_is_revoked():
    listed = [f"{n:04}{'x' * 500}" for n in range(60)]
    parts = [listed[n : n + 50] for n in range(0, 60, 50)]
    artifacts = [{"name": f"a{n}", "images": part} for n, part in enumerate(parts)]
    targets = [target(f"web-{n}", *part) for n, part in enumerate(parts)]
    live = intent({**GOOD, "artifacts": artifacts}, targets)
    check_size(None, live)
    assert stored_bytes(live.spec.to_dict()) > 0.9 * MAX_SPEC_BYTES
    more = [{**each, "rationale": "x" * 3550} for each in FLAP * 50]
    turns = (by_system("AutoApproved"), *more)
    entries = numbered(turns, request_for(live, 2).spec.evidence_digest)
    made = CABRequest.model_validate(
        {**request_for(live, 2).to_dict(), "status": {"decisions": entries}}
    )
    assert state_of(made) is RequestState.AUTO_APPROVED
    made = said(made, "Superseded") or made
    assert said(made, "Reopened") is None
    review = {"verdict": "Revoked", "rationale": "x", "images": [WORST * 512] * 100}
    with pytest.raises(Refusal, match="name fewer images"):
        reviewed(made, live, review)
    review = {"verdict": "Revoked", "rationale": WORST_WORDS, "images": [ALL_IMAGES]}
    made = reviewed(made, live, review)
    assert state_of(made) is RequestState.REVOKED
    assert stored_bytes([made.spec.to_dict(), made.status.to_dict()]) <= MAX_BYTES


def test_a_spec_that_is_too_large_is_refused_and_an_old_one_left_alone():
    large = intent(GOOD, [target(f"w{n}", *(f"{i}{'x' * 500}" for i in range(50)))
                          for n in range(12)])  # fmt: skip
    with pytest.raises(Refusal) as refusal:
        check_size(None, large)
    assert refusal.value.reason is RefusalReason.INVALID
    assert refusal.value.field == "spec"
    assert "most of it in" in refusal.value.message
    check_size(large, large)
    less = large.spec.model_copy(update={"targets": large.spec.targets[:-1]})
    smaller = large.model_copy(update={"spec": less})
    check_size(large, smaller)  # still too large, and on its way
    with pytest.raises(Refusal):
        check_size(smaller, large)
    leave = exception(request("ExceptionRequired"))
    check_size(None, leave)
    spec = leave.spec.model_copy(update={"compensating_controls": [WORST * 4096] * 32})
    with pytest.raises(Refusal):
        check_size(None, leave.model_copy(update={"spec": spec}))


def test_more_workloads_than_a_decision_reads_are_refused_and_old_ones_left_alone():
    many = intent(GOOD, [target(f"w{n}") for n in range(MAX_DECLARED_TARGETS + 1)])
    with pytest.raises(Refusal, match="has 21 workloads; allowed: 20") as refusal:
        check_size(None, many)
    assert refusal.value.field == "spec.targets"
    check_size(many, many)
    check_size(None, intent(GOOD, [target(f"w{n}") for n in range(MAX_DECLARED_TARGETS)]))
    with pytest.raises(Refusal):
        check_size(intent(), many)


def test_the_largest_exception_is_approved_taken_back_and_revoked():
    made = exception(request("ExceptionRequired"))
    spec = {**made.spec.to_dict(), "compensatingControls": [WORST * 300] * 4,
            "reason": WORST * 4000}  # fmt: skip
    old: dict[str, Any] = {**made.to_dict(), "spec": spec}
    check_size(None, CABException.model_validate(old))
    assert stored_bytes(spec) > 0.9 * MAX_EXCEPTION_BYTES
    names = [f"{n:03}{WORST * 250}" for n in range(40)]
    checked = Checked(submitted_by=names, requested_by=names, refusals=MAX_LIFTS, lifts=LIFTS)
    for verdict in ("Approved", "Revoked"):
        review = {"verdict": verdict, "rationale": WORST_WORDS}
        new = {**old, "status": {**old.get("status", {}), "review": review}}
        digest = request("ExceptionRequired").spec.evidence_digest
        status = stamped_status(EXCEPTION_REVIEW, old, new, digest, RITA, NOW, checked)
        assert status is not None
        old = {**old, "status": status}
    assert stored_bytes([old["spec"], old["status"]]) <= MAX_BYTES


@given(st.recursive(st.text() | st.integers() | st.booleans(), st.lists))
def test_no_value_takes_more_than_is_said(value):
    """What Go writes: JSON with `<`, `>`, `&` and the line separators escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    assert stored_bytes(value) >= len(text.encode(errors="surrogatepass"))


def test_requesters_are_bounded_in_length_number_and_bytes():
    long = "x" * (MAX_REQUESTER + 1)
    with pytest.raises(Refusal, match="has 257 characters; allowed: 256") as refusal:
        requesters_of_update(None, intent(requester=long))
    assert refusal.value.field == "spec.requester"
    # What an older release stored stays until somebody names another.
    old = intent(requester=long, requestedBy=[long])
    assert requesters_of_update(old, intent(requester=long, requestedBy=[long], summary="x")) == [
        long
    ]
    full = intent(requestedBy=[f"u{n}" for n in range(REQUESTERS_KEPT)])
    with pytest.raises(Refusal, match="20 at most"):
        requesters_of_update(full, intent(requester="ann"))
    wide = intent(requestedBy=[f"{n:02}{WORST * 250}" for n in range(10)])
    with pytest.raises(Refusal, match=f"in {MAX_NAMES_BYTES} bytes"):
        requesters_of_update(wide, intent(requester=WORST * 250))


def test_submitters_are_bounded_in_bytes():
    people = added([], User(WORST * 512, WORST * 256))

    def all_of_them() -> None:
        nonlocal people
        for number in range(20):
            people = added(people, User(f"{number:02}{WORST * 510}", WORST * 256))

    with pytest.raises(Refusal, match=f"in {MAX_NAMES_BYTES} bytes"):
        all_of_them()
    assert stored_bytes([each.to_dict() for each in people]) <= MAX_NAMES_BYTES
