# SPDX-License-Identifier: Apache-2.0
from datetime import timedelta

import pytest

from cabgate.api.exception import CABException
from cabgate.api.request import CABRequest
from cabgate_kube.resources import EXCEPTIONS, REQUESTS, Object
from cabgate_operator.controllers.exceptions import reconcile_exception
from cabgate_operator.work.keys import Key, Subject
from unit.operator.standings import plan_exception
from unit.operator.support import (
    BAD,
    ME,
    MIDDLING,
    NOW,
    SYSTEM,
    World,
    exception,
    exception_object,
    request,
    with_decisions,
)

LONG_AGO = NOW - timedelta(days=1)
KEY = Key(Subject.EXCEPTION, "team", "leave")
REQUEST = request(BAD)
MIDDLING = request(MIDDLING)


@pytest.mark.parametrize(
    ("subject", "of", "state", "holds", "reason", "ended"),
    [
        (exception(REQUEST), REQUEST, "Pending", False, "Pending", False),
        (exception(REQUEST), None, "Pending", False, "RequestNotFound", False),
        (exception(REQUEST, ("Approved", "s")), REQUEST, "Approved", True, "Approved", False),
        (
            exception(REQUEST, ("Approved", "s")),
            None,
            "Approved",
            False,
            "RequestNotFound",
            False,
        ),
        (
            exception(REQUEST, ("Approved", "s"), created=NOW - timedelta(seconds=1)),
            with_decisions(REQUEST, ("Revoked", "s")),
            "Approved",
            False,
            "RequestRevoked",
            False,
        ),
        (exception(MIDDLING), MIDDLING, "Pending", False, "ExceptionNotAllowed", False),
        (
            exception(MIDDLING, ("Approved", "s")),
            with_decisions(MIDDLING, ("Rejected", "s")),
            "Approved",
            False,
            "ExceptionNotAllowed",
            False,
        ),
        (exception(REQUEST, ("Rejected", "s")), REQUEST, "Rejected", False, "Rejected", False),
        (
            exception(REQUEST, ("Approved", "s"), ("Revoked", "s")),
            REQUEST,
            "Revoked",
            False,
            "Revoked",
            False,
        ),
        (
            exception(REQUEST, ("Approved", "s"), created=LONG_AGO),
            REQUEST,
            "Expired",
            False,
            "Expired",
            True,
        ),
        (
            exception(REQUEST, ("Approved", "s"), created=LONG_AGO),
            None,
            "Expired",
            False,
            "Expired",
            True,
        ),
        (exception(REQUEST, created=LONG_AGO), REQUEST, "Expired", False, "Expired", True),
        (exception(REQUEST, created=LONG_AGO), None, "Expired", False, "Expired", False),
        (
            exception(REQUEST, ("Approved", "s"), created=LONG_AGO + timedelta(seconds=1)),
            REQUEST,
            "Approved",
            True,
            "Approved",
            False,
        ),
    ],
)
def test_plan(
    subject: CABException,
    of: CABRequest | None,
    state: str,
    holds: bool,
    reason: str,
    ended: bool,
) -> None:
    plan = plan_exception(subject, of, SYSTEM)
    assert (plan.state.value, plan.active.holds, plan.active.reason) == (state, holds, reason)
    assert (plan.entry is not None) == ended
    assert len(plan.active.message.encode()) <= 1000
    assert plan.open == (state in ("Pending", "Approved"))


def test_a_revocation_of_the_request_ends_it() -> None:
    revoked = with_decisions(REQUEST, ("Revoked", "sam"))  # at 11:00
    leave = exception(REQUEST, ("Approved", "s"), created=NOW - timedelta(hours=2))
    plan = plan_exception(leave, revoked, SYSTEM)
    assert (plan.active.holds, plan.active.reason) == (False, "RequestRevoked")


def world_with(leave: Object) -> World:
    world = World()
    world.api.put(REQUESTS, {**REQUEST.model_dump(mode="json", by_alias=True)})
    world.api.put(EXCEPTIONS, leave)
    return world


def status(world: World) -> Object:
    found: Object = world.api.objects[(EXCEPTIONS.plural, "team", "leave")]["status"]
    return found


def approved(**kwargs: object) -> Object:
    made = exception_object(REQUEST, ("Approved", "sam"), **kwargs)  # type: ignore[arg-type]
    for entry in made["status"]["decisions"]:
        entry["at"] = made["metadata"]["creationTimestamp"]
    return made


async def test_it_ends_at_its_moment_and_is_told_once() -> None:
    world = world_with(approved())
    await reconcile_exception(world.context, KEY)
    assert status(world)["state"] == "Approved"
    assert status(world)["expiresAt"] == "2030-01-02T12:00:00Z"
    world.clock.forward(86399)
    world.queue.tick()
    assert len(world.queue) == 0 or world.queue.deadlines == 1
    world.clock.forward(1)
    world.queue.tick()
    assert world.queue.deadlines == 0
    await reconcile_exception(world.context, KEY)
    await reconcile_exception(world.context, KEY)
    assert status(world)["state"] == "Expired"
    assert [entry["verdict"] for entry in status(world)["decisions"]] == ["Approved", "Expired"]
    assert status(world)["decisions"][1]["author"] == {"type": "System", "username": ME}
    assert world.notes() == ["ExceptionExpired"]
    assert world.api.written == [
        "status cabexceptions",
        "create events",
        "status cabexceptions",
    ]


async def test_it_ended_while_nobody_looked() -> None:
    world = world_with(approved(created=LONG_AGO))
    await reconcile_exception(world.context, KEY)
    assert status(world)["state"] == "Expired"
    assert world.queue.deadlines == 0


async def test_one_that_is_gone_has_no_deadline() -> None:
    world = world_with(approved())
    await reconcile_exception(world.context, KEY)
    assert world.queue.deadlines == 1
    del world.api.objects[(EXCEPTIONS.plural, "team", "leave")]
    await reconcile_exception(world.context, KEY)
    assert world.queue.deadlines == 0
