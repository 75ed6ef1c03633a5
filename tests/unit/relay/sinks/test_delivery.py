# SPDX-License-Identifier: Apache-2.0
"""Whatever fails, and whenever the relay is killed: each record arrives, in order of its chain."""

import asyncio
import copy
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from cabgate.ledger.chain import Checkpoint, Head
from cabgate.ledger.cursors import parsed_cursors, written_cursors
from cabgate.siem.formats import Format, encoded
from cabgate_kube.client import ApiServer
from cabgate_kube.errors import ApiError, ConflictError
from cabgate_relay.sinks.cursors import Cursors
from cabgate_relay.sinks.delivery import BATCH, Delivery, Item, batches, pause_after
from cabgate_relay.sinks.metrics import SinkMetrics
from cabgate_relay.sinks.receiver import ACCEPTED, Answer, Outcome
from cabgate_samples.models import NOW
from support.siem import chains, check_order, checked
from unit.core.ledger.histories import STORY

LENGTHS = {"bank": 5, "shop": 9, "shop-2": 1}


def record(chain: str, sequence: int) -> dict[str, Any]:
    made = copy.deepcopy(STORY.records[0])
    made["metadata"]["name"] = f"{chain}.{sequence:08d}"
    made["spec"]["subject"]["namespace"] = chain
    made["spec"]["sequence"] = sequence
    return made


LEDGER = [record(chain, n) for chain, length in LENGTHS.items() for n in range(1, length + 1)]


class Killed(BaseException):
    """The process ends here."""


class Cluster:
    """Keeps the ConfigMap of the positions; the API as far as that takes it."""

    def __init__(self) -> None:
        self.stored: dict[str, Any] = {"metadata": {"name": "c", "resourceVersion": "1"}}
        self.faults: list[str] = []

    async def get(self, *_: object) -> dict[str, Any]:
        return copy.deepcopy(self.stored)

    async def replace(self, _: object, body: dict[str, Any]) -> dict[str, Any]:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "kill":
            raise Killed
        if fault == "away":
            raise ApiError(0, "Unreachable", "")
        if body["metadata"]["resourceVersion"] != self.stored["metadata"]["resourceVersion"]:
            raise ConflictError(409, "Conflict", "")
        self.stored = copy.deepcopy(body)
        version = int(body["metadata"]["resourceVersion"]) + 1
        self.stored["metadata"]["resourceVersion"] = str(version)
        if fault == "lost":
            raise ApiError(0, "Unreachable", "")
        if fault == "kill-after":
            raise Killed
        return copy.deepcopy(self.stored)


class Script:
    """A receiver that does what a script says, and takes everything at its end."""

    def __init__(self, script: Sequence[str]) -> None:
        self.script = list(script)
        self.ids: list[str] = []
        self.refused: dict[str, int] = {}

    async def send(self, lines: Sequence[bytes]) -> Answer:
        ids = [checked(json.loads(line)) for line in lines]
        step = self.script.pop(0) if self.script else "take"
        if step == "kill":
            raise Killed
        if step == "refuse":
            return Answer(Outcome.REFUSED, 400, "HTTP 400")
        if step == "wait":
            return Answer(Outcome.WAIT, 503, "HTTP 503")
        if any(f"/{chain}/" in each for chain in self.refused for each in ids):
            return Answer(Outcome.REFUSED, 422, "HTTP 422")
        self.ids += ids
        if step == "lost":
            return Answer(Outcome.WAIT, 0, "cut")
        if step == "kill-after":
            raise Killed
        return ACCEPTED

    async def close(self) -> None:
        """Nothing is open."""


def delivery(cluster: Cluster, receiver: Script) -> tuple[Delivery, Cursors]:
    api: ApiServer = cluster  # type: ignore[assignment]
    cursors = Cursors(api, ["siem"])
    made = Delivery(
        "siem",
        Format.CLOUDEVENTS,
        receiver,
        cluster="one",
        cursors=cursors,
        metrics=SinkMetrics(CollectorRegistry()),
        longest_pause=0.0,
    )
    return made, cursors


async def life(
    cluster: Cluster,
    receiver: Script,
    pages: Sequence[Sequence[dict[str, Any]]],
    checkpoints: Mapping[str, Checkpoint] | None = None,
) -> Mapping[str, int]:
    """One process, from its start until it has handed on all pages, or is killed."""
    made, cursors = delivery(cluster, receiver)
    await cursors.settle()
    missing: dict[str, int] = {}
    for page in pages:
        missing |= await made.take(page, checkpoints or {})
    return missing


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cabgate_relay.sinks.cursors.LONGEST_PAUSE", 0.0)


STEPS = ["take", "wait", "lost", "kill", "kill-after", "refuse"]


@given(
    script=st.lists(st.sampled_from(STEPS), max_size=40),
    faults=st.lists(st.sampled_from(["", "away", "lost", "kill", "kill-after"]), max_size=20),
    cuts=st.sets(st.integers(1, len(LEDGER) - 1), max_size=4),
)
def test_each_record_arrives_at_least_once_and_in_order_whatever_fails(
    script: list[str], faults: list[str], cuts: set[int]
) -> None:
    ends = [0, *sorted(cuts), len(LEDGER)]
    pages = [LEDGER[start:end] for start, end in itertools.pairwise(ends)]
    cluster, receiver = Cluster(), Script(script)
    cluster.faults = faults

    async def lives() -> None:
        while True:
            try:
                if not await life(cluster, receiver, pages):
                    return
            except Killed:
                continue

    asyncio.run(lives())
    check_order(receiver.ids)
    found = {chain: set(positions) for chain, positions in chains(receiver.ids).items()}
    assert found == {f"one/{c}": set(range(1, n + 1)) for c, n in LENGTHS.items()}
    assert parsed_cursors(cluster.stored["data"]["siem"]) == LENGTHS


async def test_what_was_acknowledged_is_not_sent_again() -> None:
    cluster, receiver = Cluster(), Script([])
    await life(cluster, receiver, [LEDGER])
    await life(cluster, receiver, [LEDGER])
    assert len(receiver.ids) == len(LEDGER)


async def test_a_chain_that_is_refused_stops_and_the_others_go_on() -> None:
    cluster, receiver = Cluster(), Script([])
    receiver.refused = {"shop": 422}
    made, cursors = delivery(cluster, receiver)
    await cursors.settle()
    assert await made.take(LEDGER, {}) == {"shop": 1}
    assert chains(receiver.ids) == {"one/bank": [1, 2, 3, 4, 5], "one/shop-2": [1]}
    receiver.refused = {}
    assert await made.take([record("bank", 6), record("shop", 10)], None) == {"shop": 1}
    assert "one/shop/1" not in receiver.ids, "a restart tries again, and nothing else"
    assert await life(cluster, receiver, [LEDGER]) == {}
    check_order(receiver.ids)
    assert len(set(receiver.ids)) == len(LEDGER) + 1


async def test_one_event_that_is_refused_stops_its_chain_behind_what_was_taken() -> None:
    cluster, receiver = Cluster(), Script(["refuse", "take", "take", "refuse"])
    made, cursors = delivery(cluster, receiver)
    await cursors.settle()
    assert await made.take([record("shop", n) for n in range(1, 6)], {}) == {"shop": 3}
    assert receiver.ids == ["one/shop/1", "one/shop/2"]
    assert dict(cursors.of("siem")) == {"shop": 2}


async def test_a_gap_is_waited_for_and_no_record_behind_it_is_sent() -> None:
    cluster, receiver = Cluster(), Script([])
    page = [record("shop", n) for n in (1, 2, 4, 5)]
    assert await life(cluster, receiver, [page]) == {"shop": 3}
    assert receiver.ids == ["one/shop/1", "one/shop/2"]
    await life(cluster, receiver, [[record("shop", 3), *page]])
    assert receiver.ids == [f"one/shop/{n}" for n in range(1, 6)]


def pruned_to(sequence: int) -> dict[str, Checkpoint]:
    return {"shop": Checkpoint(Head(sequence, STORY.records[0]["spec"]["digest"]), NOW)}


async def test_a_pruned_chain_is_taken_up_at_its_checkpoint() -> None:
    receiver = Script([])
    page = [record("shop", n) for n in (4, 5)]
    assert await life(Cluster(), receiver, [page], pruned_to(3)) == {}
    assert receiver.ids == ["one/shop/4", "one/shop/5"]


@pytest.mark.parametrize("checkpoint", [3, 5, 99])
async def test_no_checkpoint_keeps_a_record_from_a_new_sink_that_is_there(checkpoint: int) -> None:
    receiver = Script([])
    pages = [[record("shop", n) for n in (3, 4)], [record("shop", n) for n in (5, 6)]]
    assert await life(Cluster(), receiver, pages, pruned_to(checkpoint)) == {}
    assert receiver.ids == [f"one/shop/{n}" for n in range(3, 7)]


async def test_what_was_pruned_behind_a_checkpoint_is_missed_by_a_new_sink_in_the_open() -> None:
    receiver = Script([])
    assert await life(Cluster(), receiver, [[record("shop", 5)]], pruned_to(3)) == {"shop": 4}
    assert receiver.ids == []


@pytest.mark.parametrize(
    ("position", "newest", "checkpoint", "beyond"),
    [
        (5, 5, 0, {}),
        (4, 5, 0, {}),
        (5, 0, 5, {}),
        (5, 0, 6, {}),
        (6, 5, 0, {"shop": 6}),
        (6, 5, 5, {"shop": 6}),
        (6, 0, 5, {"shop": 6}),
        (1, 0, 0, {"shop": 1}),
    ],
)
async def test_a_position_beyond_all_that_there_is_stops_its_chain(
    position: int, newest: int, checkpoint: int, beyond: dict[str, int]
) -> None:
    cluster, receiver = Cluster(), Script([])
    cluster.stored["data"] = {"siem": f"shop {position}\n"}
    made, cursors = delivery(cluster, receiver)
    await cursors.settle()
    ends = pruned_to(checkpoint) if checkpoint else {}
    made.begin_sweep()
    await made.take([record("shop", n) for n in range(1, newest + 1)], ends)
    assert made.end_sweep(ends) == beyond
    if beyond:
        page = [record("shop", n) for n in range(1, position + 2)]
        assert await made.take(page, None) == beyond, "what comes later fills no gap"
        assert receiver.ids == []


async def test_what_is_delivered_within_a_sweep_is_not_beyond_it() -> None:
    cluster, receiver = Cluster(), Script([])
    made, cursors = delivery(cluster, receiver)
    await cursors.settle()
    for length in (2, 4):
        made.begin_sweep()
        await made.take([record("shop", n) for n in range(1, length + 1)], {})
        assert made.end_sweep({}) == {}
    assert len(receiver.ids) == 4


async def test_a_sink_that_is_down_keeps_one_batch_encoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each sink that is down keeps a page; not its events as well."""
    written: list[int] = []

    def spied(event: Any, form: Format) -> bytes:
        written.append(event.sequence)
        return encoded(event, form)

    monkeypatch.setattr("cabgate_relay.sinks.delivery.encoded", spied)
    made, cursors = delivery(Cluster(), Script(["kill"]))
    await cursors.settle()
    with pytest.raises(Killed):
        await made.take([record("shop", n) for n in range(1, 3 * BATCH)], {})
    assert len(written) <= BATCH + 1


async def test_what_a_sink_had_not_before_a_prune_stops_its_chain() -> None:
    cluster, receiver = Cluster(), Script([])
    await life(cluster, receiver, [[record("shop", 1)]])
    ends = {"shop": Checkpoint(Head(3, STORY.records[0]["spec"]["digest"]), NOW)}
    assert await life(cluster, receiver, [[record("shop", 4)]], ends) == {"shop": 2}


async def test_two_processes_at_a_time_lose_nothing() -> None:
    """One that led before and does not know better."""
    cluster, receiver = Cluster(), Script([])
    first, of_first = delivery(cluster, receiver)
    second, of_second = delivery(cluster, receiver)
    await of_first.settle()
    await of_second.settle()
    await first.take([record("shop", 1), record("shop", 2)], {})
    await second.take([record("bank", 1)], {})
    await first.take([record("shop", 3)], {})
    assert parsed_cursors(cluster.stored["data"]["siem"]) == {"bank": 1, "shop": 3}


async def test_positions_of_others_stay() -> None:
    cluster, receiver = Cluster(), Script([])
    cluster.stored["data"] = {"other": "shop 7\n", "siem": "shop 2\nnonsense\n"}
    await life(cluster, receiver, [[record("shop", 3)]])
    assert cluster.stored["data"] == {"other": "shop 7\n", "siem": "shop 3\n"}


async def test_a_sink_is_entered_before_it_has_anything() -> None:
    """`cabgate ledger prune` asks for it."""
    cluster = Cluster()
    await life(cluster, Script([]), [])
    assert cluster.stored["data"] == {"siem": ""}


@given(
    st.dictionaries(
        st.from_regex(r"[a-z0-9]([a-z0-9-]{0,5}[a-z0-9])?", fullmatch=True),
        st.integers(1, 99_999_999),
    )
)
def test_positions_are_read_as_they_were_written(cursors: dict[str, int]) -> None:
    assert parsed_cursors(written_cursors(cursors)) == cursors


def test_batches_are_of_so_many_events_and_so_many_bytes() -> None:
    items = [Item("shop", n, b"x") for n in range(1, 2 * BATCH + 2)]
    assert [len(each) for each in batches(items)] == [BATCH, BATCH, 1]
    large = [Item("shop", n, b"x" * 300_000) for n in range(1, 4)]
    assert [len(each) for each in batches(large)] == [1, 1, 1]
    assert [item for each in batches(items) for item in each] == items


@given(st.integers(1, 100), st.floats(0, 3600), st.floats(0.1, 60))
def test_a_pause_is_not_less_than_was_asked_for_nor_without_end(
    attempt: int, asked: float, longest: float
) -> None:
    pause = pause_after(Answer(Outcome.WAIT, 429, "", asked), attempt, longest)
    assert asked <= pause <= max(asked * 1.1, longest) + 1e-6
