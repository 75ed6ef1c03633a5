# SPDX-License-Identifier: Apache-2.0
"""Which of the versions that a watch brings a reconcile has written itself: they are no reason to
reconcile again."""

from cabgate_kube.resources import Object
from cabgate_operator.work.keys import Key

Version = tuple[str, str]
"""Uid and version of an object."""


class OwnWrites:
    """Versions that were written, until a watch brings them; and those that a watch brought while a
    worker was at their key: a watch can be faster than the answer to the write."""

    def __init__(self) -> None:
        self.written: set[Version] = set()
        self._meanwhile: dict[Key, list[Version]] = {}

    def note(self, stored: Object) -> None:
        """Note what was stored by a reconcile that went on to take account of it."""
        self.written.add((stored["metadata"]["uid"], stored["metadata"]["resourceVersion"]))

    def brought(self, version: Version) -> bool:
        """Whether a version that a watch brings was noted; noted no longer."""
        noted = version in self.written
        self.written.discard(version)
        return noted

    def brought_meanwhile(self, key: Key, version: Version) -> None:
        """A watch brings a version while a worker is at the key."""
        self._meanwhile.setdefault(key, []).append(version)

    def is_changed_by_others(self, key: Key) -> bool:
        """Whether one of the versions that came meanwhile is not of the reconcile that is over."""
        versions = self._meanwhile.pop(key, ())
        own = {version for version in versions if self.brought(version)}
        return not own.issuperset(versions)

    def forget(self) -> None:
        """Take every version for somebody else's."""
        self.written.clear()
