# SPDX-License-Identifier: Apache-2.0
"""Time zones that set their clocks, and when."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Sydney",
    "America/Santiago",
    "Africa/Casablanca",
)
"""Of both halves of the earth, at midnight and later, and one by the moon."""


def changes(zone: str, first: int = 2026, last: int = 2028) -> list[date]:
    """The days on which a zone sets its clock in some years, by its own calendar."""
    place = ZoneInfo(zone)
    hour = datetime(first, 1, 1, tzinfo=UTC)
    found = []
    while hour.year <= last:
        after = hour + timedelta(hours=1)
        if hour.astimezone(place).utcoffset() != after.astimezone(place).utcoffset():
            found.append(after.astimezone(place).date())
        hour = after
    return found


CHANGES = {zone: changes(zone) for zone in ZONES}
