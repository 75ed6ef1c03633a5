# SPDX-License-Identifier: Apache-2.0
"""Whoever approves is told what was refused before, and is admitted again by it."""

from datetime import timedelta

import pytest

from cabgate.api.exception import ExceptionVerdict
from cabgate.api.request import RequestVerdict
from cabgate_operator.plans.requests import System, status_of_request
from cabgate_samples.models import NOW, by_person, by_system, intent, noticed, request, target
from cabgate_samples.objects import GOOD, MIDDLING
from unit.core.standings import lifted_by, warnings_of_approval
from unit.operator.standings import plan_request

HOUR = timedelta(hours=1)
BOTH = [target("web", "web:2", "side:bad")]
WAITS = request("ManualReview", targets=BOTH, age=3 * HOUR)
OLD = [target("web", "web:1", "side:bad")]
REVOKED = request(
    *("AutoApprove", by_system("AutoApproved", NOW - 5 * HOUR)),
    by_person("Revoked", NOW - HOUR, images=["side:bad"], rationale="CVE-2026-1"),
    targets=OLD,
    age=6 * HOUR,
)
REJECTED = request("ManualReview", by_person("Rejected", NOW - 2 * HOUR, rationale="no"),
                   targets=[target("web", "web:2")], age=4 * HOUR)  # fmt: skip
OTHERS = [REVOKED, REJECTED, WAITS]


def test_an_approval_names_every_refusal_that_it_lifts():
    seen = warnings_of_approval(WAITS, RequestVerdict.APPROVED, OTHERS)
    assert seen == [
        "lifts what rita revoked at 2026-03-01T11:00:00Z under request "
        f"{REVOKED.metadata.name}: Deployment web: side:bad (CVE-2026-1)",
        "lifts what rita rejected at 2026-03-01T10:00:00Z under request "
        f"{REJECTED.metadata.name}: Deployment web: web:2 (no)",
    ]


@pytest.mark.parametrize(
    "verdict", [RequestVerdict.CONDITIONALLY_APPROVED, ExceptionVerdict.APPROVED]
)
def test_what_lifts_for_one_request_says_so_and_lifts_no_rejection(verdict):
    [seen] = warnings_of_approval(WAITS, verdict, OTHERS)
    assert "revoked" in seen
    assert ", for this request alone: Deployment web: side:bad" in seen


def test_nothing_is_told_where_nothing_is_lifted():
    for verdict in (RequestVerdict.REJECTED, RequestVerdict.UNDER_REVIEW, RequestVerdict.REVOKED):
        assert lifted_by(WAITS, verdict, OTHERS) == []
    assert lifted_by(WAITS, RequestVerdict.APPROVED, [WAITS]) == []
    again = request("ManualReview", by_person("Approved", NOW), targets=BOTH, name="again")
    again = noticed(again)
    assert lifted_by(WAITS, RequestVerdict.APPROVED, [*OTHERS, again]) == []


def test_many_are_counted():
    many = [
        request("ManualReview", by_person("Rejected", NOW - HOUR), name=f"no-{n}", targets=BOTH)
        for n in range(15)
    ]
    seen = warnings_of_approval(WAITS, RequestVerdict.APPROVED, many)
    assert len(seen) == 11
    assert seen[-1] == "lifts 5 more refusals, 15 in all"


@pytest.mark.parametrize("entries", [(), (by_person("UnderReview"),)])
def test_a_request_that_waits_says_what_was_refused_since(entries):
    declared = intent(MIDDLING, BOTH)
    made = request("ManualReview", *entries, of=declared, age=3 * HOUR)
    system = System("operator", NOW)

    def said(*others):
        plan = plan_request(made, declared, [], system, [made, *others])
        return status_of_request({}, plan, NOW)["conditions"][0]["message"]

    assert "was revoked by rita" not in said()
    assert f"request {REVOKED.metadata.name} was revoked by rita" in said(REVOKED)
    assert "CVE-2026-1" in said(REVOKED)
    # What it was opened with is told once.
    known = request("ManualReview", of=intent(GOOD, BOTH), others=[REVOKED])
    plan = plan_request(known, intent(GOOD, BOTH), [], system, [REVOKED, known])
    message = status_of_request({}, plan, NOW)["conditions"][0]["message"]
    assert message.count("was revoked by rita") == 1
