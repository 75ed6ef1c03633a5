# SPDX-License-Identifier: Apache-2.0
"""Rollouts that a freeze keeps back."""

from dataclasses import replace
from typing import Any

from cabgate.lifecycle.limits.freezes import FreezeInForce
from cabgate_samples.models import NOW, by_person, exception, request
from unit.core.limited import DAY

CHRISTMAS = FreezeInForce("christmas", "Christmas 2026", NOW - DAY, NOW + DAY, NOW - 9 * DAY)
APPROVED = request("ManualReview", by_person("Approved"))
RISKY = request("ExceptionRequired")

FROZEN: list[dict[str, Any]] = [
    {"requests": [APPROVED], "freezes": [CHRISTMAS]},
    {"requests": [APPROVED], "freezes": [replace(CHRISTMAS, until=None)]},
    {
        "requests": [RISKY],
        "exceptions": [exception(RISKY, by_person("Approved"))],
        "freezes": [CHRISTMAS],
    },
]
"""Approved with an end and without, and under an exception: what is decided on each."""
