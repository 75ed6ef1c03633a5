# SPDX-License-Identifier: Apache-2.0
"""What is said of a request that has exceptions, and of them: the same as in the queue."""

from datetime import timedelta

from cabgate.api import CABException, CABRequest
from cabgate.api.types import Submitter, SubmitterType
from cabgate.review.identity import User
from cabgate.views.queue import queue
from cabgate.views.show import RequestView, show
from cabgate_samples.models import NOW, by_person, exception, intent, request
from cabgate_samples.objects import MIDDLING
from unit.core.views.builders import but, exception_but, whole

ANN = Submitter(username="ann", type=SubmitterType.PERSON)
BOB = Submitter(username="bob", type=SubmitterType.PERSON)
ROBOT = Submitter(username="system:serviceaccount:shop:ci", type=SubmitterType.MACHINE)
DBA = [{"name": "dba", "description": "the DBA is there", "attestation": "Required"}]
ASKED = but(request("ExceptionRequired", name="web-1"), submittedBy=[ANN.to_dict()])
TEAM = "team: an exception, or better evidence"
AGAIN = ("kubectl cab exception web-1 -n shop",)


def seen(*exceptions: CABException, of: CABRequest = ASKED, viewer: str = "sid") -> RequestView:
    return show(whole(of)[0], exceptions, NOW, viewer=User(viewer))


def looked_at(leave: CABException, *others: CABException) -> RequestView:
    return show(whole(ASKED)[0], [leave, *others], NOW, exception=leave, viewer=User("sid"))


def test_a_request_whose_exception_waits_names_who_decides_that() -> None:
    view = seen(exception(ASKED))
    assert view.needed == "security reviewer"
    assert view.next == (
        "kubectl cab approve cabex/leave -n shop",
        "kubectl cab reject cabex/leave -n shop",
    )
    [row] = queue([ASKED], [exception(ASKED)], NOW)
    assert row.needed == view.needed


def test_who_asked_for_the_exception_cannot_decide_it() -> None:
    leave = exception_but(exception(ASKED), submitted_by=[BOB])
    assert seen(leave, viewer="bob").yours == "yours: you submitted"
    assert seen(leave, viewer="sid").yours == ""


def test_a_request_that_an_exception_admits_waits_for_nobody() -> None:
    approved = exception(ASKED, by_person("Approved"))
    for view in (seen(approved), looked_at(approved)):
        assert view.needed == ""
        assert view.next == ("kubectl cab revoke cabex/leave -n shop",)
    assert queue([ASKED], [approved], NOW) == []


def test_an_exception_that_is_over_leaves_it_to_the_team_to_ask_again() -> None:
    rejected = exception(ASKED, by_person("Rejected"))
    ended = exception(ASKED, by_person("Approved"), days=1, age=timedelta(days=2))
    for view in (seen(rejected), looked_at(rejected), seen(ended), looked_at(ended)):
        assert (view.needed, view.next) == (TEAM, AGAIN)


def test_beside_one_that_is_over_another_may_admit() -> None:
    rejected = exception(ASKED, by_person("Rejected"))
    other = exception(ASKED, by_person("Approved"), name="other")
    view = looked_at(rejected, other)
    assert [each.name for each in view.exceptions] == ["leave"]
    assert (view.needed, view.next) == ("", ("kubectl cab revoke cabex/other -n shop",))


def test_an_exception_for_a_request_that_takes_none_can_be_rejected_alone() -> None:
    refused = but(request("ExceptionRequired", by_person("Revoked"), name="web-1"))
    assert seen(exception(refused), of=refused).next == ("kubectl cab reject cabex/leave -n shop",)


def test_what_machines_alone_submitted_waits_for_the_team() -> None:
    made = but(request("ManualReview", name="web-1"), submittedBy=[ROBOT.to_dict()])
    view = seen(of=made)
    assert view.needed == "team: spec.requester, a person"
    assert view.next == ("kubectl cab reject web-1 -n shop",)
    asked = but(ASKED, submittedBy=[ROBOT.to_dict()])
    leave = exception_but(exception(asked), submitted_by=[ROBOT])
    view = seen(leave, of=asked)
    assert view.needed == "team: spec.requester, a person"
    assert view.next == ("kubectl cab reject cabex/leave -n shop",)
    [row] = queue([asked], [leave], NOW)
    assert row.needed == view.needed


def test_what_is_to_be_attested_is_so_also_when_the_intent_has_moved_on() -> None:
    made = request("ManualReview", by_person("ConditionallyApproved", conditions=DBA), name="web-1")
    view = show(whole(made)[0], [], NOW, intent=None, intent_known=True)
    assert view.outdated == ""
    assert view.next == ("kubectl cab attest web-1 -n shop --condition dba",)
    changed = intent(MIDDLING, generation=2)
    assert show(whole(made)[0], [], NOW, intent=changed, intent_known=True).outdated == ""
