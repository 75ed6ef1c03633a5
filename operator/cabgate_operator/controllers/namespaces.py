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
        """Take note of what a namespace chooses; its key if that is something else than before, or
        if it went: intents of one that took its place may have been taken for intents of it."""
        meta = event.body.get("metadata") or {}
        name, uid = str(meta.get("name", "")), str(meta.get("uid", ""))
        if event.deleted:
            # Of the one that took its place a watch may have told before.
            if self._choices.get(name, (uid,))[0] == uid:
                self._choices.pop(name, None)
            return (Key(Subject.NAMESPACE, name, ""),)
        labels = meta.get("labels") or {}
        chosen = (uid, *map(labels.get, _CHOOSING))
        before, self._choices[name] = self._choices.get(name, chosen), chosen
        return () if before == chosen else (Key(Subject.NAMESPACE, name, ""),)

    async def reconcile(self, context: Context, key: Key) -> None:
        """Queue every intent of a namespace; of one that is gone there are none."""
        for item in await context.api.list(INTENTS, key.namespace):
            context.queue.add(Key(Subject.INTENT, key.namespace, item["metadata"]["name"]))
