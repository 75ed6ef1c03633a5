# SPDX-License-Identifier: Apache-2.0
"""What the gate makes of an approval that says what the containers do, and of one that does not."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cabgate.api import CABRequest
from cabgate.gate.unjudged import ListedIntent, intent_to_await
from cabgate.gate.verdict import Reason
from cabgate.lifecycle.state.requirements import POD_TEMPLATE
from cabgate.rollout.normal_form import normal_form
from cabgate.rollout.targets import Workload
from cabgate.rollout.templates import Template, template_of_forms
from cabgate_samples.models import (
    IMAGE,
    NOW,
    by_person,
    by_system,
    exception,
    intent,
    request,
    rollout,
    target,
)
from cabgate_samples.objects import GOOD, MIDDLING
from unit.core.standings import candidates, decide, describe, request_for


def seen(*command: str, **spec: Any) -> Template:
    container = {"name": "app", "image": IMAGE, "command": list(command)}
    return template_of_forms([normal_form({"spec": {"containers": [container], **spec}})])


SERVE = seen("serve")
EVIL = seen("sh", "-c", "evil", hostPID=True)


def saying(template: Template | None, name: str = "checkout", *images: str) -> dict[str, Any]:
    if template is None:
        return target(name, *images)
    fields: dict[str, Any] = {"template": template.digest, "templateFields": template.fields}
    return {**target(name, *images), **fields}


def asked(made: CABRequest) -> CABRequest:
    """As it is opened in a namespace that asks for templates."""
    spec = made.spec.model_copy(update={"requires": [POD_TEMPLATE]})
    return made.model_copy(update={"spec": spec})


APPROVED = by_person("Approved")
BOUND = request("ManualReview", APPROVED, targets=[saying(SERVE)], name="bound")
OLD = request("ManualReview", APPROVED, targets=[saying(None)], name="old")
LATER = asked(request("ManualReview", APPROVED, targets=[saying(None)], name="later"))
DOES = replace(rollout(), template=SERVE)
EVILLY = replace(rollout(), template=EVIL)


@pytest.mark.parametrize("required", [False, True])
def test_an_approval_that_says_what_the_containers_do_is_good_for_that_alone(required):
    assert decide(DOES, 3, [BOUND], [], NOW, template_required=required).allowed
    denied = decide(EVILLY, 3, [BOUND], [], NOW, template_required=required)
    assert denied.reason is Reason.TEMPLATE_NOT_COVERED
    assert denied.basis.differing == ("containers[app].command", "hostPID")
    assert "containers[app].command, hostPID" in denied.message
    assert "evil" not in denied.message
    assert denied.message.endswith(
        "cabgate intent -n shop -f MANIFEST.yaml --live --name checkout --template client"
    )


def test_one_that_does_not_say_it_covers_images_unless_it_had_to():
    for made, required, allowed in (
        (OLD, False, True),
        (OLD, True, True),  # from before it was asked for: the way back
        (LATER, False, True),
        (LATER, True, False),
    ):
        found = decide(EVILLY, 3, [made], [], NOW, template_required=required)
        assert found.allowed is allowed, (made.metadata.name, required)
    denied = decide(EVILLY, 3, [LATER], [], NOW, template_required=True)
    assert denied.reason is Reason.TEMPLATE_NOT_COVERED
    assert "does not say what the containers do" in denied.message


def test_a_new_image_of_a_pod_that_exists_needs_an_approval_that_says_what_it_does():
    """What the Pod does is not compared, with what other webhooks gave it: but what was opened
    without a template admits nothing here either."""
    pod = rollout()
    for requests, required, allowed in (
        ([LATER], True, False),
        ([LATER], False, True),
        ([OLD], True, True),
        ([BOUND], True, True),
        ([BOUND], False, True),
        ([OLD, LATER], True, True),
        ([BOUND, LATER], True, True),
    ):
        found = decide(pod, 3, requests, [], NOW, template_required=required)
        assert found.allowed is allowed, (requests, required)
    denied = decide(pod, 3, [LATER], [], NOW, template_required=True)
    assert denied.reason is Reason.TEMPLATE_NOT_COVERED
    assert "does not say what the containers do" in denied.message


@pytest.mark.parametrize(
    ("decisions", "counts"),
    [
        ([APPROVED], True),
        ([by_person("Rejected")], True),
        ([APPROVED, by_person("Revoked", images=["registry.example.com/other:1"])], True),
        # Approved once: what has ended since is no way back to anything it did not cover.
        ([by_system("AutoApproved"), by_system("Superseded")], True),
        ([by_person("UnderReview")], False),
        ([], False),
        ([by_system("Superseded")], False),
    ],
)
def test_the_one_without_does_not_lift_the_other_where_it_is_asked_for(decisions, counts):
    by_score = any(each["verdict"] == "AutoApproved" for each in decisions)
    tier = "AutoApprove" if by_score else "ManualReview"
    bound = request(tier, *decisions, targets=[saying(SERVE)], name="bound")
    for requests in ([OLD, bound], [bound, OLD]):
        found = decide(EVILLY, 3, requests, [], NOW, template_required=True)
        assert found.allowed is not counts
        assert decide(EVILLY, 3, requests, [], NOW).allowed, "nobody asks for it here"


def test_the_one_without_stays_the_way_back_to_other_images():
    before = request(
        "ManualReview", APPROVED, targets=[saying(None, "checkout", "web:0")], name="before"
    )
    back = replace(rollout("web:0"), template=EVIL)
    assert decide(back, 3, [before, BOUND], [], NOW, template_required=True).allowed


def test_an_exception_covers_what_its_request_covers():
    risky = request("ExceptionRequired", targets=[saying(SERVE)], name="risky")
    leave = exception(risky, by_person("Approved"))
    for required in (False, True):
        args = ([risky], [leave], NOW)
        found = decide(DOES, 3, *args, template_required=required)
        assert found.reason is Reason.EXCEPTION_ACTIVE
        found = decide(EVILLY, 3, *args, template_required=required)
        assert found.reason is Reason.TEMPLATE_NOT_COVERED
    # And one that was asked for images alone does not lift what is asked for.
    silent = asked(request("ExceptionRequired", targets=[saying(None)], name="silent"))
    leave = exception(silent, by_person("Approved"))
    assert not decide(EVILLY, 3, [silent], [leave], NOW, template_required=True).allowed


def test_two_targets_of_one_workload_do_not_lend_each_other_their_images():
    both = request(
        "ManualReview",
        APPROVED,
        targets=[
            saying(SERVE, "checkout", "a:1"),
            {**saying(EVIL, "checkout", "b:1"), "apiVersion": "apps/v2"},
        ],
        name="both",
    )
    what = replace(rollout("a:1", "b:1"), template=EVIL)
    assert decide(what, 3, [both], [], NOW).reason is Reason.TEMPLATE_NOT_COVERED
    assert decide(replace(what, images=("b:1",)), 3, [both], [], NOW).allowed


def test_what_is_revoked_or_waits_is_told_as_ever_where_the_template_fits():
    waiting = request("ManualReview", targets=[saying(SERVE)], name="waiting")
    assert decide(DOES, 3, [waiting], [], NOW).reason is Reason.REVIEW_PENDING
    # It comes nearer than an approval of something else.
    both = [request("ManualReview", APPROVED, targets=[saying(EVIL)], name="other"), waiting]
    assert decide(DOES, 3, both, [], NOW).reason is Reason.REVIEW_PENDING
    images = request(
        "ManualReview", APPROVED, targets=[saying(SERVE, "checkout", "web:9")], name="images"
    )
    found = decide(EVILLY, 3, [images, BOUND], [], NOW)
    assert found.reason is Reason.TEMPLATE_NOT_COVERED, "nearer than another image"


def test_where_nothing_is_told_of_the_containers_images_count_alone():
    """A Pod that exists: its containers cannot change but for their images."""
    assert decide(rollout(), 3, [BOUND], [], NOW, template_required=True).allowed


def test_below_the_rings_that_are_gated_nothing_is_asked():
    assert decide(EVILLY, 1, [BOUND], [], NOW, template_required=True).allowed


def test_explain_says_it_in_a_line():
    [look] = candidates(EVILLY, [BOUND], [], NOW)
    assert describe(look, EVILLY, [], NOW) == (
        "does not cover what the containers do: other are containers[app].command, hostPID"
    )


def test_fields_that_do_not_tell_are_not_made_up():
    bare = {**target(), "template": SERVE.digest}
    made = request("ManualReview", APPROVED, targets=[bare], name="bare")
    message = decide(EVILLY, 3, [made], [], NOW).message
    assert "does not cover what the containers do. Roll out what it covers" in message


def test_requests_say_that_they_rest_on_it():
    assert request_for(intent(GOOD, [saying(SERVE)]), 3).spec.requires == [POD_TEMPLATE]
    assert request_for(intent(GOOD, [saying(None)]), 3).spec.requires == []
    opened = request_for(intent(GOOD, [saying(None)]), 3, template_asked=True)
    assert opened.spec.requires == [POD_TEMPLATE]
    # What it says is in the digest; how it is told is not.
    bare = {**target(), "template": SERVE.digest}
    digests = [
        request_for(intent(GOOD, [each]), 3).spec.evidence_digest
        for each in (saying(None), saying(SERVE), bare, saying(EVIL))
    ]
    assert digests[1] == digests[2]
    assert len(set(digests)) == 3


def test_another_template_with_the_reports_of_before_waits_for_a_person():
    def read(number: int) -> dict[str, Any]:
        """Evidence with reports of their own."""
        found = json.loads(json.dumps(GOOD))
        for part in ("testResults", "scanResults"):
            found[part]["uri"] = f"https://ci.example.com/{number}/{part}"
        return dict(found)

    first = request_for(intent(read(1), [saying(SERVE)]), 3)
    assert first.spec.assessment.gate == "AutoApprove"
    stored = first.model_copy(
        update={"metadata": first.metadata.model_copy(update={"creation_timestamp": NOW})}
    )
    again = request_for(intent(read(1), [saying(EVIL)]), 3, [stored])
    assert again.spec.assessment.gate == "ManualReview"
    [floor] = again.spec.assessment.floors
    assert floor.explanation.startswith("what the containers of Deployment checkout do is not what")
    # With reports of its own it is a release like any other; to begin to say it is no change.
    assert request_for(intent(read(2), [saying(EVIL)]), 3, [stored]).spec.assessment.floors == []
    silent = request_for(intent(read(1), [saying(None)]), 3)
    assert request_for(intent(read(1), [saying(EVIL)]), 3, [silent]).spec.assessment.floors == []


def test_a_fresh_intent_that_says_it_is_waited_for():
    def listed(template: Template) -> ListedIntent:
        made = intent(MIDDLING, [saying(template)])
        raw = made.model_dump(mode="json", by_alias=True)
        raw["metadata"]["creationTimestamp"] = (NOW - timedelta(seconds=1)).isoformat()
        return ListedIntent.model_validate(raw)

    wanted = (EVILLY, Reason.TEMPLATE_NOT_COVERED)
    assert intent_to_await(*wanted, [listed(SERVE)], NOW) is None
    assert intent_to_await(*wanted, [listed(EVIL)], NOW) is not None
    assert Workload.of(intent().spec.targets[0]) in EVILLY.workloads
