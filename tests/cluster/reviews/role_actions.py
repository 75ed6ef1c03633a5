# SPDX-License-Identifier: Apache-2.0
"""What the table of docs/roles.md is about: each of its actions as calls to the API server.

Every call is a dry run, so that no cell depends on another.
"""

import copy
import datetime
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cabgate.api.changefreeze import POLICY_LABEL
from cabgate.api.riskmodel import RiskModel
from cabgate.lifecycle.requests.break_glass import ANNOTATION
from cabgate.rollout.modes import MODE_LABEL
from cabgate.rollout.rings import RING_LABEL
from cabgate_samples.objects import MIDDLING, exception, intent, workload
from support.freezes import freeze_of
from support.models import risk_model
from support.policies import change_policy
from support.roles import OPERATOR

API = "/apis/cabgate.dev/v1alpha1"
NOBODYS = ("another",)
MERGE = "application/merge-patch+json"


@dataclass(frozen=True)
class Call:
    """One call; every write is a dry run."""

    method: str
    path: str
    body: Any = None
    kind: str = "application/json"


@dataclass
class Stage:
    """The objects that the actions are tried on."""

    namespace: str
    objects: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    """By whose they are and what they are for, such as ("own", "submitted")."""

    def path(self, plural: str, name: str = "", sub: str = "") -> str:
        parts = [API, "namespaces", self.namespace, plural, name, sub]
        return "/".join(part for part in parts if part)

    def of(self, obj: dict[str, Any], sub: str = "") -> str:
        name = obj["metadata"]["name"]
        if obj["kind"] == "Namespace":
            return f"/api/v1/namespaces/{name}"
        if obj["kind"] == "Deployment":
            return f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{name}"
        plural = f"{obj['kind'].lower()}s"
        if "namespace" not in obj["metadata"]:
            return f"{API}/{plural}/{name}"
        return self.path(plural, name, sub)


@dataclass(frozen=True)
class Action:
    """A row: how one tries it, and what a cluster admin who may not do it is told."""

    tries: Callable[[Stage, str], list[Call]]
    """The ways to try it; one that passes is enough."""
    because: str = ""
    whose: tuple[str, ...] = ("own", "another")
    """On whose objects it is tried."""


def now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def written(stage: Stage, obj: dict[str, Any], change: dict[str, Any], sub: str = "") -> list[Call]:
    """A change of an object, both as a patch and as a replacement."""
    replaced = copy.deepcopy(obj)
    for part, values in change.items():
        replaced.setdefault(part, {}).update(values)
    path = stage.of(obj, sub)
    return [Call("PATCH", path, change, MERGE), Call("PUT", path, replaced)]


def status(kind: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """A write of the status of an object."""

    def tries(stage: Stage, whose: str) -> list[Call]:
        obj = stage.objects[whose, kind]
        return written(stage, obj, {"status": change(obj)}, "status")

    return tries


def review(kind: str, verdict: str, **more: Any) -> Action:
    """A reviewer's verdict."""
    said = {"verdict": verdict, "rationale": "tried", **more}
    return Action(status(kind, lambda _: {"review": said}), "SelfApproval")


def entry(obj: dict[str, Any], verdict: str, kind: str, who: str) -> dict[str, Any]:
    return {
        "sequence": len(obj.get("status", {}).get("decisions", [])) + 1,
        "verdict": verdict,
        "author": {"type": kind, "username": who},
        "at": now(),
        "rationale": "tried",
        "evidenceDigest": obj["spec"]["evidenceDigest"],
    }


def forged(obj: dict[str, Any]) -> dict[str, Any]:
    decisions = [entry(obj, "Approved", "Person", "somebody-else")]
    return {"decisions": decisions, "state": "Approved"}


def by_score(obj: dict[str, Any]) -> dict[str, Any]:
    made = entry(obj, "AutoApproved", "System", OPERATOR)
    return {"decisions": [made], "state": "AutoApproved", "decidedAt": made["at"]}


def rewritten(obj: dict[str, Any]) -> dict[str, Any]:
    first, *rest = obj["status"]["decisions"]
    return {"decisions": [{**first, "rationale": "something else"}, *rest]}


def ready(obj: dict[str, Any]) -> dict[str, Any]:
    conditions = obj["status"]["conditions"]
    return {"conditions": [{**condition, "message": "tried"} for condition in conditions]}


def spec(kind: str, **change: Any) -> Any:
    """A change of the spec of an object."""
    return lambda stage, whose: written(stage, stage.objects[whose, kind], {"spec": change})


def changed(kind: str, change: dict[str, Any]) -> Any:
    """A change of an object, whatever part of it."""
    return lambda stage, whose: written(stage, stage.objects[whose, kind], change)


def deleted(kind: str) -> Any:
    return lambda stage, whose: [Call("DELETE", stage.of(stage.objects[whose, kind]))]


def created(plural: str, make: Callable[[Stage], dict[str, Any]]) -> Any:
    return lambda stage, _: [Call("POST", stage.path(plural), make(stage))]


def labelled(stage: Stage, whose: str) -> list[Call]:
    return written(stage, stage.objects[whose, "submitted"], {"metadata": {"labels": {"a": "b"}}})


def rolled_out(kind: str, **annotations: str) -> Any:
    def tries(stage: Stage, whose: str) -> list[Call]:
        target = stage.objects[whose, kind]["spec"]["targets"][0]
        obj = workload(stage.namespace, name=target["name"], images=target["images"])
        obj["metadata"]["annotations"] = annotations
        return [Call("POST", f"/apis/apps/v1/namespaces/{stage.namespace}/deployments", obj)]

    return tries


def bound(role: str) -> Any:
    def tries(stage: Stage, _: str) -> list[Call]:
        group = "rbac.authorization.k8s.io"
        body = {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "tried"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": group, "kind": "User", "name": "somebody"}],
        }
        path = f"/apis/{group}/v1/namespaces/{stage.namespace}/rolebindings"
        return [Call("POST", path, body)]

    return tries


def relabelled(kind: str, label: str, value: str, because: str = "") -> Action:
    """A label of an object set to something else."""
    return Action(changed(kind, {"metadata": {"labels": {label: value}}}), because, whose=NOBODYS)


FREEZE = "roles"
"""A freeze of some other namespace."""

CONDITIONS = [{"name": "watch", "description": "somebody watches", "attestation": "Required"}]

ACTIONS = {
    "create an intent": Action(
        created("deploymentintents", lambda s: intent(s.namespace, name="new", evidence=MIDDLING)),
        whose=NOBODYS,
    ),
    "change an intent": Action(spec("intent", summary="tried")),
    "delete an intent": Action(deleted("intent")),
    "write the status of an intent": Action(status("intent", ready), "WrittenByOperatorOnly"),
    "create an exception": Action(
        created("cabexceptions", lambda s: exception(s.namespace, "web-1f2e3d4c", name="new")),
        whose=NOBODYS,
    ),
    "change an exception": Action(spec("pending", reason="another"), "spec never changes"),
    "delete an exception": Action(deleted("pending")),
    "create a request": Action(
        created("cabrequests", lambda s: s.objects["another", "unopened"]),
        "WrittenByOperatorOnly",
        whose=NOBODYS,
    ),
    "change a request": Action(spec("submitted", summary="tried"), "spec never changes"),
    "label a request": Action(labelled, "WrittenByOperatorOnly"),
    "delete a request": Action(deleted("approved"), "a CABRequest is a record"),
    "approve a request by its score": Action(
        status("by score", by_score), "WrittenByOperatorOnly", whose=NOBODYS
    ),
    "take a request": review("submitted", "UnderReview"),
    "approve a request": review("submitted", "Approved"),
    "approve a request with conditions": review(
        "submitted", "ConditionallyApproved", conditions=CONDITIONS
    ),
    "attest a condition": review("conditional", "Attested", condition="watch"),
    "approve what takes a senior": review("senior", "Approved"),
    "override a freeze": review("submitted", "Approved", overrides=[FREEZE]),
    "reject a request": review("submitted", "Rejected"),
    "revoke a request": review("approved", "Revoked"),
    "approve an exception": review("pending", "Approved"),
    "reject an exception": review("pending", "Rejected"),
    "revoke an exception": review("leave", "Revoked"),
    "write a decision in another's name": Action(
        status("submitted", forged), "a decision is recorded in the name of who makes it"
    ),
    "change a decision": Action(status("approved", rewritten), "a decision cannot be changed"),
    "roll out what is approved": Action(rolled_out("approved")),
    "roll out what is not approved": Action(rolled_out("submitted"), "ReviewPending"),
    "break the glass": Action(rolled_out("submitted", **{ANNOTATION: "INC-1: tried"})),
    "write a record of the ledger": Action(
        lambda s, _: [Call("POST", f"{API}/cabdecisions", s.objects["another", "new record"])],
        "only the cabgate operator writes it",
        whose=NOBODYS,
    ),
    "change a record of the ledger": Action(
        changed("record", {"spec": {"rationale": "tried"}}),
        "spec never changes",
        whose=NOBODYS,
    ),
    "delete a record of the ledger": Action(
        deleted("record"), "nobody deletes it by hand", whose=NOBODYS
    ),
    "create a risk model": Action(
        lambda _, __: [Call("POST", f"{API}/riskmodels", risk_model("new"))], whose=NOBODYS
    ),
    "make a risk model the default": Action(
        changed("model", {"metadata": {"labels": {RiskModel.default_label: "true"}}}), whose=NOBODYS
    ),
    "change a risk model": Action(
        changed("model", {"spec": {"version": "2"}}), "spec never changes", whose=NOBODYS
    ),
    "delete a risk model": Action(deleted("model"), whose=NOBODYS),
    "choose the risk model of the namespace": relabelled(
        "namespace", RiskModel.namespace_label, "new"
    ),
    "create a change policy": Action(
        lambda _, __: [Call("POST", f"{API}/changepolicies", change_policy("new"))], whose=NOBODYS
    ),
    "choose the change policy of the namespace": relabelled("namespace", POLICY_LABEL, "new"),
    "declare a freeze": Action(
        lambda _, __: [Call("POST", f"{API}/changefreezes", freeze_of("nowhere", "new"))],
        whose=NOBODYS,
    ),
    "end a freeze": Action(deleted("freeze"), whose=NOBODYS),
    "raise the ring of the namespace": relabelled("namespace", RING_LABEL, "3"),
    "lower the ring of the namespace": relabelled("namespace", RING_LABEL, "0"),
    "tighten the mode of the namespace": relabelled("namespace", MODE_LABEL, "Enforce"),
    "loosen the mode of the namespace": relabelled("namespace", MODE_LABEL, "Audit"),
    "raise the ring of a workload": relabelled("ringed", RING_LABEL, "2"),
    "lower the ring of a workload": relabelled("ringed", RING_LABEL, "0"),
    "set a malformed ring": relabelled("ringed", RING_LABEL, "high", "must be 0, 1, 2, 3 or 4"),
    "make somebody a requester": Action(bound("cabgate-requester"), whose=NOBODYS),
    "make somebody a reviewer": Action(bound("cabgate-cab-member"), whose=NOBODYS),
}
"""Each row of the table but those of reading, which are below."""

READING = {
    "read intents, requests and exceptions": (
        *("deploymentintents", "cabrequests", "cabevidences", "cabexceptions", "rolloutoutcomes"),
    ),
    "read the ledger": ("cabdecisions",),
    "read risk models": ("riskmodels", "changepolicies", "changefreezes", "evidencesigners"),
}
"""Rows of reading: each of these kinds is listed, and all have to agree."""

CLUSTER_WIDE = (
    "cabdecisions",
    "riskmodels",
    "changepolicies",
    "changefreezes",
    "evidencesigners",
)
"""Kinds without a namespace."""
