# SPDX-License-Identifier: Apache-2.0
"""Who may lead, and that never two may: several replicas in one simulated time."""

import asyncio
import copy
import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate_kube import election
from cabgate_kube.election import (
    LEASE_SECONDS,
    RENEW_DEADLINE,
    Elector,
    NotLeaderError,
    Seen,
    Step,
    boot_seconds,
    decide,
    observed,
)
from cabgate_kube.errors import AlreadyExistsError, ApiError, ConflictError
from cabgate_kube.resources import LEASES, Object, Resource
from unit.simulated import Simulated, simulate, simulated_loop

times = st.floats(0, 1000)
names = st.sampled_from(["", "a", "b"])


def lease(spec: dict[str, Any], version: str = "1") -> Object:
    return {"metadata": {"resourceVersion": version}, "spec": spec}


@given(names, names.filter(bool), times, times, st.booleans())
def test_only_what_is_free_over_or_ours_is_taken(
    holder: str, me: str, since: float, age: float, leading: bool
) -> None:
    seen = observed(None, lease({"holderIdentity": holder}), since)
    step = decide(seen, me, leading, since + age)
    if holder == me and leading:
        assert step is Step.RENEW
    elif not holder or since + age - since >= LEASE_SECONDS:
        assert step is Step.TAKE
    else:
        assert step is Step.WAIT


@given(st.text(), st.text(), times)
def test_no_time_that_a_lease_tells_counts(renewed: str, acquired: str, now: float) -> None:
    spec = {"holderIdentity": "b", "renewTime": renewed, "acquireTime": acquired}
    seen = observed(None, lease(spec), now)
    assert seen.since == now
    assert decide(seen, "a", False, now) is Step.WAIT
    assert observed(seen, lease(dict(spec)), now + 5) == seen
    assert observed(seen, lease(spec, "2"), now + 5).since == now + 5
    assert decide(seen, "a", False, now + LEASE_SECONDS + 0.001) is Step.TAKE


def test_an_absent_lease_may_have_been_deleted_under_its_holder() -> None:
    seen = observed(Seen({"holderIdentity": "b"}, 0.0), None, 100.0)
    assert decide(seen, "a", False, 109.0) is Step.WAIT
    assert decide(seen, "a", False, 110.0) is Step.TAKE


def test_one_from_another_time_is_waited_for_though_nobody_holds_it() -> None:
    before = Seen({"holderIdentity": "b", "leaseTransitions": 4}, 0.0)
    free = {"holderIdentity": "", "leaseTransitions": 4, "leaseDurationSeconds": 1}
    assert decide(observed(before, lease(free), 100.0), "a", False, 100.0) is Step.TAKE
    older = lease({**free, "leaseTransitions": 2})
    seen = observed(before, older, 100.0)
    assert decide(observed(seen, older, 109.0), "a", False, 109.0) is Step.WAIT
    assert decide(observed(seen, older, 110.0), "a", False, 110.0) is Step.TAKE


@pytest.mark.parametrize(
    ("value", "seconds"), [(30, 30), (1, 1), (0, 1), ("x", 10), (None, 10), (-5, 1)]
)
def test_the_duration_is_what_the_holder_counts_on(value: Any, seconds: float) -> None:
    assert Seen({"leaseDurationSeconds": value}, 0.0).seconds == seconds


class Store:
    """An API server with one Lease, that may be slow, away or rolled back."""

    def __init__(self) -> None:
        self.lease: Object | None = None
        self.away = False
        self._versions = itertools.count(1)

    def put(self, spec: dict[str, Any]) -> Object:
        meta = {"name": "cabgate-operator", "resourceVersion": str(next(self._versions))}
        self.lease = {"metadata": meta, "spec": copy.deepcopy(spec)}
        return copy.deepcopy(self.lease)


class Line:
    """One replica's way to the store: it may be cut, and answers may be lost after the write."""

    def __init__(self, store: Store, delay: Any, loses: Any) -> None:
        self.store = store
        self.cut = False
        self._delay = delay
        self._loses = loses

    async def _pass(self) -> None:
        await asyncio.sleep(self._delay())
        if self.cut or self.store.away:
            raise ApiError(0, "Unreachable", "cut")

    async def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        assert resource is LEASES
        await self._pass()
        answer = copy.deepcopy(self.store.lease)
        await asyncio.sleep(self._delay())
        return answer

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        await self._pass()
        if self.store.lease is not None:
            raise AlreadyExistsError(409, "AlreadyExists", "")
        return await self._answered(self.store.put(body["spec"]))

    async def replace(self, resource: Resource, body: Object) -> Object:
        await self._pass()
        lease = self.store.lease
        if lease is None:
            raise ApiError(404, "NotFound", "")
        if lease["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            raise ConflictError(409, "Conflict", "")
        return await self._answered(self.store.put(body["spec"]))

    async def _answered(self, answer: Object) -> Object:
        await asyncio.sleep(self._delay())
        if self._loses():
            raise ApiError(0, "Unreachable", "the answer was lost")
        return answer


class Replica:
    def __init__(self, loop: Simulated, store: Store, name: str, chance: random.Random) -> None:
        self.skew = timedelta(seconds=chance.choice([-60, 0, 60]))
        self.line = Line(store, lambda: chance.choice([0.001, 0.1, 1.5]), lambda: False)
        self.line._loses = lambda: chance.random() < 0.1
        self.elector = Elector(
            self.line,  # type: ignore[arg-type]
            "cabgate-system",
            name,
            clock=lambda: datetime.fromtimestamp(loop.now, UTC) + self.skew,
            seconds=loop.time,
        )
        self.task = loop.create_task(self.elector.run())

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@pytest.mark.parametrize("seed", range(20))
def test_never_two_lead_whatever_happens_to_them(seed: int) -> None:
    """Cuts, lost answers, skewed clocks, a deleted Lease, a rollback, kills and graceful stops."""
    chance = random.Random(seed)  # noqa: S311 - a failure must come again

    async def scenario() -> None:
        loop = simulated_loop()
        store = Store()
        replicas = [Replica(loop, store, f"r{n}", chance) for n in range(3)]
        numbers = itertools.count(3)
        led, kept = 0, None
        end = loop.now + 600
        trouble = loop.now + 30
        while loop.now < end:
            leaders = [each.elector.me for each in replicas if each.elector.leads]
            assert len(leaders) <= 1, (seed, loop.now, leaders)
            led += bool(leaders)
            if loop.now > trouble:
                trouble = loop.now + chance.uniform(1, 30)
                which = chance.randrange(len(replicas))
                victim = replicas[which]
                what = chance.randrange(7)
                if what == 0:
                    victim.line.cut = not victim.line.cut
                elif what == 1:
                    store.away = not store.away
                elif what == 2:
                    kept = copy.deepcopy(store.lease)
                elif what == 3 and kept is not None:
                    store.put(kept["spec"])
                    # Who begins now knows nothing else than what was rolled back.
                    trouble = loop.now + LEASE_SECONDS
                elif what == 4:
                    store.lease = None
                    # Deleted twice in a moment, nobody can know that it was there between.
                    trouble = loop.now + 3 * LEASE_SECONDS
                else:
                    await victim.end()
                    if what == 5:  # in order; otherwise it is killed
                        await victim.elector.release()
                    victim.elector._until = float("-inf")
                    replicas[which] = Replica(loop, store, f"r{next(numbers)}", chance)
            await asyncio.sleep(0.05)
        assert led > 0
        store.away = False
        for each in replicas:
            each.line.cut = False
        await asyncio.sleep(60)
        assert store.lease is not None
        for each in replicas:
            await each.end()

    simulate(scenario())


def quick(loop: Simulated, store: Store, name: str) -> Elector:
    line = Line(store, lambda: 0.001, lambda: False)
    return Elector(
        line,  # type: ignore[arg-type]
        "cabgate-system",
        name,
        clock=lambda: datetime.now(UTC),
        seconds=loop.time,
    )


def test_takeover_after_a_kill_and_after_a_stop() -> None:
    async def scenario() -> None:
        loop = simulated_loop()
        store = Store()
        store.put({})
        first, second = (quick(loop, store, name) for name in "ab")
        tasks = [loop.create_task(each.run()) for each in (first, second)]
        await asyncio.wait_for(first.until(True), 5)
        await asyncio.sleep(20)
        assert not second.leads
        assert second.holder == "a"
        begun = loop.now
        tasks[0].cancel()
        await second.until(True)
        assert loop.now - begun < LEASE_SECONDS + 1.1
        third = quick(loop, store, "c")
        tasks.append(loop.create_task(third.run()))
        await asyncio.sleep(5)
        begun = loop.now
        tasks[1].cancel()
        await second.release()
        await third.until(True)
        assert loop.now - begun < 1.1
        assert store.lease is not None
        assert store.lease["spec"]["leaseTransitions"] == 3
        tasks[2].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    simulate(scenario())


def test_a_leader_that_is_cut_off_stops_before_another_may_begin() -> None:
    async def scenario() -> None:
        loop = simulated_loop()
        store = Store()
        store.put({})
        elector = quick(loop, store, "a")
        task = loop.create_task(elector.run())
        await elector.until(True)
        elector.check()
        store.away = True
        begun = loop.now
        await elector.until(False)
        assert loop.now - begun <= RENEW_DEADLINE
        assert "Unreachable" in elector.trouble
        with pytest.raises(NotLeaderError):
            elector.check()
        await asyncio.sleep(30)
        assert elector.silence > 30
        store.away = False
        await asyncio.wait_for(elector.until(True), LEASE_SECONDS + 2)
        assert elector.trouble == ""
        task.cancel()
        store.away = True
        await elector.release()  # fails, and does no harm
        assert not elector.leads

    simulate(scenario())


def test_a_leader_that_stood_still_does_not_write() -> None:
    """No task of ours has run since: the check alone has to know."""

    async def scenario() -> None:
        loop = simulated_loop()
        store = Store()
        store.put({})
        elector = quick(loop, store, "a")
        task = loop.create_task(elector.run())
        await elector.until(True)
        loop.now += RENEW_DEADLINE + 0.1
        with pytest.raises(NotLeaderError):
            elector.check()
        task.cancel()

    simulate(scenario())


def test_the_clock_that_counts_goes_forward() -> None:
    first = boot_seconds()
    assert boot_seconds() >= first
    assert election.RENEW_DEADLINE + election.RENEW_SECONDS < election.LEASE_SECONDS
