# SPDX-License-Identifier: Apache-2.0
"""The requests and exceptions of a cluster as they are now, as far as anything of them may be worth
a message."""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Generic, TypeVar

from pydantic import ValidationError

from cabgate.api.exception import CABException
from cabgate.api.intent import DeploymentIntentStatus
from cabgate.api.request import CABRequest
from cabgate.lifecycle.state.standing import standing_of
from cabgate.notifications.notices import Asked, KeptBack, Notice, is_current, notices
from cabgate_kube.client import ApiServer
from cabgate_kube.clock import Clock
from cabgate_kube.process.logs import fields
from cabgate_kube.process.tasks import together
from cabgate_kube.resources import EXCEPTIONS, INTENTS, REQUESTS, Object, Resource
from cabgate_relay.sweeping import follow

log = logging.getLogger(__name__)

WATCH_SECONDS = 2
"""How long a watch waits for changes: what comes meanwhile is known at its end."""

SWEEP_SECONDS = 600.0
"""Time between two readings of everything."""

S = TypeVar("S", CABRequest, CABException, KeptBack)


class Subjects(Generic[S]):
    """What there is of one resource. `parse` makes an object of what is stored, or None of what is
    to be kept nothing of; `in_short` says what is kept of one that is worth no message; of one that
    may be, which is kept whole, None."""

    def __init__(
        self,
        api: ApiServer,
        resource: Resource,
        parse: Callable[[Object], S | None],
        in_short: Callable[[S], Asked | None],
    ) -> None:
        self._api, self._resource = api, resource
        self._parse: Callable[[Object], S | None] = parse
        self._in_short: Callable[[S], Asked | None] = in_short
        self.found: dict[tuple[str, str], S] = {}
        self.others: dict[tuple[str, str], Asked] = {}
        """Those that are worth no message."""
        self.known = False
        """Whether all of them have been read once."""
        self.trouble = ""
        """Why they cannot be read; empty if they can."""
        self.revision = 0
        """Another number after each change."""

    async def run(self) -> None:
        """Follow the resource, until cancelled."""
        await follow(
            *(self._api, self._resource, self),
            sweep_seconds=SWEEP_SECONDS,
            watch_seconds=WATCH_SECONDS,
        )

    async def sweep(self) -> str:
        """As `Reader`."""
        version, found, others = "", {}, {}
        async for page in self._api.pages(self._resource):
            version = version or page.resource_version
            for raw in page.items:
                parsed = self._parsed(raw)
                if isinstance(parsed, Asked):
                    others[_place(raw)] = parsed
                elif parsed is not None:
                    found[_place(raw)] = parsed
        self.found, self.others, self.known = found, others, True
        self.revision += 1
        return version

    async def take(self, events: Sequence[Object]) -> bool:
        """As `Reader`."""
        for event in events:
            self._apply(event)
        return False

    def went_well(self, asked: float) -> None:
        """As `Reader`."""
        self.trouble = ""

    def _apply(self, event: Object) -> None:
        if event["type"] not in ("ADDED", "MODIFIED", "DELETED"):
            return
        raw = event["object"]
        parsed = None if event["type"] == "DELETED" else self._parsed(raw)
        self.found.pop(_place(raw), None)
        self.others.pop(_place(raw), None)
        if isinstance(parsed, Asked):
            self.others[_place(raw)] = parsed
        elif parsed is not None:
            self.found[_place(raw)] = parsed
        self.revision += 1

    def _parsed(self, raw: Object) -> S | Asked | None:
        """An object that may be worth a message, what is kept of another one, or None of what
        cannot be read, or is to be kept nothing of."""
        try:
            parsed = self._parse(raw)
            return None if parsed is None else self._in_short(parsed) or parsed
        except (ValidationError, ValueError, KeyError, TypeError):
            log.error(
                "%s %s: cannot be read, and nobody is notified of it",
                *(self._resource.kind, "/".join(_place(raw))),
                extra=fields(kind=self._resource.kind, reason="Unreadable"),
            )
            return None

    def failed(self, why: str) -> None:
        """As `Reader`."""
        if why != self.trouble:
            log.warning(
                "%s cannot be read, retrying: %s",
                *(self._resource.plural, why),
                extra=fields(kind=self._resource.kind, reason="NotReached"),
            )
        self.trouble = why


class State:
    """What is true in a cluster. `refresh_seconds` is how long an answer holds while nothing is
    written."""

    def __init__(self, api: ApiServer, clock: Clock, refresh_seconds: float) -> None:
        self._clock = clock
        self._refresh_seconds = refresh_seconds
        self._requests = Subjects(
            *(api, REQUESTS, _request),
            lambda request: (
                None if is_current(request, clock()) else Asked.of(request, standing_of(request))
            ),
        )
        self._exceptions = Subjects(api, EXCEPTIONS, _exception, lambda exception: None)
        self._kept_back = Subjects(api, INTENTS, _kept_back, lambda kept_back: None)
        self._answer: tuple[int, float, list[Notice]] | None = None

    @property
    def trouble(self) -> str:
        """Why the cluster cannot be read; empty if it can. That what freezes keep back is not
        known, as where the right to read intents is missing, keeps nobody from what else there
        is."""
        return self._requests.trouble or self._exceptions.trouble

    @property
    def known(self) -> bool:
        """Whether all of it has been read once."""
        intents = self._kept_back.known or self._kept_back.trouble != ""
        return self._requests.known and self._exceptions.known and intents

    async def run(self) -> None:
        """Follow the cluster, until cancelled."""
        await together(
            {
                "requests": self._requests.run(),
                "exceptions": self._exceptions.run(),
                "intents": self._kept_back.run(),
            }
        )

    def notices(self, now: datetime) -> list[Notice]:
        """What there is to notify of."""
        parts = (self._requests, self._exceptions, self._kept_back)
        revision = sum(each.revision for each in parts)
        moment = time.monotonic()
        if self._answer is not None:
            known, at, answer = self._answer
            if known == revision and moment - at < self._refresh_seconds:
                return answer
        found = notices(
            *(self._requests.found.values(), self._exceptions.found.values(), now),
            self._requests.others,
            self._kept_back.found.values(),
        )
        self._answer = revision, moment, found
        return found


def _request(raw: Object) -> CABRequest:
    """A request without what no message needs, which is most of it."""
    spec = raw["spec"]
    assessment = {**spec["assessment"], "factors": spec["assessment"]["factors"][:1]}
    metadata = {**raw["metadata"], "labels": {}, "annotations": {}}
    lean = {**spec, "evidence": {}, "assessment": assessment}
    return CABRequest.model_validate({**raw, "metadata": metadata, "spec": lean})


def _exception(raw: Object) -> CABException:
    return CABException.model_validate(raw)


def _kept_back(raw: Object) -> KeptBack | None:
    status = DeploymentIntentStatus.model_validate(raw.get("status") or {})
    return KeptBack.of(str(raw["metadata"]["namespace"]), status)


def _place(raw: Object) -> tuple[str, str]:
    meta = raw["metadata"]
    return str(meta.get("namespace") or ""), str(meta.get("name") or "")
