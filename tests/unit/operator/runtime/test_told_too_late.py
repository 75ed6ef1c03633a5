# SPDX-License-Identifier: Apache-2.0
"""What watches tell too late, or out of turn, and what the operator makes of it in the end."""

from typing import Any

from cabgate_kube.resources import EVENTS, INTENTS, NAMESPACES, Object
from cabgate_operator.runtime.manager import Manager
from support.waiting import until
from unit.operator.runtime.managed import idle, state_of_web
from unit.operator.runtime.test_what_is_known import (
    INTENT,
    Counted,
    changed,
    first,
    put,
    watching,
)
from unit.operator.support import MIDDLING, evidence


def _team(api: Counted) -> Object:
    (found,) = [each for each in api.all(NAMESPACES) if each["metadata"]["name"] == "team"]
    return found


def _anew(api: Counted, **meta: Any) -> Object:
    """The namespace, gone and made anew; no watch has told of it."""
    before = _team(api)
    kept = {k: v for k, v in before["metadata"].items() if k != "deletionTimestamp"}
    return api.put(NAMESPACES, {**before, "metadata": {**kept, "uid": "ns-2", **meta}})


def _tell_of_an_intent(api: Counted, manager: Manager) -> None:
    body = first()
    body["metadata"] |= {"name": "fresh", "uid": "uid-fresh"}
    manager.saw(INTENTS, {"type": "ADDED", "object": api.put(INTENTS, body)})


async def test_an_intent_of_a_namespace_that_was_made_anew_is_looked_at() -> None:
    api = Counted()
    async with watching(api) as manager:
        before = _team(api)
        going = {"deletionTimestamp": "2030-01-01T12:00:00Z", "uid": "ns-1"}
        dying = api.put(NAMESPACES, {**before, "metadata": {**before["metadata"], **going}})
        manager.saw(NAMESPACES, {"type": "MODIFIED", "object": dying})
        manager.context.queue.add(INTENT)
        await idle(manager)
        made = _anew(api)
        _tell_of_an_intent(api, manager)
        await idle(manager)
        manager.saw(NAMESPACES, {"type": "DELETED", "object": dying})
        manager.saw(NAMESPACES, {"type": "ADDED", "object": made})
        await until(lambda: api.objects[INTENTS.plural, "team", "fresh"].get("status"), "it is")


async def test_nothing_is_told_of_a_refusal_of_what_was_judged_by_an_old_namespace() -> None:
    api = Counted()
    async with watching(api) as manager:
        api.refusals = 1
        stored = put(api, changed(evidence(MIDDLING, "n")))
        manager.saw(INTENTS, {"type": "MODIFIED", "object": stored})
        await until(lambda: state_of_web(api) == "Submitted", "it was looked at anew")
        assert "RequestRefused" not in [each.get("reason") for each in api.all(EVENTS)]
