# SPDX-License-Identifier: Apache-2.0
"""Which version of each object was seen last, so that a sweep looks again at no more than what the
watches missed: at rest a sweep of ten thousand objects is a few lists."""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import Any

from cabgate_kube.resources import Object, Resource
from cabgate_operator.work.keys import Key


@dataclass(frozen=True)
class _Last:
    """An object as it was seen last."""

    version: str
    keys: tuple[Key, ...]
    """What to look at if it turns out to be gone."""


@dataclass
class Seen:
    """What was seen of each object, by resource and uid. `keys` says which keys it comes to."""

    keys: Callable[[Resource, Object], Sequence[Key]]
    _last: dict[str, dict[str, _Last]] = field(default_factory=dict)

    def saw(self, resource: Resource, body: Object, *, deleted: bool = False) -> bool:
        """Take note of an object; whether that is news: not so for the version seen last."""
        meta: dict[str, Any] = body.get("metadata") or {}
        known, uid = self._last.setdefault(resource.plural, {}), str(meta.get("uid", ""))
        if deleted:
            known.pop(uid, None)
            return True
        version, last = str(meta.get("resourceVersion", "")), known.get(uid)
        if last is not None and last.version == version:
            return False
        known[uid] = _Last(version, tuple(self.keys(resource, body)))
        return True

    def gone(self, resource: Resource, listed: Container[str]) -> list[Key]:
        """What to look at because objects that were seen are not in a list of all any more; they
        are forgotten."""
        known = self._last.get(resource.plural, {})
        gone = [uid for uid in known if uid not in listed]
        return [key for uid in gone for key in known.pop(uid).keys]

    def forget(self) -> None:
        """Take everything for news: the cluster may have gone back in time."""
        self._last.clear()
