# SPDX-License-Identifier: Apache-2.0
"""A workload that goes from exception to exception."""

from datetime import timedelta

from cabgate_samples.models import NOW, by_person, exception, request

DAY = timedelta(days=1)


def chain():
    """A request that waits for its third exception, those of before, and all that there is: the
    first two were for an earlier request, and their ends are 50 and 20 days ago."""
    before = request("ExceptionRequired", name="asked-1")
    asked = request("ExceptionRequired", name="asked-2")
    approved = [
        exception(before, by_person("Approved", at=NOW - days * DAY), name=name, age=days * DAY)
        for name, days in (("leave-1", 80), ("leave-2", 50))
    ]
    waits = exception(asked, name="leave-3")
    return asked, waits, [before, asked, *approved, waits]


LINES = [
    "leave-1 for asked-1: Expired, approved 2025-12-11T12:00:00Z by rita, "
    "until 2026-01-10T12:00:00Z",
    "leave-2 for asked-1: Expired, approved 2026-01-10T12:00:00Z by rita, "
    "until 2026-02-09T12:00:00Z",
]
"""What its reviewer reads of it, the oldest first."""
