# SPDX-License-Identifier: Apache-2.0
"""The writer of the ledger: nothing lost, nothing doubled, whatever fails when."""

import contextlib
import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.ledger.chain import Checkpoint, Head, append, record_object
from cabgate.ledger.pruning import prefixes
from cabgate.ledger.signatures import PublicKeys
from cabgate.ledger.verification import verify
from cabgate.rollout.installation import SYSTEM_NAMESPACE
from cabgate_kube.errors import ApiError, ConflictError
from cabgate_kube.installation import LEDGER_CHECKPOINTS, LEDGER_HEADS
from cabgate_kube.resources import CONFIG_MAPS, DECISIONS, EXCEPTIONS, REQUESTS, Object, Resource
from cabgate_operator.controllers.ledger import HEADS, MAX_SUBMISSIONS, Ledger
from cabgate_operator.work.controller import Event
from cabgate_operator.work.keys import Key, Subject
from unit.operator.support import (
    BAD,
    GOOD,
    ME,
    MIDDLING,
    MemoryApi,
    World,
    exception_object,
    request,
    with_decisions,
)

KEY = Key(Subject.LEDGER, "team", "")


class LedgerApi(MemoryApi):
    """With the writes of the ledger, and faults after a write as well as before."""

    def __init__(self, clock: Any) -> None:
        super().__init__(clock)
        self.lost_answers = 0
        meta = {"name": LEDGER_HEADS, "namespace": SYSTEM_NAMESPACE}
        self.put(CONFIG_MAPS, {"metadata": meta})

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        answer = await super().create(resource, namespace, body)
        if self.lost_answers:
            self.lost_answers -= 1
            raise ApiError(0, "Unreachable", "the answer was lost")
        return answer

    async def replace(self, resource: Resource, body: Object) -> Object:
        self.before_write(f"replace {resource.plural}")
        meta = body["metadata"]
        old = self.objects[(resource.plural, meta["namespace"], meta["name"])]
        if old["metadata"]["resourceVersion"] != meta["resourceVersion"]:
            raise ConflictError(409, "Conflict", meta["name"])
        self.written.append(f"replace {resource.plural}")
        return self.put(resource, body)


class Books(World):
    """Three subjects with four decisions, and a ledger."""

    def __init__(self) -> None:
        super().__init__()
        self.api: LedgerApi = LedgerApi(self.clock)
        self.context.api = self.api  # type: ignore[assignment]
        self.ledger = Ledger()
        self.subject(with_decisions(request(GOOD), ("AutoApproved", ME)), "uid-low")
        medium = with_decisions(request(MIDDLING), ("Superseded", ME), ("Reopened", ME))
        self.subject(medium, "uid-medium")
        high = request(BAD)
        # Nothing is recorded of one of which nobody knows when it was opened.
        meta = high.metadata.model_copy(update={"creation_timestamp": None})
        self.subject(high.model_copy(update={"metadata": meta}), "uid-high")
        self.put(EXCEPTIONS, exception_object(high, ("Expired", ME)))

    def subject(self, made: Any, uid: str) -> None:
        body = made.model_dump(mode="json", by_alias=True)
        body["metadata"]["uid"] = uid
        self.put(REQUESTS, body)

    def put(self, resource: Resource, body: Object) -> None:
        self.saw(resource, self.api.put(resource, body))

    def saw(self, resource: Resource, body: Object, **options: Any) -> Key | None:
        keys = self.ledger.saw(Event(resource, body, self.clock(), **options))
        return next(iter(keys), None)

    def look_again(self) -> None:
        for resource in (REQUESTS, EXCEPTIONS):
            for body in self.api.all(resource):
                self.saw(resource, body)

    async def work(self) -> None:
        await self.ledger.reconcile(self.context, KEY)

    async def publish(self) -> None:
        await self.ledger.publish(self.context)

    def records(self) -> list[Object]:
        return self.api.all(DECISIONS)

    def heads(self) -> dict[str, str]:
        key = (CONFIG_MAPS.plural, SYSTEM_NAMESPACE, LEDGER_HEADS)
        data: dict[str, str] = self.api.objects[key].get("data", {})
        return data

    def head(self) -> str:
        spec = self.records()[-1]["spec"]
        return f"{spec['sequence']} {spec['digest']}"

    def wrong(self) -> list[str]:
        requests, exceptions = self.api.all(REQUESTS), self.api.all(EXCEPTIONS)
        found = verify(self.records(), requests, exceptions, PublicKeys())
        return [f"{finding.code}: {finding.message}" for finding in found]


async def test_every_decision_is_appended_once() -> None:
    books = Books()
    await books.work()
    assert [record["metadata"]["name"] for record in books.records()] == [
        f"team.0000000{number}" for number in range(1, 5)
    ]
    assert books.wrong() == []
    assert books.api.written == ["create cabdecisions"] * 4


async def test_what_is_recorded_asks_for_no_work() -> None:
    books = Books()
    [low] = [r for r in books.api.all(REQUESTS) if r["metadata"]["uid"] == "uid-low"]
    assert books.saw(REQUESTS, low) == KEY
    await books.work()
    assert books.saw(REQUESTS, low) is None
    assert books.saw(REQUESTS, {**low, "status": {}}) is None
    assert books.saw(DECISIONS, books.records()[0]) is None
    books.api.written.clear()
    await books.work()
    books.ledger.forget()
    books.look_again()
    await books.work()
    assert books.api.written == []


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.booleans()), max_size=8))
async def test_failures_neither_lose_nor_double(failures: list[tuple[int, bool, bool]]) -> None:
    """Errors before and after a write, with and without a crash of the process behind them."""
    books = Books()
    for writes, answered, crash in failures:
        left = writes

        def fail(_: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise ApiError(0, "Unreachable", "the network")

        if answered:
            books.api.before_write = fail
        else:
            books.api.lost_answers = writes
        with contextlib.suppress(ApiError):
            await books.work()
        books.api.before_write = lambda _: None
        books.api.lost_answers = 0
        if crash:
            books.ledger = Ledger()
            books.look_again()
    await books.work()
    assert len(books.records()) == 4
    assert books.wrong() == []


async def test_two_writers_cannot_fork_a_chain() -> None:
    books, second = Books(), Ledger()
    await books.work()
    books.look_again()
    for resource in (REQUESTS, EXCEPTIONS):
        for body in books.api.all(resource):
            second.saw(Event(resource, body, books.clock()))
    await second.reconcile(books.context, KEY)
    assert len(books.records()) == 4
    more = with_decisions(request(GOOD, name="more"), ("AutoApproved", ME))
    books.subject(more, "uid-more")
    await books.work()
    late = with_decisions(request(GOOD, name="late"), ("AutoApproved", ME))
    books.subject(late, "uid-late")
    for body in books.api.all(REQUESTS):
        second.saw(Event(REQUESTS, body, books.clock()))
    with pytest.raises(ConflictError):
        await second.reconcile(books.context, KEY)
    await second.reconcile(books.context, KEY)
    assert len(books.records()) == 6
    with pytest.raises(ConflictError):
        await books.work()
    await books.work()
    assert len(books.records()) == 6
    assert books.wrong() == []


async def test_one_that_cannot_be_read_or_is_refused_does_not_stop_the_others() -> None:
    books = Books()
    broken = copy.deepcopy(books.api.all(REQUESTS)[0])
    broken["metadata"] |= {"name": "broken", "uid": "uid-broken"}
    del broken["spec"]["targets"]
    books.put(REQUESTS, broken)
    calls = 0

    def refuse(_: str) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise ApiError(422, "Invalid", "no")

    books.api.before_write = refuse
    with pytest.raises(ValueError, match="cannot read"):
        await books.work()
    assert len(books.records()) == 3
    assert calls in (3, 4)
    with pytest.raises(ValueError, match="cannot read"):  # tried again, with what was refused
        await books.work()
    assert len(books.records()) == 4


async def test_the_last_state_of_a_deleted_object_is_recorded() -> None:
    books = Books()
    await books.work()
    gone = exception_object(request(BAD), ("Approved", "ann"))
    gone["metadata"] |= {"name": "gone", "uid": "uid-gone"}
    books.saw(EXCEPTIONS, gone)
    await books.work()
    assert len(books.records()) == 4  # there is nothing to read
    books.saw(EXCEPTIONS, gone, deleted=True)
    await books.work()
    assert books.records()[-1]["spec"]["subject"]["name"] == "gone"
    again = copy.deepcopy(gone)
    again["metadata"]["uid"] = "uid-again"
    books.put(EXCEPTIONS, again)
    await books.work()
    assert len(books.records()) == 6


async def test_an_exception_without_its_request_is_recorded() -> None:
    books = Books()
    books.api.objects = {
        key: body
        for key, body in books.api.objects.items()
        if key[0] != REQUESTS.plural or body["metadata"]["uid"] != "uid-high"
    }
    await books.work()
    assert len(books.records()) == 4
    assert books.wrong() == []


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


async def test_what_is_only_submitted_is_recorded_so_often_in_an_hour() -> None:
    books = Books()
    for number in range(MAX_SUBMISSIONS + 5):
        books.subject(request(BAD, name=f"app-{number}"), f"uid-{number}")
    await books.work()
    verdicts = [record["spec"]["verdict"] for record in books.records()]
    assert verdicts.count("Opened") == MAX_SUBMISSIONS
    assert {"AutoApproved", "Superseded", "Reopened", "Expired"} <= set(verdicts)
    for ledger in (books.ledger, Ledger()):
        books.ledger = ledger
        books.look_again()
        await books.work()
        assert len(books.records()) == len(verdicts)
    books.clock.forward(3601)
    books.look_again()
    await books.work()
    assert len(books.records()) == len(verdicts) + 5
    assert books.wrong() == []
