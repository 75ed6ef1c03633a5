# SPDX-License-Identifier: Apache-2.0
"""One line for each reconcile that did something or failed, with the fields of the webhook's."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cabgate_kube.errors import ApiError, ConflictError
from cabgate_kube.process.logs import JsonFormatter
from cabgate_kube.resources import INTENTS, REQUESTS, Object
from cabgate_operator.controllers.intents import reconcile_intent
from cabgate_operator.controllers.ledger import Ledger
from cabgate_operator.work.controller import WatchEvent
from cabgate_operator.work.keys import Key, Subject
from cabgate_operator.work.queue import Timing, WorkQueue
from cabgate_operator.work.reports import note_act, note_correlation
from unit.operator.support import BAD, GOOD, NOW, Clock, World, evidence, intent_object

KEY = Key(Subject.INTENT, "team", "web")
Lines = Callable[[], list[Object]]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    caplog.set_level("INFO")

    def read() -> list[Object]:
        found = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
        caplog.clear()
        return found

    return read


async def handle(work: Callable[[], Awaitable[Any]], *, seconds: float = 0.25) -> None:
    clock = Clock()

    async def timed(_: Key) -> None:
        clock.forward(seconds)
        await work()

    timing = Timing(clock=clock, monotonic=clock.monotonic, jitter=lambda: 1.0)
    queue = WorkQueue(timed, timing)
    queue.add(KEY)
    await queue.process_one()


async def test_a_reconcile_that_did_nothing_says_nothing(lines: Lines) -> None:
    async def work() -> None:
        note_correlation("CAB-1")

    await handle(work)
    assert lines() == []


async def test_one_line_tells_what_a_reconcile_did(lines: Lines) -> None:
    async def work() -> None:
        note_correlation("CAB-1")
        note_act("request web-1", "Opened")
        note_act("intent web", "Ready")

    await handle(work)
    (line,) = lines()
    del line["time"]
    assert line == {
        "level": "info",
        "logger": "cabgate_operator.work.reports",
        "message": "intent team/web: Ready",
        "kind": "intent",
        "namespace": "team",
        "object": "web",
        "reason": "Ready",
        "correlationID": "CAB-1",
        "milliseconds": 250.0,
        "did": ["request web-1: Opened", "intent web: Ready"],
    }


async def test_however_much_was_done_it_is_one_short_line_that_may_warn(lines: Lines) -> None:
    async def work() -> None:
        for number in range(200):
            note_act(f"request {number}", "Removed", warns=number == 0)

    await handle(work)
    (line,) = lines()
    assert line["level"] == "warning"
    assert line["did"][9:] == ["request 9: Removed", "and 190 more"]


@pytest.mark.parametrize(
    ("error", "level", "reason", "said"),
    [
        (
            ApiError(422, "Invalid", "s3cret", "PUT /x, spec.a FieldValueInvalid"),
            *("warning", "Invalid"),
            "intent team/web: 422 Invalid: PUT /x, spec.a FieldValueInvalid, retrying in 0.2 s",
        ),
        (
            ConflictError(409, "Conflict", "s3cret"),
            *("info", "Conflict", "intent team/web: write conflict, retrying"),
        ),
        (
            ValueError("s3cret"),
            *("warning", "ValueError", "intent team/web: ValueError < test_reports.py:"),
        ),
    ],
)
async def test_one_line_tells_what_failed_and_quotes_nothing(
    lines: Lines, error: Exception, level: str, reason: str, said: str
) -> None:
    async def work() -> None:
        note_correlation("CAB-1")
        note_act("request web-1", "Opened")
        raise error

    await handle(work)
    (line,) = lines()
    assert (line["level"], line["reason"], line["correlationID"]) == (level, reason, "CAB-1")
    assert line["message"].startswith(said)
    assert line["milliseconds"] == 250.0
    assert line["did"] == ["request web-1: Opened"]
    assert "s3cret" not in json.dumps(line)


async def test_work_that_follows_is_another_report(lines: Lines) -> None:
    async def work(key: Key) -> None:
        if key == KEY:
            note_correlation("CAB-1")
            note_act("intent web", "Ready")

    queue = WorkQueue(work)
    for name in ("web", "other"):
        queue.add(Key(Subject.INTENT, "team", name))
        await queue.process_one()
    assert [line["object"] for line in lines()] == ["web"]


async def reconciled(world: World) -> None:
    await handle(lambda: reconcile_intent(world.context, KEY))


async def test_the_line_of_an_intent_has_its_correlation_id_and_no_evidence(lines: Lines) -> None:
    world = World()
    secret = evidence(
        {**GOOD, "testResults": {**GOOD["testResults"], "uri": "https://s3cret"}}, "s3"
    )
    world.api.put(INTENTS, intent_object(secret))
    await reconciled(world)
    (request,) = world.api.all(REQUESTS)
    (line,) = lines()
    assert line["correlationID"] == request["spec"]["correlationID"]
    assert line["reason"] == "RequestApproved"
    name = request["metadata"]["name"]
    opened = [f"request {name}: Opened", f"request {name}: AutoApproved"]
    assert line["did"][:2] == opened
    assert "s3" not in json.dumps(line)
    del world.api.objects[INTENTS.plural, "team", "web"]
    world.api.put(REQUESTS, {**request, "status": {}})
    await reconciled(world)
    lines()
    world.clock.forward(5)
    await reconciled(world)
    (line,) = lines()
    assert (line["reason"], line["correlationID"]) == (
        "Superseded",
        request["spec"]["correlationID"],
    )


async def test_each_record_of_the_ledger_is_a_line_with_its_correlation_id(lines: Lines) -> None:
    world = World()
    world.api.put(INTENTS, intent_object(BAD))
    await reconcile_intent(world.context, KEY)
    (request,) = world.api.all(REQUESTS)
    entry = {
        "sequence": 1,
        "author": {"type": "Person", "username": "rita"},
        "at": NOW.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "verdict": "Revoked",
        "rationale": "s3cret",
        "evidenceDigest": request["spec"]["evidenceDigest"],
    }
    world.api.put(REQUESTS, {**request, "status": {"decisions": [entry]}})
    (request,) = world.api.all(REQUESTS)
    ledger = Ledger()
    (chain,) = ledger.saw(WatchEvent(REQUESTS, request, NOW))
    lines()
    await handle(lambda: ledger.reconcile(world.context, chain))
    record, summary = lines()
    assert (record["object"], record["user"]) == (request["metadata"]["name"], "rita")
    assert (record["namespace"], record["reason"]) == ("team", "Revoked")
    assert record["correlationID"] == request["spec"]["correlationID"]
    assert summary["did"] == [f"decision {record['record']}: Revoked"]
    assert "s3cret" not in json.dumps([record, summary])
