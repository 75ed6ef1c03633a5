# SPDX-License-Identifier: Apache-2.0
"""Heads, checkpoints and places: from where a chain goes on."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from cabgate.ledger.chain import Checkpoint, Head, append, record_object
from cabgate.ledger.pruning import prefixes
from cabgate.rollout.installation import SYSTEM_NAMESPACE
from cabgate_kube.errors import ApiError, ConflictError
from cabgate_kube.installation import LEDGER_CHECKPOINTS, LEDGER_HEADS
from cabgate_kube.resources import CONFIG_MAPS, DECISIONS, REQUESTS
from cabgate_operator.controllers.ledger import HEADS, Ledger
from cabgate_operator.work.keys import Subject
from unit.operator.controllers.books import Books
from unit.operator.support import (
    GOOD,
    ME,
    request,
    with_decisions,
)


async def test_heads_are_published_at_most_once_in_five_seconds() -> None:
    books = Books()
    await books.work()
    books.queue.tick()
    assert len(books.queue) == 1
    await books.publish()
    assert books.heads() == {"team": books.head()}
    late = with_decisions(request(GOOD, name="late"), ("AutoApproved", ME))
    books.subject(late, "uid-late")
    await books.work()
    assert books.queue.deadlines == 1
    books.clock.forward(4)
    books.queue.tick()
    assert books.queue.deadlines == 1
    books.clock.forward(1.5)
    books.queue.tick()
    assert books.queue.deadlines == 0
    await books.publish()
    assert books.heads() == {"team": books.head()}
    books.api.written.clear()
    await books.publish()
    assert books.api.written == []
    assert HEADS.subject is Subject.HEADS


async def test_heads_that_could_not_be_published_are_published_later() -> None:
    books = Books()
    await books.work()

    def fail(_: str) -> None:
        raise ApiError(0, "Unreachable", "the network")

    books.api.before_write = fail
    with pytest.raises(ApiError):
        await books.publish()
    books.api.before_write = lambda _: None
    await books.publish()
    assert books.heads() == {"team": books.head()}


async def test_without_the_config_map_the_ledger_goes_on() -> None:
    books = Books()
    del books.api.objects[(CONFIG_MAPS.plural, SYSTEM_NAMESPACE, LEDGER_HEADS)]
    await books.work()
    await books.publish()
    assert len(books.records()) == 4


def published(books: Books, text: str) -> None:
    meta = {"name": LEDGER_HEADS, "namespace": SYSTEM_NAMESPACE}
    books.api.put(CONFIG_MAPS, {"metadata": meta, "data": {"team": text}})


async def test_a_cut_chain_goes_on_behind_its_published_head() -> None:
    books = Books()
    await books.work()
    await books.publish()
    for record in books.records()[2:]:
        del books.api.objects[(DECISIONS.plural, "", record["metadata"]["name"])]
    books.ledger = Ledger()
    books.look_again()
    await books.work()
    assert [record["spec"]["sequence"] for record in books.records()] == [1, 2, 5, 6]
    assert any(line.startswith("MissingRecord: ") for line in books.wrong())


@pytest.mark.parametrize(
    "text", ["nonsense", str(Head(4, "sha256:" + "0" * 64)), str(Head(1, "sha256:" + "0" * 64))]
)
async def test_a_published_head_that_does_not_fit_stops_nothing(text: str) -> None:
    books = Books()
    await books.work()
    published(books, text)
    books.ledger = Ledger()
    late = with_decisions(request(GOOD, name="late"), ("AutoApproved", ME))
    books.subject(late, "uid-late")
    books.look_again()
    await books.work()
    assert [record["spec"]["sequence"] for record in books.records()] == [1, 2, 3, 4, 5]


async def test_a_chain_of_an_earlier_namespace_goes_on() -> None:
    books = Books()
    content = {
        "subject": {"kind": "CABRequest", "namespace": "team", "name": "old", "uid": "old"},
        "verdict": "AutoApproved",
        "author": {"type": "System", "username": ME},
        "at": "2029-01-01T00:00:00Z",
        "evidenceDigest": "v1:sha256:" + "0" * 64,
        "entry": 1,
    }
    first = append(None, content)
    books.api.put(DECISIONS, record_object(first))
    await books.work()
    assert len(books.records()) == 5
    assert books.records()[1]["spec"]["previousDigest"] == first.spec.digest
    assert books.wrong() == []


def checkpointed(books: Books, text: str) -> None:
    meta = {"name": LEDGER_CHECKPOINTS, "namespace": SYSTEM_NAMESPACE}
    books.api.put(CONFIG_MAPS, {"metadata": meta, "data": {"team": text}})


@pytest.mark.parametrize("left", [0, 1])
async def test_what_was_pruned_is_not_recorded_anew(left: int) -> None:
    books = Books()
    await books.work()
    gone = books.records()[: 4 - left]
    [prefix] = prefixes([*gone, books.records()[-1]], {}, datetime(2100, 1, 1, tzinfo=UTC))
    spec = gone[-1]["spec"]
    last = Head(spec["sequence"], spec["digest"])
    checkpointed(books, str(Checkpoint(last, prefix.checkpoint.at)))
    for record in gone:
        del books.api.objects[(DECISIONS.plural, "", record["metadata"]["name"])]
    books.ledger = Ledger()
    books.look_again()
    await books.work()
    assert len(books.records()) == left
    [low, *_] = books.api.all(REQUESTS)
    assert books.saw(REQUESTS, low) is None
    assert await Ledger().holds(books.context, low)
    books.clock.forward(60)
    late = copy.deepcopy(low)
    late["metadata"] |= {"name": "late", "uid": "uid-late"}
    late["status"]["decisions"][0]["at"] = "2030-01-01T13:00:00Z"
    books.put(REQUESTS, late)
    await books.work()
    assert len(books.records()) == left + 1
    assert books.records()[-1]["spec"]["sequence"] == 5


async def test_a_checkpoint_that_cannot_be_read_stops_that_chain() -> None:
    books = Books()
    checkpointed(books, "nonsense")
    with pytest.raises(ValueError, match="ConfigMap cabgate-ledger-checkpoints: team: "):
        await books.work()
    assert books.records() == []


async def test_a_record_that_cannot_be_read_does_not_stop_its_chain() -> None:
    """What it recorded is recorded anew, behind it."""
    books = Books()
    await books.work()
    count = len(books.records())
    for number, field in ((1, "sequence"), (2, "digest"), (3, "subject"), (4, "author")):
        name = f"team.0000000{number}"
        record = books.api.objects[(DECISIONS.plural, "", name)]
        if field == "subject":
            record["spec"][field] = {"namespace": "team"}
        else:
            del record["spec"][field]
    books.ledger = Ledger()
    books.look_again()
    await books.work()
    assert [r["spec"]["sequence"] for r in books.records()[count:]] == [5, 6, 7, 8]
    assert sum(line.startswith("Unreadable") for line in books.wrong()) == 4
    assert not any(line.startswith("NotRecorded") for line in books.wrong())


@pytest.mark.parametrize("spec", [{}, {"subject": {"namespace": "elsewhere"}}])
async def test_a_place_that_is_taken_by_what_names_no_chain_is_passed_over(spec: Any) -> None:
    books = Books()
    books.api.put(DECISIONS, {"metadata": {"name": "team.00000001"}, "spec": spec})
    await books.work()
    names = [record["metadata"]["name"] for record in books.records()]
    assert names[:2] == ["team.00000001", "team.00000002"]
    assert len(names) == 5


async def test_heads_are_written_over_what_was_written_last() -> None:
    books = Books()
    await books.work()
    await books.publish()
    late = with_decisions(request(GOOD, name="late"), ("AutoApproved", ME))
    books.subject(late, "uid-late")
    await books.work()
    books.api.reads.clear()
    await books.publish()
    assert (books.heads(), books.api.reads) == ({"team": books.head()}, [])


async def test_heads_that_somebody_else_wrote_since_are_read_anew() -> None:
    books = Books()
    await books.work()
    await books.publish()
    late = with_decisions(request(GOOD, name="late"), ("AutoApproved", ME))
    books.subject(late, "uid-late")
    await books.work()
    [found] = [m for m in books.api.all(CONFIG_MAPS) if m["metadata"]["name"] == LEDGER_HEADS]
    books.api.put(CONFIG_MAPS, {**found, "data": {**found["data"], "other": "00000001"}})
    with pytest.raises(ConflictError):
        await books.publish()
    await books.publish()
    assert books.heads() == {"team": books.head(), "other": "00000001"}
