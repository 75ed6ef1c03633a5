# SPDX-License-Identifier: Apache-2.0
"""Every rule of change at every kind: what it keeps back, what it lets in, and that it is in the
way of nothing else."""

import json

import pytest

from cabgate_devcluster import wait_until
from cabgate_samples.objects import BAD, MIDDLING, exception, intent
from support.always import WRITES, prepare, stopped
from support.change_rules import COURSES, OPEN, reason_of, targets, tried
from support.clients import client_of
from support.freezes import freeze_of
from support.gated import KINDS, ROLLOUT_CRD
from support.kubelet import Kubelet
from support.policies import change_policy
from support.promotion import row
from support.reviews import now
from support.rings import Rings

PEOPLE = ("rule-ann", "rule-bob", "rule-eve")


@pytest.fixture(scope="module")
def admin(gate, cluster):
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(ROLLOUT_CRD))
    cluster.kubectl("wait", "--for=condition=Established", "crd/rollouts.argoproj.io")
    with client_of(gate.user("admin")) as client:
        yield client


@pytest.fixture
def prepared(gate, admin, make_namespace):
    """A namespace with one object of each kind, which runs what nobody approved, under a policy."""
    made = []

    def prepare_for(course):
        name = f"rules-{course.name}"
        more = {k: v for k, v in course.policy.items() if k != "approvals"}
        pilot = make_namespace("2") if course.promoted else ""
        if pilot:
            more["promotion"] = [row(soak="2s", minPods=1, namespaces=[pilot])]
        gate.create("admin", change_policy(name, *course.policy["approvals"], **more))
        made.append(("changepolicy", name))
        namespace = make_namespace(None)
        prepare(admin, namespace)
        labels = (f"cabgate.dev/ring={course.ring}", f"cabgate.dev/change-policy={name}")
        gate.kubectl("admin", "label", "namespace", namespace, *labels)
        wait_until(
            lambda: tried(admin, "Deployment", namespace, course).status_code == 403, "gated"
        )
        for person in PEOPLE:
            gate.user(person)
            gate.bind(person, "cabgate-cab-member", namespace)
        gate.bind(PEOPLE[0], "cabgate-freeze-override", namespace)
        gate.bind(PEOPLE[0], "cabgate-promotion-override", namespace)
        for person in ("security", PEOPLE[0]):
            gate.bind(person, "cabgate-security-reviewer", namespace)
        return Rings(gate, pilot, namespace, name)

    def declare(kind, namespace, *intervals):
        name = f"rules-{kind.lower()}-{len(made)}"
        gate.create("admin", freeze_of(namespace, name, kind, *intervals))
        made.append(("changefreeze", name))
        return name

    yield prepare_for, declare
    for kind, name in reversed(made):
        gate.cluster.kubectl("delete", kind, name, "--ignore-not-found")


def answers(admin, namespace, course):
    """The reason that each kind is denied for; empty if it is let in."""
    return {kind: reason_of(tried(admin, kind, namespace, course)) for kind in KINDS}


def as_expected(admin, namespace, course, expected):
    """True once each kind is answered so; says what differs."""
    found = answers(admin, namespace, course)
    assert found == expected
    return True


def promoted(gate, rings, request):
    """What leads a release from ring to ring, as far as an incident and an override of it."""
    gate.review(PEOPLE[1], "cabrequest", request, rings.wide, "Approved")
    yield
    rings.declare(rings.pilot, 2)
    with Kubelet(gate.cluster):
        rings.roll_out(rings.pilot, 2)
        name = rings.outcome(rings.pilot, 2)["metadata"]["name"]
    yield
    report = {"status": {"report": {"id": "INC-1", "severity": 2, "source": "alertmanager"}}}
    gate.patch_status("admin", "rolloutoutcome", name, rings.pilot, report, check=True)
    yield
    gate.review(PEOPLE[0], "cabrequest", request, rings.wide, "Approved",
                overrides=["promotion.ring-3"])  # fmt: skip
    yield


def excepted(gate, namespace, request, course):
    """What leads to the exception that a request is under: who approves it, one after the other."""
    limits = {"constraints": course.constraints} if course.constraints else {}
    gate.create("requester", exception(namespace, request, **limits))
    if len(course.steps) > 1:
        yield
    for person in ("security", *PEOPLE)[: course.excepted]:
        given = person, "cabexception", "leave", namespace, "Approved"
        if course.ends_soon:
            ending_soon(lambda until, given=given: gate.review(
                *given, constraints={"until": until}, check=False))  # fmt: skip
        else:
            gate.review(*given)
        yield


def ending_soon(approve):
    """Approve until a few seconds from now: more of them where the machine takes as long."""
    for seconds in (4, 8, 16, 32):
        result = approve(now(seconds=seconds))
        if result.returncode == 0:
            return
        assert "is over" in result.stderr, result.stderr
    raise AssertionError(result.stderr)


def frozen(gate, namespace, request, course, declare):
    """What leads through a freeze: a Window that is open, and an approval that overrides it."""
    gate.review(PEOPLE[1], "cabrequest", request, namespace, "Approved")
    name = declare(course.freeze, namespace)
    yield
    if course.freeze == "Window":
        other = declare(course.freeze, namespace, OPEN)
        yield
        gate.cluster.kubectl("delete", "changefreeze", other)
    gate.review(PEOPLE[0], "cabrequest", request, namespace, "Approved", overrides=[name])
    yield


def voted(gate, namespace, request, course):
    """What leads to an approval: who gives it, one after the other."""
    # A vote is what every step but the first of a quorum waits for.
    if len(course.steps) > 1:
        yield
    for person in PEOPLE[: course.policy["approvals"][0]["count"]]:
        gate.review(person, "cabrequest", request, namespace, "Approved")
        yield


def actions(gate, rings, request, course, declare):
    """What leads from one step of a course to the next."""
    if course.promoted:
        return promoted(gate, rings, request)
    if course.excepted:
        return excepted(gate, rings.wide, request, course)
    if course.freeze:
        return frozen(gate, rings.wide, request, course, declare)
    return voted(gate, rings.wide, request, course)


@pytest.mark.parametrize("course", COURSES, ids=lambda each: each.name)
def test_each_kind_is_answered_by_each_rule_and_nothing_else_is_stopped(
    gate, admin, prepared, course
):
    prepare_for, declare = prepared
    rings = prepare_for(course)
    namespace = rings.wide
    content, state = (BAD, "ExceptionRequired") if course.excepted else (MIDDLING, "Submitted")
    gate.apply(
        "requester", intent(namespace, evidence=content, targets=targets(course), release="shop")
    )
    request = gate.request_of(namespace, state=state)["metadata"]["name"]
    leading = actions(gate, rings, request, course, declare)
    for step, _ in zip(course.steps, leading, strict=False):
        expected = {kind: step.expected(kind) for kind in KINDS}
        # What takes a second to be over is not over at once.
        wait_until(
            lambda expected=expected: as_expected(admin, namespace, course, expected), step.what
        )
        if course.promoted:
            assert stopped(admin, namespace, [each for each in WRITES if each.body]) == []
        elif step is course.steps[0] and len(course.steps) > 1:
            # Where nothing is let in yet; what is deleted in earnest would not be there later.
            assert stopped(admin, namespace, dryRun="All") == []
    assert stopped(admin, namespace) == []
