# SPDX-License-Identifier: Apache-2.0
"""Which workloads have an intent, and which outcomes there are: noted from objects as watches and
sweeps bring them, so that nothing is asked for. It says only what to look at again."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cabgate.api.base import rfc3339
from cabgate.api.kinds import GatedKind, group_of
from cabgate.lifecycle.limits.retention import KEPT_FOR
from cabgate.outcomes.running import OUTCOME_KINDS, outcome_kind
from cabgate.rollout.rings import RING_LABEL
from cabgate_kube.resources import Object, Resource
from cabgate_operator.work.controller import WatchEvent
from cabgate_operator.work.keys import Key, Subject

BY_PLURAL = {kind.resource: kind for kind in OUTCOME_KINDS}
"""The kinds that have outcomes, by their plural names."""


def resource_of(kind: GatedKind) -> Resource:
    """The resource of a gated kind."""
    return Resource(kind.api_version, kind.kind, kind.resource)


def key_of(namespace: str, kind: GatedKind, name: str) -> Key:
    """The key of a workload."""
    return Key(Subject.OUTCOME, namespace, f"{kind.resource}/{name}")


@dataclass(frozen=True)
class _Intent:
    """What an intent says that outcomes go by."""

    release: str | None
    targets: tuple[Key, ...]


@dataclass
class Notes:
    """What was noted."""

    _intents: dict[tuple[str, str], _Intent] = field(default_factory=dict)
    _naming: dict[Key, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Names of the intents of a workload."""
    _outcomes: dict[Key, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    """Outcomes of a workload, with when they ended; empty where they have not."""
    _swept: set[Any] = field(default_factory=set)
    """What the sweep that is under way came by, and watches since it began."""
    _latest: str = ""
    """Who ended before this is kept only for an intent."""
    _looked: dict[Key, str] = field(default_factory=dict)
    """The version of each workload that was looked at last."""
    _rings: dict[str, str | None] = field(default_factory=dict)
    """The ring label of each namespace."""

    def intent_of(self, key: Key) -> tuple[str, str | None] | None:
        """Name and release of the intent of a workload, the first by name where there are several;
        None if there is none."""
        name = min(self._naming.get(key, ()), default=None)
        known = None if name is None else self._intents.get((key.namespace, name))
        return None if name is None or known is None else (name, known.release)

    def to_look_at(self, kind: GatedKind, body: Object) -> Sequence[Key]:
        """The key of a workload that has an intent or an outcome that has not ended, unless it was
        looked at as it is. Called in any thread."""
        version = str((body.get("metadata") or {}).get("resourceVersion", ""))
        key = self._known(kind, body)
        return () if key is None or (version and self._looked.get(key) == version) else (key,)

    def looked_at(self, key: Key, version: str | None) -> None:
        """Note that what there is of a workload was written; None if it is gone."""
        if version is None:
            self._looked.pop(key, None)
        else:
            self._looked[key] = version

    def _known(self, kind: GatedKind, body: Object) -> Key | None:
        meta = body.get("metadata") or {}
        key = key_of(str(meta.get("namespace", "")), kind, str(meta.get("name", "")))
        is_open = not all(dict(self._outcomes.get(key) or {"": "ended"}).values())
        return key if self._naming.get(key) or is_open else None

    def saw_namespace(self, event: WatchEvent) -> Sequence[Key]:
        """Note the ring label of a namespace; its workloads if it is another one than before."""
        meta = event.body["metadata"]
        name, label = str(meta["name"]), (meta.get("labels") or {}).get(RING_LABEL)
        before = self._rings.get(name, label)
        if event.deleted:
            self._rings.pop(name, None)
        else:
            self._rings[name] = label
        if event.deleted or before == label:
            return ()
        return sorted(key for key in {*self._naming, *self._outcomes} if key.namespace == name)

    def saw_intent(self, event: WatchEvent) -> Sequence[Key]:
        """Note an intent; the workloads for which it says something else than before."""
        meta = event.body["metadata"]
        place = meta["namespace"], meta["name"]
        before = self._intents.get(place)
        now = None if event.deleted else _intent(event.body)
        if now is not None:
            self._swept.add(place)
        return self._note_intent(place, before, now)

    def _note_intent(
        self, place: tuple[str, str], before: _Intent | None, now: _Intent | None
    ) -> Sequence[Key]:
        if before == now:
            return ()
        for key in before.targets if before else ():
            self._naming[key].discard(place[1])
            if not self._naming[key]:
                del self._naming[key]
        if now is None:
            self._intents.pop(place, None)
        else:
            self._intents[place] = now
            for key in now.targets:
                self._naming[key].add(place[1])
        return sorted({*(before.targets if before else ()), *(now.targets if now else ())})

    def saw_outcome(self, event: WatchEvent) -> None:
        """Note an outcome."""
        meta, spec = event.body["metadata"], event.body.get("spec") or {}
        key = _target_key(meta["namespace"], spec.get("target") or {})
        if key is None:
            return
        self._swept.add((key, meta["name"]))
        if not event.deleted:
            status = event.body.get("status") or {}
            self._outcomes[key][meta["name"]] = str(status.get("endedAt") or "")
        elif key in self._outcomes:
            self._outcomes[key].pop(meta["name"], None)
            if not self._outcomes[key]:
                del self._outcomes[key]

    def saw_workload(self, kind: GatedKind, body: Object) -> None:
        """Note that a sweep came by a workload."""
        self._swept.add(self._known(kind, body))

    def begin_sweep(self, now: datetime) -> None:
        """Count anew."""
        self._swept = set()
        self._latest = rfc3339(now - KEPT_FOR)

    def end_sweep(self) -> Sequence[Key]:
        """Forget what is gone; the workloads of intents that are, and those that nobody came by and
        that have an outcome which has not ended, or ended long ago."""
        found: set[Key] = set()
        for place in [each for each in self._intents if each not in self._swept]:
            found.update(self._note_intent(place, self._intents[place], None))
        for key, outcomes in list(self._outcomes.items()):
            for name in [each for each in outcomes if (key, each) not in self._swept]:
                del outcomes[name]
            if not outcomes:
                del self._outcomes[key]
            elif key not in self._swept and min(outcomes.values()) <= self._latest:
                found.add(key)
        return sorted(found)


def _intent(body: Object) -> _Intent:
    spec, namespace = body.get("spec") or {}, body["metadata"]["namespace"]
    keys = [_target_key(namespace, target) for target in spec.get("targets") or ()]
    return _Intent(spec.get("release"), tuple(key for key in keys if key is not None))


def _target_key(namespace: str, target: Object) -> Key | None:
    kind = outcome_kind(group_of(str(target.get("apiVersion"))), str(target.get("kind")))
    return None if kind is None else key_of(namespace, kind, str(target.get("name")))
