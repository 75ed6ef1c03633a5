# SPDX-License-Identifier: Apache-2.0
"""Writes the ledger: one chain of records for each namespace, appended to and never changed.

A record's name is its place in the chain, so creating it is the compare-and-swap: whoever knows an
old head meets AlreadyExists, and reads anew. That is why what is known of a chain may be kept in
memory. A crash between two records leaves a shorter chain, which the next look makes longer.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cabgate.ledger.chain import (
    NO_DIGEST,
    Checkpoint,
    Head,
    Placed,
    append,
    in_order_of_time,
    namespace_of,
    placed,
    record_object,
)
from cabgate.ledger.records import SUBMISSION, may_be_submitted
from cabgate.rollout.installation import SYSTEM_NAMESPACE
from cabgate_kube.errors import AlreadyExistsError, ApiError, ConflictError
from cabgate_kube.installation import LEDGER_HEADS
from cabgate_kube.process.logs import fields
from cabgate_kube.resources import DECISIONS, REQUESTS, Object
from cabgate_operator.controllers.ledger_heads import (
    checkpoint_of,
    published_head,
    write_heads,
)
from cabgate_operator.controllers.ledger_subjects import RECORDED, Touched, missing_of
from cabgate_operator.work import keys
from cabgate_operator.work.context import Context
from cabgate_operator.work.controller import Controller, Watch, WatchEvent
from cabgate_operator.work.keys import Key
from cabgate_operator.work.reports import note_act

log = logging.getLogger(__name__)

MAX_SUBMISSIONS = 60
"""Records of submissions on which nothing was decided, of a namespace in an hour: nobody can delete
them. What is decided is recorded whatever their number."""

SUBMISSIONS_HOUR = timedelta(hours=1)

MAX_BROUGHT = 16
"""Namespaces, and requests of each, that are kept as a watch brought them. More of them wait until
they have to be read anyway."""

PUBLISH_SECONDS = 5.0
"""Shortest time between two writes of the heads."""

HEADS = Key(keys.Subject.HEADS, SYSTEM_NAMESPACE, LEDGER_HEADS)
"""The publication of the heads, as work."""


@dataclass
class _Chain:
    """What is known of a chain."""

    head: Head | None = None
    recorded: set[tuple[str, int]] = field(default_factory=set)
    """Uid of the subject, and position in its decisions, of every record."""

    checkpoint: Checkpoint | None = None
    """Up to where it was pruned."""

    submissions: list[datetime] = field(default_factory=list)
    """When what was only submitted was, of the last hour."""

    def is_full(self, now: datetime) -> bool:
        """Whether no further submission is recorded by itself now."""
        self.submissions = [at for at in self.submissions if now - at < SUBMISSIONS_HOUR]
        return len(self.submissions) >= MAX_SUBMISSIONS

    def lacks(self, uid: str, number: int, at: str) -> bool:
        """Whether a decision of a subject is not recorded, and never was."""
        if (uid, number) in self.recorded:
            return False
        return self.checkpoint is None or not self.checkpoint.covers(datetime.fromisoformat(at))

    def holds(self, uid: str, decisions: Iterable[Mapping[str, Any]]) -> bool:
        """Whether all decisions of a subject are recorded."""
        return not any(
            self.lacks(uid, number, str(decision["at"]))
            for number, decision in enumerate(decisions, 1)
        )


class Ledger(Controller):
    """Keeps the chains."""

    subjects = (keys.Subject.LEDGER, keys.Subject.HEADS)
    watches = tuple(map(Watch, RECORDED))

    def __init__(self) -> None:
        self._chains: dict[str, _Chain] = {}
        self._touched: dict[str, dict[str, Touched]] = {}
        self._unpublished: set[str] = set()
        self._published_at: datetime | None = None
        self._heads: Object | None = None
        """The ConfigMap of the heads, as it was written last."""

    def saw(self, event: WatchEvent) -> Sequence[Key]:
        """Take note of a request or an exception; the chain of its namespace if some of its
        decisions may be missing there."""
        resource, body = event.resource, event.body
        decisions = (body.get("status") or {}).get("decisions") or []
        kind = RECORDED.get(resource)
        if kind is None or not (decisions or may_be_submitted(kind, body)):
            return ()
        meta = body["metadata"]
        namespace, uid = str(meta.get("namespace", "")), str(meta.get("uid", ""))
        chain = self._chains.get(namespace)
        if chain is not None and chain.holds(uid, decisions):
            created = str(meta.get("creationTimestamp") or "")
            if decisions or not created or not chain.lacks(uid, SUBMISSION, created):
                return ()
        waiting = self._touched.setdefault(namespace, {})
        few = len(waiting) < MAX_BROUGHT and len(self._touched) <= MAX_BROUGHT
        of_watch = resource is REQUESTS and not (event.deleted or event.swept)
        waiting[uid] = Touched(
            resource,
            str(meta.get("name", "")),
            last=body if event.deleted else None,
            brought=body if of_watch and few else None,
            at=event.at,
        )
        return (Key(keys.Subject.LEDGER, namespace, ""),)

    def forget(self) -> None:
        """Read every chain anew at the next need: the cluster may have gone back in time."""
        self._chains.clear()
        self._heads = None
        for namespace, touched in self._touched.items():
            self._touched[namespace] = {uid: each.to_read() for uid, each in touched.items()}

    async def reconcile(self, context: Context, key: Key) -> None:
        """Append what is missing in the chain of a namespace, in the order of time; or publish
        where the chains end."""
        if key.subject is keys.Subject.HEADS:
            await self.publish(context)
        else:
            await self._make_longer(context, key.namespace)

    async def _make_longer(self, context: Context, namespace: str) -> None:
        touched = self._touched.pop(namespace, {})
        try:
            await self._append_missing(context, namespace, touched)
        except BaseException:
            # Whether the last record was stored is not known, nor is what comes next.
            self._chains.pop(namespace, None)
            again = {uid: each.to_read() for uid, each in touched.items()}
            self._touched[namespace] = {**again, **self._touched.get(namespace, {})}
            raise

    async def holds(self, context: Context, body: Object) -> bool:
        """Whether every decision of a request or an exception is recorded."""
        namespace = str(body["metadata"]["namespace"])
        chain = self._chains.get(namespace) or await self._read(context, namespace)
        decisions = (body.get("status") or {}).get("decisions") or []
        return chain.holds(str(body["metadata"]["uid"]), decisions)

    async def _append_missing(
        self, context: Context, namespace: str, touched: Mapping[str, Touched]
    ) -> None:
        chain = self._chains.get(namespace)
        if chain is None:
            chain = await self._read(context, namespace)
            self._chains[namespace] = chain
        errors: list[Exception] = []
        missing = []
        for uid, subject in touched.items():
            try:
                missing.append(await missing_of(context, namespace, uid, subject, chain.lacks))
            except ValueError as error:  # one that cannot be read does not stop the others
                errors.append(error)
        refused: set[str] = set()
        for content in in_order_of_time(missing):
            uid = content["subject"]["uid"]
            if uid in refused or _is_too_many(context, namespace, chain, content):
                continue
            try:
                await self._append(context, namespace, chain, content)
            except ApiError as error:
                if not error.refused:
                    raise
                refused.add(uid)
                errors.append(error)
        if errors:
            raise errors[0]

    async def _append(
        self, context: Context, namespace: str, chain: _Chain, content: Mapping[str, Any]
    ) -> None:
        while True:
            record = append(chain.head, content)
            try:
                await context.api.create(DECISIONS, "", record_object(record))
                break
            except AlreadyExistsError as error:
                taken = await context.api.get(DECISIONS, "", record.metadata.name)
                if taken is None or namespace_of(taken) == namespace:
                    why = f"{record.metadata.name} is taken"
                    raise ConflictError(409, "Conflict", why) from error
                # No list of this chain shows it, since it does not say whose it is.
                found = placed(taken, namespace)
                _tell_unreadable(taken, namespace, found)
                digest = NO_DIGEST if found is None else found.head.digest
                chain.head = Head(record.spec.sequence, digest)
        chain.head = Head.of(record)
        chain.recorded.add((record.spec.subject.uid, record.spec.entry))
        spec = record.spec
        if spec.entry == SUBMISSION:
            chain.submissions.append(context.clock())
        log.info(
            "ledger %s: %s by %s on %s",
            record.metadata.name,
            spec.verdict,
            spec.author.username,
            spec.subject.name,
            extra=fields(
                kind=spec.subject.kind,
                namespace=namespace,
                object=spec.subject.name,
                record=record.metadata.name,
                reason=spec.verdict,
                user=spec.author.username,
                correlationID=spec.correlation_id,
            ),
        )
        note_act(f"decision {record.metadata.name}", spec.verdict)
        self._publish_soon(context, namespace)

    async def _read(self, context: Context, namespace: str) -> _Chain:
        """A chain as it is now.

        Where it ends before its published head, it was cut: it goes on after that head, so that
        the gap stays to be seen.
        """
        published = await published_head(context, namespace)
        chain = _Chain()
        selector = f"spec.subject.namespace={namespace}"
        async for page in context.api.pages(DECISIONS, fields=selector):
            for item in page.items:
                found = placed(item, namespace)
                if found is None or found.problem:
                    _tell_unreadable(item, namespace, found)
                if found is None:
                    continue
                here = found.head
                if found.about is not None:
                    chain.recorded.add(found.about)
                    if found.about[1] == SUBMISSION:
                        chain.submissions += _moment(item)
                if chain.head is None or here.sequence > chain.head.sequence:
                    chain.head = here
                same_place = published is not None and here.sequence == published.sequence
                if same_place and here != published:
                    about = fields(namespace=namespace, reason="NotAsPublished")
                    log.error(
                        *("ledger %s: is not what was published: %s", namespace, published),
                        extra=about,
                    )
        # After the records: what a prune deleted meanwhile lies behind a checkpoint by then.
        chain.checkpoint = await checkpoint_of(context, namespace)
        if chain.head is None and chain.checkpoint is not None:
            chain.head = chain.checkpoint.head
        if published is not None and (
            chain.head is None or chain.head.sequence < published.sequence
        ):
            about = fields(namespace=namespace, reason="Cut")
            log.error(
                *("ledger %s: cut: published head %s is gone", namespace, published), extra=about
            )
            chain.head = published
        elif chain.head is not None and chain.head != published:
            self._publish_soon(context, namespace)
        return chain

    def _publish_soon(self, context: Context, namespace: str) -> None:
        if not self._unpublished:
            now, last = context.clock(), self._published_at
            pause = timedelta(seconds=PUBLISH_SECONDS)
            context.queue.add_at(HEADS, now if last is None else max(now, last + pause))
        self._unpublished.add(namespace)

    async def publish(self, context: Context) -> None:
        """Write the heads that moved, to the log and to the ConfigMap."""
        moved = {
            namespace: chain.head
            for namespace in sorted(self._unpublished)
            if (chain := self._chains.get(namespace)) is not None and chain.head is not None
        }
        self._unpublished.clear()
        self._published_at = context.clock()
        for namespace, head in moved.items():
            about = fields(namespace=namespace, reason="HeadMoved", head=str(head))
            log.info("ledger head of %s: %s", namespace, head, extra=about)
        known, self._heads = self._heads, None
        try:
            self._heads = await write_heads(context, moved, known)
        except ApiError:
            self._unpublished |= set(moved)
            raise


def _tell_unreadable(raw: Object, namespace: str, found: Placed | None) -> None:
    name = (raw.get("metadata") or {}).get("name")
    log.error(
        "ledger %s: record %s cannot be read (%s); the chain goes on behind it, and what it "
        "recorded is recorded anew: see cabgate ledger verify",
        namespace,
        name,
        "spec.subject.namespace" if found is None or not found.problem else found.problem,
        extra=fields(namespace=namespace, record=name, reason="Unreadable"),
    )


def _moment(record: Object) -> list[datetime]:
    """When a record was written; none if it does not say so. Not when its subject was made: what
    waits for its record would not count."""
    try:
        moment = datetime.fromisoformat(record["metadata"]["creationTimestamp"])
    except (KeyError, TypeError, ValueError):
        return []
    return [moment] if moment.tzinfo else []


def _is_too_many(
    context: Context, namespace: str, chain: _Chain, content: Mapping[str, Any]
) -> bool:
    """Whether a submission is not recorded by itself, since there were too many. It is tried again
    when the object is seen again; what is decided on it says when and by whom it was submitted."""
    if content["entry"] != SUBMISSION or not chain.is_full(context.clock()):
        return False
    log.warning(
        "ledger %s: %s of %s is not recorded by itself: more than %d submissions within an hour; "
        "its decision will be, and says who submitted",
        *(namespace, content["verdict"], content["subject"]["name"], MAX_SUBMISSIONS),
        extra=fields(
            namespace=namespace, object=content["subject"]["name"], reason="TooManySubmissions"
        ),
    )
    return True
