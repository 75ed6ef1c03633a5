# SPDX-License-Identifier: Apache-2.0
"""Exceptions that are sent at one moment have no more room than those that come one by one."""

import asyncio

import pytest

from cabgate.lifecycle.limits.budget import MAX_OF_NAMESPACE_BYTES, MAX_WAITING
from cabgate.review.identity import SERVICE_ACCOUNTS
from cabgate.text.refusal import Refusal
from cabgate_samples.models import NOW, exception
from cabgate_webhook.handlers.asked import KEPT_SECONDS, AskedLately
from cabgate_webhook.handlers.exceptions import judge_exception
from unit.webhook.handlers.test_many_exceptions import as_many_as_may_be, leaves, risky, written
from unit.webhook.handlers.test_tenant_reads import CountingApi, sent, stored


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def lately():
    return AskedLately(Clock())


async def asked(reviews, api, lately):
    """Which of some reviews at one moment are let in."""
    judged = (judge_exception(each, api, SERVICE_ACCOUNTS, NOW, lately) for each in reviews)
    answers = await asyncio.gather(*judged, return_exceptions=True)
    refusals = [each for each in answers if isinstance(each, Exception)]
    assert all(getattr(each, "reason", None) == "BudgetUsedUp" for each in refusals), refusals
    return [not isinstance(each, Refusal) for each in answers]


async def test_as_many_wait_for_a_request_as_may(lately):
    [here] = risky(1)
    new = [written(each, "CREATE") for each in leaves(here, 30)]
    api = CountingApi([here])
    assert sum(await asked(new, api, lately)) == MAX_WAITING


async def test_a_namespace_holds_as_many_bytes_as_it_may(lately):
    here = risky(8)
    full = as_many_as_may_be(here[0])[:-20]
    room = MAX_OF_NAMESPACE_BYTES - sum(len(sent(stored(each))) for each in full)
    more = [written(leave, "CREATE") for each in here[1:] for leave in leaves(each, 5)]
    let_in = sum(await asked(more, CountingApi(here, full), lately))
    assert 0 < let_in <= room / 300 < len(more)
    grown = [written(e, "UPDATE", annotations={"n": "n" * 1000}) for e in full[:10]]
    let_in = sum(await asked(grown, CountingApi(here, full), AskedLately(Clock())))
    assert 0 < let_in <= room / 1000


async def test_a_dry_run_takes_no_room(lately):
    [here] = risky(1)
    new = [written(each, "CREATE") for each in leaves(here, 30)]
    dry = [review.__class__(**{**vars(review), "dry_run": True}) for review in new]
    assert all(await asked(dry, CountingApi([here]), lately))


async def test_what_was_stored_and_deleted_takes_no_room(lately):
    [here] = risky(1)
    made = leaves(here, MAX_WAITING)
    assert all(await asked([written(e, "CREATE") for e in made], CountingApi([here]), lately))
    one_more = [written(exception(here, name="more"), "CREATE")]
    assert await asked(one_more, CountingApi([here], made), lately) == [False]
    assert await asked(one_more, CountingApi([here], made[1:]), lately) == [True]


async def test_a_list_that_was_read_before_does_not_hide_what_another_one_showed(lately):
    [here] = risky(1)
    made = leaves(here, MAX_WAITING)
    begun = lately.begin()
    assert all(await asked([written(e, "CREATE") for e in made], CountingApi([here]), lately))
    one_more = [written(exception(here, name="more"), "CREATE")]
    assert await asked(one_more, CountingApi([here], made), lately) == [False]
    assert len(lately.beside(here.metadata.namespace, [], begun)[0]) == MAX_WAITING
    assert lately.beside(here.metadata.namespace, [], lately.begin()) == ([], 0)


async def test_what_somebody_else_refused_takes_room_for_a_while_and_once():
    clock = Clock()
    lately, [here] = AskedLately(clock), risky(1)
    same = [written(leaves(here, 1)[0], "CREATE")]
    for _ in range(MAX_WAITING + 1):
        assert await asked(same, CountingApi([here]), lately) == [True]
    others = [written(each, "CREATE") for each in leaves(here, MAX_WAITING + 1)[1:]]
    assert sum(await asked(others, CountingApi([here]), lately)) == MAX_WAITING - 1
    clock.now += KEPT_SECONDS
    assert await asked(others[-1:], CountingApi([here]), lately) == [True]
