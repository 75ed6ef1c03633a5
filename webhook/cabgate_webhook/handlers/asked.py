# SPDX-License-Identifier: Apache-2.0
"""Exceptions that were let in a moment ago, and that a list may not show yet: whoever sends many at
once is to have no more of them than who sends them one by one."""

import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass

from cabgate.api import CABException

KEPT_SECONDS = 30.0
"""How long one counts that no list has shown: the longest that another webhook may hold it up. Then
it was refused by somebody else."""

GROWTH_SECONDS = 5.0
"""How long growth counts on top of what lists say: by then they show it."""


@dataclass
class _LetIn:
    size: int
    until: float
    exception: CABException | None = None
    """None where one that is there grew."""
    shown: int | None = None
    """The number of the latest admission request that had begun when a list first showed it."""


class AskedLately:
    """What one process has let in of each namespace. Others know nothing of it, so that together
    they may let in as many times what is left of a budget as there are of them."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._let_in: dict[str, deque[_LetIn]] = {}
        self._begun = 0

    def begin(self) -> int:
        """The number of an admission request whose reads have yet to begin."""
        self._begun += 1
        return self._begun

    def beside(
        self, namespace: str, listed: Collection[str], begun: int
    ) -> tuple[list[CABException], int]:
        """What was let in that the list of an admission request, with these names, does not show
        and is not known to be gone; and the bytes that it takes, with what grew."""
        self._forget()
        exceptions, size = [], 0
        for each in self._let_in.get(namespace, ()):
            if each.exception is not None and each.exception.metadata.name in listed:
                # Who begins from here on reads what is there; others may have read before it was.
                each.shown = self._begun if each.shown is None else each.shown
            elif each.shown is None or begun <= each.shown:
                exceptions += [] if each.exception is None else [each.exception]
                size += each.size
        return exceptions, size

    def note(self, exception: CABException, size: int) -> None:
        """An exception is let in."""
        meta = exception.metadata
        before = self._let_in.get(meta.namespace, ())
        same = (e for e in before if e.exception and e.exception.metadata.name == meta.name)
        for each in list(same):  # sent again: it was refused by somebody else, or is by the name
            self._let_in[meta.namespace].remove(each)
        self._add(meta.namespace, _LetIn(size, self._monotonic() + KEPT_SECONDS, exception))

    def note_growth(self, namespace: str, size: int) -> None:
        """One that is there is let grow."""
        self._add(namespace, _LetIn(size, self._monotonic() + GROWTH_SECONDS))

    def _add(self, namespace: str, found: _LetIn) -> None:
        self._let_in.setdefault(namespace, deque()).append(found)

    def _forget(self) -> None:
        now = self._monotonic()
        for namespace, found in list(self._let_in.items()):
            kept = deque(each for each in found if each.until > now)
            if kept:
                self._let_in[namespace] = kept
            else:
                del self._let_in[namespace]
