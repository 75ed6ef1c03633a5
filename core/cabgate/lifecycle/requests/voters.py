# SPDX-License-Identifier: Apache-2.0
"""Whether enough people hold the verbs that a change policy asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from cabgate.api.changepolicy import APPROVE
from cabgate.api.stored_terms import StoredNeed


@dataclass(frozen=True, slots=True)
class Group:
    """People who hold the same rights."""

    name: str
    """As it was given."""
    people: int | None
    """How many they are; None: not known, as many as are needed."""
    verbs: frozenset[str]
    """Those that they hold on cabrequests, of those that were asked about."""
    writes: bool
    """Whether they may write the status of a request, by which people decide."""

    @property
    def approves(self) -> bool:
        """Whether anybody of them can give an approval at all."""
        return self.writes and APPROVE in self.verbs


@dataclass(frozen=True, slots=True)
class NeedCheck:
    """One need, and who can meet it."""

    verb: str
    count: int
    groups: tuple[str, ...]
    """The groups whose approvals count for it."""
    without_approve: tuple[str, ...]
    """Those that hold its verb and can approve nothing all the same: they lack `approve`, or the
    right to write the status."""
    people: int | None
    """How many people that is; None: not known, as many as are needed."""

    @property
    def met(self) -> bool:
        """Whether enough people can."""
        return self.people is None or self.people >= self.count


@dataclass(frozen=True, slots=True)
class BoardCheck:
    """Whether a board could approve what asks for some approvals, all of them."""

    needs: tuple[NeedCheck, ...]
    fewest: int | None
    """How many different people it takes at least; None where no number of them is enough."""
    people: int | None
    """How many can approve anything; None: not known, as many as are needed."""

    @property
    def met(self) -> bool:
        """Whether all needs can be met."""
        return self.fewest is not None

    @property
    def leaves_nobody(self) -> bool:
        """Whether all who can approve have to: then none of them may submit, and nobody is left to
        attest an approval condition."""
        return self.fewest is not None and self.people is not None and self.people <= self.fewest


def check_board(needs: Sequence[StoredNeed], groups: Sequence[Group]) -> BoardCheck:
    """Whether different people of some groups can meet all needs; nobody is in two of the groups.

    Without needs one person with the verb approve is enough.
    """
    asked = {each.verb: each.count for each in needs} or {APPROVE: 1}
    able = [each for each in groups if each.approves]
    return BoardCheck(
        needs=tuple(_checked(verb, count, groups) for verb, count in asked.items()),
        fewest=_fewest(asked, able),
        people=_people(able),
    )


def _checked(verb: str, count: int, groups: Sequence[Group]) -> NeedCheck:
    holders = [each for each in groups if verb in each.verbs]
    able = [each for each in holders if each.approves]
    return NeedCheck(
        verb=verb,
        count=count,
        groups=tuple(each.name for each in able),
        without_approve=tuple(each.name for each in holders if not each.approves),
        people=_people(able),
    )


def _people(groups: Sequence[Group]) -> int | None:
    total = 0
    for each in groups:
        if each.people is None:
            return None
        total += each.people
    return total


def _fewest(asked: Mapping[str, int], groups: Sequence[Group]) -> int | None:
    """The fewest people of some groups whose approvals meet all needs: one person counts for each
    verb that they hold."""
    verbs = list(asked)

    @cache
    def search(index: int, left: tuple[int, ...]) -> int | None:
        if not any(left):
            return 0
        if index == len(groups):
            return None
        held = [verb in groups[index].verbs for verb in verbs]
        most = max((need for need, has in zip(left, held, strict=True) if has), default=0)
        known = groups[index].people
        found = []
        for number in range((most if known is None else min(most, known)) + 1):
            pairs = zip(left, held, strict=True)
            rest = tuple(max(0, need - number) if has else need for need, has in pairs)
            others = search(index + 1, rest)
            if others is not None:
                found.append(number + others)
        return min(found, default=None)

    return search(0, tuple(asked.values()))
