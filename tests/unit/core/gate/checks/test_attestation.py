# SPDX-License-Identifier: Apache-2.0
"""The conditions of an approval hold at each rollout."""

from datetime import timedelta

import pytest

from cabgate.api.base import rfc3339
from cabgate.gate.verdict import Reason
from cabgate_samples.models import NOW, by_person, request, rollout
from unit.core.standings import closed_window, decide, decided_at, taken_at, unattested

MINUTE = timedelta(minutes=1)


def condition(name="watch", **fields):
    moments = {k: rfc3339(v) if hasattr(v, "isoformat") else v for k, v in fields.items()}
    return {"name": name, "description": f"do {name}", **moments}


def approved(*conditions, attested=()):
    entries = [by_person("ConditionallyApproved", conditions=list(conditions))]
    entries += [by_person("Attested", condition=name) for name in attested]
    return request("ManualReview", *entries)


def said(found, now=NOW):
    return decide(rollout(), 2, [found], [], now)


@pytest.mark.parametrize(
    ("offset", "admitted"), [(-1, False), (0, True), (59, True), (60, False), (61, False)]
)
def test_a_window_is_open_from_its_beginning_until_just_before_its_end(offset, admitted):
    window = condition(notBefore=NOW, notAfter=NOW + timedelta(seconds=60))
    decision = said(approved(window), NOW + timedelta(seconds=offset))
    assert decision.allowed is admitted
    assert decision.reason is (Reason.REQUEST_APPROVED if admitted else Reason.OUTSIDE_WINDOW)
    if not admitted:
        assert "condition watch" in decision.message
        moment = window["notBefore"] if offset < 0 else window["notAfter"]
        assert moment in decision.message


def test_every_window_has_to_be_open():
    early = condition("early", notAfter=NOW - MINUTE)
    found = approved(condition("late", notBefore=NOW - MINUTE), early)
    closed = closed_window(found, NOW)
    assert closed is not None
    assert closed.name == "early"


def test_the_gate_waits_for_each_attestation_that_is_required():
    conditions = [
        condition("dba", attestation="Required"),
        condition("ops", attestation="Required"),
    ]
    assert said(approved(*conditions)).reason is Reason.ATTESTATION_MISSING
    half = said(approved(*conditions, attested=["dba"]))
    assert half.reason is Reason.ATTESTATION_MISSING
    assert '"verdict":"Attested","condition":"ops"' in half.message
    assert said(approved(*conditions, attested=["ops", "dba"])).allowed


def test_an_attestation_of_what_nobody_asked_for_meets_nothing():
    found = approved(condition("dba", attestation="Required"), attested=["other"])
    assert [c.name for c in unattested(found)] == ["dba"]


def test_obligations_are_told_at_each_rollout_and_what_the_gate_sees_to_is_not():
    found = approved(
        condition("watch"),
        condition("dba", attestation="Required"),
        condition("night", notBefore=NOW - MINUTE),
        attested=["dba"],
    )
    warnings = said(found).warnings
    assert len(warnings) == 1
    assert "condition watch: do watch" in warnings[0]


def test_the_times_of_a_review_are_those_of_its_decisions():
    taken, decided = NOW - 2 * MINUTE, NOW - MINUTE
    found = request(
        "ManualReview",
        by_person("UnderReview", taken),
        by_person("Approved", decided),
        by_person("Revoked", NOW),
    )
    assert (taken_at(found), decided_at(found)) == (taken, decided)
    assert (taken_at(request()), decided_at(request())) == (None, None)
