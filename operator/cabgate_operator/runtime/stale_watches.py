# SPDX-License-Identifier: Apache-2.0
"""Whether the watches are on a version of the cluster that is.

After etcd was rolled back the API server accepts a watch from a version of the future, and then is
silent until the cluster has reached it.
"""

from collections.abc import Callable, Sequence

from cabgate_kube.resources import Object, Resource
from cabgate_operator.work.context import Context
from cabgate_operator.work.controller import Controller
from cabgate_operator.work.keys import Key, Subject


class StaleWatches(Controller):
    """Notes which versions watches go on from and bring, and compares them with those of lists.

    `watched` says what is watched, and `stale` is called with why where the cluster went back.
    """

    subjects = (Subject.WATCH,)

    def __init__(
        self, watched: Callable[[], Sequence[Resource]], stale: Callable[[str], None]
    ) -> None:
        self._watched = watched
        self._stale = stale
        self._newest: dict[str, int] = {}
        self._since: dict[str, int] = {}

    def brought(self, resource: Resource, body: Object) -> None:
        """A watch brought an object."""
        version = str((body.get("metadata") or {}).get("resourceVersion", ""))
        if version.isdigit():
            newest = self._newest.get(resource.plural, 0)
            self._newest[resource.plural] = max(newest, int(version))

    def began(self, plural: str, since: int) -> Key:
        """A watch goes on from a version; what to reconcile for it."""
        self._since[plural] = since
        return Key(Subject.WATCH, "", plural)

    def newest(self, resource: Resource) -> int:
        """The newest version that a watch brought of a resource; 0 if there is none."""
        return self._newest.get(resource.plural, 0)

    def listed(self, resource: Resource, version: int, seen: int) -> None:
        """A list has a version, and `seen` was the newest one before it was asked for."""
        if version and version < seen:
            self._stale(f"{resource.plural} went back from version {seen} to {version}")

    def forget(self) -> None:
        """The watches begin anew."""
        self._newest.clear()
        self._since.clear()

    async def reconcile(self, context: Context, key: Key) -> None:
        """Check that the cluster has got as far as a watch that began."""
        resource = next((each for each in self._watched() if each.plural == key.name), None)
        if resource is None:
            return  # of a kind that is gone by now
        since = self._since.get(key.name, 0)
        newest = await context.api.newest_version(resource)
        if newest < since:
            self._stale(f"{key.name} went back from version {since} to {newest}")
