# SPDX-License-Identifier: Apache-2.0
"""Rollouts of what is approved that a freeze keeps back, or the ring before."""

from dataclasses import replace
from typing import Any

from cabgate.gate.verdict import Reason
from cabgate.lifecycle.limits.freezes import FreezeInForce
from cabgate_samples.models import NOW, by_person, exception, request
from support.promotion import interruption, of_release, outcome, promoted, rings
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

TO_RING_3: dict[str, Any] = {"what": of_release(), "ring": 3}
RISKY_RELEASE = promoted(gate="ExceptionRequired")
PENDING: list[dict[str, Any]] = [
    {"requests": [promoted()], "earlier_rings": rings(outcome(DAY, pods=(1, 0))), **TO_RING_3},
    {"requests": [promoted()], "earlier_rings": rings(), **TO_RING_3},
    {"requests": [promoted()], "earlier_rings": rings(outcome(DAY, interrupted=[
        interruption(DAY / 2)])), **TO_RING_3},
    {"requests": [promoted(release=None)], **TO_RING_3},
    {
        "requests": [RISKY_RELEASE],
        "exceptions": [exception(RISKY_RELEASE, by_person("Approved"))],
        "earlier_rings": rings(outcome(DAY)),
        **TO_RING_3,
    },
]  # fmt: skip
FAILED: list[dict[str, Any]] = [
    {"requests": [promoted()], "earlier_rings": rings(each), **TO_RING_3}
    for each in (outcome(result="RolledBack"), outcome(incidents=1), outcome(pods=(100, 2)))
]

KEPT_BACK: dict[Reason, list[dict[str, Any]]] = {
    Reason.FROZEN: FROZEN,
    Reason.PREVIOUS_RING_PENDING: PENDING,
    Reason.PREVIOUS_RING_FAILED: FAILED,
}
"""By the reason, what is decided on."""
