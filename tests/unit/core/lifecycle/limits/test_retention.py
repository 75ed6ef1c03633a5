# SPDX-License-Identifier: Apache-2.0
"""What retention may remove, and what it never may."""

from datetime import timedelta

import pytest

from cabgate.api.base import rfc3339
from cabgate.lifecycle.limits.capacity import stored_bytes
from cabgate.lifecycle.limits.retention import KEPT_BYTES
from cabgate.rollout.targets import Workload
from cabgate_samples.models import (
    NOW,
    by_person,
    by_system,
    exception,
    intent,
    noticed,
    request,
    retrospective,
    target,
)
from cabgate_samples.objects import MIDDLING
from unit.core.standings import removable

DAY = timedelta(days=1)


def approved(name, days, *, by=by_person, verdict="Approved", targets=None):
    entry = by(verdict, NOW - days * DAY)
    return noticed(request("ManualReview", entry, name=name, targets=targets))


def generation(request, number):
    reference = request.spec.intent_ref.model_copy(update={"generation": number})
    spec = request.spec.model_copy(update={"intent_ref": reference})
    return request.model_copy(update={"spec": spec})


def names(*requests, exceptions=(), intents=None, kept=2):
    return [r.metadata.name for r in removable(requests, exceptions, intents or {}, NOW, kept)]


def test_the_newest_approvals_of_each_target_stay():
    found = [approved(f"r{days}", days) for days in (1, 5, 3, 9)]
    assert names(*found) == ["r9", "r5"]


def test_the_time_of_the_decision_counts_not_that_of_the_request():
    found = [approved("late", 1), approved("early", 5), approved("middle", 3)]
    assert names(*found, kept=1) == ["early", "middle"]


def test_within_one_second_the_generation_tells_which_came_later():
    found = [generation(approved(name, 1), of) for name, of in (("b", 3), ("a", 2), ("c", 1))]
    assert names(*found) == ["c"]


def test_a_request_stays_while_one_of_its_targets_needs_it():
    both = approved("both", 9, targets=[target("web"), target("api")])
    found = [both, *(approved(f"web{d}", d, targets=[target("web")]) for d in (1, 2))]
    assert names(*found) == []
    more = [*found, *(approved(f"api{d}", d, targets=[target("api")]) for d in (1, 2))]
    assert names(*more) == ["both"]


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [by_person("UnderReview")],
        [by_person("Rejected")],
        [by_person("Approved"), by_person("Revoked")],
    ],
)
def test_what_is_undecided_or_refused_stays_for_ever(entries):
    found = request("ManualReview", *entries, name="old")
    assert names(found, *(approved(f"r{d}", d) for d in (1, 2, 3)), kept=0) == ["r3", "r2", "r1"]


def test_the_approval_that_lifted_a_refusal_stays_and_an_older_one_goes():
    # On other evidence: the very same content is decided once.
    other = intent({**MIDDLING, "scope": {"affectedComponents": 8}})
    refused = request("ManualReview", by_person("Rejected", NOW - 9 * DAY), name="no", of=other)
    first, last, newer = approved("first", 8), approved("last", 7), approved("other", 1)
    score = request("AutoApprove", by_system("AutoApproved", NOW - 5 * DAY), name="score")
    assert names(refused, first, last, newer, score, kept=0) == ["first", "last", "score"]
    assert names(refused, first, last, score, kept=0) == ["first", "score"]
    assert names(refused, approved("before", 10), kept=0) == ["before"]
    revoked = request("ManualReview", by_person("Approved", NOW - 9 * DAY),
                      by_person("Revoked", NOW - 8 * DAY), name="bad", of=other)  # fmt: skip
    assert names(revoked, last, kept=0) == []


def test_what_is_superseded_goes_in_its_own_count():
    old = [request("ManualReview", by_system("Superseded"), name=f"s{n}") for n in range(3)]
    assert names(*old, approved("a", 1), kept=2) == ["s0"]


def test_what_a_live_intent_asks_for_stays():
    found = approved("current", 9)
    live = {"checkout": intent(MIDDLING)}
    assert names(found, intents=live, kept=0) == []
    assert names(found, intents={"checkout": intent()}, kept=0) == ["current"]


def test_what_is_under_a_live_exception_stays():
    found = request("ExceptionRequired", by_system("Superseded"), name="excepted")
    alive = exception(found, by_person("Approved", NOW - timedelta(minutes=1)))
    assert names(found, exceptions=[alive], kept=0) == []
    ended = exception(found, by_person("Approved", NOW - 2 * DAY), days=1, age=2 * DAY)
    assert names(found, exceptions=[ended], kept=0) == ["excepted"]


def test_approved_breaks_of_the_glass_take_no_approvals_place():
    """They are no way back to what ran before."""
    old = approved("old", 9)
    breaks = [
        retrospective(by_person("Approved"), identity=f"deployments/{number}")
        for number in range(1, 4)
    ]
    assert Workload.of(breaks[0].spec.targets[0]) == Workload.of(old.spec.targets[0])
    assert names(old, *breaks, kept=1) == []


def superseded(name, days, gate="ManualReview"):
    return request(gate, by_system("Superseded", NOW - days * DAY), name=name)


def without_intent(made, days):
    mark = {
        "type": "IntentGone",
        "status": "True",
        "lastTransitionTime": rfc3339(NOW - days * DAY),
        "reason": "IntentDeleted",
        "message": "gone",
    }
    status = {**made.status.to_dict(), "conditions": [mark]}
    return type(made).model_validate({**made.to_dict(), "status": status})


def test_what_was_superseded_goes_after_seven_days():
    found = [superseded("old", 7), superseded("new", 6.9)]
    assert names(*found, kept=10) == ["old"]


def test_what_was_superseded_is_kept_for_a_live_intent_that_asks_for_it_again():
    """The operator is about to reopen it."""
    assert names(superseded("old", 9), intents={"checkout": intent(MIDDLING)}, kept=10) == []


def test_an_approval_goes_seven_days_after_its_intent():
    found = [
        without_intent(approved("gone", 30), 7),
        without_intent(approved("going", 30), 6.9),
        approved("there", 30),
    ]
    assert names(*found, kept=10) == ["gone"]


def test_an_approval_whose_intent_came_back_stays():
    found = without_intent(approved("back", 30), 9)
    assert names(found, intents={"checkout": intent(MIDDLING)}, kept=10) == []


def test_a_refusal_stays_whatever_became_of_its_intent():
    refused = request("ManualReview", by_person("Rejected", NOW - 30 * DAY), name="no")
    assert names(without_intent(refused, 30), kept=10) == []


def test_of_large_requests_fewer_stay_but_three():
    images = [f"registry.example.com/{'x' * 400}:{n}" for n in range(50)]
    large = [target("web", *images), target("api", *images)]
    found = [approved(f"r{days}", days, targets=large) for days in range(1, 10)]
    size = stored_bytes([found[0].spec.to_dict(), found[0].status.to_dict()])
    fit = KEPT_BYTES // size
    assert 3 < fit < 9
    assert names(*found, kept=10) == [f"r{days}" for days in range(9, fit, -1)]
    assert names(*found[:3], kept=10) == []
