# SPDX-License-Identifier: Apache-2.0
"""Every decision is recorded once, whatever fails."""

import contextlib
import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate_kube.errors import ApiError, ConflictError
from cabgate_kube.resources import DECISIONS, EXCEPTIONS, REQUESTS
from cabgate_operator.controllers.ledger import MAX_SUBMISSIONS, Ledger
from cabgate_operator.work.controller import WatchEvent
from unit.operator.controllers.books import KEY, Books
from unit.operator.support import (
    BAD,
    GOOD,
    ME,
    MIDDLING,
    exception_object,
    request,
    with_decisions,
)


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
            second.saw(WatchEvent(resource, body, books.clock()))
    await second.reconcile(books.context, KEY)
    assert len(books.records()) == 4
    more = with_decisions(request(GOOD, name="more"), ("AutoApproved", ME))
    books.subject(more, "uid-more")
    await books.work()
    late = with_decisions(request(GOOD, name="late"), ("AutoApproved", ME))
    books.subject(late, "uid-late")
    for body in books.api.all(REQUESTS):
        second.saw(WatchEvent(REQUESTS, body, books.clock()))
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


def rolled_back(books: Books) -> None:
    """etcd loses the request that was decided last."""
    [late] = [r for r in books.api.all(REQUESTS) if r["metadata"]["uid"] == "uid-late"]
    del books.api.objects[(REQUESTS.plural, "team", late["metadata"]["name"])]


async def decided(books: Books) -> None:
    await books.work()
    late = with_decisions(request(GOOD, name="late"), ("AutoApproved", ME))
    books.subject(late, "uid-late")


async def test_what_a_watch_has_just_brought_is_recorded_without_another_read() -> None:
    books = Books()
    await decided(books)
    books.api.reads.clear()
    await books.work()
    assert (len(books.records()), books.api.reads) == (5, [])


@pytest.mark.parametrize("how", ["later", "after a failure", "after the watches began anew"])
async def test_what_etcd_has_lost_is_not_recorded(how: str) -> None:
    books = Books()
    await decided(books)
    if how == "later":
        books.clock.forward(1.1)
    elif how == "after the watches began anew":
        books.ledger.forget()
    else:

        def fail(_: str) -> None:
            raise ApiError(0, "Unreachable", "the network")

        books.api.before_write = fail
        with pytest.raises(ApiError):
            await books.work()
        books.api.before_write = lambda _: None
    rolled_back(books)
    await books.work()
    assert len(books.records()) == 4
    again = with_decisions(request(GOOD, name="late"), ("AutoApproved", ME))
    books.subject(again, "uid-late")
    await books.work()
    assert len(books.records()) == 5
    assert books.wrong() == []


async def test_no_opening_is_recorded_behind_a_decision_that_is_recorded() -> None:
    books = Books()
    await books.work()
    late = request(MIDDLING, name="late")
    waiting, decided = (
        each.model_dump(mode="json", by_alias=True)
        for each in (late, with_decisions(late, ("Superseded", ME)))
    )
    for each in (waiting, decided):
        each["metadata"]["uid"] = "uid-late"
    books.api.put(REQUESTS, decided)
    books.saw(REQUESTS, decided, swept=True)
    await books.work()
    books.saw(REQUESTS, waiting)  # a watch that lags
    await books.work()
    subjects = [(each["spec"]["subject"], each["spec"]["entry"]) for each in books.records()]
    assert [entry for subject, entry in subjects if subject["uid"] == "uid-late"] == [1]
    assert books.wrong() == []
