# SPDX-License-Identifier: Apache-2.0
"""Every denial: the reason first, the command last and whole, never more than 1000 bytes."""

import json
import shlex
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cabgate.api import CABException, CABRequest
from cabgate.api.base import rfc3339
from cabgate.api.changefreeze import MAX_NAME
from cabgate.gate.checks import ADMITTING
from cabgate.gate.commands import update_template, write_exception, write_intent
from cabgate.gate.composing import MAX_BYTES, WARNING_WIDTH, compose, warning_lines
from cabgate.gate.messages import texts_of
from cabgate.gate.verdict import Basis, GateVerdict, Reason
from cabgate.lifecycle.limits.freezes import FreezeInForce
from cabgate.lifecycle.limits.promotion import EarlierRings
from cabgate.rollout.normal_form import normal_form
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.targets import Workload
from cabgate.rollout.templates import Template, template_of_forms
from cabgate_samples.decisions import numbered
from cabgate_samples.models import (
    NOW,
    broken_workload,
    by_person,
    by_system,
    exception,
    intent,
    newer,
    opened_for,
    request,
    rollout,
    target,
)
from cabgate_samples.objects import MIDDLING
from support.examples import examples
from support.policies import BRIEF, vote
from support.promotion import DAY, RELEASE, outcome, rings
from support.promotion import IMAGE as PROMOTED
from support.promotion import policy as promotion_policy
from unit.core.standings import decide, request_for

OVER = {
    "windows": [
        {"from": rfc3339(NOW - timedelta(days=2)), "until": rfc3339(NOW - timedelta(days=1))}
    ]
}
"""Constraints that nothing keeps any more."""


def _template(command: str) -> Template:
    names = [f"{n}{'c' * 61}" for n in range(9)]
    containers = [{"name": name, "image": "a", "command": [command]} for name in names]
    return template_of_forms([normal_form({"spec": {"containers": containers}})])


DECLARED_TEMPLATE, OTHER_TEMPLATE = _template("serve"), _template("sh")
RINGS = (Reason.PREVIOUS_RING_PENDING, Reason.PREVIOUS_RING_FAILED)
LONG_NAME = "n" * 253
LONG_NAMESPACE = "s" * 63
DENIALS = sorted(set(Reason) - ADMITTING)
TEXT = st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda t: bool(t.strip()))
NAME = st.sampled_from(["a", "checkout", "x.y-z" * 40]) | st.integers(1, 253).map("n".__mul__)


def _situation(
    reason: Reason,
    names: tuple[str, str, str, str],
    said: str,
    images: list[str],
    user: str,
) -> tuple[Rollout, list[CABRequest], list[CABException]]:
    """A rollout that is denied for a reason, with names and texts as given."""
    workload, intent_name, namespace, leave = names
    what = Rollout(namespace, Workload("apps", "Deployment", workload), tuple(images))
    if reason is Reason.NO_REQUEST:
        return what, [], []
    if reason is Reason.GLASS_BROKEN:
        obj = broken_workload(by=user, images=images, name=workload, namespace=namespace)
        opened = opened_for(obj, by_person("Approved", rationale=said))
        # A text that can be no image is told in another form.
        seen = tuple(opened.spec.targets[0].images)
        return replace(what, images=seen), [opened], []
    gate = {
        Reason.EXCEPTION_REQUIRED: {},
        Reason.EXCEPTION_PENDING: {},
        Reason.EXCEPTION_ENDED: {},
        Reason.CONSTRAINT_VIOLATED: {},
    }.get(reason, {"testResults": {"coveragePercent": 85, "passed": 1}, "scanResults": {
        "critical": 0, "high": 0}, "scope": {"affectedComponents": 2}})  # fmt: skip
    covered = ["none"] if reason is Reason.IMAGES_NOT_COVERED else images
    rings_asked: dict[str, Any] = {}
    if reason in RINGS:
        covered, what = [PROMOTED], replace(what, images=(PROMOTED,))
        rings_asked = {"policy": promotion_policy()}
    bound: dict[str, Any] = {}
    if reason is Reason.TEMPLATE_NOT_COVERED:
        declared, what = DECLARED_TEMPLATE, replace(what, template=OTHER_TEMPLATE)
        bound = {"template": declared.digest, "templateFields": declared.fields}
    made = request_for(
        intent(
            gate,
            [target(workload, *covered) | bound],
            name=intent_name,
            namespace=namespace,
            **({"release": RELEASE} if reason in RINGS else {}),
        ),
        ring=4,
        **{"policy": BRIEF, **rings_asked} if reason is Reason.APPROVAL_ENDED else rings_asked,
    )
    by: dict[str, Any] = {"rationale": said}
    closed = {"name": "c" * 63, "description": said, "notAfter": rfc3339(NOW - timedelta(days=1))}
    waits = {"name": "c" * 63, "description": said, "attestation": "Required"}
    entries = {
        Reason.OUTSIDE_WINDOW: [by_person("ConditionallyApproved", conditions=[closed], **by)],
        Reason.ATTESTATION_MISSING: [by_person("ConditionallyApproved", conditions=[waits], **by)],
        Reason.REJECTED: [by_person("Rejected", **by)],
        Reason.REVOKED: [by_person("Approved"), by_person("Revoked", **by)],
        Reason.SUPERSEDED: [by_system("Superseded", **by)],
        Reason.FROZEN: [by_person("Approved", **by)],
        Reason.APPROVAL_ENDED: [vote(user, at=NOW - timedelta(days=9), **by)],
        Reason.PREVIOUS_RING_PENDING: [by_person("Approved", **by)],
        Reason.PREVIOUS_RING_FAILED: [by_person("Approved", **by)],
    }.get(reason, [])
    for entry in entries:
        entry["author"]["username"] = user
    status = {"decisions": numbered(tuple(entries), made.spec.evidence_digest)}
    stored = CABRequest.model_validate({**made.to_dict(), "status": status})
    if reason is Reason.UNKNOWN_REQUIREMENT:
        stored = newer(stored, *(f"{n}{'w' * 62}" for n in "abcdefgh"))
    old = timedelta(days=2)
    exceptions = {
        Reason.EXCEPTION_PENDING: [exception(stored, name=leave)],
        Reason.EXCEPTION_ENDED: [exception(stored, name=leave, days=1, age=old)],
        Reason.CONSTRAINT_VIOLATED: [
            exception(stored, by_person("Approved"), name=leave, constraints=OVER)
        ],
    }.get(reason, [])
    return what, [stored], exceptions


def _freezes(reason: Reason, name: str, title: str) -> list[FreezeInForce]:
    """The freezes that a rollout is denied by for a reason; the API server takes no longer names
    and titles."""
    if reason is not Reason.FROZEN:
        return []
    return [FreezeInForce(name[:MAX_NAME], title[:256], NOW, NOW + timedelta(days=1), NOW)]


def _rings(reason: Reason) -> EarlierRings:
    """What is known of the rings before where a rollout is denied for a reason."""
    if reason is Reason.PREVIOUS_RING_FAILED:
        return rings(outcome(images=[PROMOTED], result="Failed"))
    return rings(outcome(DAY, images=[PROMOTED]))


def _command(reason: Reason, decision: GateVerdict, what: Rollout) -> str:
    """The command that a denial has to end with."""
    ns, found = what.namespace, decision.basis.request
    if found is None:
        return write_intent(ns, what.workload, what.images)
    if reason is Reason.GLASS_BROKEN:
        return write_intent(ns, what.workload, what.images)
    if reason in (Reason.EXCEPTION_ENDED, Reason.CONSTRAINT_VIOLATED):
        return write_exception(found, decision.basis.exception)
    if reason is Reason.EXCEPTION_REQUIRED:
        return f"cabgate exception -n {ns} {found.metadata.name}"
    if reason in (Reason.REVIEW_PENDING, Reason.EXCEPTION_PENDING, Reason.ATTESTATION_MISSING) or (
        reason is Reason.FROZEN or reason in RINGS
    ):
        return "}}'"
    if reason is Reason.TEMPLATE_NOT_COVERED:
        return update_template(found)
    if reason is Reason.SUPERSEDED:
        return f"kubectl get deploymentintents -n {ns}"
    if reason is Reason.UNKNOWN_REQUIREMENT:
        return f"kubectl get cabrequest {found.metadata.name} -n {ns}"
    return f"kubectl edit deploymentintent {found.spec.intent_ref.name} -n {ns}"


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=examples(150), deadline=None)
@given(
    st.sampled_from(DENIALS),
    st.tuples(NAME, NAME.map(lambda n: n[:200]), NAME.map(lambda n: n[:63]), NAME),
    TEXT.map(lambda t: t * 20).map(lambda t: t[:4096]),
    st.lists(TEXT.map(lambda t: (t * 300)[:512]), min_size=1, max_size=8, unique=True),
    TEXT.map(lambda t: (t * 100)[:512]),
)
def test_every_denial_is_short_and_ends_with_a_whole_command(
    reason: Reason,
    names: tuple[str, str, str, str],
    said: str,
    images: list[str],
    user: str,
) -> None:
    what, requests, exceptions = _situation(reason, names, said, images, user)
    freezes = _freezes(reason, names[3], said)
    decision = decide(
        *(what, 4, requests, exceptions, NOW), freezes=freezes, earlier_rings=_rings(reason)
    )

    assert decision.reason is reason
    message = decision.message
    assert len(message.encode()) <= MAX_BYTES == 1000
    assert message.startswith(f"{reason}: ")
    assert message.endswith(_command(reason, decision, what))
    assert message.isprintable()


@pytest.mark.parametrize("reason", DENIALS)
def test_the_longest_names_leave_the_command_whole(reason: Reason) -> None:
    names = (LONG_NAME, "i" * 200, LONG_NAMESPACE, "e" * 253)
    images = [str(n) + "é" * 255 for n in range(9)]
    what, requests, exceptions = _situation(reason, names, "ß" * 4096, images, "ü" * 512)
    freezes = _freezes(reason, names[3], "ß" * 256)
    decision = decide(
        *(what, 4, requests, exceptions, NOW), freezes=freezes, earlier_rings=_rings(reason)
    )

    assert len(decision.message.encode()) <= MAX_BYTES
    assert decision.message.endswith(_command(reason, decision, what))


@pytest.mark.parametrize("reason", [Reason.REVIEW_PENDING, Reason.EXCEPTION_PENDING])
def test_the_patch_that_a_denial_shows_can_be_pasted(reason: Reason) -> None:
    names = (LONG_NAME, "i" * 200, LONG_NAMESPACE, "e" * 253)
    what, requests, exceptions = _situation(reason, names, "x", ["a"], "rita")
    decision = decide(what, 4, requests, exceptions, NOW)
    words = shlex.split(decision.message[decision.message.index("kubectl patch") :])

    review = json.loads(words[-1])["status"]["review"]
    assert review["evidenceDigest"] == requests[0].spec.evidence_digest
    assert review["verdict"] == "Approved"
    kind = "cabrequest" if reason is Reason.REVIEW_PENDING else "cabexception"
    name = requests[0].metadata.name if reason is Reason.REVIEW_PENDING else "e" * 253
    assert words[:6] == ["kubectl", "patch", kind, name, "-n", LONG_NAMESPACE]
    assert "--subresource=status" in words


def said(*args: Any, **fields: Any) -> str:
    return decide(rollout(), 2, *args, now=NOW, **fields).message


def test_a_missing_request_names_what_to_write() -> None:
    message = said([], [])
    head = "NoRequest: Deployment checkout in namespace shop (ring 2) has no CABRequest. "
    assert message.startswith(head)
    assert "DeploymentIntent" in message
    images = " ".join(f"--image {image}" for image in rollout().images)
    assert message.endswith(f": cabgate intent -n shop deployment/checkout {images}")


@pytest.mark.parametrize("image", ["é:1", "a\tb", "a  b", "x" * 500])
def test_images_that_cannot_be_pasted_are_left_to_the_manifest(image: str) -> None:
    workload = Workload("apps", "Deployment", "checkout")
    assert write_intent("shop", workload, [image]) == "cabgate intent -n shop -f MANIFEST.yaml"


def test_a_request_that_is_too_risky_says_what_is_missing_and_what_would_help() -> None:
    risky = request("ExceptionRequired")
    message = said([risky], [])

    assert "score 100.00, ExceptionRequired" in message
    assert "Missing evidence: artifacts, testResults" in message
    assert "ManualReview would take: testCoverage from missing to above 90 %." in message
    assert message.endswith(f"cabgate exception -n shop {risky.metadata.name}")


@pytest.mark.parametrize(
    ("ended", "another"),
    [
        ("leave", "leave-2"),
        ("leave-2", "leave-3"),
        ("leave-12345678", "leave-12345678-2"),  # a digest may be all digits
        ("e" * 253, None),
    ],
)
def test_after_an_exception_the_command_names_another(ended: str, another: str | None) -> None:
    """The one that ended still has its name, and its spec cannot be changed."""
    risky = request("ExceptionRequired")
    over = exception(risky, name=ended, days=1, age=timedelta(days=2))
    message = said([risky], [over])

    name = another or f"{risky.metadata.name}-2"
    assert message.endswith(f"cabgate exception -n shop {risky.metadata.name} --name {name}")


def test_a_refusal_says_who_and_why() -> None:
    rejected = request("ManualReview", by_person("Rejected", rationale="no\nrollback  plan"))
    assert "was rejected by rita: no rollback plan." in said([rejected], [])
    revoked = request("ManualReview", by_person("Approved"), by_person("Revoked"))
    assert "is revoked by rita: because." in said([revoked], [])
    silent = request("ManualReview", by_person("Rejected", rationale=""))
    assert "was rejected by rita." in said([silent], [])


def test_what_the_system_approves_asks_no_person() -> None:
    """Nobody has to do anything, unless it stays so."""
    waiting = request("AutoApprove")
    message = said([waiting], [])

    assert "kubectl patch" not in message
    assert message.endswith(f"kubectl get cabrequest {waiting.metadata.name} -n shop -o yaml")


def test_many_images_are_counted() -> None:
    made = request("ManualReview", by_person("Approved"))
    what = rollout("a", "b", "c", "d", "e")
    message = decide(what, 2, [made], [], NOW).message
    assert "does not name image a, b, c and 2 more." in message
    assert "Images are compared exactly" in message


def test_what_admits_says_why() -> None:
    approved = request("AutoApprove", by_system("AutoApproved"))
    assert said([approved], []).endswith(f"request {approved.metadata.name} is AutoApproved.")
    risky = request("ExceptionRequired")
    leave = exception(risky, by_person("Approved"))
    assert said([risky], [leave]).endswith("is under exception leave until 2026-03-31T11:00:00Z.")
    assert decide(rollout(), 0, [], [], NOW).message.endswith("(ring 0) needs no approval.")


def test_a_request_of_another_risk_model_is_spoken_of_all_the_same() -> None:
    risky = request("ExceptionRequired")
    spec = risky.spec.model_dump(mode="json", by_alias=True)
    spec["assessment"]["riskModel"]["digest"] = "sha256:" + "0" * 64
    spec["assessment"]["factors"].pop()
    older = CABRequest.model_validate({**risky.to_dict(), "spec": spec})

    message = said([older], [])
    assert message.startswith("ExceptionRequired: ")
    assert "would take" not in message


def test_a_decision_that_rests_on_nothing_is_a_fault() -> None:
    with pytest.raises(ValueError, match="rests on no request"):
        texts_of(rollout(), 2, Reason.REJECTED, Basis(), NOW)


@given(TEXT, st.lists(TEXT, max_size=4), st.text(max_size=700))
def test_a_composed_message_is_never_too_long(
    head: str, details: list[str], next_step: str
) -> None:
    message = compose(head * 50, [d * 50 for d in details], next_step)
    assert len(message.encode()) <= MAX_BYTES
    assert message.isprintable()


def test_details_give_way_to_the_command() -> None:
    command = "c" * 600
    message = compose("Reason: x.", ["first " + "d" * 900, "second"], command)
    assert message.startswith("Reason: x. first ddd")
    assert message.endswith("... " + command)
    assert "second" not in message


def test_a_request_that_only_machines_submitted_says_what_it_needs() -> None:
    machine = [{"username": "system:serviceaccount:ci:deployer"}]
    waiting = request(of=intent(MIDDLING, submittedBy=machine))
    assert "its intent must name spec.requester" in said([waiting], [])
    asked = request(of=intent(MIDDLING, submittedBy=machine, requester="ann"))
    assert "spec.requester" not in said([asked], [])


@given(st.text(max_size=2000), st.sampled_from(["", ": kubectl get x", ": cabgate intent -n a b"]))
def test_a_denial_as_warnings_says_the_same(text, command):
    denial = compose(f"NoRequest: {text}{command}")
    head, *lines = warning_lines(denial)
    assert head == "cabgate denies this where it enforces:"
    assert " ".join(lines) == denial
    longest = max((len(word) for word in denial.split()), default=0)
    assert all(len(line) <= max(WARNING_WIDTH, longest) for line in lines)
    if command and denial.endswith(command):
        assert lines[-1] == command[2:]
