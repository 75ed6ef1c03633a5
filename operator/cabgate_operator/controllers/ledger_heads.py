# SPDX-License-Identifier: Apache-2.0
"""The ConfigMaps that say where the chains of the ledger end, and up to where they were pruned."""

import logging
from collections.abc import Mapping

from cabgate.ledger.chain import Checkpoint, Head
from cabgate.rollout.installation import SYSTEM_NAMESPACE
from cabgate_kube.installation import LEDGER_CHECKPOINTS, LEDGER_HEADS
from cabgate_kube.process.logs import fields
from cabgate_kube.resources import CONFIG_MAPS, Object
from cabgate_operator.work.context import Context, UnreadableError
from cabgate_operator.work.reports import note_act

log = logging.getLogger(__name__)


async def published_head(context: Context, namespace: str) -> Head | None:
    """The head of a chain as it was published; None if there is none that can be read."""
    raw = await context.api.get(CONFIG_MAPS, SYSTEM_NAMESPACE, LEDGER_HEADS)
    text = ((raw or {}).get("data") or {}).get(namespace)
    try:
        return None if text is None else Head.parse(text)
    except ValueError as error:
        about = fields(namespace=namespace, object=LEDGER_HEADS, reason="Unreadable")
        log.warning("ledger %s: ConfigMap %s: %s", namespace, LEDGER_HEADS, error, extra=about)
        return None


async def checkpoint_of(context: Context, namespace: str) -> Checkpoint | None:
    """Up to where a chain was pruned. Raises `ValueError` for what cannot be read: without it, what
    was pruned would be recorded anew."""
    raw = await context.api.get(CONFIG_MAPS, SYSTEM_NAMESPACE, LEDGER_CHECKPOINTS)
    text = ((raw or {}).get("data") or {}).get(namespace)
    try:
        return None if text is None else Checkpoint.parse(text)
    except ValueError as error:
        why = f"ConfigMap {LEDGER_CHECKPOINTS}: {namespace}: {error}"
        raise UnreadableError(why) from None


async def write_heads(
    context: Context, heads: Mapping[str, Head], known: Object | None = None
) -> Object | None:
    """Publish heads. Returns the ConfigMap as it is then; None if there is none. `known` is what
    this returned before: if somebody else wrote it since, the write is a `ConflictError`."""
    raw = known
    if raw is None or not _lacks(raw, heads):
        raw = await context.api.get(CONFIG_MAPS, SYSTEM_NAMESPACE, LEDGER_HEADS)
    if raw is None:
        log.warning(
            "no ConfigMap %s/%s to publish the ledger's heads in: run helm upgrade",
            SYSTEM_NAMESPACE,
            LEDGER_HEADS,
            extra=fields(namespace=SYSTEM_NAMESPACE, object=LEDGER_HEADS, reason="NotFound"),
        )
        return None
    if not _lacks(raw, heads):
        return raw
    new = {**(raw.get("data") or {}), **{name: str(head) for name, head in heads.items()}}
    written = await context.api.replace(CONFIG_MAPS, {**raw, "data": new})
    note_act(f"heads of {len(heads)} namespaces", "Published")
    return written


def _lacks(raw: Object, heads: Mapping[str, Head]) -> bool:
    """Whether a ConfigMap says something else than some heads, or nothing of them."""
    data = raw.get("data") or {}
    return any(data.get(namespace) != str(head) for namespace, head in heads.items())
