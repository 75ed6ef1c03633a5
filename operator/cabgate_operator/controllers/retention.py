# SPDX-License-Identifier: Apache-2.0
"""Removes requests that nobody needs any more, once the ledger holds what they decided."""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from cabgate.api.base import rfc3339
from cabgate.api.exception import CABException
from cabgate.api.intent import DeploymentIntent
from cabgate.api.request import CABRequest, RequestState
from cabgate.lifecycle.limits.capacity import stored_bytes
from cabgate.lifecycle.limits.retention import (
    INTENT_GONE,
    KEPT_BYTES,
    KEPT_FOR,
    LEAST_KEPT,
    removable,
)
from cabgate.lifecycle.state.standing import standings_of_exceptions
from cabgate.rollout.targets import TARGET_LABEL_PREFIX
from cabgate_kube.process.logs import fields
from cabgate_kube.resources import EXCEPTIONS, INTENTS, REQUESTS, Object
from cabgate_operator.controllers.ledger import Ledger
from cabgate_operator.work.context import Context, listed, parsed
from cabgate_operator.work.controller import Controller, Watch, WatchEvent
from cabgate_operator.work.keys import Key, Subject
from cabgate_operator.work.reports import note_act

log = logging.getLogger(__name__)


class Census:
    """The requests that a sweep comes by, by namespace, at a moment."""

    def __init__(self, now: datetime) -> None:
        self._latest = rfc3339(now - KEPT_FOR)
        self._numbers: Counter[tuple[str, str]] = Counter()
        self._bytes: Counter[tuple[str, str]] = Counter()
        self._outlived: set[str] = set()

    def saw(self, raw: Object) -> None:
        """Count a request, as a list has it."""
        namespace = raw["metadata"]["namespace"]
        size = stored_bytes(raw)
        for target in _targets(raw):
            self._numbers[namespace, target] += 1
            self._bytes[namespace, target] += size
        if self._may_have_outlived(raw):
            self._outlived.add(namespace)

    def to_look_at(self, kept: int) -> list[str]:
        """The namespaces that may hold a request which can be removed: more than `kept` of one
        target, or larger ones than stay, or one that was superseded or lost its intent long ago."""
        found = {
            place[0]
            for place, number in self._numbers.items()
            if number > kept or (number > LEAST_KEPT and self._bytes[place] > KEPT_BYTES)
        }
        return sorted(found | self._outlived)

    def _may_have_outlived(self, raw: Object) -> bool:
        status = raw.get("status") or {}
        moments = [c["lastTransitionTime"] for c in status.get("conditions", ()) if _is_mark(c)]
        if status.get("state") == RequestState.SUPERSEDED.value:
            moments += [entry["at"] for entry in status.get("decisions", ())[-1:]]
        return any(moment <= self._latest for moment in moments)


def _targets(raw: Object) -> list[str]:
    """The labels by which a request names its targets; one that is empty where it has none."""
    labels = raw["metadata"].get("labels") or {}
    return [label for label in labels if label.startswith(TARGET_LABEL_PREFIX)] or [""]


def _is_mark(condition: Object) -> bool:
    return condition.get("type") == INTENT_GONE and condition.get("status") == "True"


async def reconcile_retention(context: Context, ledger: Ledger, namespace: str, kept: int) -> None:
    """Remove what `cabgate.lifecycle.limits.retention` says may go from a namespace.

    A request whose decisions the ledger lacks stays until the next sweep.
    """
    api = context.api
    requests, sizes = await _requests(context, namespace)
    found = await listed(api, CABException, EXCEPTIONS, namespace)
    exceptions = standings_of_exceptions(found)
    intents = await listed(api, DeploymentIntent, INTENTS, namespace)
    by_name = {intent.metadata.name: intent for intent in intents}
    now = context.clock()
    for request in removable(requests, exceptions, by_name, now, kept, sizes):
        name = request.metadata.name
        raw = await api.get(REQUESTS, namespace, name)
        if raw is None or raw["metadata"]["resourceVersion"] != request.metadata.resource_version:
            continue  # gone, or something was decided since
        held = await ledger.holds(context, raw)
        about = fields(
            kind="request",
            namespace=namespace,
            object=name,
            reason="Removed" if held else "NotInLedger",
            correlationID=request.spec.correlation_id,
        )
        if not held:
            log.warning("request %s/%s: not in the ledger yet", namespace, name, extra=about)
            continue
        await api.delete(REQUESTS, raw)
        log.info("request %s/%s: removed by retention", namespace, name, extra=about)
        note_act(f"request {name}", "Removed")


class Retention(Controller):
    """The requests of namespaces in which a sweep found some that may go: what the ledger lacks
    stays."""

    subjects = (Subject.RETENTION,)
    watches = (Watch(REQUESTS),)

    def __init__(self, ledger: Ledger, kept: int) -> None:
        self._ledger = ledger
        self._kept = kept
        self._census: Census | None = None

    async def begin_sweep(self, context: Context) -> None:
        """Count anew."""
        self._census = Census(context.clock())

    def saw(self, event: WatchEvent) -> Sequence[Key]:
        """Count a request that a sweep brought."""
        if event.swept and self._census is not None:
            self._census.saw(event.body)
        return ()

    def end_sweep(self) -> Sequence[Key]:
        """The namespaces that may hold too many."""
        found = [] if self._census is None else self._census.to_look_at(self._kept)
        return [Key(Subject.RETENTION, namespace, "") for namespace in found]

    async def reconcile(self, context: Context, key: Key) -> None:
        """Remove what may go from a namespace."""
        await reconcile_retention(context, self._ledger, key.namespace, self._kept)


async def _requests(context: Context, namespace: str) -> tuple[list[CABRequest], dict[str, int]]:
    """The requests of a namespace without their evidence, which is most of them, and the bytes that
    each takes: a page at a time, since there may be any number."""
    found: list[CABRequest] = []
    sizes: dict[str, int] = {}
    async for page in context.api.pages(REQUESTS, namespace):
        for raw in page.items:
            sizes[raw["metadata"]["name"]] = stored_bytes(raw)
            found.append(parsed(CABRequest, {**raw, "spec": {**raw["spec"], "evidence": {}}}))
            await asyncio.sleep(0)
    return found, sizes
