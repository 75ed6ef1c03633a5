# SPDX-License-Identifier: Apache-2.0
"""A release that goes from ring to ring, on the real API server."""

from dataclasses import dataclass
from typing import Any

from cabgate_devcluster import wait_until
from cabgate_samples.objects import intent, target, workload
from support.gate import Gate
from support.namespaces import label_namespace
from support.policies import change_policy
from support.promotion import row

RELEASE = "shop"
NEUTRAL = {"when": {"scoreFrom": "75.01"}, "count": 1, "verb": "approve"}
"""An approval rule that is about nothing that people may approve."""


def image(number: int) -> str:
    """The image of a release, by its digest."""
    return f"registry.example.com/shop/web@sha256:{number:064x}"


def manifest(namespace: str, number: int, name: str = "web", **container: Any) -> dict[str, Any]:
    """A Deployment of a release whose Pods say whether they are ready."""
    made = workload(namespace, name=name, images=[image(number)])
    probe = {"httpGet": {"path": "/healthz", "port": 8080}}
    made["spec"]["template"]["spec"]["containers"][0] |= {"readinessProbe": probe, **container}
    return made


@dataclass
class Rings:
    """A namespace of ring 2, and one of ring 3 whose policy has it wait for the first."""

    gate: Gate
    pilot: str
    wide: str
    policy: str

    @classmethod
    def made(cls, gate: Gate, make_namespace: Any, soak: str = "3s") -> "Rings":
        """Two namespaces with a policy for the second."""
        pilot, wide = make_namespace("2"), make_namespace("3")
        rows = [row(soak=soak, minPods=1, namespaces=[pilot])]
        policy = f"rings-{wide}"
        gate.create("admin", change_policy(policy, NEUTRAL, promotion=rows))
        label_namespace(gate.cluster, wide, "cabgate.dev/change-policy", policy)
        return cls(gate, pilot, wide, policy)

    def declare(self, namespace: str, number: int, name: str = "web", **spec: Any) -> str:
        """Have a release approved by its score; the name of its request."""
        named = [target([image(number)], name)]
        made = intent(namespace, name=name, targets=named, **{"release": RELEASE, **spec})
        self.gate.apply("requester", made)
        return str(self.gate.request_of(namespace, name, "AutoApproved")["metadata"]["name"])

    def roll_out(self, namespace: str, number: int, *args: str, check: bool = True, **more: Any):
        """`kubectl apply` of a release."""
        made = manifest(namespace, number, **more)
        return self.gate.apply("requester", made, *args, check=check)

    def tried(self, number: int, **more: Any) -> str:
        """What is said to a release in ring 3; empty where it would be admitted."""
        done = self.roll_out(self.wide, number, "--dry-run=server", check=False, **more)
        return "" if done.returncode == 0 else str(done.stderr)

    def outcome(self, namespace: str, number: int, name: str = "web") -> dict[str, Any]:
        """What became of a release in a namespace, once one of its Pods was seen."""

        def seen() -> dict[str, Any] | None:
            for each in self.gate.items("rolloutoutcomes", namespace):
                spec, pods = each["spec"], each.get("status", {}).get("pods", {})
                of = spec["images"] == [image(number)] and spec["target"]["name"] == name
                if of and pods.get("seen"):
                    return dict(each)
            return None

        return wait_until(seen, f"{name} of {namespace} has an outcome of {number}", timeout=60.0)

    def soaked(self, number: int) -> None:
        """Roll a release out in ring 2, and wait until ring 3 may follow."""
        self.declare(self.pilot, number)
        self.roll_out(self.pilot, number)
        self.outcome(self.pilot, number)
        wait_until(lambda: not self.tried(number), "ring 3 may follow", timeout=60.0)
