# SPDX-License-Identifier: Apache-2.0
"""However many exceptions a namespace has, others' reviews go on, and revocations are stored."""

import asyncio
from dataclasses import replace

import pytest

from cabgate.lifecycle.limits.budget import MAX_OF_NAMESPACE_BYTES
from cabgate.review.identity import SERVICE_ACCOUNTS
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_samples.models import NOW, by_person, exception, intent, request
from cabgate_webhook.client.lookups import BudgetUsedUp
from cabgate_webhook.handlers.exceptions import judge_exception
from cabgate_webhook.handlers.reviews import stamp_review
from unit.webhook.handlers.test_tenant_reads import (
    KEYS,
    MOST_READS,
    CountingApi,
    review_of,
    reviewed,
    rolls_out,
    sent,
    stored,
    targets,
)

IMAGE = targets(1)[0]["images"][0]


def risky(count):
    return [
        request("ExceptionRequired", name=f"web-{number}", targets=targets(1))
        for number in range(count)
    ]


def leaves(of, count):
    return [exception(of, name=f"{of.metadata.name}-{number}") for number in range(count)]


class Turns:
    """How often others had their turn while something was done."""

    async def during(self, work):
        task, self.count = asyncio.ensure_future(work), 0
        while not task.done():
            await asyncio.sleep(0)
            self.count += 1
        return task.result()


@pytest.fixture
def decoded(monkeypatch):
    """Names of the exceptions that were made objects of."""
    found = []
    original = type(exception(risky(1)[0])).model_validate

    def counted(value, *args, **more):
        found.append(value["metadata"]["name"])
        return original(value, *args, **more)

    monkeypatch.setattr("cabgate_webhook.client.exceptions.CABException.model_validate", counted)
    return found


async def test_exceptions_for_other_requests_are_not_decoded(decoded):
    here, others = risky(3), request("ExceptionRequired", name="other")
    api = CountingApi(here, [*leaves(others, 500), *leaves(here[0], 2)])
    decoded.clear()
    answer = await rolls_out(api, IMAGE)
    assert not answer.allowed
    assert sorted(decoded) == ["web-0-0", "web-0-1"]
    assert len(api.reads) <= MOST_READS


async def test_others_have_their_turn_at_each_exception_that_is():
    here = risky(3)
    api = CountingApi(here, [leave for each in here for leave in leaves(each, 20)])
    turns = Turns()
    assert not (await turns.during(rolls_out(api, IMAGE))).allowed
    assert turns.count >= 60


class WithoutRoom(CountingApi):
    """The exceptions of the namespace are more than is read at once."""

    async def _read(self, path, query=None, **more):
        if path.endswith("/cabexceptions") and not query:
            raise BudgetUsedUp.of(path)
        return await super()._read(path, query, **more)


async def test_too_many_exceptions_deny_a_rollout_there_and_stop_no_revocation():
    here = risky(3)
    api = WithoutRoom(here, leaves(here[0], 2))
    with pytest.raises(BudgetUsedUp, match="this namespace alone"):
        await rolls_out(api, IMAGE)
    approved = request("ManualReview", by_person("Approved"), name="good", targets=targets(1))
    api = WithoutRoom([approved, *here], leaves(here[0], 2), [intent()])
    answer = await stamp_review(reviewed(approved, "Revoked"), api, KEYS, NOW, SERVICE_ACCOUNTS)
    assert answer.patch[0]["value"]["state"] == "Revoked"


def size_of(exceptions):
    return len(sent(stored(exceptions[0]))) * len(exceptions)


def as_many_as_may_be(of):
    """Exceptions that take all that those of a namespace may, but for less than one of them."""
    one = leaves(of, 1)
    return leaves(of, MAX_OF_NAMESPACE_BYTES // size_of(one))


def written(obj, operation, **metadata):
    new = stored(obj)
    new["spec"]["submittedBy"] = [{"username": "rita", "type": "Person"}]
    review = review_of({**new, "metadata": {**new["metadata"], **metadata}}, "cabexceptions")
    return replace(review, operation=operation, old_object=new if operation == "UPDATE" else {})


async def test_the_exceptions_of_a_namespace_are_bounded_in_bytes():
    here = risky(1)[0]
    full = as_many_as_may_be(request("ExceptionRequired", name="other"))
    asked = written(exception(here, name="more"), "CREATE")
    with pytest.raises(Refusal, match="the exceptions of this namespace come to") as refusal:
        await judge_exception(asked, CountingApi([here], full), SERVICE_ACCOUNTS, NOW)
    assert refusal.value.reason is RefusalReason.BUDGET_USED_UP
    api = CountingApi([here], full[20:])
    assert (await judge_exception(asked, api, SERVICE_ACCOUNTS, NOW)).allowed
    assert len(api.reads) <= MOST_READS


async def test_no_exception_grows_by_its_metadata_where_they_take_all_that_they_may():
    full = as_many_as_may_be(risky(1)[0])
    grown = written(full[0], "UPDATE", annotations={"note": "n" * 5000})
    with pytest.raises(Refusal, match="the exceptions of this namespace come to"):
        await judge_exception(grown, CountingApi([], full), SERVICE_ACCOUNTS, NOW)
    assert (await judge_exception(grown, CountingApi([], full[:20]), SERVICE_ACCOUNTS, NOW)).allowed
    same = written(full[0], "UPDATE", finalizers=[])
    api = CountingApi([], full)
    assert (
        await judge_exception(replace(same, object=same.old_object), api, SERVICE_ACCOUNTS, NOW)
    ).allowed
    assert api.reads == []
