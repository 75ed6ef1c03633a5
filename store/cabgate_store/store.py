# SPDX-License-Identifier: Apache-2.0
"""Records of the ledgers of clusters: appended without gaps, never changed, read chain by chain;
and what they rest on."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cabgate.api.base import rfc3339
from cabgate.ledger.archive import Additions, additions, positions
from cabgate.ledger.chain import Checkpoint, Head, chain_of, record_name
from cabgate.ledger.kept import Kept
from cabgate_store.database import Database, typed
from cabgate_store.errors import StoreError

RawObject = Mapping[str, Any]

PAGE = 1000
"""Records that are read at a time."""

OBJECTS = 50
"""Other objects that are: a request may have a megabyte."""

_NAMED = ("namespace", "name", "uid")


@dataclass(frozen=True)
class KnownAnomaly:
    """A record that was not as it should be, as the store tells of it."""

    chain: str
    sequence: int
    code: str
    message: str
    found_at: str


@dataclass(frozen=True)
class Appended:
    """What came of appending records."""

    records: int
    """How many are new in the store."""
    anomalies: Sequence[KnownAnomaly]
    """Those that are new."""
    missing: Mapping[str, int]
    """The position that has to come first, of each chain of which later ones are there."""


class EventStore:
    """The store in a database, for one thread at a time.

    Every method raises `StoreAwayError` where the database does not answer, and `StoreError` where
    it refuses. A second thread needs a connection of its own.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def append(
        self,
        cluster: str,
        raws: Iterable[RawObject],
        checkpoints: Mapping[str, Checkpoint] | None,
        now: datetime,
    ) -> Appended:
        """Append those records of a cluster that follow what is there, all in one transaction.

        What is there already is compared. What is out of place or another record than before is
        kept as an anomaly; nothing is overwritten. `checkpoints` are those of the cluster;
        None: they were not read, so that nobody knows whether a record that is missing was pruned.
        """
        chains: dict[str, list[RawObject]] = defaultdict(list)
        for raw in raws:
            chains[chain_of(raw)].append(raw)
        count, anomalies, missing = 0, [], {}
        with self._database.writing(cluster):
            for chain, own in sorted(chains.items()):
                made = self._additions(cluster, chain, own, checkpoints)
                anomalies += self._write(cluster, chain, made, now)
                count += len(made.records)
                if made.missing is not None:
                    missing[chain] = made.missing
        return Appended(count, anomalies, missing)

    def keep(self, cluster: str, objects: Sequence[Kept], now: datetime) -> int:
        """Keep what is not kept yet of some objects, all in one transaction; how many that were."""
        wanted = {(each.kind, each.uid, each.digest): each for each in objects}
        sql = "SELECT 1 FROM objects WHERE cluster = ? AND kind = ? AND uid = ? AND digest = ?"
        at, new = rfc3339(now), list[Kept]()
        with self._database.writing(cluster):
            for each in wanted.values():
                rows = self._database.rows(sql, (cluster, each.kind, each.uid, each.digest))
                new += [] if rows else [each]
            self._database.insert(
                "INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        *(cluster, each.kind, each.uid, each.digest, each.namespace, each.name),
                        *(each.content.decode(), at),
                    )
                    for each in new
                ],
            )
        return len(new)

    def objects(self, cluster: str, kind: str) -> Iterator[dict[str, Any]]:
        """Each content that the objects of a kind had; of one that is no JSON, what it is of."""
        sql = (
            "SELECT uid, digest, namespace, name, content FROM objects "
            "WHERE cluster = ? AND kind = ? AND (uid, digest) > (?, ?) "
            "ORDER BY uid, digest LIMIT ?"
        )
        last = ("", "")
        while True:
            found = self._database.rows(sql, (cluster, kind, *last, OBJECTS))
            for uid, digest, *named, content in typed("objects", found, *(str,) * 5):
                last = (uid, digest)
                yield _read(content) or {"metadata": dict(zip(_NAMED, (*named, uid), strict=True))}
            if len(found) < OBJECTS:
                return

    def _additions(
        self,
        cluster: str,
        chain: str,
        raws: Sequence[RawObject],
        checkpoints: Mapping[str, Checkpoint] | None,
    ) -> Additions:
        held: dict[int, bytes] = {}
        found = positions(raws, chain)
        if found:
            sql = (
                "SELECT sequence, content FROM records WHERE cluster = ? AND chain = ? "
                "AND sequence BETWEEN ? AND ?"
            )
            rows = self._database.rows(sql, (cluster, chain, found[0], found[-1]))
            there = typed("records", rows, int, str)
            held = {sequence: content.encode() for sequence, content in there}
        head = self.head(cluster, chain)
        return additions(
            chain,
            raws,
            head=head,
            held=held,
            checkpoint=(checkpoints or {}).get(chain),
            checkpoint_known=checkpoints is not None,
        )

    def _write(
        self, cluster: str, chain: str, made: Additions, now: datetime
    ) -> list[KnownAnomaly]:
        at = rfc3339(now)
        if made.beginning is not None:
            self._database.insert(
                "INSERT INTO beginnings VALUES (?, ?, ?)", [(cluster, chain, str(made.beginning))]
            )
        self._database.insert(
            "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)",
            [
                (cluster, chain, each.head.sequence, each.head.digest, each.line.decode(), at)
                for each in made.records
            ],
        )
        rows = {}
        for each in made.anomalies:
            key = (each.sequence, each.code.value, hashlib.sha256(each.line).hexdigest())
            rows[key] = (cluster, chain, *key, each.message, each.line.decode(), at)
        if not rows:
            return []
        sql = "SELECT sequence, code, content_sha256 FROM anomalies WHERE cluster = ? AND chain = ?"
        known = set(self._database.rows(sql, (cluster, chain)))
        new = {key: row for key, row in rows.items() if key not in known}
        self._database.insert("INSERT INTO anomalies VALUES (?, ?, ?, ?, ?, ?, ?, ?)", new.values())
        return [KnownAnomaly(chain, key[0], key[1], row[5], at) for key, row in new.items()]

    def head(self, cluster: str, chain: str) -> Head | None:
        """Where a chain ends; None if the store has nothing of it."""
        sql = (
            "SELECT sequence, digest FROM records WHERE cluster = ? AND chain = ? "
            "ORDER BY sequence DESC LIMIT 1"
        )
        found = self._database.rows(sql, (cluster, chain))
        for sequence, digest in typed("records", found, int, str):
            return Head(sequence, digest)
        beginning = self.beginnings(cluster).get(chain)
        return None if beginning is None else beginning.head

    def beginnings(self, cluster: str) -> dict[str, Checkpoint]:
        """Where chains were taken up whose beginning had been pruned."""
        sql = "SELECT chain, checkpoint FROM beginnings WHERE cluster = ?"
        try:
            found = typed("beginnings", self._database.rows(sql, (cluster,)), str, str)
            return {chain: Checkpoint.parse(text) for chain, text in found}
        except ValueError as error:
            raise StoreError(f"table beginnings: {error}") from None

    def clusters(self) -> list[str]:
        """The clusters that it has something of."""
        sql = "SELECT cluster FROM records UNION SELECT cluster FROM beginnings ORDER BY 1"
        return [name for (name,) in typed("records or beginnings", self._database.rows(sql), str)]

    def records(self, cluster: str) -> Iterator[dict[str, Any]]:
        """The records of a cluster as objects, chain by chain; of one that is no JSON the name
        alone, so that whoever verifies finds it."""
        sql = (
            "SELECT chain, sequence, content FROM records WHERE cluster = ? "
            "AND (chain, sequence) > (?, ?) ORDER BY chain, sequence LIMIT ?"
        )
        last: tuple[str, int] = ("", 0)
        while True:
            found = self._database.rows(sql, (cluster, *last, PAGE))
            for chain, sequence, content in typed("records", found, str, int, str):
                last = (chain, sequence)
                yield _object(chain, sequence, content)
            if len(found) < PAGE:
                return

    def anomalies(self, cluster: str) -> list[KnownAnomaly]:
        """What was found of records that were not as they should be, in the order of time."""
        sql = (
            "SELECT chain, sequence, code, message, found_at FROM anomalies WHERE cluster = ? "
            "ORDER BY found_at, chain, sequence"
        )
        found = self._database.rows(sql, (cluster,))
        return [KnownAnomaly(*row) for row in typed("anomalies", found, str, int, str, str, str)]

    def last_anomaly(self, cluster: str) -> datetime | None:
        """When the newest of them was found; None if there is none."""
        sql = "SELECT found_at FROM anomalies WHERE cluster = ? ORDER BY found_at DESC LIMIT 1"
        for (text,) in typed("anomalies", self._database.rows(sql, (cluster,)), str):
            try:
                return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
            except ValueError:
                raise StoreError(f"table anomalies: found_at: {text[:30]!r} is no time") from None
        return None


def _object(chain: str, sequence: int, content: str) -> dict[str, Any]:
    return _read(content) or {"metadata": {"name": record_name(chain, sequence)}}


def _read(content: str) -> dict[str, Any] | None:
    """An object as it is stored; None if it is none."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
