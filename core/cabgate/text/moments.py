# SPDX-License-Identifier: Apache-2.0
"""Moments and times as Kubernetes and kubectl write them."""

from datetime import UTC, datetime, timedelta

EARLIEST = datetime.min.replace(tzinfo=UTC)
"""Before every other moment."""

LATEST = datetime.max.replace(tzinfo=UTC)
"""After every other moment."""


def rfc3339(moment: datetime) -> str:
    """A moment as Kubernetes writes it: UTC, whole seconds."""
    # Not by strftime, which writes the year 1 as 1: no date to the API server.
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def duration(time: timedelta) -> str:
    """A time in its largest unit, as kubectl has it: 40s, 3m, 5h, 12d."""
    seconds = int(time.total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"
