# SPDX-License-Identifier: Apache-2.0
"""Rollouts that an exception is too limited for, one of each kind."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from cabgate.api import CABException, CABRequest
from cabgate.api.base import rfc3339
from cabgate.rollout.rollout import Rollout, Scale
from cabgate_samples.models import NOW, by_person, exception, rollout

DAY = timedelta(days=1)


def _window(opens: timedelta, closes: timedelta) -> dict[str, list[dict[str, str]]]:
    return {"windows": [{"from": rfc3339(NOW + opens), "until": rfc3339(NOW + closes)}]}


def limited(request: CABRequest) -> Iterator[tuple[list[CABException], Rollout, int]]:
    """An approved exception for a request, alone or beside one that waits, a rollout beyond it, and
    its ring."""
    cases: list[tuple[dict[str, Any], int | None, int]] = [
        ({"maxReplicas": 3}, 10, 2),
        ({"maxReplicas": 1}, None, 2),
        ({"maxRing": 2}, 1, 4),
        (_window(DAY, 2 * DAY), 1, 2),
        (_window(-2 * DAY, -DAY), 1, 2),
    ]
    for constraints, replicas, ring in cases:
        leave = exception(request, by_person("Approved"), constraints=constraints)
        yield [leave], replace(rollout(), scale=Scale(replicas)), ring
    narrow = exception(request, by_person("Approved"), constraints={"maxReplicas": 3})
    wider = exception(request, name="wider", constraints={"maxReplicas": 10})
    yield [narrow, wider], replace(rollout(), scale=Scale(10)), 2
