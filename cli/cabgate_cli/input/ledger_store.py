# SPDX-License-Identifier: Apache-2.0
"""The ledger of a cluster, as an event store has it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cabgate.ledger.chain import Checkpoint
from cabgate.text.foreign import printed
from cabgate_cli.errors import BadInput, Unavailable
from cabgate_store.errors import StoreAwayError, StoreError
from cabgate_store.opening import open_to_read
from cabgate_store.store import KnownAnomaly


@dataclass(frozen=True)
class StoredLedger:
    """What a store has of one cluster."""

    records: list[dict[str, Any]]
    checkpoints: list[tuple[str, Checkpoint]]
    """Where chains were taken up whose beginning had been pruned, by namespace."""
    anomalies: list[KnownAnomaly]
    objects: dict[str, list[dict[str, Any]]]
    """What the records rest on, by kind."""


def stored_ledger(url: str, cluster: str | None, kinds: Sequence[str] = ()) -> StoredLedger:
    """What the store at a URL has of a cluster, or of the only one that it has; `kinds` of what the
    records rest on.

    Raises `BadInput`, and `Unavailable` for a store that does not answer.
    """
    try:
        store = open_to_read(url)
        name = _chosen(store.clusters(), cluster)
        return StoredLedger(
            list(store.records(name)),
            sorted(store.beginnings(name).items(), key=lambda item: item[0]),
            store.anomalies(name),
            {kind: list(store.objects(name, kind)) for kind in kinds},
        )
    except StoreAwayError as error:
        raise Unavailable(f"the event store cannot be read: {error}") from None
    except StoreError as error:
        raise BadInput(f"the event store cannot be read: {error}") from None


def _chosen(names: list[str], wanted: str | None) -> str:
    known = ", ".join(printed(name) for name in names)
    if wanted is None:
        if len(names) > 1:
            raise BadInput(f"the event store has several clusters, choose with --cluster: {known}")
        wanted = names[0] if names else ""
    if wanted not in names:
        has = f"it has {known}" if names else "it is empty"
        named = f" of cluster {printed(wanted)}" if wanted else ""
        raise BadInput(f"the event store has nothing{named}: {has}")
    return wanted
