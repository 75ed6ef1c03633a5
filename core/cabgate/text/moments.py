# SPDX-License-Identifier: Apache-2.0
"""Moments as Kubernetes writes them."""

from datetime import UTC, datetime


def rfc3339(moment: datetime) -> str:
    """A moment as Kubernetes writes it: UTC, whole seconds."""
    # Not by strftime, which writes the year 1 as 1: no date to the API server.
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
