# SPDX-License-Identifier: Apache-2.0
"""Each command that a denial by a rule of change names is run as it stands, by whom it names, and
leads where the denial says."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import yaml

from cabgate.api.changefreeze import POLICY_LABEL
from cabgate_devcluster import wait_until
from cabgate_samples.objects import BAD, MIDDLING, exception, workload
from support.change_rules import FAR, ONE
from support.denied import denied, edited, run
from support.freezes import freeze_of
from support.gate import Gate
from support.gate import denial as denial_of
from support.namespaces import label_namespace
from support.policies import change_policy, deciding_late
from support.reviews import refused

MEMBER, SECURITY = "cabgate-cab-member", "cabgate-security-reviewer"
ONCALL = "rule-denials-oncall"
TWO = [{"count": 2, "verb": "approve"}]


@dataclass
class Scene:
    """A namespace under a policy, and its rollout, which is denied step by step."""

    gate: Gate
    namespace: str
    folder: Path
    policy: str

    def people(self, **roles):
        """Users by name, bound to roles."""
        for person, role in roles.items():
            self.gate.user(person)
            self.gate.bind(person, role, self.namespace)

    def open(self, evidence, state):
        """Have a request for the rollout; its name."""
        return self.gate.open(self.namespace, evidence, state)

    def denied(self, reason, words):
        """The denial of the rollout, which says some words."""
        said = denied(self.gate, reason, workload(self.namespace))
        assert words in said, said
        return said

    def follow(self, user, reason, words, **places):
        """What the command of a denial prints, run by somebody."""
        return run(self.gate, user, self.denied(reason, words), **places)

    def requested(self, printed, name):
        """Apply an exception as it is printed, complete but for its texts."""
        made = yaml.safe_load(printed)
        assert made["metadata"]["name"] == name
        made["spec"] |= {"reason": "it cannot wait", "compensatingControls": ["a feature flag"]}
        self.gate.create("requester", made)

    def excepted(self, **constraints):
        """Have the rollout under an exception with some constraints."""
        request = self.open(BAD, "ExceptionRequired")
        more = {"constraints": constraints} if constraints else {}
        self.gate.create("requester", exception(self.namespace, request, **more))
        self.gate.review("security", "cabexception", "leave", self.namespace, "Approved")
        return request

    def freeze(self, kind):
        """Have a freeze in the way; its name."""
        self.gate.create("admin", freeze_of(self.namespace, self.policy, kind))
        return self.policy


def both_approve(scene):
    scene.people(ann=MEMBER)
    scene.open(MIDDLING, "Submitted")
    scene.follow("reviewer", "ReviewPending", "has approvals 0/2")
    scene.follow("ann", "ReviewPending", "has approvals 1/2")


def who_is_on_call_approves_once_it_waited(scene):
    scene.people(olga=ONCALL)
    scene.open(MIDDLING, "Submitted")
    lacking = "lacks 2 more people with the verb approve or approve-oncall"
    late = wait_until(
        lambda: lacking in (said := scene.denied("ReviewPending", "0/2")) and said,
        "the holders of the other verb decide as well",
    )
    run(scene.gate, "olga", late)
    scene.follow("reviewer", "ReviewPending", "has approvals 1/2")


def what_ended_is_declared_anew(scene):
    request = scene.open(MIDDLING, "Submitted")
    scene.gate.review("reviewer", "cabrequest", request, scene.namespace, "Approved")

    def tried():
        made = workload(scene.namespace)
        return scene.gate.create("requester", made, "--dry-run=server", check=False).stderr

    ended = wait_until(lambda: "ApprovalEnded: " in (said := tried()) and said, "it has ended")
    edited(scene.gate, denial_of(ended), "s/status: NotStarted/status: Completed/", scene.folder)
    scene.gate.request_of(scene.namespace, state="AutoApproved")


def beyond(constraints, words, scene):
    """Another exception, which goes further."""
    scene.excepted(**constraints)
    printed = scene.follow("requester", "ConstraintViolated", words)
    scene.requested(printed, "leave-2")
    scene.follow("security", "ConstraintViolated", "ave leave-2 approved, which waits")


def two_security_reviewers_approve(scene):
    scene.people(sam=SECURITY)
    request = scene.open(BAD, "ExceptionRequired")
    scene.gate.create("requester", exception(scene.namespace, request))
    scene.follow("security", "ExceptionPending", "with approvals 0/2")
    scene.follow("sam", "ExceptionPending", "with approvals 1/2")


def a_third_person_attests(scene):
    """Who gave one of the votes does not, first or last."""
    scene.people(ann=MEMBER, eve=MEMBER)
    request = scene.open(MIDDLING, "Submitted")
    review = partial(scene.gate.review, resource="cabrequest", name=request)
    review = partial(review, namespace=scene.namespace)
    calm = {"name": "calm", "description": "outside of the sale", "attestation": "Required"}
    review("reviewer", verdict="ConditionallyApproved", conditions=[calm])
    review("ann", verdict="Approved")
    waits = scene.denied("AttestationMissing", "gave none of its approvals")
    for voter in ("reviewer", "ann"):
        said = refused(scene.gate, voter, request, scene.namespace, "Attested", condition="calm")
        assert said.startswith("SelfApproval: "), said
    run(scene.gate, "eve", waits)


def what_an_exception_needs_is_named(scene):
    """At the rollout, and where one without it is refused."""
    request = scene.open(BAD, "ExceptionRequired")
    named = scene.denied("ExceptionRequired", f"{request} --days 7 --max-replicas NUMBER")
    printed = yaml.safe_load(run(scene.gate, "requester", named, NUMBER=3))
    assert printed["spec"]["durationDays"] == 7
    assert printed["spec"]["constraints"] == {"maxReplicas": 3}
    lacking = exception(scene.namespace, request, durationDays=60)
    said = denial_of(scene.gate.create("requester", lacking, check=False))
    assert said.startswith("ExceptionNotAllowed: spec.durationDays: 60; ")
    scene.requested(run(scene.gate, "requester", said, NUMBER=3), "leave")
    scene.follow("security", "ExceptionPending", "leave waits for a security reviewer")


def a_freeze_is_overridden(kind, scene):
    """By the one who may, as the refusal of the other one says."""
    scene.people(ann=MEMBER, bob=MEMBER)
    scene.people(ann="cabgate-freeze-override")
    request = scene.open(MIDDLING, "Submitted")
    scene.gate.review("bob", "cabrequest", request, scene.namespace, "Approved")
    name = scene.freeze(kind)
    waits = scene.denied("Frozen", f"ChangeFreeze {name}")
    review = partial(refused, scene.gate, "bob", request, scene.namespace)
    lacking = review(overrides=[name])
    assert lacking.startswith("NotAuthorized: status.review.overrides: bob lacks ")
    assert run(scene.gate, "ann", lacking).strip() == "yes"
    unknown = review(overrides=["easter"])
    assert unknown.startswith("Invalid: status.review.overrides: there is no ChangeFreeze easter")
    assert name in run(scene.gate, "bob", unknown)
    run(scene.gate, "ann", waits)


def a_freeze_ends_for_an_exception(kind, scene):
    """Who waits learns until when and why; no approval overrides it."""
    scene.excepted()
    name = scene.freeze(kind)
    shown = yaml.safe_load(scene.follow("requester", "Frozen", "No approval overrides it"))
    assert shown["spec"]["reason"] == "Nobody is there to mend what breaks."
    scene.gate.cluster.kubectl("delete", "changefreeze", name)


LATE = [{"after": "3s", "level": 1, "alsoDecides": "approve-oncall"}]
ENDING = [{"when": {"scoreFrom": "50.01"}, **ONE[0], "validFor": "2s"}]
OF_TWO = {"approvals": ONE, "exceptions": {"count": 2}}
LIMITED = {"approvals": ONE, "exceptions": {"maxDays": 7, "require": ["maxReplicas"]}}
ROWS = {
    "quorum": (both_approve, {"approvals": TWO}),
    "escalation": (who_is_on_call_approves_once_it_waited, {"approvals": TWO, "escalation": LATE}),
    "ended": (what_ended_is_declared_anew, {"approvals": ENDING}),
    "ring": (partial(beyond, {"maxRing": 2}, "up to ring 2, and this is ring 3"), {}),
    "windows": (partial(beyond, {"windows": [FAR]}, "within its windows alone"), {}),
    "exceptions": (two_security_reviewers_approve, OF_TWO),
    "attestation": (a_third_person_attests, {"approvals": TWO}),
    "require": (what_an_exception_needs_is_named, LIMITED),
    "freeze": (partial(a_freeze_is_overridden, "Freeze"), {}),
    "window": (partial(a_freeze_is_overridden, "Window"), {}),
    "freeze-of-an-exception": (partial(a_freeze_ends_for_an_exception, "Freeze"), {}),
    "window-of-an-exception": (partial(a_freeze_ends_for_an_exception, "Window"), {}),
}
"""What leads on from each denial, and more of the policy that it is by."""


@pytest.fixture(scope="module", autouse=True)
def made(gate):
    """The policies of all rows, and a role of who decides late and holds no other verb; the
    freezes that are declared are deleted with them."""
    items = [deciding_late(ONCALL)]
    for row, (_, more) in ROWS.items():
        spec = {"approvals": ONE, **more}
        items.append(change_policy(f"denials-{row}", *spec.pop("approvals"), **spec))
    gate.create("admin", {"apiVersion": "v1", "kind": "List", "items": items})
    yield
    names = [f"{kind}/denials-{row}" for row in ROWS for kind in ("changefreeze", "changepolicy")]
    gate.cluster.kubectl("delete", *names, "--ignore-not-found")


@pytest.mark.parametrize("row", ROWS)
def test_the_commands_of_a_denial_lead_to_the_rollout(gate, make_namespace, tmp_path, row):
    namespace = make_namespace("3" if row == "ring" else "2")
    label_namespace(gate.cluster, namespace, POLICY_LABEL, f"denials-{row}")
    leads_on, _ = ROWS[row]
    leads_on(Scene(gate, namespace, tmp_path, f"denials-{row}"))
    gate.create("requester", workload(namespace))
