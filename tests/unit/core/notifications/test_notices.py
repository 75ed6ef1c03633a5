# SPDX-License-Identifier: Apache-2.0
"""What there is to notify of, by what is stored and by the time."""

from datetime import timedelta

import pytest

from cabgate.api import CABException, CABRequest
from cabgate.lifecycle.state.standing import standing_of
from cabgate.notifications.notices import NEWS, Asked, Event, Notice, is_current, notices
from cabgate_samples.models import NOW, by_person, by_system
from unit.core.notifications.subjects import asked, broken, leave, with_uid

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
DBA = [{"name": "dba", "description": "the DBA is there", "attestation": "Required"}]
REQUEST = asked("ExceptionRequired", name="app")


def events(
    requests: list[CABRequest],
    exceptions: list[CABException] | None = None,
    at: timedelta = 0 * DAY,
) -> dict[tuple[str, str], str]:
    """What there is to notify of, by event and name: the detail."""
    found = notices(requests, exceptions or [], NOW + at)
    return {(each.event.value, each.name): each.detail for each in found}


def only(requests: list[CABRequest], exceptions: list[CABException] | None = None) -> Notice:
    [found] = notices(requests, exceptions or [], NOW)
    return found


def test_a_request_that_waits_is_told_of_with_who_is_needed() -> None:
    found = only([asked("ManualReview", name="web")])
    assert found.event is Event.WAITING
    assert (found.namespace, found.name, found.score, found.ring) == ("shop", "web", "52.50", "2")
    assert found.detail.startswith("needs ")
    assert found.since == found.opened_at == NOW - timedelta(hours=1)


@pytest.mark.parametrize(
    ("decisions", "expected"),
    [
        ([by_person("Approved")], {("decided", "web"): "Approved by rita"}),
        ([by_person("Rejected")], {("decided", "web"): "Rejected by rita"}),
        (
            [by_person("ConditionallyApproved", conditions=DBA)],
            {
                ("decided", "web"): "ConditionallyApproved by rita",
                ("waiting", "web"): "needs CAB member: attest dba",
            },
        ),
        ([by_person("Approved"), by_person("Revoked")], {("revoked", "web"): "Revoked by rita"}),
        ([by_system("Superseded")], {}),
        ([by_person("Approved"), by_system("Reopened")], {("waiting", "web"): None}),
    ],
)
def test_what_is_no_longer_true_is_not_told_of(
    decisions: list[dict[str, object]], expected: dict[tuple[str, str], str | None]
) -> None:
    found = events([asked("ManualReview", *decisions, name="web")])
    assert found.keys() == expected.keys()
    assert all(detail in (None, found[key]) for key, detail in expected.items())


def test_what_the_score_approves_is_no_message() -> None:
    assert not events([asked("AutoApprove", by_system("AutoApproved"), name="web")])


def test_a_request_that_waits_again_is_told_of_again_and_one_that_is_taken_is_not() -> None:
    opened = only([asked("ManualReview", name="web")])
    taken = only([asked("ManualReview", by_person("UnderReview"), name="web")])
    again = only([asked("ManualReview", by_person("Approved"), by_system("Reopened"), name="web")])
    assert taken.key == opened.key
    assert again.key != opened.key
    assert again.since == NOW - timedelta(minutes=30)


def test_another_object_of_the_same_name_is_another_notice() -> None:
    first = asked("ManualReview", name="web")
    meta = first.metadata.model_copy(update={"uid": "another"})
    second = first.model_copy(update={"metadata": meta})
    assert only([first]).key != only([second]).key


def test_the_key_goes_by_no_text() -> None:
    first = asked("ManualReview", by_person("Approved"), name="web")
    renamed = first.model_copy(
        update={"metadata": first.metadata.model_copy(update={"name": "other"})}
    )
    assert only([first]).key == only([renamed]).key


def test_a_broken_glass_is_told_of_and_so_is_its_review() -> None:
    found = {key[0]: detail for key, detail in events([broken()]).items()}
    assert found == {"glassBroken": "ticket INC-1", "waiting": "needs CAB member"}


@pytest.mark.parametrize(
    ("past", "there"), [(NEWS - SECOND, True), (NEWS, False), (NEWS + DAY, False)]
)
def test_news_are_news_for_a_week(past: timedelta, there: bool) -> None:
    approved = asked("ManualReview", by_person("Approved", at=NOW), name="web", age=DAY)
    assert bool(events([approved], at=past)) is there
    assert is_current(approved, NOW + past) is there


@pytest.mark.parametrize(
    ("request_", "current"),
    [
        (asked("ManualReview"), True),
        (asked("ExceptionRequired"), True),
        (broken(), True),
        (asked("ManualReview", by_system("Superseded")), False),
        (asked("AutoApprove", by_system("AutoApproved")), False),
        (asked("ManualReview", by_person("ConditionallyApproved", at=NOW - 30 * DAY,
                                         conditions=DBA), age=40 * DAY), True),
    ],
)  # fmt: skip
def test_only_what_may_be_told_of_is_kept(request_: CABRequest, current: bool) -> None:
    assert is_current(request_, NOW) is current


def test_a_request_whose_exception_waits_is_told_of_by_the_exception() -> None:
    found = events([REQUEST], [leave(REQUEST)])
    assert set(found) == {("exceptionWaiting", "leave")}
    assert only([REQUEST], [leave(REQUEST)]).score == REQUEST.spec.assessment.score


@pytest.mark.parametrize(
    ("days", "age", "expected"),
    [
        (30, 23 * DAY - SECOND, None),
        (30, 23 * DAY, "7"),
        (30, 29 * DAY - SECOND, "7"),
        (30, 29 * DAY, "1"),
        (30, 30 * DAY - SECOND, "1"),
        (7, 1 * DAY, None),
        (7, 6 * DAY, "1"),
        (1, timedelta(hours=23), None),
    ],
)
def test_an_exception_that_ends_soon_is_told_of_once_a_week_and_once_a_day_before(
    days: int, age: timedelta, expected: str | None
) -> None:
    granted = leave(REQUEST, by_person("Approved", at=NOW - age), days=days, age=age)
    found = [each for each in notices([REQUEST], [granted], NOW) if each.event is Event.EXPIRING]
    assert [each.step for each in found] == ([] if expected is None else [expected])


def test_an_exception_ends_when_its_constraints_say() -> None:
    until = {"until": (NOW + timedelta(hours=20)).isoformat()}
    granted = leave(REQUEST, by_person("Approved", constraints=until), age=10 * DAY)
    [found] = [each for each in notices([REQUEST], [granted], NOW) if each.event is Event.EXPIRING]
    assert (found.step, found.detail) == ("1", "ends 2026-03-02T08:00:00Z")


def test_an_exception_that_no_longer_admits_does_not_end_soon() -> None:
    age = 29 * DAY
    revoked = asked(
        "ExceptionRequired", by_person("Revoked", at=NOW - 28 * DAY), name="app", age=30 * DAY
    )
    granted = leave(revoked, by_person("Approved", at=NOW - age), age=age)
    assert ("expiring", "leave") not in events([revoked], [granted])
    rejected = leave(REQUEST, by_person("Rejected", at=NOW - age), age=age)
    assert ("expiring", "leave") not in events([REQUEST], [rejected])


@pytest.mark.parametrize("decisions", [[], [by_person("Approved", at=NOW - 30 * DAY)]])
@pytest.mark.parametrize(("age", "there"), [(30 * DAY, True), (37 * DAY, False)])
def test_an_exception_that_has_ended_is_told_of_for_a_week(
    decisions: list[dict[str, object]], age: timedelta, there: bool
) -> None:
    ended = leave(REQUEST, *decisions, age=age)
    assert (("expired", "leave") in events([REQUEST], [ended])) is there
    assert ("exceptionWaiting", "leave") not in events([REQUEST], [ended])


def test_an_exception_whose_request_is_gone_has_no_score_and_no_ring() -> None:
    found = only([], [leave(REQUEST)])
    assert (found.event, found.score, found.ring) == (Event.EXCEPTION_WAITING, "", "")


def test_an_exception_keeps_the_ring_of_a_request_that_is_worth_no_message() -> None:
    age = 29 * DAY
    revoked = asked(
        "ExceptionRequired", by_person("Revoked", at=NOW - 10 * DAY), name="app", age=30 * DAY
    )
    assert not is_current(revoked, NOW)
    place = revoked.metadata.namespace, revoked.metadata.name
    others = {place: Asked.of(revoked, standing_of(revoked))}
    granted = leave(revoked, by_person("Approved", at=NOW - DAY), age=age)
    [found] = notices([], [granted], NOW, others)
    assert found.event is Event.DECIDED, "it does not end soon: it admits nothing"
    assert (found.ring, found.score) == ("2", revoked.spec.assessment.score)
    [waits] = notices([], [leave(revoked)], NOW, others)
    assert (waits.event, waits.ring) == (Event.EXCEPTION_WAITING, "2")


def test_an_exception_whose_request_is_gone_does_not_end_soon() -> None:
    granted = leave(REQUEST, by_person("Approved", at=NOW - 29 * DAY), age=29 * DAY)
    assert ("expiring", "leave") not in events([], [granted])


def test_decisions_on_exceptions() -> None:
    for verdicts, event in ((["Approved"], "decided"), (["Approved", "Revoked"], "revoked")):
        decided = leave(REQUEST, *(by_person(each) for each in verdicts))
        assert events([REQUEST], [decided])[event, "leave"] == f"{verdicts[-1]} by rita"


def test_no_rationale_no_reason_and_no_evidence_is_in_a_notice() -> None:
    secret = "the reason that nobody is to read"
    decided = asked("ManualReview", by_person("Approved", rationale=secret), name="web")
    spec = REQUEST.spec.model_copy(update={"summary": secret})
    summed = with_uid(REQUEST.model_copy(update={"spec": spec}))
    glass = broken(why=f"INC-1: {secret}")
    found = notices([decided, summed, glass], [leave(summed)], NOW)
    assert len(found) > 3
    assert all(secret not in repr(each) for each in found)
