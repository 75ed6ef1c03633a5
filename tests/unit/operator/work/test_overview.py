# SPDX-License-Identifier: Apache-2.0
from datetime import timedelta
from typing import Any

from cabgate_kube.resources import EXCEPTIONS, INTENTS, REQUESTS, Object
from cabgate_operator.work.metrics import Metrics
from cabgate_operator.work.overview import Overview
from unit.operator.support import NOW


def moment(hours: float) -> str:
    return (NOW + timedelta(hours=hours)).isoformat()


def seen(uid: str, opened: float, state: str, **status: Any) -> Object:
    meta = {"uid": uid, "creationTimestamp": moment(opened)}
    return {"metadata": meta, "status": {"state": state, **status}}


def test_what_waits_by_age() -> None:
    overview = Overview()
    for uid, hours in (("a", 0.5), ("b", 1), ("c", 30), ("d", 200)):
        overview.saw(REQUESTS, seen(uid, -hours, "Submitted"))
    overview.saw(REQUESTS, seen("e", -5, "Approved"))
    overview.saw(REQUESTS, {"metadata": {}, "status": {"state": "Submitted"}})
    overview.saw(INTENTS, seen("f", -5, "Submitted"))
    counts = {"under_1h": 1, "under_1d": 1, "under_7d": 1, "over_7d": 1}
    assert overview.waiting(NOW) == counts
    overview.saw(REQUESTS, seen("d", -200, "Rejected"))
    overview.saw(REQUESTS, seen("c", -30, "Submitted"), deleted=True)
    assert sum(overview.waiting(NOW).values()) == 2
    overview.swept(["b"])
    assert overview.waiting(NOW)["under_1d"] == 1
    assert sum(overview.waiting(NOW).values()) == 1


def test_exceptions_in_force_and_the_soonest_end() -> None:
    overview = Overview()
    overview.saw(EXCEPTIONS, seen("a", -1, "Approved", expiresAt=moment(5)))
    overview.saw(EXCEPTIONS, seen("b", -1, "Approved", expiresAt=moment(2)))
    overview.saw(EXCEPTIONS, seen("c", -1, "Approved", expiresAt=moment(-1)))
    overview.saw(EXCEPTIONS, seen("d", -1, "Pending", expiresAt=moment(3)))
    assert overview.seconds_left(NOW) == [7200, 18000]
    overview.saw(EXCEPTIONS, seen("b", -1, "Revoked", expiresAt=moment(2)))
    assert overview.seconds_left(NOW) == [18000]
    for uid, days in (("e", 1), ("f", 6), ("g", 29), ("h", 90)):
        overview.saw(EXCEPTIONS, seen(uid, -1, "Approved", expiresAt=moment(24 * days)))
    spans = {"under_1d": 1, "under_7d": 2, "under_30d": 1, "over_30d": 1}
    assert overview.by_time_left(NOW) == spans


def test_a_replica_that_does_not_lead_shows_no_objects() -> None:
    metrics = Metrics()
    shown: list[Overview | None] = [None]
    metrics.show(lambda: shown[0], lambda: NOW)
    assert b"cabgate_pending_requests{" not in metrics.text()
    shown[0] = Overview()
    shown[0].saw(EXCEPTIONS, seen("a", -1, "Approved", expiresAt=moment(1)))
    text = metrics.text().decode()
    assert 'cabgate_pending_requests{age="over_7d"} 0.0' in text
    assert "cabgate_active_exceptions 1.0" in text
    assert 'cabgate_active_exceptions_by_time_left{left="under_1d"} 1.0' in text
    assert 'cabgate_active_exceptions_by_time_left{left="over_30d"} 0.0' in text
    assert "cabgate_exception_soonest_end_seconds 3600.0" in text
