# SPDX-License-Identifier: Apache-2.0
"""Who depends on a request: the intents for its workloads, and the exceptions that name it. Noted
from objects as watches and sweeps bring them, so that nothing is asked for.

It says only what to look at again; what is found there is read anew. Each object is noted before it
is queued itself: who was not known yet when a request changed is looked at after that.
"""

from collections.abc import Callable, Collection, Container, Sequence
from dataclasses import dataclass, field
from typing import Any

from cabgate.lifecycle.state.standing import DECIDED
from cabgate.rollout.targets import TARGET_LABEL_PREFIX
from cabgate_kube.resources import EXCEPTIONS, REQUESTS, Object, Resource
from cabgate_operator.work.keys import Key
from cabgate_operator.work.remembered import ToList


@dataclass(frozen=True)
class _Noted:
    """A request or an exception."""

    namespace: str
    request: str
    """Name of the request: its own, or the one that the exception names."""
    shared: tuple[str, ...]
    """What makes others depend on it: the labels of its workloads, the name of its request."""
    decided: int
    """Number of its decisions."""
    noticed: bool
    """Whether it says that they were noticed: what a person approved counts for others from then
    on. Nothing else of its status matters to them."""
    key: Key


@dataclass
class Dependents:
    """Requests and exceptions, by uid and by what they share.

    `keys` says which keys an object comes to.
    """

    keys: Callable[[Resource, Object], Sequence[Key]]
    _noted: dict[str, dict[str, _Noted]] = field(default_factory=dict)
    _sharing: dict[tuple[str, str], dict[str, Key]] = field(default_factory=dict)
    _requests: dict[tuple[str, str], _Noted] = field(default_factory=dict)
    """By namespace and name."""
    _of: dict[Key, dict[str, _Noted]] = field(default_factory=dict)
    """The requests of each intent, by uid."""
    _created: dict[str, _Noted] = field(default_factory=dict)
    """Requests that the operator has created, until a watch brings them."""
    complete: bool = False
    """Whether all requests that there are were noted, and each further one will be."""

    def to_list(self, key: Key, labels: Collection[str]) -> ToList:
        """Which lists of requests a look at an intent needs, whose workloads have these labels: one
        that would bring nothing, or nothing that the other does not bring, is not asked for."""
        if not self.complete:
            return ToList(naming=bool(labels))
        created = [n for n in self._created.values() if n.namespace == key.namespace]
        own = [*self._of.get(key, {}).values(), *(n for n in created if n.key == key)]
        return ToList(
            own=any(set(labels).isdisjoint(noted.shared) for noted in own),
            naming=any((key.namespace, label) in self._sharing for label in labels)
            or any(not set(labels).isdisjoint(noted.shared) for noted in created),
        )

    def created(self, body: Object) -> None:
        """The operator has created a request, which no watch may have brought yet: who depends on
        it is looked at once one does."""
        uid = str(body["metadata"]["uid"])
        if uid not in self._noted.get(REQUESTS.plural, {}):
            self._created[uid] = self._note(REQUESTS, body)

    def noted(self, resource: Resource) -> set[str]:
        """The uids of the objects that are noted."""
        return set(self._noted.get(resource.plural, {}))

    def saw(self, resource: Resource, body: Object, *, deleted: bool = False) -> set[Key]:
        """Take note of an object; what to look at if that is news to others."""
        if resource not in (REQUESTS, EXCEPTIONS):
            return set()
        uid = str((body.get("metadata") or {}).get("uid", ""))
        self._created.pop(uid, None)
        noted, before = self._note(resource, body), self._noted.get(resource.plural, {}).get(uid)
        if noted == before and not deleted:
            return set()
        self._forget(resource, uid)
        if not deleted:
            self._remember(resource, uid, noted)
        return self._about(noted)

    def gone(self, resource: Resource, listed: Container[str]) -> set[Key]:
        """What to look at because objects that were noted are not in a list of all any more; they
        are forgotten."""
        known = self._noted.get(resource.plural, {})
        gone = {uid: noted for uid, noted in known.items() if uid not in listed}
        found = {key for noted in gone.values() for key in self._about(noted)}
        for uid in gone:
            self._forget(resource, uid)
        return found

    def _about(self, noted: _Noted) -> set[Key]:
        # An exception is of the workloads of its request.
        request = self._requests.get((noted.namespace, noted.request))
        shared = {noted.request, *noted.shared, *(request.shared if request is not None else ())}
        return {
            key
            for each in shared
            for key in self._sharing.get((noted.namespace, each), {}).values()
        }

    def _note(self, resource: Resource, body: Object) -> _Noted:
        meta: dict[str, Any] = body.get("metadata") or {}
        status = body.get("status") or {}
        decided = len(status.get("decisions") or ())
        conditions = status.get("conditions") or ()
        noticed = any(c.get("type") == DECIDED and c.get("status") == "True" for c in conditions)
        request = _request_named(resource, body)
        shared: tuple[str, ...] = (request,)
        if resource is REQUESTS:
            labels = sorted(meta.get("labels") or {})
            shared = tuple(label for label in labels if label.startswith(TARGET_LABEL_PREFIX))
        key = self.keys(resource, body)[0]
        return _Noted(str(meta.get("namespace", "")), request, shared, decided, noticed, key)

    def _remember(self, resource: Resource, uid: str, noted: _Noted) -> None:
        self._noted.setdefault(resource.plural, {})[uid] = noted
        for each in noted.shared:
            self._sharing.setdefault((noted.namespace, each), {})[uid] = noted.key
        if resource is REQUESTS:
            self._requests[noted.namespace, noted.request] = noted
            self._of.setdefault(noted.key, {})[uid] = noted

    def _forget(self, resource: Resource, uid: str) -> None:
        noted = self._noted.get(resource.plural, {}).pop(uid, None)
        if noted is None:
            return
        for each in noted.shared:
            keys = self._sharing[noted.namespace, each]
            del keys[uid]
            if not keys:
                del self._sharing[noted.namespace, each]
        named = (noted.namespace, noted.request)
        if resource is REQUESTS:
            of = self._of[noted.key]
            del of[uid]
            if not of:
                del self._of[noted.key]
        if resource is REQUESTS and self._requests.get(named) is noted:
            del self._requests[named]


def _request_named(resource: Resource, body: Object) -> str:
    """Name of the request that a request is or an exception names."""
    if resource is EXCEPTIONS:
        spec: dict[str, Any] = body.get("spec") or {}
        return str((spec.get("requestRef") or {}).get("name", ""))
    return str((body.get("metadata") or {}).get("name", ""))
