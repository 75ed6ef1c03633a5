# SPDX-License-Identifier: Apache-2.0
"""What waits, who is needed for it, and what the one who looks cannot decide."""

from datetime import timedelta
from typing import Any

import pytest

from cabgate.api import CABRequest
from cabgate.api.types import Submitter, SubmitterType
from cabgate.review.identity import User
from cabgate.views.queue import QueueRow, listed_names, of_submitter, queue
from cabgate_samples.models import (
    NOW,
    by_person,
    by_system,
    exception,
    intent,
    request,
    retrospective,
    target,
)
from cabgate_samples.objects import MIDDLING
from unit.core.views.builders import but, exception_but

ANN = Submitter(username="ann", type=SubmitterType.PERSON)
ROBOT = Submitter(username="system:serviceaccount:shop:ci", type=SubmitterType.MACHINE)
DBA = [{"name": "dba", "description": "the DBA is there", "attestation": "Required"}]
WATCH = [{"name": "watch", "description": "somebody watches"}]


def by_ann(gate: str = "ManualReview", *decisions: dict[str, Any], **more: Any) -> CABRequest:
    return but(request(gate, *decisions, **more), submittedBy=[ANN.to_dict()])


def only(*requests: CABRequest, viewer: User | None = None) -> QueueRow:
    [row] = queue(requests, [], NOW, viewer)
    return row


@pytest.mark.parametrize(
    ("gate", "decisions", "needed"),
    [
        ("ManualReview", [], "CAB member"),
        ("ManualReview", [by_person("UnderReview")], "CAB member, taken by rita"),
        ("ManualReview", [by_person("Approved")], None),
        ("ManualReview", [by_person("Rejected")], None),
        ("ManualReview", [by_system("Superseded")], None),
        ("ManualReview", [by_person("ConditionallyApproved", conditions=WATCH)], None),
        ("ManualReview", [by_person("ConditionallyApproved", conditions=DBA)],
         "CAB member: attest dba"),
        ("ManualReview", [by_person("ConditionallyApproved", conditions=DBA),
                          by_person("Attested", condition="dba")], None),
        ("AutoApprove", [], "system, else CAB member"),
        ("AutoApprove", [by_system("AutoApproved")], None),
        ("ExceptionRequired", [], "team: an exception, or better evidence"),
        ("ExceptionRequired", [by_person("Revoked")], None),
    ],
)  # fmt: skip
def test_who_is_needed(gate: str, decisions: list[dict[str, Any]], needed: str | None) -> None:
    rows = queue([by_ann(gate, *decisions)], [], NOW)
    assert [row.needed for row in rows] == ([] if needed is None else [needed])


def test_a_row_says_what_waits() -> None:
    targets = [target(name) for name in ("web", "db", "api", "cache", "mail")]
    made = request(
        "ManualReview",
        of=intent(
            MIDDLING, targets, summary="New price list\nfor the whole shop, with a migration"
        ),
    )
    row = only(but(made, submittedBy=[ANN.to_dict()], requester="bob"))
    assert (row.kind, row.namespace, row.name) == ("CABRequest", "shop", made.metadata.name)
    assert (row.score, row.tier, row.ring, row.state) == ("52.50", "ManualReview", "2", "Submitted")
    assert row.age == timedelta(hours=1)
    assert row.targets == "web, db and 3 more"
    assert row.summary == "New price list for the whole shop, with a..."
    assert row.submitters == "ann for bob"


def test_floors_are_named() -> None:
    failed = {**MIDDLING, "scanResults": {"critical": 1, "high": 0}}
    assert only(request(of=intent(failed))).floors == ("CriticalFindings",)


@pytest.mark.parametrize(
    ("names", "listed"),
    [("web", "web"), ("web db", "web, db"), ("web db api", "web, db and 1 more")],
)
def test_targets_are_listed_and_counted(names: str, listed: str) -> None:
    made = request(targets=[target(n) for n in names.split()])
    assert listed_names(made.spec.targets) == listed


def test_what_only_a_machine_submitted_waits_for_the_team() -> None:
    made = but(request(), submittedBy=[ROBOT.to_dict()])
    assert only(made).needed == "team: spec.requester, a person"
    assert only(but(made, requester="bob")).needed == "CAB member"


@pytest.mark.parametrize(
    ("viewer", "spec", "yours"),
    [
        (User("rita"), {}, ""),
        (User("ann"), {}, "yours: you submitted"),
        (User("ANN"), {}, "yours: you submitted"),
        (User("bob"), {"requester": "bob"}, "yours: you are named as requester"),
        (User("system:serviceaccount:shop:ci"), {}, "not you: you are a machine"),
        (None, {}, ""),
    ],
)
def test_what_the_viewer_cannot_decide_is_theirs(
    viewer: User | None, spec: dict[str, Any], yours: str
) -> None:
    assert only(but(by_ann(), **spec), viewer=viewer).yours == yours


def test_a_broken_glass_waits_with_its_ticket() -> None:
    row = only(retrospective(), viewer=User("ann"))
    assert row.summary.startswith("broken glass INC-1")
    assert row.yours == "yours: you submitted"


def test_the_oldest_is_first_across_namespaces() -> None:
    made = [
        request(name=name, namespace=namespace, age=timedelta(hours=hours))
        for name, namespace, hours in (("a", "shop", 1), ("b", "bank", 3), ("c", "shop", 2))
    ]
    assert [row.name for row in queue(made, [], NOW)] == ["b", "c", "a"]


def test_requests_of_one_name_in_two_namespaces_are_two() -> None:
    made = [request(name="web", namespace=namespace) for namespace in ("shop", "bank")]
    assert len(queue(made, [], NOW)) == 2


def test_an_exception_that_waits_stands_for_its_request() -> None:
    asked = by_ann("ExceptionRequired")
    made = exception_but(exception(asked), submitted_by=[ANN])
    [row] = queue([asked], [made], NOW, User("ann"))
    assert (row.kind, row.name, row.needed) == ("CABException", "leave", "security reviewer")
    assert (row.score, row.targets, row.summary) == ("100.00", "checkout", "outage")
    assert row.yours == "yours: you submitted"


def test_an_exception_whose_request_was_not_read_waits_all_the_same() -> None:
    [row] = queue([], [exception(by_ann("ExceptionRequired"))], NOW)
    assert (row.needed, row.score) == ("security reviewer", "")


@pytest.mark.parametrize(("verdict", "rows"), [("Approved", 0), ("Rejected", 1)])
def test_an_active_exception_ends_the_wait(verdict: str, rows: int) -> None:
    asked = by_ann("ExceptionRequired")
    assert len(queue([asked], [exception(asked, by_person(verdict))], NOW)) == rows


def test_an_exception_that_is_over_leaves_its_request_waiting() -> None:
    asked = by_ann("ExceptionRequired")
    over = exception(asked, by_person("Approved", NOW - timedelta(days=3)), days=1,
                     age=timedelta(days=4))  # fmt: skip
    assert [row.kind for row in queue([asked], [over], NOW)] == ["CABRequest"]


def test_mine_is_what_one_submitted_or_asked_for() -> None:
    rows = queue([by_ann(name="a"), request(name="b")], [], NOW, User("ann"))
    assert [row.name for row in of_submitter(rows)] == ["a"]


def test_a_stored_state_is_not_believed() -> None:
    made = request("ManualReview", by_person("Approved"))
    said = made.status.model_copy(update={"state": "Submitted"})
    assert queue([made.model_copy(update={"status": said})], [], NOW) == []


def test_a_clock_that_is_behind_makes_no_negative_age() -> None:
    assert only(request(age=timedelta(seconds=-30))).age == timedelta()


@pytest.mark.parametrize(
    "waiting", [by_ann(), retrospective()], ids=["ManualReview", "a broken glass"]
)
def test_no_exception_hides_what_a_cab_member_is_to_decide(waiting: CABRequest) -> None:
    # The name of either can be told before it is opened, and an exception written for it then.
    rows = queue([waiting], [exception(waiting)], NOW)
    assert ("CABRequest", "CAB member") in {(row.kind, row.needed) for row in rows}
