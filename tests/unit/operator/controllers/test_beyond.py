# SPDX-License-Identifier: Apache-2.0
"""What the operator tells of what runs beyond the constraints of its exception."""

from typing import Any

from cabgate.gate.coverage import Beyond, Uncovered
from cabgate.lifecycle.limits.constraints import Violation
from cabgate.rollout.targets import Workload
from cabgate_kube.k8s_events import MAX_MESSAGE_BYTES
from cabgate_kube.resources import EXCEPTIONS, REQUESTS, Object
from cabgate_operator.controllers.beyond import wanted_of
from unit.operator.controllers.test_coverage import DEPLOYMENTS, Case, deployment
from unit.operator.support import BAD, NOW, exception, exception_object, request

REQUEST = request(BAD)


def limited(*, name: str = "leave", **constraints: Any) -> Object:
    """An approved exception for what runs."""
    made = exception_object(REQUEST, ("Approved", "sec"))
    made["metadata"]["name"] = name
    made["spec"]["constraints"] = constraints
    made["status"]["decisions"][0]["at"] = made["metadata"]["creationTimestamp"]
    return made


def scaled(replicas: int) -> Object:
    made = deployment()
    made["spec"]["replicas"] = replicas
    return made


class Limited(Case):
    """A coverage of a namespace with a workload under an exception of two replicas."""

    def __init__(self, replicas: int) -> None:
        super().__init__()
        self.world.api.put(REQUESTS, REQUEST.model_dump(mode="json", by_alias=True))
        self.world.api.put(EXCEPTIONS, limited(maxReplicas=2))
        self.saw("1")
        self.saw("2")
        self.scale(replicas)

    def scale(self, replicas: int) -> None:
        self.world.api.put(DEPLOYMENTS, scaled(replicas))

    @property
    def condition(self) -> tuple[str, str] | None:
        [stored] = self.world.api.all(EXCEPTIONS)
        found = [c for c in stored["status"].get("conditions", ()) if c["type"] != "Active"]
        return (found[0]["status"], found[0]["message"]) if found else None

    @property
    def messages(self) -> list[str]:
        return [e["message"] for e in self.events if e["reason"] == "ConstraintViolated"]


async def test_what_is_scaled_beyond_its_exception_is_told_of_once_for_each_change() -> None:
    case = Limited(2)
    await case.reconcile()
    assert (case.condition, case.messages) == (None, [])
    case.scale(5)
    await case.reconcile()
    assert case.condition is not None
    status, message = case.condition
    assert status == "True"
    assert message.startswith(
        "Deployment web runs beyond exception leave, which admits at most 2 replicas, and this "
        "has 5 (maxReplicas). It keeps running."
    )
    assert message.endswith("cabgate uncovered -n team")
    assert case.messages == [message]
    [event] = [e for e in case.events if e["reason"] == "ConstraintViolated"]
    assert (event["involvedObject"]["kind"], event["type"]) == ("CABException", "Warning")
    written = list(case.world.api.written)
    await case.reconcile()  # as each sweep does
    assert case.world.api.written == written
    case.scale(7)
    await case.reconcile()
    assert len(case.messages) == 2


async def test_what_is_scaled_back_is_beyond_it_no_more_and_is_told_of_anew() -> None:
    case = Limited(5)
    await case.reconcile()
    for forward in (60, 120):
        case.world.clock.forward(forward)
        case.scale(1)
        await case.reconcile()
        assert case.condition == (
            "False",
            "What runs under leave keeps to it.",
        )
        case.world.clock.forward(60)
        case.scale(5)
        await case.reconcile()
    assert len(case.messages) == 3


async def test_what_is_gone_is_beyond_nothing() -> None:
    case = Limited(5)
    await case.reconcile()
    del case.world.api.objects[(DEPLOYMENTS.plural, "team", "web")]
    await case.reconcile()
    assert case.condition is not None
    assert case.condition[0] == "False"


async def test_once_it_has_ended_nothing_is_held_to_it() -> None:
    case = Limited(5)
    await case.reconcile()
    case.world.clock.forward(24 * 3600)
    await case.reconcile()
    ended = "Exception leave is expired: nothing is held to its constraints."
    assert case.condition == ("False", ended)


async def test_below_ring_2_nothing_is_held_to_it() -> None:
    case = Limited(5)
    await case.reconcile()
    assert case.saw("1")
    await case.reconcile()
    below = "The namespace is below ring 2: what runs there is not looked at."
    assert case.condition == ("False", below)
    assert case.saw("3")
    await case.reconcile()
    assert case.condition is not None
    assert case.condition[0] == "True"


def test_the_text_of_many_workloads_is_short() -> None:
    violation = Violation("maxRing", "up to ring 2, and this is ring 3")
    found = [
        Uncovered("team", Workload("apps", "Deployment", f"{'w' * 240}-{n}"), (),
                  "ConstraintViolated", (), Beyond("leave", violation))
        for n in range(20)
    ]  # fmt: skip
    wanted = wanted_of(exception(REQUEST), found, NOW)
    assert wanted is not None
    assert len(wanted.message.encode()) <= MAX_MESSAGE_BYTES
    assert wanted.message.endswith("cabgate uncovered -n team")
