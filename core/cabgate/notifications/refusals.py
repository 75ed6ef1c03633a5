# SPDX-License-Identifier: Apache-2.0
"""What a channel refuses for good, such as by a filter of content: its message is halved until one
notice is left, which is then sent without what others wrote. So nobody can write a text by which
others are not told of anything else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from cabgate.notifications.notices import Event, Notice

_BARE = 1
"""How often a notice was refused that is sent without its detail from now on."""


@dataclass(frozen=True, slots=True)
class Refusals:
    """What a channel has refused. It is not stored: another process finds it out again."""

    most: Mapping[Event, int] = field(default_factory=dict)
    """Most notices in the next message of an event."""
    alone: Mapping[str, int] = field(default_factory=dict)
    """How often a notice was refused alone, by its key."""
    row: Mapping[Event, int] = field(default_factory=dict)
    """How many messages of an event were refused since it last took one."""

    @property
    def stuck(self) -> frozenset[str]:
        """Keys of what is refused even without what others wrote: it comes behind all else."""
        return frozenset(key for key, times in self.alone.items() if times > _BARE)

    def next(self, unsent: Sequence[Notice]) -> Sequence[Notice]:
        """Those of some notices of one event, the oldest first, that its next message may have."""
        bare = next((each for each in unsent if self.alone.get(each.key) == _BARE), None)
        if bare is not None:
            return [replace(bare, detail="")]
        fresh = [each for each in unsent if each.key not in self.alone]
        if fresh:
            return fresh[: self.most.get(fresh[0].event, len(fresh))]
        last = sorted(unsent, key=lambda each: self.alone[each.key])[:1]
        return [replace(each, detail="") for each in last]

    def refused(self, event: Event, some: Sequence[Notice]) -> "Refusals":
        """As it is once a message with some notices was refused."""
        row = {**self.row, event: self.row.get(event, 0) + 1}
        if len(some) != 1:
            return replace(self, row=row, most={**self.most, event: max(len(some) // 2, 1)})
        key = some[0].key
        alone = {**self.alone, key: self.alone.get(key, 0) + 1}
        return replace(self, row=self.row if key in self.stuck else row, alone=alone)

    def times(self, event: Event, some: Sequence[Notice]) -> int:
        """How many refusals there were in a row of messages such as one of some notices: of what is
        stuck for itself, since it is not to hold up the others of its event."""
        if self.is_stuck(some):
            return self.alone[some[0].key] - _BARE
        return self.row.get(event, 0)

    def is_stuck(self, some: Sequence[Notice]) -> bool:
        """Whether a message is one of what is refused even without what others wrote."""
        return len(some) == 1 and some[0].key in self.stuck

    def taken(self, event: Event, some: Sequence[Notice]) -> "Refusals":
        """As it is once a message with some notices was taken: the next may have twice as many."""
        keys = {each.key for each in some}
        return Refusals(
            {**self.most, event: 2 * self.most[event]} if event in self.most else self.most,
            {key: times for key, times in self.alone.items() if key not in keys},
            {other: times for other, times in self.row.items() if other is not event},
        )

    def still(self, unsent: Sequence[Notice]) -> "Refusals":
        """As far as it is about what is still to be sent; a digest always is."""
        keys = {each.key for each in unsent}
        events = {Event.DIGEST, *(each.event for each in unsent)}
        return Refusals(
            {event: most for event, most in self.most.items() if event in events},
            {key: times for key, times in self.alone.items() if key in keys},
            {event: times for event, times in self.row.items() if event in events},
        )


NONE = Refusals()
