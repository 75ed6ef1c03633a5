# SPDX-License-Identifier: Apache-2.0
"""An intent that is declared, looked at and decided."""

from typing import Any

from cabgate_kube.resources import INTENTS, REQUESTS, Object
from cabgate_operator.controllers.intents import reconcile_intent
from cabgate_operator.work.keys import Key, Subject
from unit.operator.support import (
    World,
    decisions,
    intent_object,
    request,
)

KEY = Key(Subject.INTENT, "team", "web")


async def look(world: World) -> None:
    await reconcile_intent(world.context, KEY)


def declare(world: World, content: Object, **meta: Any) -> None:
    old = world.api.objects.get((INTENTS.plural, "team", "web"))
    body = intent_object(content, **meta)
    if old is not None:
        body["metadata"]["generation"] = old["metadata"]["generation"] + 1
        body["status"] = old.get("status", {})
    world.api.put(INTENTS, body)


def name_of(content: Object) -> str:
    return request(content).metadata.name


def decide(world: World, name: str, *entries: tuple[str, str]) -> None:
    body = world.api.objects[(REQUESTS.plural, "team", name)]
    body["status"]["decisions"] = decisions(body["spec"]["evidenceDigest"], *entries)
    world.api.put(REQUESTS, body)
