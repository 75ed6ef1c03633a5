# SPDX-License-Identifier: Apache-2.0
"""What freezes keep back of what is decided on, by the functions that the gate goes by."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cabgate.api.changefreeze import POLICY_LABEL
from cabgate.api.values import SubjectKind
from cabgate.lifecycle.limits.freezes import KnownFreeze, read_freezes
from cabgate.text.inert import inert
from cabgate.views.freezes import frozen_text
from cabgate.views.queue import QueueRow
from cabgate_kube.process.tasks import gathered
from cabgate_kube.resources import CHANGE_FREEZES, NAMESPACES, Object
from cabgate_portal.checking import labels_of
from cabgate_portal.problems import Problem
from cabgate_portal.reading import NOT_READABLE, Notes, Reader, Seen, Waiting


async def frozen_rows(reader: Reader, waiting: Waiting, notes: Notes) -> list[str]:
    """Until when each row of what waits is frozen, and by what; empty where it is not."""
    held = await _frozen_in(reader, waiting.under_policy, notes)

    def overrides(row: QueueRow) -> Mapping[str, datetime]:
        """None for an exception: no approval of its request overrides a freeze for it."""
        if row.kind == SubjectKind.EXCEPTION:
            return {}
        return waiting.overrides.get((row.namespace, row.name), {})

    return [held.text(row.namespace, int(row.ring or 0), overrides(row)) for row in waiting.rows]


async def frozen_request(reader: Reader, seen: Seen, notes: Notes, *, of_exception: bool) -> str:
    """The same of one request, or of an exception for it."""
    request = seen.request
    namespace = request.metadata.namespace
    held = await _frozen_in(reader, {namespace} if request.spec.terms else (), notes)
    return held.text(namespace, int(seen.view.ring), {} if of_exception else request.overrides)


@dataclass(frozen=True)
class _Frozen:
    """Freezes, as far as they may be about some namespaces."""

    freezes: Sequence[KnownFreeze]
    labels: Mapping[str, Mapping[str, str]]
    """Of the namespaces that are known, by name."""
    now: datetime

    def text(self, namespace: str, ring: int, overrides: Mapping[str, datetime]) -> str:
        """Until when it is frozen, and by what; empty where it is not."""
        labels = self.labels.get(namespace, {})
        if POLICY_LABEL not in labels:
            return ""
        return inert(frozen_text(self.freezes, labels, ring, overrides, self.now))


async def _frozen_in(reader: Reader, namespaces: Collection[str], notes: Notes) -> _Frozen:
    """The freezes for those namespaces whose requests were opened under a change policy: where
    there are none, nothing is read."""
    freezes: list[Object] = []
    labels: dict[str, Mapping[str, str]] = {}
    if namespaces:
        try:
            freezes, labels = await gathered(
                reader.api.all(CHANGE_FREEZES), _labels(reader, namespaces)
            )
        except Problem as problem:
            if problem.status not in NOT_READABLE:
                raise
            notes.texts.append(f"whether a freeze holds is not known: {inert(problem.detail)}")
    return _Frozen(read_freezes(freezes), labels, reader.clock())


async def _labels(reader: Reader, namespaces: Collection[str]) -> dict[str, Mapping[str, str]]:
    if len(namespaces) == 1:
        (name,) = namespaces
        return {name: labels_of(await reader.api.get(NAMESPACES, "", name))}
    items = await reader.api.all(NAMESPACES, labels=POLICY_LABEL)
    return {str(each["metadata"]["name"]): labels_of(each) for each in items}
