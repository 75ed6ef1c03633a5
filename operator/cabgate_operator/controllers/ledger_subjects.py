# SPDX-License-Identifier: Apache-2.0
"""What the ledger lacks of a request or an exception."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from cabgate.api.base import rfc3339
from cabgate.api.decision import SubjectKind
from cabgate.api.exception import CABException
from cabgate.api.request import CABRequest
from cabgate.ledger.chain import entries_of
from cabgate.ledger.records import SUBMISSION, Subject, submitted
from cabgate_kube.resources import EXCEPTIONS, REQUESTS, Object, Resource
from cabgate_operator.work.context import Context, parsed

Lacks = Callable[[str, int, str], bool]
"""Whether a chain lacks a decision: by the uid of its subject, its number and its time."""

RECORDED = {REQUESTS: SubjectKind.REQUEST, EXCEPTIONS: SubjectKind.EXCEPTION}
"""What has decisions."""

FRESH = timedelta(seconds=1)
"""How long a request that a watch brought is recorded from, without another read: no longer than
the answer of a read may take until it is recorded. Of what etcd lost, nothing is to be recorded."""


@dataclass(frozen=True)
class Touched:
    """A subject that may have decisions which are not recorded yet."""

    resource: Resource
    name: str
    last: Object | None
    """The object as it was when it was deleted: there is nothing else to read any more."""
    brought: Object | None = None
    """A request as a watch brought it."""
    at: datetime | None = None
    """When it did."""

    def fresh(self, now: datetime) -> Object | None:
        """The request, if a watch brought it just now."""
        if self.at is None or not timedelta() <= now - self.at <= FRESH:
            return None
        return self.brought

    def to_read(self) -> "Touched":
        """The same, to be read anew."""
        return replace(self, brought=None)


async def missing_of(
    context: Context, namespace: str, uid: str, touched: Touched, lacks: Lacks
) -> list[dict[str, Any]]:
    """What the ledger lacks of a subject, as it is now or as it was at its end."""
    live = touched.fresh(context.clock())
    if live is None:
        live = await context.api.get(touched.resource, namespace, touched.name)
    if live is None or live["metadata"].get("uid") != uid:
        live = touched.last
    if live is None:
        return []  # its deletion will be seen
    subject: Subject
    request: CABRequest | None
    if touched.resource is REQUESTS:
        subject = request = parsed(CABRequest, live)
    else:
        subject = exception = parsed(CABException, live)
        raw = await context.api.get(REQUESTS, namespace, exception.spec.request_ref.name)
        request = None if raw is None else parsed(CABRequest, raw)
    lacking = {
        entry.sequence
        for entry in subject.status.decisions
        if lacks(uid, entry.sequence, rfc3339(entry.at))
    }
    opened = submitted(subject, request, context.username)
    # What a watch brings may be older than what was recorded by a read: then it was opened before
    # the first decision that is there, and nothing is put behind that.
    if opened is not None and all(lacks(uid, each, opened["at"]) for each in (SUBMISSION, 1)):
        return [opened]
    return entries_of(subject, request, only=lacking)
