# SPDX-License-Identifier: Apache-2.0
"""One of the replicas leads: the one whose name a Lease holds, and only for as long as it is sure.

The times in a Lease were written by other machines' clocks, so nobody reads them. A replica waits
until a Lease has not changed for its duration, by its own monotonic clock. A leader counts from
before it sent its last renewal, and stops sooner than that: so it has stopped when the next begins.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from cabgate_kube.client import ApiServer
from cabgate_kube.errors import AlreadyExistsError, ApiError, ConflictError
from cabgate_kube.installation import LEASE
from cabgate_kube.process.logs import PlainError, explained, fields
from cabgate_kube.resources import LEASES, Object

log = logging.getLogger(__name__)

LEASE_SECONDS = 10
"""How long a Lease holds that is not renewed."""

RENEW_DEADLINE = 7.0
"""Seconds after its last renewal in which a leader may write."""

RENEW_SECONDS = 2.0
"""Seconds from one renewal to the next."""

LOOK_SECONDS = 1.0
"""Seconds from one look of a replica that waits to its next."""

CALL_SECONDS = 4.0
"""Longest that one look or renewal may take."""

RELEASE_SECONDS = 1.0
"""Longest that a stopping leader takes to give the Lease back."""


class NotLeaderError(PlainError):
    """A write was stopped, because another replica may lead by now."""


def boot_seconds() -> float:
    """Seconds since some moment; they pass while the machine sleeps, too, where that can be had."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True)
class Seen:
    """What a Lease says, and since when, by our own clock, each look has found it so. None: it is
    absent."""

    spec: dict[str, Any] | None
    since: float
    version: str = ""

    @property
    def holder(self) -> str:
        """Who holds it; empty if nobody does."""
        return str((self.spec or {}).get("holderIdentity") or "")

    @property
    def transitions(self) -> int:
        """How often it was taken."""
        return int((self.spec or {}).get("leaseTransitions") or 0)

    @property
    def seconds(self) -> float:
        """How long it holds: what its holder counts on, which need not be our own number."""
        try:
            return max(1.0, float((self.spec or {})["leaseDurationSeconds"]))
        except (KeyError, TypeError, ValueError):
            return float(LEASE_SECONDS)


class Step(StrEnum):
    """What to do about a Lease."""

    TAKE = "take"
    RENEW = "renew"
    WAIT = "wait"


def observed(before: Seen | None, lease: Object | None, now: float) -> Seen:
    """What is known of a Lease after it was read at a moment of our own clock."""
    spec: dict[str, Any] | None = None if lease is None else lease.get("spec") or {}
    seen = Seen(spec, now, "" if lease is None else lease["metadata"]["resourceVersion"])
    if before is not None and replace(before, since=now) == seen:
        return replace(before, since=min(before.since, now))
    return replace(seen, since=float("-inf")) if _given_back(before, seen) else seen


def _given_back(before: Seen | None, seen: Seen) -> bool:
    """Whether nobody holds a Lease because its last holder gave it back.

    Not so if it is absent: it may have been deleted under its holder. Nor if it was taken another
    number of times than before: then it is from another time, and etcd was rolled back.
    """
    if seen.spec is None or seen.holder:
        return False
    return before is None or before.transitions == seen.transitions


def decide(seen: Seen, me: str, leading: bool, now: float) -> Step:
    """What a replica does, given what it knows of the Lease and whether it leads.

    Who does not lead waits, even if the Lease names it: after etcd was rolled back, a Lease may
    name one replica while another is still within its time.
    """
    if leading and seen.holder == me:
        return Step.RENEW
    seconds = seen.seconds if seen.holder else LEASE_SECONDS
    return Step.TAKE if now - seen.since >= seconds else Step.WAIT


class Elector:
    """Tries to lead, and says whether it does.

    `me` is a name that no other process has, nor had. `clock` gives the times that people read in
    the Lease, and `seconds` those that count. `lease` is its name.
    """

    def __init__(
        self,
        api: ApiServer,
        namespace: str,
        me: str,
        *,
        clock: Callable[[], datetime],
        seconds: Callable[[], float] = boot_seconds,
        lease: str = LEASE,
    ) -> None:
        self.me = me
        self._name = lease
        self._api = api
        self._namespace = namespace
        self._clock = clock
        self._seconds = seconds
        self._lease: Object | None = None
        self._seen: Seen | None = None
        self._until = float("-inf")
        self._changed = asyncio.Event()
        self._led = False
        self._reached_at = float("-inf")
        self._looked_at = seconds()
        self.trouble = "has not been read yet"
        """What went wrong at the last attempt; empty if nothing did."""

    @property
    def leads(self) -> bool:
        """Whether this replica may write now."""
        return self._seconds() < self._until

    @property
    def holder(self) -> str:
        """Who leads, as far as is known."""
        return "" if self._seen is None else self._seen.holder

    @property
    def silence(self) -> float:
        """Seconds since the Lease was last read or written."""
        return self._seconds() - self._reached_at

    @property
    def idle(self) -> float:
        """Seconds since the last attempt began."""
        return self._seconds() - self._looked_at

    def check(self) -> None:
        """Raise `NotLeaderError` unless this replica may write now."""
        if not self.leads:
            raise NotLeaderError("this replica does not lead any more: nothing was written")

    async def until(self, leads: bool) -> None:
        """Return when this replica leads, or when it does not."""
        while self.leads is not leads:
            self._changed.clear()
            if self.leads is leads:
                return
            await self._changed.wait()

    async def run(self) -> None:
        """Try to lead and to go on leading, until cancelled."""
        while True:
            self._tell()
            self._looked_at = self._seconds()
            leading = self.leads
            limit = min(CALL_SECONDS, self._until - self._seconds()) if leading else CALL_SECONDS
            try:
                async with asyncio.timeout(max(limit, 0.001)):
                    await self._step(leading)
                self._reached()
            except TimeoutError:
                self._failed("the API server did not answer in time")
            except (ApiError, ValueError) as error:
                self._failed(explained(error))
            self._tell()
            await asyncio.sleep(self._pause())

    async def release(self) -> None:
        """Give the Lease back, so that another replica need not wait; that it fails does no harm.

        Nothing may write any more when this is called.
        """
        led = self.leads
        self._until = float("-inf")
        self._tell()
        if not led:
            return
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                try:
                    await self._give_back(self._lease)
                except ConflictError:  # a last renewal arrived without our knowing
                    await self._give_back(await self._api.get(LEASES, self._namespace, self._name))
        except (ApiError, TimeoutError) as error:
            why = str(error) or "the API server did not answer in time"
            log.warning(
                "leader election: cannot release the Lease: %s",
                why,
                extra=self._about("NotGivenBack"),
            )

    async def _give_back(self, lease: Object | None) -> None:
        if lease is not None and Seen(lease.get("spec"), 0.0).holder == self.me:
            spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
            await self._api.replace(LEASES, {**lease, "spec": spec})

    async def _step(self, leading: bool) -> None:
        if leading and self._lease is not None:
            try:
                return await self._write(self._lease, Step.RENEW)
            except ApiError as error:
                # Somebody wrote or deleted it, or an earlier renewal arrived without our knowing.
                if error.code not in (404, 409):
                    raise
        self._lease = await self._api.get(LEASES, self._namespace, self._name)
        now = self._seconds()
        self._seen = observed(self._seen, self._lease, now)
        step = decide(self._seen, self.me, self.leads, now)
        if step is Step.WAIT:
            self._until = float("-inf")
            return None
        try:
            await self._write(self._lease, step)
        except (AlreadyExistsError, ConflictError):
            self._until = float("-inf")  # another was first
        return None

    async def _write(self, lease: Object | None, step: Step) -> None:
        began = self._seconds()
        wanted = self._wanted(lease, step)
        if lease is None:
            self._lease = await self._api.create(LEASES, self._namespace, wanted)
        else:
            self._lease = await self._api.replace(LEASES, wanted)
        version = self._lease["metadata"]["resourceVersion"]
        self._seen = Seen(self._lease["spec"], began, version)
        self._until = began + RENEW_DEADLINE

    def _wanted(self, lease: Object | None, step: Step) -> Object:
        now = self._clock().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        old: dict[str, Any] = (lease or {}).get("spec") or {}
        spec = {
            **old,
            "holderIdentity": self.me,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": now,
        }
        if step is not Step.RENEW:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = int(old.get("leaseTransitions") or 0) + (lease is not None)
        meta = {"name": self._name, "namespace": self._namespace}
        head = {"apiVersion": LEASES.api_version, "kind": LEASES.kind}
        return {**head, "metadata": meta, **(lease or {}), "spec": spec}

    def _pause(self) -> float:
        now = self._seconds()
        if self.leads:
            # A renewal that failed is retried at once, and at the latest when time is up.
            pause = 0.25 if self.trouble else RENEW_SECONDS
            return max(0.001, min(pause, self._until - now))
        if self._seen is None or self.trouble or not self._seen.holder:
            return LOOK_SECONDS
        return max(0.001, min(LOOK_SECONDS, self._seen.since + self._seen.seconds - now))

    def _reached(self) -> None:
        self._reached_at = self._seconds()
        if self.trouble:
            log.info(
                "leader election: the Lease can be read; held by %s",
                self.holder or "nobody",
                extra=self._about("Reached"),
            )
        self.trouble = ""

    def _failed(self, why: str) -> None:
        if why != self.trouble:
            log.warning("leader election: %s", why, extra=self._about("NotReached"))
        self.trouble = why
        # Between two looks that are far apart another may have led, and etcd been rolled back.
        if self._seen is not None:
            self._seen = replace(self._seen, since=float("inf"))

    def _about(self, reason: str) -> dict[str, Any]:
        names = {"namespace": self._namespace, "object": self._name}
        return fields(kind="lease", reason=reason, holder=self.holder, **names)

    def _tell(self) -> None:
        if self.leads is self._led:
            return
        self._led = self.leads
        if self._led:
            log.info(
                "leader election: %s became leader", self.me, extra=self._about("BecameLeader")
            )
        else:
            log.warning(
                *("leader election: %s lost leadership; %s", self.me, self.trouble or "stopped"),
                extra=self._about("LostLeadership"),
            )
        self._changed.set()
