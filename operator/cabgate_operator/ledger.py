# SPDX-License-Identifier: Apache-2.0
"""Writes the ledger: one chain of records for each namespace, appended to and never changed.

A record's name is its place in the chain, so creating it is the compare-and-swap: whoever knows an
old head meets AlreadyExists, and reads anew. That is why what is known of a chain may be kept in
memory. A crash between two records leaves a shorter chain, which the next look makes longer.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cabgate.api.exception import CABException
from cabgate.api.request import CABRequest
from cabgate.ledger import Checkpoint, Head, append, entries_of, in_order_of_time, record_object
from cabgate.logs import fields
from cabgate_operator.apiserver import (
    CONFIG_MAPS,
    DECISIONS,
    EXCEPTIONS,
    REQUESTS,
    AlreadyExistsError,
    ApiError,
    ConflictError,
    Object,
    Resource,
)
from cabgate_operator.context import Context, UnreadableError, parsed
from cabgate_operator.keys import Key, Subject
from cabgate_operator.reports import did

log = logging.getLogger(__name__)

SYSTEM_NAMESPACE = "cabgate-system"
"""Where the heads are published."""

HEADS_CONFIG_MAP = "cabgate-ledger-heads"
"""The ConfigMap that says, for each namespace, where its chain ends."""

CHECKPOINTS_CONFIG_MAP = "cabgate-ledger-checkpoints"
"""The ConfigMap that says up to where a chain was pruned."""

PUBLISH_SECONDS = 5.0
"""Shortest time between two writes of the heads."""

HEADS = Key(Subject.HEADS, SYSTEM_NAMESPACE, HEADS_CONFIG_MAP)
"""The publication of the heads, as work."""

RECORDED = (REQUESTS, EXCEPTIONS)
"""What has decisions."""


@dataclass
class _Chain:
    """What is known of a chain."""

    head: Head | None = None
    recorded: set[tuple[str, int]] = field(default_factory=set)
    """Uid of the subject, and position in its decisions, of every record."""

    checkpoint: Checkpoint | None = None
    """Up to where it was pruned."""

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


@dataclass(frozen=True)
class _Touched:
    """A subject that may have decisions which are not recorded yet."""

    resource: Resource
    name: str
    last: Object | None
    """The object as it was when it was deleted: there is nothing else to read any more."""


class Ledger:
    """Keeps the chains. Whoever calls `reconcile` does so for one namespace once at a time."""

    def __init__(self) -> None:
        self._chains: dict[str, _Chain] = {}
        self._touched: dict[str, dict[str, _Touched]] = {}
        self._unpublished: set[str] = set()
        self._published_at: datetime | None = None

    def saw(self, resource: Resource, body: Object, *, deleted: bool = False) -> Key | None:
        """Take note of a request or an exception; the work to do if some of its decisions may be
        missing in the ledger."""
        decisions = (body.get("status") or {}).get("decisions") or []
        if resource not in RECORDED or not decisions:
            return None
        meta = body["metadata"]
        namespace, uid = str(meta.get("namespace", "")), str(meta.get("uid", ""))
        chain = self._chains.get(namespace)
        if chain is not None and chain.holds(uid, decisions):
            return None
        touched = _Touched(resource, str(meta.get("name", "")), body if deleted else None)
        self._touched.setdefault(namespace, {})[uid] = touched
        return Key(Subject.LEDGER, namespace, "")

    def forget(self) -> None:
        """Read every chain anew at the next need: the cluster may have gone back in time."""
        self._chains.clear()

    async def reconcile(self, context: Context, namespace: str) -> None:
        """Append what is missing in the chain of a namespace, in the order of time."""
        touched = self._touched.pop(namespace, {})
        try:
            await self._append_missing(context, namespace, touched)
        except BaseException:
            # Whether the last record was stored is not known, nor is what comes next.
            self._chains.pop(namespace, None)
            self._touched[namespace] = {**touched, **self._touched.get(namespace, {})}
            raise

    async def holds(self, context: Context, body: Object) -> bool:
        """Whether every decision of a request or an exception is recorded."""
        namespace = str(body["metadata"]["namespace"])
        chain = self._chains.get(namespace) or await self._read(context, namespace)
        decisions = (body.get("status") or {}).get("decisions") or []
        return chain.holds(str(body["metadata"]["uid"]), decisions)

    async def _append_missing(
        self, context: Context, namespace: str, touched: Mapping[str, _Touched]
    ) -> None:
        chain = self._chains.get(namespace)
        if chain is None:
            chain = await self._read(context, namespace)
            self._chains[namespace] = chain
        errors: list[Exception] = []
        missing = []
        for uid, subject in touched.items():
            try:
                contents = await _contents(context, namespace, uid, subject)
            except ValueError as error:  # one that cannot be read does not stop the others
                errors.append(error)
                continue
            missing.append([c for c in contents if chain.lacks(uid, c["entry"], c["at"])])
        refused: set[str] = set()
        for content in in_order_of_time(missing):
            uid = content["subject"]["uid"]
            if uid in refused:
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
        record = append(chain.head, content)
        try:
            await context.api.create(DECISIONS, "", record_object(record))
        except AlreadyExistsError as error:
            raise ConflictError(409, "Conflict", f"{record.metadata.name} is taken") from error
        chain.head = Head.of(record)
        chain.recorded.add((record.spec.subject.uid, record.spec.entry))
        spec = record.spec
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
        did(f"decision {record.metadata.name}", spec.verdict)
        self._publish_soon(context, namespace)

    async def _read(self, context: Context, namespace: str) -> _Chain:
        """A chain as it is now.

        Where it ends before its published head, it was cut: it goes on after that head, so that
        the gap stays to be seen.
        """
        published = await _published_head(context, namespace)
        chain = _Chain()
        selector = f"spec.subject.namespace={namespace}"
        async for page in context.api.pages(DECISIONS, fields=selector):
            for item in page.items:
                spec = item["spec"]
                here = Head(int(spec["sequence"]), str(spec["digest"]))
                chain.recorded.add((str(spec["subject"]["uid"]), int(spec["entry"])))
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
        chain.checkpoint = await _checkpoint(context, namespace)
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
        try:
            await _write_heads(context, moved)
        except ApiError:
            self._unpublished |= set(moved)
            raise


async def _contents(
    context: Context, namespace: str, uid: str, touched: _Touched
) -> list[dict[str, Any]]:
    """What has to be in the ledger for a subject, as it is now or as it was at its end."""
    live = await context.api.get(touched.resource, namespace, touched.name)
    if live is None or live["metadata"].get("uid") != uid:
        live = touched.last
    if live is None:
        return []  # its deletion will be seen
    if touched.resource is REQUESTS:
        return entries_of(parsed(CABRequest, live))
    exception = parsed(CABException, live)
    raw = await context.api.get(REQUESTS, namespace, exception.spec.request_ref.name)
    return entries_of(exception, None if raw is None else parsed(CABRequest, raw))


async def _published_head(context: Context, namespace: str) -> Head | None:
    raw = await context.api.get(CONFIG_MAPS, SYSTEM_NAMESPACE, HEADS_CONFIG_MAP)
    text = ((raw or {}).get("data") or {}).get(namespace)
    try:
        return None if text is None else Head.parse(text)
    except ValueError as error:
        about = fields(namespace=namespace, object=HEADS_CONFIG_MAP, reason="Unreadable")
        log.warning("ledger %s: ConfigMap %s: %s", namespace, HEADS_CONFIG_MAP, error, extra=about)
        return None


async def _checkpoint(context: Context, namespace: str) -> Checkpoint | None:
    """Up to where a chain was pruned. Raises `ValueError` for what cannot be read: without it, what
    was pruned would be recorded anew."""
    raw = await context.api.get(CONFIG_MAPS, SYSTEM_NAMESPACE, CHECKPOINTS_CONFIG_MAP)
    text = ((raw or {}).get("data") or {}).get(namespace)
    try:
        return None if text is None else Checkpoint.parse(text)
    except ValueError as error:
        why = f"ConfigMap {CHECKPOINTS_CONFIG_MAP}: {namespace}: {error}"
        raise UnreadableError(why) from None


async def _write_heads(context: Context, heads: Mapping[str, Head]) -> None:
    raw = await context.api.get(CONFIG_MAPS, SYSTEM_NAMESPACE, HEADS_CONFIG_MAP)
    if raw is None:
        log.warning(
            "no ConfigMap %s/%s to publish the ledger's heads in: run helm upgrade",
            SYSTEM_NAMESPACE,
            HEADS_CONFIG_MAP,
            extra=fields(namespace=SYSTEM_NAMESPACE, object=HEADS_CONFIG_MAP, reason="NotFound"),
        )
        return
    old = raw.get("data") or {}
    new = old | {namespace: str(head) for namespace, head in heads.items()}
    if new != old:
        await context.api.replace(CONFIG_MAPS, {**raw, "data": new})
        did(f"heads of {len(heads)} namespaces", "Published")
