# SPDX-License-Identifier: Apache-2.0
"""Channels over time, with receivers and an API server that fail as they are told: nothing is lost,
nothing comes twice but for a kill, and no channel waits for another."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from prometheus_client import CollectorRegistry

from cabgate.notifications.notices import notices
from cabgate.notifications.planning import Memory
from cabgate_kube.client import ApiServer
from cabgate_kube.process.tasks import cancelled
from cabgate_kube.resources import EXCEPTIONS, INTENTS
from cabgate_relay.notifications.channels import read_channels
from cabgate_relay.notifications.metrics import NotificationMetrics
from cabgate_relay.notifications.notifier import Notifier, Pace
from cabgate_samples.models import NOW, by_person
from support.receivers import LOOPBACK, SECRET, Authority, HttpReceiver
from support.waiting import until
from unit.core.notifications.subjects import asked, frozen_intent, leave
from unit.relay.notifications.fake_cluster import FakeCluster

START = datetime.now(UTC)
PACE = Pace(window=timedelta(0), tick=0.02, first_pause=0.1)
PREFIX = "cabgate_relay_notifications_"


class Relay:
    """Processes that notify the channels of one file, one at a time."""

    def __init__(self, cluster: FakeCluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        self.registry = CollectorRegistry()
        self._metrics = NotificationMetrics(self.registry)
        self._running: asyncio.Task[None] | None = None

    def start(self, pace: Pace = PACE) -> None:
        channels = read_channels(self.folder / "channels.yaml")
        notifier = Notifier(
            *(cast("ApiServer", self.cluster), channels, self.folder, "prod", self._metrics),
            *(lambda: datetime.now(UTC), pace),
        )
        self._running = asyncio.create_task(notifier.run())

    async def kill(self) -> None:
        if self._running is not None:
            await cancelled(self._running)
        self._running = None

    def sample(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"{PREFIX}{name}", labels) or 0.0


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    (tmp_path / "secret").write_text(SECRET)
    return Authority(tmp_path)


@pytest.fixture
def receiver(authority: Authority) -> Iterator[HttpReceiver]:
    with HttpReceiver(authority) as made:
        yield made
    assert not made.wrong


@pytest.fixture
def other(authority: Authority) -> Iterator[HttpReceiver]:
    with HttpReceiver(authority) as made:
        yield made
    assert not made.wrong


def to(receiver: HttpReceiver, **more: Any) -> dict[str, Any]:
    return {
        "name": "one",
        "webhook": {"url": f"{receiver.url}/hook", "secretFile": "secret"},
        "allowedAddresses": LOOPBACK,
        "caFile": "ca.crt",
        **more,
    }


def write(folder: Path, *channels: dict[str, Any]) -> None:
    (folder / "channels.yaml").write_text(yaml.safe_dump({"channels": list(channels)}))


@pytest.fixture
async def relay(tmp_path: Path, receiver: HttpReceiver) -> AsyncIterator[Relay]:
    write(tmp_path, to(receiver))
    made = Relay(FakeCluster(), tmp_path)
    yield made
    await made.kill()


def waits(name: str, *decisions: dict[str, Any]) -> Any:
    return asked("ManualReview", *decisions, name=name)


def stored(relay: Relay) -> Memory:
    """What the cluster keeps of the first channel."""
    data = (relay.cluster.config_map or {}).get("data") or {}
    return Memory.load(data["one"]) if "one" in data else Memory(START)


def types(receiver: HttpReceiver, name: str = "") -> set[str]:
    """Of the messages that tell of an object of that name, or of any."""
    return {body["type"] for body in receiver.programs
            if name in ("", *(each["name"] for each in body["data"]["notices"]))}  # fmt: skip


def names(receiver: HttpReceiver) -> list[str]:
    return [each["name"] for body in receiver.programs for each in body["data"]["notices"]]


async def arrives(receiver: HttpReceiver, *expected: str) -> None:
    await until(lambda: set(names(receiver)) >= set(expected), f"{expected} arrive")


async def test_what_is_there_and_what_comes_is_sent_once(
    relay: Relay, receiver: HttpReceiver
) -> None:
    relay.cluster.put(waits("first"))
    relay.start()
    await arrives(receiver, "first")
    relay.cluster.put(waits("second"))
    await arrives(receiver, "second")
    request = asked("ExceptionRequired", name="third")
    relay.cluster.put(leave(request, age=NOW - datetime.now(UTC)), EXCEPTIONS)
    await arrives(receiver, "leave")
    assert Counter(names(receiver)) == {"first": 1, "second": 1, "leave": 1}
    assert relay.sample("sent_total", channel="one", event="waiting") == 2
    assert relay.sample("failing", channel="one") == 0


async def test_a_decision_is_sent_and_what_was_decided_before_is_not(
    relay: Relay, receiver: HttpReceiver
) -> None:
    relay.cluster.put(waits("before", by_person("Approved", at=START - timedelta(days=1))))
    relay.cluster.put(waits("now"))
    relay.start()
    await arrives(receiver, "now")
    later = datetime.now(UTC) + timedelta(seconds=1)
    relay.cluster.put(waits("now", by_person("Approved", at=later)))
    await until(lambda: len(receiver.programs) == 2, "the decision is sent", 60)
    assert names(receiver) == ["now", "now"]
    assert receiver.programs[1]["type"] == "cabgate.decided"


async def test_one_that_is_killed_forgets_nothing_and_repeats_nothing(
    relay: Relay, receiver: HttpReceiver
) -> None:
    for number in range(5):
        seen, kept = len(receiver.named()), stored(relay).sent
        relay.start()
        relay.cluster.put(waits(f"r{number}"))
        await arrives(receiver, f"r{number}")
        await asyncio.sleep(0.02 * number)
        if number == 3:
            await until(lambda: stored(relay).sent >= set(receiver.named()), "it is stored")
        await relay.kill()
        assert not kept & set(receiver.named()[seen:]), "what was stored is not sent again"
    assert set(names(receiver)) == {f"r{number}" for number in range(5)}


async def test_nothing_more_is_sent_until_what_was_sent_is_stored(
    relay: Relay, receiver: HttpReceiver
) -> None:
    relay.start()
    await until(lambda: relay.cluster.writes > 0, "the channel is there")
    relay.cluster.refuse_writes = True
    relay.cluster.put(waits("first"))
    await arrives(receiver, "first")
    relay.cluster.put(waits("second"))
    tried = relay.cluster.refused
    await until(lambda: relay.cluster.refused > tried + 2, "it tries to store it again")
    assert relay.sample("failing", channel="one") == 1
    assert names(receiver) == ["first"]
    await relay.kill()
    relay.cluster.refuse_writes = False
    relay.start()
    await arrives(receiver, "second")
    assert Counter(names(receiver)) <= Counter({"first": 2, "second": 1}), "one duplicate a kill"


@pytest.mark.slow
async def test_a_channel_that_is_down_holds_up_no_other_and_gets_what_is_still_true(
    relay: Relay, receiver: HttpReceiver, other: HttpReceiver
) -> None:
    write(relay.folder, to(receiver), to(other, name="two"))
    receiver.away = True
    relay.start()
    for name in ("gone", "decided", "still"):
        relay.cluster.put(waits(name))
        await arrives(other, name)
    await until(lambda: relay.sample("failed_total", channel="one") > 1, "it fails")
    assert relay.sample("failing", channel="one") == 1
    await until(lambda: relay.sample("pending", channel="one") == 3, "all three are pending")
    assert relay.sample("failing", channel="two") == 0
    relay.cluster.delete("gone")
    later = datetime.now(UTC) + timedelta(seconds=1)
    relay.cluster.put(waits("decided", by_person("Approved", at=later)))
    await until(lambda: "cabgate.decided" in types(other), "the other has all")
    tried = receiver.attempts
    await until(lambda: receiver.attempts > tried + 1, "what was under way is over")
    receiver.away = False
    await arrives(receiver, "still", "decided")
    await until(lambda: relay.sample("failing", channel="one") == 0, "it is well again")
    assert "gone" not in names(receiver)
    assert types(receiver, "decided") == {"cabgate.decided"}


async def test_a_receiver_is_left_alone_for_as_long_as_it_asks(
    relay: Relay, receiver: HttpReceiver, other: HttpReceiver
) -> None:
    write(relay.folder, to(receiver), to(other, name="two"))
    receiver.answers.append((429, {"Retry-After": "3600"}))
    other.answers += [(503, {})] * 3
    relay.cluster.put(waits("first"))
    relay.start()
    await until(lambda: relay.sample("failed_total", channel="one") == 1, "it is refused")
    await arrives(other, "first")
    assert receiver.attempts == 1, "the other one was tried four times meanwhile"


async def test_an_api_server_that_is_away_is_waited_for(
    relay: Relay, receiver: HttpReceiver
) -> None:
    relay.cluster.away = True
    relay.start()
    await until(lambda: relay.sample("failing", channel="one") == 1, "it says so")
    relay.cluster.put(waits("first"))
    relay.cluster.away = False
    await arrives(receiver, "first")
    await until(lambda: relay.sample("failing", channel="one") == 0, "it is well again")


async def test_without_its_config_map_nothing_is_sent(
    relay: Relay, receiver: HttpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    config_map, relay.cluster.config_map = relay.cluster.config_map, None
    relay.cluster.put(waits("first"))
    relay.start()
    await until(lambda: "the chart makes it" in caplog.text, "it says so")
    assert not receiver.attempts
    relay.cluster.config_map = config_map
    await arrives(receiver, "first")


async def test_a_memory_that_was_edited_is_taken_as_it_is_or_begun_anew(
    relay: Relay, receiver: HttpReceiver
) -> None:
    relay.cluster.edit({"one": "nothing of the kind", "other": "x"})
    relay.cluster.put(waits("first"))
    relay.start()
    await arrives(receiver, "first")
    kept = relay.cluster.config_map["data"] if relay.cluster.config_map else {}
    assert "other" not in kept, "of a channel that is gone"
    relay.cluster.edit({**kept, "note": "somebody was here"})
    relay.cluster.put(waits("second"))
    await arrives(receiver, "second")
    assert Counter(names(receiver)) == {"first": 1, "second": 1}


async def test_a_late_write_of_a_leader_of_before_erases_nothing(
    relay: Relay, receiver: HttpReceiver
) -> None:
    relay.cluster.put(waits("first"))
    relay.start()
    await arrives(receiver, "first")
    await until(lambda: stored(relay).sent == set(receiver.named()), "it is stored")
    first = stored(relay)
    second = notices([waits("second")], [], datetime.now(UTC))[0].key
    other = Memory(first.since, first.sent | {second}, first.latest)
    relay.cluster.edit({"one": other.dump()})
    relay.cluster.put(waits("third"))
    await arrives(receiver, "third")
    await until(lambda: len(stored(relay).sent) == 3, "what both have sent is stored")
    relay.cluster.put(waits("second"))
    relay.cluster.put(waits("fourth"))
    await arrives(receiver, "fourth")
    assert Counter(names(receiver)) == {"first": 1, "third": 1, "fourth": 1}


async def test_a_channel_of_one_ring_sees_no_exception_of_another(
    relay: Relay, receiver: HttpReceiver, other: HttpReceiver
) -> None:
    """Not even where the request of it is worth no message any more."""
    write(relay.folder, to(receiver, rings=[0]), to(other, name="two", rings=[2]))
    request = asked("ExceptionRequired", by_person("Revoked", at=NOW), name="app")
    relay.cluster.put(request)
    relay.cluster.put(leave(request, age=NOW - datetime.now(UTC)), EXCEPTIONS)
    relay.start()
    await arrives(other, "leave")
    request = waits("seen")
    spec = request.spec.model_copy(update={"ring": 0})
    relay.cluster.put(request.model_copy(update={"spec": spec}))
    await arrives(receiver, "seen")
    assert names(receiver) == ["seen"]


async def test_who_is_told_of_decisions_is_told_what_a_freeze_keeps_back(
    relay: Relay, receiver: HttpReceiver, other: HttpReceiver
) -> None:
    write(relay.folder, to(receiver, events=["decided"]), to(other, name="two", events=["waiting"]))
    relay.cluster.put(asked("ManualReview", by_person("Approved", at=NOW), name="web"))
    relay.cluster.put(frozen_intent("sale"), INTENTS)
    relay.start()
    await arrives(receiver, "web")
    assert [each["type"] for each in receiver.programs] == ["cabgate.frozen"]
    relay.cluster.put(frozen_intent("christmas"), INTENTS)
    await until(lambda: len(receiver.programs) == 2, "the next freeze is told of")
    assert names(other) == []


async def test_what_was_sent_is_stored_as_keys(relay: Relay, receiver: HttpReceiver) -> None:
    relay.cluster.put(waits("first"))
    relay.start()
    await arrives(receiver, "first")

    await until(lambda: stored(relay).sent == set(receiver.named()), "it is stored")
    text = json.dumps(relay.cluster.config_map)
    assert "first" not in text, "no name, which not everybody may read"


async def test_an_object_that_cannot_be_read_is_passed_over(
    relay: Relay, receiver: HttpReceiver
) -> None:
    broken = {"metadata": {"name": "broken", "namespace": "shop"}, "spec": {"assessment": 7}}
    relay.cluster.put(broken)
    relay.cluster.put(waits("first"))
    relay.start()
    await arrives(receiver, "first")
    relay.cluster.put(broken)
    relay.cluster.put(waits("second"))
    await arrives(receiver, "second")


async def test_some_hundred_requests_at_once_are_a_few_messages(
    relay: Relay, receiver: HttpReceiver
) -> None:
    write(relay.folder, to(receiver), {**to(receiver), "name": "slack",
                                       "slack": {"urlFile": "url"}, "webhook": None})  # fmt: skip
    (relay.folder / "url").write_text(f"{receiver.url}/slack")
    one = waits("r")
    for number in range(300):
        name = f"r-{number:08x}"
        meta = one.metadata.model_copy(update={"name": name, "uid": name})
        relay.cluster.put(one.model_copy(update={"metadata": meta}))
    relay.start(replace(PACE, window=timedelta(milliseconds=50)))
    await until(lambda: len(set(names(receiver))) == 300, "all arrive")
    assert len(receiver.programs) == 1
    await until(lambda: relay.sample("suppressed_total", channel="slack") > 0, "more than one")
    await until(lambda: relay.sample("pending", channel="slack") == 0, "all are sent to Slack")
    assert 1 < len(receiver.slack) < 10


async def test_a_text_that_a_receiver_refuses_silences_nothing_else(
    relay: Relay, receiver: HttpReceiver
) -> None:
    """A content filter, and a name that somebody has."""
    receiver.filter = lambda text: b"by rita" in text
    relay.cluster.put(waits("web"))
    relay.start()
    await arrives(receiver, "web")
    later = datetime.now(UTC) + timedelta(seconds=1)
    for name in ("one", "two", "three"):
        relay.cluster.put(waits(name, by_person("Approved", at=later)))
    relay.cluster.put(waits("other"))
    await arrives(receiver, "other", "one", "two", "three")
    assert all("rita" not in each["detail"] for body in receiver.programs
               for each in body["data"]["notices"])  # fmt: skip
    await until(lambda: relay.sample("failing", channel="one") == 0, "all is well")
    assert Counter(names(receiver)) == dict.fromkeys(["web", "other", "one", "two", "three"], 1)


async def test_what_is_refused_even_without_a_text_is_counted_and_holds_up_nothing(
    relay: Relay, receiver: HttpReceiver
) -> None:
    receiver.filter = lambda text: b"forbidden" in text
    relay.cluster.put(waits("forbidden"))
    relay.start()
    await until(lambda: relay.sample("refused", channel="one") == 1, "it is counted")
    relay.cluster.put(waits("web"))
    await arrives(receiver, "web")
    assert relay.sample("failing", channel="one") == 1
    relay.cluster.delete("forbidden")
    await until(lambda: relay.sample("failing", channel="one") == 0, "it is well again")
    assert relay.sample("refused", channel="one") == 0
