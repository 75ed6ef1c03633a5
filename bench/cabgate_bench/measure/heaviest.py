# SPDX-License-Identifier: Apache-2.0
"""What the heaviest workload costs the API server: with no policies, with one that asks for a
label, and with cabgate's. What any policy costs there is to hand it the object."""

import itertools
import json
import statistics
import string
from typing import Any

from cabgate_bench.load import loadgen
from cabgate_bench.load.loadgen import Call
from cabgate_bench.load.objects import deployment
from cabgate_bench.load.world import GATED, World
from cabgate_bench.measure import through
from cabgate_bench.results.figures import spread
from cabgate_devcluster import wait_until

NONE, ONE, OURS = SIDES = ("none", "one", "ours")

ANNOTATIONS = 24_000

_POLICY = "bench-constant"
_PATH = f"/api/v1/namespaces/{GATED}/podtemplates"


def measure(world: World, *, calls: int, rounds: int) -> dict[str, Any]:
    """Removals of a finalizer, in blocks of each side in turn."""
    through.choose(world, through.BARE)
    world.write("POST", [(_PATH, heaviest_object())])
    found: dict[str, list[float]] = {side: [] for side in SIDES}
    used: dict[str, list[float]] = {side: [] for side in SIDES}
    for _ in range(rounds):
        for side in SIDES:
            through.choose(world, through.WITH if side == OURS else through.BARE)
            _constant(world, on=side == ONE)
            before = world.usage()["kube-apiserver"].cpu
            found[side] += _removals(world, calls)
            spent = world.usage()["kube-apiserver"].cpu - before
            used[side].append(spent * 1000 / (calls + 1))
    _constant(world, on=False)
    medians = {side: statistics.median(values) for side, values in found.items()}
    return {
        "annotations": ANNOTATIONS,
        "sides": {
            side: {**_figures(values), "cpu": round(statistics.median(used[side]), 1)}
            for side, values in found.items()
        },
        "added": round(medians[OURS] - medians[ONE], 1),
        "addedToNone": round(medians[OURS] - medians[NONE], 1),
    }


def _figures(values: list[float]) -> dict[str, float]:
    figures = {name: round(value, 1) for name, value in spread(values).items()}
    return {"calls": len(values), **figures}


def heaviest_object() -> dict[str, Any]:
    """A PodTemplate with as many annotations as names of some letters make, and a finalizer."""
    letters = string.ascii_lowercase + string.digits
    words = itertools.chain(*(itertools.product(letters, repeat=n) for n in (3, 4)))
    template = deployment(GATED, "heavy")["spec"]["template"]
    names = map("".join, itertools.islice(words, ANNOTATIONS))
    template["metadata"]["annotations"] = dict.fromkeys(names, "")
    metadata = {"name": "heavy", "namespace": GATED, "finalizers": ["example.com/wait"]}
    return {"apiVersion": "v1", "kind": "PodTemplate", "metadata": metadata, "template": template}


def _removals(world: World, calls: int) -> list[float]:
    """Milliseconds of each, after one that does not count."""
    call = Call(
        "PATCH",
        f"{world.cluster.server}{_PATH}/heavy?dryRun=All",
        json.dumps({"metadata": {"finalizers": None}}),
        {"Content-Type": "application/merge-patch+json"},
    )
    found = []
    for _ in range(calls + 1):
        one = loadgen.run(world.program, world.admin, [call], workers=1, once=True)
        if one.failed:
            raise RuntimeError(f"a finalizer cannot be removed: {one.samples}")
        found += one.milliseconds
    return found[1:]


def _constant(world: World, on: bool) -> None:
    """Have a policy there that looks at each write of a PodTemplate for one label, or not."""
    kinds = ("validatingadmissionpolicies", "validatingadmissionpolicybindings")
    kubectl = world.cluster.kubectl
    if not on:
        for plural in reversed(kinds):
            kubectl("delete", plural, _POLICY, "--ignore-not-found")
        return
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["podtemplates"],
    }
    denied = "!has(object.metadata.labels) || !('deny' in object.metadata.labels)"
    policy = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": denied, "message": _POLICY}],
    }
    binding = {"policyName": _POLICY, "validationActions": ["Deny"]}
    items = [
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": _POLICY},
            "spec": spec,
        }
        for kind, spec in (
            ("ValidatingAdmissionPolicy", policy),
            ("ValidatingAdmissionPolicyBinding", binding),
        )
    ]
    body = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    kubectl("apply", "-f", "-", stdin=body)
    probe = heaviest_object()
    probe["template"]["metadata"]["annotations"] = {}
    probe["metadata"] = {"name": "probe", "namespace": GATED, "labels": {"deny": ""}}
    text = json.dumps(probe)

    def obeyed() -> bool:
        found = kubectl("create", "--dry-run=server", "-f", "-", stdin=text, check=False)
        return _POLICY in found.stderr

    wait_until(obeyed, "the API server obeys the policy")
