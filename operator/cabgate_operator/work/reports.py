# SPDX-License-Identifier: Apache-2.0
"""What one reconcile did, gathered as it goes, for its one line in the log.

The fields are those of the webhook's log, so that one query finds a change in both: `namespace`,
`object`, `reason`, `correlationID`, `milliseconds`.
"""

import logging
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from cabgate_kube.process.logs import fields
from cabgate_operator.work.keys import Key

log = logging.getLogger(__name__)

MAX_ACTS = 10
"""Acts that a line names."""


@dataclass
class Report:
    """What a reconcile has done so far."""

    reason: str = ""
    """What its last act came to."""
    correlation_id: str = ""
    acts: list[str] = field(default_factory=list)
    warns: bool = False

    def about(self, key: Key, reason: str, seconds: float) -> dict[str, Any]:
        """The fields of the line about it."""
        more = len(self.acts) - MAX_ACTS
        acts = [*self.acts[:MAX_ACTS], *([f"and {more} more"] if more > 0 else [])]
        return fields(
            kind=key.subject.value,
            namespace=key.namespace,
            object=key.name,
            reason=reason,
            correlationID=self.correlation_id,
            milliseconds=round(seconds * 1000, 1),
            did=acts or None,
        )

    def tell(self, key: Key, seconds: float) -> None:
        """Write the line, if anything was done."""
        if self.acts:
            level = logging.WARNING if self.warns else logging.INFO
            extra = self.about(key, self.reason, seconds)
            log.log(level, "%s: %s", key, self.reason, extra=extra)


_current: ContextVar[Report | None] = ContextVar("report", default=None)


def begin() -> Report:
    """The report of a reconcile that begins in this task."""
    report = Report()
    _current.set(report)
    return report


def note_act(what: str, reason: object, *, warns: bool = False) -> None:
    """Note an act of the reconcile that runs in this task: on what, and what came of it. No
    content: names and codes."""
    report = _current.get()
    if report is not None:
        report.reason = str(reason)
        report.acts.append(f"{what}: {reason}")
        report.warns = report.warns or warns


def note_correlation(correlation_id: str | None) -> None:
    """Note which change the reconcile that runs in this task is about."""
    report = _current.get()
    if report is not None and correlation_id:
        report.correlation_id = correlation_id
