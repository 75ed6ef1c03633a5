# SPDX-License-Identifier: Apache-2.0
"""A store that is away for an hour, by a clock of the test that goes on while the relay waits."""

from datetime import datetime, timedelta
from pathlib import Path

from cabgate.ledger.kept import kept
from cabgate.ledger.pruning import export_line
from cabgate_relay.appending import Appender
from cabgate_relay.metrics import Metrics
from cabgate_relay.retrying import LONGEST_PAUSE
from cabgate_samples.models import NOW
from cabgate_store.errors import StoreAwayError
from cabgate_store.opening import open_to_append, open_to_read
from cabgate_store.store import EventStore
from unit.core.ledger.histories import STORY

HOUR = timedelta(hours=1)


class Hour:
    """A store that is away until an hour has passed, and the clock that says so."""

    def __init__(self, url: str) -> None:
        self.now = NOW
        self.attempts: list[datetime] = []
        self._url = url

    def clock(self) -> datetime:
        """The time."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Time goes on."""
        self.now += timedelta(seconds=seconds)

    def open(self) -> EventStore:
        """The store, if it is there."""
        self.attempts.append(self.now)
        if self.now < NOW + HOUR:
            raise StoreAwayError("PostgreSQL: the database system is starting up")
        return open_to_append(self._url, self.now)


async def test_what_waits_an_hour_is_stored_in_order_and_asked_for_no_oftener(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    hour = Hour(url)
    metrics = Metrics()
    appender = Appender("one", hour.open, metrics, hour.clock, sleep=hour.sleep)
    assert await appender.append(STORY.records[:3], {}) == {}
    assert not appender.trouble
    await appender.keep([kept("CABRequest", each) for each in STORY.requests])
    assert await appender.append(STORY.records[3:], {}) == {}
    await appender.close()
    reader = open_to_read(url)
    assert [export_line(each) for each in reader.records("one")] == [
        export_line(each) for each in STORY.records
    ]
    assert len(list(reader.objects("one", "CABRequest"))) == len(STORY.requests)
    reader.close()

    pauses = [
        (after - before).total_seconds()
        for before, after in zip(hour.attempts, hour.attempts[1:], strict=False)
    ]
    assert max(pauses) <= LONGEST_PAUSE
    assert min(pauses[8:]) >= LONGEST_PAUSE / 2, "it does not hammer a database that is away"
    assert hour.attempts[-1] < NOW + HOUR + timedelta(seconds=LONGEST_PAUSE)
    failures = metrics.registry.get_sample_value("cabgate_relay_store_failures_total")
    assert failures == len(hour.attempts) - 1
