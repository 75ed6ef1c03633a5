# SPDX-License-Identifier: Apache-2.0
"""States are derived from what was legal when it was decided, and from the time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api import CABException, CABRequest
from cabgate.api.exception import ExceptionState, ExceptionVerdict
from cabgate.api.request import RequestState, RequestVerdict
from cabgate.api.types import AuthorType, Tier
from cabgate.lifecycle.state.states import (
    APPROVED_STATES,
    DECIDED_STATES,
    EXCEPTION_TRANSITIONS,
    REQUEST_TRANSITIONS,
    approval_of,
    expires_at,
    next_exception_state,
    next_request_state,
    opening_state,
    state_of,
)
from cabgate_samples.models import NOW, OTHER_DIGEST, by_person, by_system, exception, request
from unit.core.standings import exception_admits, revocation_of, takes_exception

S, V, P, Y = RequestState, RequestVerdict, AuthorType.PERSON, AuthorType.SYSTEM
CONDITIONS = [{"name": "watch", "description": "watch the error rate"}]
PENDING_AT = NOW - timedelta(hours=2)


def followers(gate: str, state: RequestState, author: AuthorType) -> set[RequestVerdict]:
    return {v for v in V if next_request_state(request(gate), state, v, author) is not None}


def test_the_gate_says_in_which_state_a_request_is_opened() -> None:
    assert state_of(request("AutoApprove")) is S.SUBMITTED
    assert state_of(request("ManualReview")) is S.SUBMITTED
    assert state_of(request("ExceptionRequired")) is S.EXCEPTION_REQUIRED


@pytest.mark.parametrize("gate", list(Tier))
@pytest.mark.parametrize("author", list(AuthorType))
def test_nothing_leaves_rejected_or_revoked(gate: Tier, author: AuthorType) -> None:
    assert followers(gate, S.REJECTED, author) == set()
    assert followers(gate, S.REVOKED, author) == set()


@pytest.mark.parametrize("state", sorted(APPROVED_STATES))
def test_what_leaves_an_approved_state(state: RequestState) -> None:
    """A person's revocation; that the system takes back what a person approved at the moment in
    which they became a submitter, never what it approved itself; and that other evidence for the
    same images ends an approval by score, and no other."""
    for gate in Tier:
        attests = {V.ATTESTED} if state is S.CONDITIONALLY_APPROVED else set()
        assert followers(gate, state, P) == {V.REVOKED} | attests
        ends = {V.SUPERSEDED} if state is S.AUTO_APPROVED else {V.REOPENED}
        assert followers(gate, state, Y) == ends


def test_people_decide_what_asks_for_no_exception() -> None:
    said = {V.UNDER_REVIEW, V.APPROVED, V.CONDITIONALLY_APPROVED, V.REJECTED}
    assert followers(Tier.MANUAL_REVIEW, S.SUBMITTED, P) == said
    assert followers(Tier.MANUAL_REVIEW, S.UNDER_REVIEW, P) == said - {V.UNDER_REVIEW}
    # What it was opened with may no longer hold, and then the system leaves it to a person.
    assert followers(Tier.AUTO_APPROVE, S.SUBMITTED, P) == said
    assert followers(Tier.EXCEPTION_REQUIRED, S.EXCEPTION_REQUIRED, P) == {V.REVOKED}
    assert followers(Tier.EXCEPTION_REQUIRED, S.SUBMITTED, P) == set()


def test_the_system_approves_only_what_the_score_lets_it() -> None:
    assert followers(Tier.AUTO_APPROVE, S.SUBMITTED, Y) == {V.AUTO_APPROVED, V.SUPERSEDED}
    assert followers(Tier.MANUAL_REVIEW, S.SUBMITTED, Y) == {V.SUPERSEDED}
    assert followers(Tier.EXCEPTION_REQUIRED, S.EXCEPTION_REQUIRED, Y) == {V.SUPERSEDED}
    assert followers(Tier.MANUAL_REVIEW, S.SUPERSEDED, Y) == {V.REOPENED}
    assert followers(Tier.MANUAL_REVIEW, S.SUPERSEDED, P) == set()


def test_what_may_have_run_is_revoked_also_when_it_is_superseded() -> None:
    ended = request("AutoApprove", by_system("AutoApproved"), by_system("Superseded"))
    excepted = request("ExceptionRequired", by_system("Superseded"))
    never = request("ManualReview", by_system("Superseded"))
    found = [
        next_request_state(each, S.SUPERSEDED, V.REVOKED, P) for each in (ended, excepted, never)
    ]
    assert found == [S.REVOKED, S.REVOKED, None]


def test_no_transition_leads_into_an_approved_state_but_by_its_own_verdict() -> None:
    leads = {(v, to) for (_, v, _), to in REQUEST_TRANSITIONS.items() if to in APPROVED_STATES}
    assert leads == {
        (V.AUTO_APPROVED, S.AUTO_APPROVED),
        (V.APPROVED, S.APPROVED),
        (V.CONDITIONALLY_APPROVED, S.CONDITIONALLY_APPROVED),
        (V.ATTESTED, S.CONDITIONALLY_APPROVED),  # stays there
    }
    assert APPROVED_STATES | {S.REJECTED, S.REVOKED} == DECIDED_STATES


def test_a_superseded_request_is_reopened_where_it_was_opened() -> None:
    for gate in Tier:
        found = request(gate, by_system("Superseded"), by_system("Reopened"))
        assert state_of(found) is opening_state(gate)
    reviewed = request(
        "ManualReview", by_person("UnderReview"), by_system("Superseded"), by_system("Reopened")
    )
    assert state_of(reviewed) is S.SUBMITTED


@pytest.mark.parametrize(
    "forged",
    [
        by_system("Approved"),
        by_system("ConditionallyApproved", conditions=CONDITIONS),
        by_system("AutoApproved"),  # the gate is ManualReview
        by_person("AutoApproved"),
        by_person("Superseded"),
        by_person("Reopened"),
        by_person("Revoked"),
        by_person("Approved", evidenceDigest=OTHER_DIGEST),
        by_person("Rejected", evidenceDigest=OTHER_DIGEST),
    ],
)
def test_an_entry_that_was_not_legal_counts_for_nothing(forged: dict[str, Any]) -> None:
    assert state_of(request("ManualReview", forged)) is S.SUBMITTED
    # Nor does it stop what is legal after it, or undo what was before.
    assert state_of(request("ManualReview", forged, by_person("Approved"))) is S.APPROVED


def test_nobody_but_a_revocation_undoes_an_approval() -> None:
    undone = [by_person("Rejected"), by_system("Superseded"), by_person("UnderReview")]
    assert state_of(request("ManualReview", by_person("Approved"), *undone)) is S.APPROVED
    assert (
        state_of(request("ManualReview", by_person("Approved"), *undone, by_person("Revoked")))
        is S.REVOKED
    )


def test_entries_count_in_the_order_of_their_numbers() -> None:
    made = request("ManualReview", by_person("Approved"), by_person("Revoked"))
    backwards = made.model_copy(
        update={
            "status": made.status.model_copy(
                update={"decisions": list(reversed(made.status.decisions))}
            )
        }
    )
    assert state_of(backwards) is S.REVOKED


def test_the_stored_state_is_never_read() -> None:
    made = request("ManualReview")
    lying = made.model_copy(update={"status": made.status.model_copy(update={"state": S.APPROVED})})
    assert state_of(lying) is S.SUBMITTED


_entries = st.lists(
    st.builds(
        lambda verdict, author, digest: {
            **(by_person if author is P else by_system)(
                verdict.value,
                **({"conditions": CONDITIONS} if verdict is V.CONDITIONALLY_APPROVED else {}),
            ),
            **({} if digest else {"evidenceDigest": OTHER_DIGEST}),
        },
        st.sampled_from(list(V)),
        st.sampled_from(list(AuthorType)),
        st.booleans(),
    ),
    max_size=8,
)


@given(st.sampled_from(list(Tier)), _entries)
def test_no_sequence_of_entries_approves_without_whoever_may(
    gate: Tier, entries: list[dict[str, Any]]
) -> None:
    made = request(gate, *entries)
    state = state_of(made)

    own = [e for e in entries if "evidenceDigest" not in e]
    said = {(e["verdict"], e["author"]["type"]) for e in own}
    if state in (S.APPROVED, S.CONDITIONALLY_APPROVED):
        assert gate is not Tier.EXCEPTION_REQUIRED
        assert (state.value, "Person") in said
    if state is S.AUTO_APPROVED:
        assert gate is Tier.AUTO_APPROVE
        assert ("AutoApproved", "System") in said
    if state is S.REVOKED:
        assert ("Revoked", "Person") in said
    assert (revocation_of(made) is not None) == (state is S.REVOKED)


# Exceptions


X, W = ExceptionState, ExceptionVerdict


def test_nothing_leaves_rejected_expired_or_revoked() -> None:
    ended = {X.REJECTED, X.EXPIRED, X.REVOKED}
    assert {state for state, _, _ in EXCEPTION_TRANSITIONS}.isdisjoint(ended)
    assert {key for key, to in EXCEPTION_TRANSITIONS.items() if to is X.APPROVED} == {
        (X.PENDING, W.APPROVED, P)
    }


@pytest.mark.parametrize("days", [1, 30, 90])
def test_an_exception_ends_exactly_creation_plus_days(days: int) -> None:
    made = exception(request("ExceptionRequired"), by_person("Approved"), days=days)
    end = made.metadata.creation_timestamp + timedelta(days=days)  # type: ignore[operator]

    assert expires_at(made) == end
    assert state_of(made, end - timedelta(seconds=1)) is X.APPROVED
    assert state_of(made, end) is X.EXPIRED
    assert state_of(made, end + timedelta(days=999)) is X.EXPIRED


def test_no_stored_time_moves_the_end() -> None:
    made = exception(request("ExceptionRequired"), by_person("Approved"), days=1)
    lying = made.model_copy(
        update={
            "status": made.status.model_copy(
                update={"expires_at": NOW + timedelta(days=999), "state": X.APPROVED}
            )
        }
    )
    assert state_of(lying, NOW + timedelta(days=1)) is X.EXPIRED


def test_an_exception_that_was_never_decided_ends_as_well() -> None:
    made = exception(request("ExceptionRequired"), days=1)
    assert state_of(made, NOW) is X.PENDING
    assert state_of(made, NOW + timedelta(days=1)) is X.EXPIRED


def test_an_exception_decided_after_its_end_is_over() -> None:
    made = exception(request("ExceptionRequired"), days=1, age=timedelta(days=2))
    late = exception(
        request("ExceptionRequired"), by_person("Approved", NOW), days=1, age=timedelta(days=2)
    )
    assert state_of(made, NOW) is X.EXPIRED
    assert state_of(late, NOW) is X.EXPIRED
    assert approval_of(late) is None


def test_people_decide_before_the_end_and_the_system_says_it_has_come() -> None:
    made = exception(request("ExceptionRequired"), days=1)
    end = expires_at(made)
    before = end - timedelta(seconds=1)

    assert next_exception_state(made, X.PENDING, W.APPROVED, P, before) is X.APPROVED
    assert next_exception_state(made, X.PENDING, W.APPROVED, P, end) is None
    assert next_exception_state(made, X.APPROVED, W.EXPIRED, Y, before) is None
    assert next_exception_state(made, X.APPROVED, W.EXPIRED, Y, end) is X.EXPIRED
    assert next_exception_state(made, X.PENDING, W.APPROVED, Y, before) is None
    assert next_exception_state(made, X.APPROVED, W.EXPIRED, P, end) is None


@pytest.mark.parametrize(
    ("entries", "state"),
    [
        ([by_person("Rejected")], X.REJECTED),
        ([by_person("Rejected"), by_person("Approved")], X.REJECTED),
        ([by_person("Approved"), by_person("Revoked")], X.REVOKED),
        ([by_person("Approved"), by_person("Revoked"), by_person("Approved")], X.REVOKED),
        ([by_person("Revoked"), by_person("Approved")], X.APPROVED),
        ([by_system("Approved")], X.PENDING),
        ([by_system("Revoked"), by_person("Approved"), by_system("Revoked")], X.APPROVED),
        ([by_system("Expired")], X.PENDING),
    ],
)
def test_the_state_of_an_exception(entries: list[dict[str, Any]], state: ExceptionState) -> None:
    assert state_of(exception(request("ExceptionRequired"), *entries), NOW) is state


def test_an_approved_exception_admits_its_request_only() -> None:
    wanted = request("ExceptionRequired")
    made = exception(wanted, by_person("Approved"))

    assert exception_admits(made, wanted, NOW)
    assert not exception_admits(made, request("ExceptionRequired", name="another"), NOW)
    assert not exception_admits(exception(wanted), wanted, NOW)
    assert not exception_admits(made, wanted, NOW + timedelta(days=30))
    other = exception(wanted, by_person("Approved", evidenceDigest=OTHER_DIGEST))
    assert not exception_admits(other, wanted, NOW)


def test_a_revoked_request_has_no_exception_that_admits() -> None:
    revoked = request("ExceptionRequired", by_person("Revoked", NOW))
    assert not takes_exception(revoked)
    for shift in (-1, 0, 1):
        leave = exception(revoked, by_person("Approved", NOW + timedelta(seconds=shift)))
        assert not exception_admits(leave, revoked, NOW + timedelta(minutes=5))


@pytest.mark.parametrize(
    "of",
    [
        request("AutoApprove"),
        request("AutoApprove", by_system("AutoApproved")),
        request("ManualReview"),
        request("ManualReview", by_person("UnderReview")),
        request("ManualReview", by_person("Rejected")),
        request("ManualReview", by_person("Approved")),
        request("ManualReview", by_person("Approved"), by_person("Revoked")),
    ],
)
def test_an_exception_is_for_a_request_whose_score_asks_for_one(of: CABRequest) -> None:
    assert not takes_exception(of)
    assert not exception_admits(exception(of, by_person("Approved")), of, NOW)


@pytest.mark.parametrize(
    "forged",
    [
        by_system("Revoked", NOW + timedelta(minutes=4)),
        by_person("Revoked", NOW + timedelta(minutes=4), evidenceDigest=OTHER_DIGEST),
        by_person("Revoked", NOW + timedelta(minutes=4)),  # it is revoked already
    ],
)
def test_a_forged_revocation_counts_for_nothing(forged: dict[str, Any]) -> None:
    entry = revocation_of(request("ExceptionRequired", by_person("Revoked", NOW), forged))
    assert entry is not None
    assert entry.at == NOW


def test_a_request_that_is_not_revoked_has_no_time_of_it() -> None:
    assert revocation_of(request("ManualReview", by_person("Revoked"))) is None


def test_an_exception_that_no_server_stored_has_no_end() -> None:
    made = exception(request("ExceptionRequired"))
    unstored = made.model_copy(
        update={"metadata": made.metadata.model_copy(update={"creation_timestamp": None})}
    )
    with pytest.raises(ValueError, match=r"metadata\.creationTimestamp"):
        expires_at(unstored)


def test_the_state_of_an_exception_needs_a_time() -> None:
    with pytest.raises(TypeError, match="needs a time"):
        state_of(exception(request("ExceptionRequired")))  # type: ignore[call-overload]


def test_a_time_zone_does_not_move_the_end() -> None:
    written = exception(request("ExceptionRequired")).model_dump(mode="json", by_alias=True)
    written["metadata"]["creationTimestamp"] = "2026-03-01T13:00:00.999+02:00"
    made = CABException.model_validate(written)
    assert expires_at(made) == datetime(2026, 3, 31, 11, tzinfo=UTC)


def test_objects_survive_storage() -> None:
    made = request("ManualReview", by_person("Approved"))
    stored = CABRequest.model_validate(made.to_dict())
    assert (stored.spec, stored.status) == (made.spec, made.status)
