# SPDX-License-Identifier: Apache-2.0
"""A Deployment with an intent, as its controller says that it is, and what is written of it."""

import copy
from typing import Any

from cabgate_kube.resources import INTENTS, OUTCOMES, Resource
from cabgate_operator.controllers.outcomes import Outcomes
from cabgate_operator.work.controller import WatchEvent
from cabgate_operator.work.keys import Key, Subject
from unit.operator.support import GOOD, NOW, Object, World, intent_object

DEPLOYMENTS = Resource("apps/v1", "Deployment", "deployments")
PODS = Resource("v1", "Pod", "pods")
KEY = Key(Subject.OUTCOME, "team", "deployments/web")
PROBE = {"readinessProbe": {"httpGet": {"port": 80}}}


def stamp(moment: Any) -> str:
    return str(moment.strftime("%Y-%m-%dT%H:%M:%SZ"))


class Case:
    """A controller, its world, and one Deployment with an intent."""

    def __init__(self, content: Object = GOOD, kept: int = 3, **spec: Any) -> None:
        self.world = World()
        self.controller = Outcomes(lambda: (DEPLOYMENTS,), kept)
        self.generation = 0
        self.declare(content, **spec)

    def declare(self, content: Object = GOOD, **spec: Any) -> list[Key]:
        body = intent_object(content, images=("r/web:1", "r/web:2"))
        body["spec"] |= {key: value for key, value in spec.items() if value is not None}
        self.world.api.put(INTENTS, body)
        return list(self.controller.saw(WatchEvent(INTENTS, body, self.world.clock())))

    def withdraw(self) -> list[Key]:
        body = self.world.api.objects.pop((INTENTS.plural, "team", "web"))
        return list(self.controller.saw(WatchEvent(INTENTS, body, NOW, deleted=True)))

    def runs(
        self, image: str = "r/web:1", *, wanted: int = 2, available: int = 2, old: int = 0
    ) -> None:
        """The Deployment as its controller says that it is."""
        self.generation += 1
        container = {"name": "web", "image": image, **PROBE}
        self.world.api.put(
            DEPLOYMENTS,
            {
                "metadata": {
                    "name": "web",
                    "namespace": "team",
                    "uid": "web-uid",
                    "generation": self.generation,
                    "creationTimestamp": "2029-12-31T00:00:00Z",
                },
                "spec": {
                    "replicas": wanted,
                    "selector": {"matchLabels": {"app": "web"}},
                    "template": {"spec": {"containers": [container]}},
                },
                "status": {
                    "observedGeneration": self.generation,
                    "replicas": wanted + old,
                    "updatedReplicas": wanted,
                    "availableReplicas": available,
                },
            },
        )

    def pod(self, name: str, image: str = "r/web:1", *, ready: bool = True, code: int = 0) -> None:
        owner = {"kind": "ReplicaSet", "name": "web-7d4b9c6f5d", "controller": True, "uid": "rs"}
        self.world.api.put(
            PODS,
            {
                "metadata": {
                    "name": name,
                    "namespace": "team",
                    "uid": f"uid-{name}",
                    "labels": {"app": "web"},
                    "ownerReferences": [owner],
                },
                "spec": {"containers": [{"name": "web", "image": image, **PROBE}]},
                "status": {
                    "conditions": [
                        {
                            "type": "Ready",
                            "status": str(ready),
                            "lastTransitionTime": stamp(self.world.clock()),
                        }
                    ],
                    "containerStatuses": [{"lastState": {"terminated": {"exitCode": code}}}],
                },
            },
        )

    def stored(self) -> Object:
        """The Deployment."""
        return self.world.api.objects[(DEPLOYMENTS.plural, "team", "web")]

    def gone(self) -> None:
        self.world.api.objects.pop((DEPLOYMENTS.plural, "team", "web"))

    async def look(self, seconds: float = 60) -> None:
        """Some time passes, and the workload is looked at."""
        self.world.clock.forward(seconds)
        await self.controller.reconcile(self.world.context, KEY)
        for raw in self.outcomes:
            self.controller.saw(WatchEvent(OUTCOMES, raw, self.world.clock()))

    @property
    def outcomes(self) -> list[Object]:
        """The outcomes in the order in which they began."""
        found = copy.deepcopy(self.world.api.all(OUTCOMES))
        return sorted(found, key=lambda each: str(each["metadata"]["creationTimestamp"]))

    @property
    def results(self) -> list[str | None]:
        return [(each.get("status") or {}).get("result") for each in self.outcomes]

    @property
    def interruptions(self) -> list[tuple[str, bool]]:
        found = (self.outcomes[-1].get("status") or {}).get("interruptions", [])
        return [(each["reason"], "until" in each) for each in found]

    @property
    def pods(self) -> tuple[int, int]:
        counts = self.outcomes[-1]["status"]["pods"]
        return counts["seen"], counts["failed"]
