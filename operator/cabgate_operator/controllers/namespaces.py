# SPDX-License-Identifier: Apache-2.0
"""Namespaces: where the ring, the risk model, the change policy or what an approval has to say
changed, all intents may be other than they were."""

from collections.abc import Sequence

from cabgate.api.changepolicy import ChangePolicy
from cabgate.api.riskmodel import RiskModel
from cabgate.rollout.rings import RING_LABEL
from cabgate.rollout.templates import REQUIRE_LABEL
from cabgate_kube.resources import INTENTS, NAMESPACES
from cabgate_operator.work.context import Context
from cabgate_operator.work.controller import Controller, Watch, WatchEvent
from cabgate_operator.work.keys import Key, Subject

_CHOOSING = (*(RING_LABEL, RiskModel.namespace_label, REQUIRE_LABEL, ChangePolicy.namespace_label),)


class Namespaces(Controller):
    """Queues the intents of a namespace whose labels choose something else than before."""

    subjects = (Subject.NAMESPACE,)
    watches = (Watch(NAMESPACES, swept=False),)

    def __init__(self) -> None:
        self._choices: dict[str, tuple[str | None, ...]] = {}

    def saw(self, event: WatchEvent) -> Sequence[Key]:
        """Take note of what a namespace chooses; its key if that is something else than before."""
        meta = event.body.get("metadata") or {}
        name = str(meta.get("name", ""))
        if event.deleted:
            self._choices.pop(name, None)
            return ()
        labels = meta.get("labels") or {}
        chosen = tuple(map(labels.get, _CHOOSING))
        before, self._choices[name] = self._choices.get(name, chosen), chosen
        return () if before == chosen else (Key(Subject.NAMESPACE, name, ""),)

    async def reconcile(self, context: Context, key: Key) -> None:
        """Queue every intent of a namespace."""
        for item in await context.api.list(INTENTS, key.namespace):
            context.queue.add(Key(Subject.INTENT, key.namespace, item["metadata"]["name"]))
