# SPDX-License-Identifier: Apache-2.0
"""All that somebody needs who decides, and what they do next."""

from typing import Any

import pytest

from cabgate.api import CABException, CABRequest
from cabgate.api.types import Submitter
from cabgate.review.identity import User
from cabgate.review.reviewers import NOT_CURRENT
from cabgate.views.show import UNSEEN, RequestView, show
from cabgate_samples.models import (
    NOW,
    OTHER_DIGEST,
    by_person,
    by_system,
    exception,
    intent,
    request,
    retrospective,
)
from cabgate_samples.objects import MIDDLING
from support.policies import BOARD, vote
from unit.core.views.builders import but, whole

DBA = [{"name": "dba", "description": "the DBA is there", "attestation": "Required"}]
ANN = [Submitter(username="ann").to_dict()]
ANY = "-n shop"


def seen(of: CABRequest, *exceptions: CABException, **more: Any) -> RequestView:
    return show(whole(but(of, submittedBy=ANN))[0], exceptions, NOW, **more)


def test_a_request_is_shown_with_what_it_is_decided_by() -> None:
    view = seen(request("ManualReview", by_person("UnderReview", rationale="mine")))
    assert (view.score, view.tier, view.state) == ("52.50", "ManualReview", "UnderReview")
    assert [each.name for each in view.factors][:2] == ["testCoverage", "securityFindings"]
    assert view.factors[0].contribution == "12.50"
    assert view.improvements.startswith("AutoApprove would take: ")
    assert view.decisions[0].verdict == "UnderReview"
    assert (view.decisions[0].by, view.decisions[0].rationale) == ("rita", "mine")
    tests = next(each for each in view.evidence if each.part == "testResults")
    assert "coveragePercent 85" in " ".join(tests.says)
    assert view.evidence_digest.startswith("v1:sha256:")


def test_the_conditions_of_every_approval_are_shown() -> None:
    night = [{"name": "night", "description": "at night"}]
    bound = vote("max", "ConditionallyApproved", conditions=night)
    one = vote("rita", "ConditionallyApproved", conditions=DBA)
    for last in (vote("rita"), one):
        shown = seen(request("ManualReview", bound, last, policy=BOARD)).conditions
        assert "night: at night" in shown
    assert len(shown) == 2


@pytest.mark.parametrize(
    ("gate", "decisions", "verbs"),
    [
        ("ManualReview", [], ["approve", "reject"]),
        ("ManualReview", [by_person("UnderReview")], ["approve", "reject"]),
        ("ManualReview", [by_person("Approved")], ["revoke"]),
        ("ManualReview", [by_person("Rejected")], []),
        ("ManualReview", [by_person("ConditionallyApproved", conditions=DBA)], ["attest"]),
        ("ExceptionRequired", [], ["exception"]),
        ("AutoApprove", [by_system("AutoApproved")], ["revoke"]),
    ],
)
def test_the_next_commands_are_those_that_are_legal(
    gate: str, decisions: list[dict[str, Any]], verbs: list[str]
) -> None:
    commands = seen(request(gate, *decisions, name="web-1")).next
    assert [each.split()[2] for each in commands] == verbs
    assert all(each.startswith("kubectl cab ") and "web-1 -n shop" in each for each in commands)


def test_an_exception_that_waits_is_what_is_decided() -> None:
    asked = request("ExceptionRequired")
    waits = exception(asked)
    view = seen(asked, exception=waits, viewer=User("ann"))
    assert view.needed == "security reviewer"
    assert view.exceptions[0].controls == ("watched",)
    assert view.next[0] == "kubectl cab approve cabex/leave -n shop"
    assert view.yours == "yours: you submitted"


def test_exceptions_of_other_requests_are_left_out() -> None:
    other = exception(request("ExceptionRequired", name="other"))
    assert seen(request("ExceptionRequired"), other).exceptions == ()


def test_a_condition_says_whether_it_was_attested() -> None:
    first = by_person("ConditionallyApproved", conditions=DBA)
    assert seen(request("ManualReview", first)).conditions == (
        "dba: the DBA is there; to be attested",
    )
    after = by_person("Attested", condition="dba")
    assert seen(request("ManualReview", first, after)).conditions == (
        "dba: the DBA is there; attested",
    )


def test_what_its_intent_asks_for_no_more_is_said_to_be_outdated() -> None:
    made = request("ManualReview")
    assert seen(made).outdated == ""
    gone = seen(made, intent=None, intent_known=True)
    assert (gone.outdated, gone.next) == (NOT_CURRENT, ())
    same = intent(MIDDLING)
    assert seen(made, intent=same, intent_known=True).outdated == ""
    changed = intent(MIDDLING, generation=2)
    assert seen(made, intent=changed, intent_known=True).outdated == UNSEEN


def test_who_changed_the_intent_since_cannot_decide() -> None:
    later = intent(MIDDLING, submittedBy=[{"username": "rita"}])
    view = seen(request("ManualReview"), intent=later, intent_known=True, viewer=User("rita"))
    assert view.yours == "yours: you submitted"


def test_a_broken_glass_has_no_intent_and_is_never_outdated() -> None:
    view = seen(retrospective(), intent=None, intent_known=True)
    assert view.outdated == ""
    assert view.summary.startswith("broken glass INC-1: ")


def test_a_decision_for_other_evidence_counts_for_nothing_and_is_shown() -> None:
    made = request("ManualReview", by_person("Approved", evidenceDigest=OTHER_DIGEST))
    view = seen(made)
    assert view.state == "Submitted"
    assert view.decisions[0].verdict == "Approved"
