# SPDX-License-Identifier: Apache-2.0
"""What `cabgate ledger` looks at: records, what they are about, keys, heads and checkpoints, from a
cluster, from files or from an event store."""

import gc
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from cabgate.api import decision, exception, outcome, request, riskmodel
from cabgate.api.rules import RULES
from cabgate.ledger.assessments import by_digest, without_model
from cabgate.ledger.chain import Checkpoint, Head, chain_of, placed
from cabgate.ledger.findings import Finding
from cabgate.ledger.kept import FROZEN_REQUEST, KINDS
from cabgate.ledger.links import heads_behind
from cabgate.ledger.signatures import KeyFileError, PublicKeys
from cabgate.ledger.verification import verify
from cabgate_cli.errors import BadInput, Unavailable
from cabgate_cli.input.files.documents import Document, Limits, documents_in, read_text, shown_path
from cabgate_cli.input.viewer import now
from cabgate_kube.installation import LEDGER_CHECKPOINTS, LEDGER_HEADS, SIGNING_KEYS

T = TypeVar("T")


LIMITS = Limits(max_bytes=512 * 1024 * 1024, max_values=100_000_000)
"""How large an export may be."""

_PLURALS = {
    decision.KIND: decision.PLURAL,
    request.KIND: request.PLURAL,
    exception.KIND: exception.PLURAL,
    riskmodel.KIND: riskmodel.PLURAL,
    outcome.KIND: outcome.PLURAL,
}

_LOOKED_AT = (decision.PLURAL, request.PLURAL, exception.PLURAL)


@dataclass(frozen=True)
class Source:
    """Where a ledger is read from: files, an event store, or else a cluster."""

    files: Sequence[str] = ()
    store: str | None = None
    """URL of the store."""
    store_cluster: str | None = None
    """Which of the clusters in it; None: the only one."""
    kubeconfig: str | None = None
    context: str | None = None


@dataclass
class LedgerContents:
    """What is looked at."""

    objects: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    """Objects by plural."""
    frozen: list[dict[str, Any]] = field(default_factory=list)
    """Requests without their status, as an event store keeps them."""
    pems: list[str] = field(default_factory=list)
    """Public keys that are in it."""
    heads: list[tuple[str, Head]] = field(default_factory=list)
    """Heads that were published, by namespace."""
    checkpoints: list[tuple[str, Checkpoint]] = field(default_factory=list)
    """Up to where chains were pruned, by namespace, as the source itself says."""
    copied_checkpoints: list[tuple[str, Checkpoint]] = field(default_factory=list)
    """The same, from copies that were kept elsewhere."""
    of_store: bool = False
    """Whether it is of an event store: who can delete records there can write a checkpoint that
    explains it, so that its own excuse no published head."""
    anomalies: list[dict[str, Any]] = field(default_factory=list)
    """What the relay found of records that were not as they should be, and kept in the store."""
    now: datetime | None = None
    """When a cluster was read; None for files and stores, which are of any time."""

    def findings(self, keys: PublicKeys) -> list[Finding]:
        """What is wrong with it."""
        return verify(
            self.objects[decision.PLURAL],
            self.objects[request.PLURAL],
            self.objects[exception.PLURAL],
            keys,
            self.heads,
            self.now,
            self.checkpoints,
            self.objects[riskmodel.PLURAL],
            self._believed(),
            self.frozen,
        )

    def heads_not_looked_for(self) -> list[tuple[str, Head]]:
        """Published heads that nobody could look for, since their records were pruned."""
        places = {
            (chain, place.head.sequence)
            for raw in self.objects[decision.PLURAL]
            if (place := placed(raw, chain := chain_of(raw))) is not None
        }
        return heads_behind(self.heads, places, self._believed())

    def _believed(self) -> list[tuple[str, Checkpoint]]:
        own = [] if self.of_store else self.checkpoints
        return [*own, *self.copied_checkpoints]

    def not_computed(self) -> dict[str, int]:
        """How many requests name a risk model that is not in it, so that nobody computed their
        score anew, by its name."""
        models = by_digest(self.objects[riskmodel.PLURAL])
        return without_model([*self.objects[request.PLURAL], *self.frozen], models)


def from_cluster(
    kubeconfig: str | None, context: str | None, *, keys: bool, outcomes: bool = False
) -> LedgerContents:
    """What a cluster holds, its public keys and what became of rollouts if they are asked for.
    Raises `Unavailable`."""
    from cabgate_cli.input.cluster.ledger_source import LedgerSource

    collect_garbage_seldom()
    evidence = LedgerContents(now=now())
    source = LedgerSource(kubeconfig, context)
    # What is published and what was decided first: the ledger may only have grown since.
    evidence.heads = _texts(
        Head.parse, source.config_map(LEDGER_HEADS) or {}, f"ConfigMap {LEDGER_HEADS}"
    )
    if keys:
        evidence.pems = list((source.config_map(SIGNING_KEYS) or {}).values())
    kinds = (request, exception, decision, riskmodel, *((outcome,) if outcomes else ()))
    for plural in (kind.PLURAL for kind in kinds):
        evidence.objects[plural] = source.objects(plural)
    # Last of all: what a prune deleted meanwhile lies behind a checkpoint by then.
    data = source.config_map(LEDGER_CHECKPOINTS) or {}
    evidence.checkpoints = _texts(Checkpoint.parse, data, f"ConfigMap {LEDGER_CHECKPOINTS}")
    return evidence


def from_files(files: Iterable[str]) -> LedgerContents:
    """What files hold. Raises `BadInput`."""
    collect_garbage_seldom()
    evidence = LedgerContents()
    for path in files:
        for document in documents_in(read_text(path, LIMITS), shown_path(path), LIMITS):
            _take(evidence, document)
    if not any(evidence.objects[plural] for plural in _LOOKED_AT):
        names = ", ".join(shown_path(path) for path in files)
        raise BadInput(f"{names}: no CABDecision, CABRequest or CABException to look at")
    return evidence


def from_store(url: str, cluster: str | None) -> LedgerContents:
    """What an event store holds. Raises `BadInput` and `Unavailable`."""
    from cabgate_cli.input.ledger_store import stored_ledger

    collect_garbage_seldom()
    found = stored_ledger(url, cluster, list(KINDS))
    evidence = LedgerContents(checkpoints=found.checkpoints, of_store=True)
    evidence.objects[decision.PLURAL] = found.records
    evidence.frozen = found.objects[request.KIND]
    evidence.objects[outcome.PLURAL] = found.objects[outcome.KIND]
    for each in RULES:
        evidence.objects[each.plural] = found.objects[each.kind]
    evidence.anomalies = [asdict(each) for each in found.anomalies]
    return evidence


def records_of(source: Source) -> list[dict[str, Any]]:
    """All records of a source. Raises `BadInput` and `Unavailable`."""
    return records_and(source)[0]


def records_and(source: Source, *kinds: str) -> list[list[dict[str, Any]]]:
    """All records of a source, and all objects of some other kinds. Raises `BadInput` and
    `Unavailable`."""
    plurals = [decision.PLURAL, *(_PLURALS[kind] for kind in kinds)]
    if source.files:
        found = from_files(source.files).objects
        return [found[plural] for plural in plurals]
    collect_garbage_seldom()
    if source.store is not None:
        from cabgate_cli.input.ledger_store import stored_ledger

        stored = stored_ledger(source.store, source.store_cluster, kinds)
        return [stored.records, *(stored.objects[kind] for kind in kinds)]
    from cabgate_cli.input.cluster.ledger_source import LedgerSource

    cluster = LedgerSource(source.kubeconfig, source.context)
    return [cluster.objects(plural) for plural in plurals]


def collect_garbage_seldom() -> None:
    """Python looks for garbage among all objects that live, and the more are made the oftener. A
    ledger has millions and none of them is garbage: that search took more than half of the time."""
    gc.set_threshold(100_000, 50, 100)


def gathered(
    source: Source,
    head_files: Iterable[str],
    key_files: Iterable[str],
    *,
    outcomes: bool = False,
) -> tuple[LedgerContents, PublicKeys]:
    """What is to be verified, and the keys to do it with: those that are given, or else those of
    the source; with `outcomes` what became of rollouts, too. Raises `BadInput` and
    `Unavailable`."""
    given = [pem for path in key_files for pem in text_of_keys(path)]
    of_cluster = False
    if source.files:
        evidence = from_files(source.files)
    elif source.store is not None:
        evidence = from_store(source.store, source.store_cluster)
    else:
        evidence = from_cluster(
            source.kubeconfig, source.context, keys=not given, outcomes=outcomes
        )
        of_cluster = not given
    for path in head_files:
        _take_copies(evidence, path)
    return evidence, public_keys(given or evidence.pems, of_cluster=of_cluster)


def records_in(content: bytes, name: str) -> list[dict[str, Any]]:
    """The records of an export."""
    documents = documents_in(content.decode(), name, LIMITS) if content else []
    return [document.content for document in documents]


def _take(evidence: LedgerContents, document: Document) -> None:
    plural = _PLURALS.get(document.kind)
    if plural is not None:
        evidence.objects[plural].append(document.content)
    elif document.kind == FROZEN_REQUEST:
        evidence.frozen.append(document.content)
    elif document.kind == "ConfigMap":
        data = _data(document)
        if document.metadata.get("name") == SIGNING_KEYS:
            evidence.pems += data.values()
        elif document.metadata.get("name") == LEDGER_HEADS:
            evidence.heads += _texts(Head.parse, data, document.source)
        elif document.metadata.get("name") == LEDGER_CHECKPOINTS:
            evidence.checkpoints += _texts(Checkpoint.parse, data, document.source)


def _data(document: Document) -> dict[str, str]:
    data = document.content.get("data") or {}
    if not isinstance(data, dict) or not all(isinstance(v, str) for v in data.values()):
        raise BadInput(f"{document.source}: data: not texts")
    return data


def _take_copies(evidence: LedgerContents, path: str) -> None:
    """Take the heads, and the checkpoints, of copies of their ConfigMaps. Raises `BadInput`."""
    for document in _config_maps(path):
        data = _data(document)
        if document.metadata.get("name") == LEDGER_CHECKPOINTS:
            evidence.copied_checkpoints += _texts(Checkpoint.parse, data, path)
        else:
            evidence.heads += _texts(Head.parse, data, path)


def _config_maps(path: str, text: str | None = None) -> list[Document]:
    name = shown_path(path)
    documents = documents_in(read_text(path) if text is None else text, name)
    found = [document for document in documents if document.kind == "ConfigMap"]
    if not found:
        raise BadInput(f"{name}: holds no ConfigMap")
    return found


def _texts(parse: Callable[[str], T], data: Mapping[str, str], source: str) -> list[tuple[str, T]]:
    found = []
    for namespace, text in data.items():
        try:
            found.append((namespace, parse(text)))
        except ValueError as error:
            raise BadInput(f"{source}: {namespace}: {error}") from None
    return found


def text_of_keys(path: str) -> list[str]:
    """The PEM texts of a file. Raises `BadInput`."""
    text = read_text(path)
    if text.lstrip().startswith("-----BEGIN"):
        return [text]
    return [pem for document in _config_maps(path, text) for pem in _data(document).values()]


def public_keys(pems: Sequence[str], *, of_cluster: bool) -> PublicKeys:
    """The keys to check with, at least one.

    Raises `Unavailable` if those of the cluster will not do, `BadInput` if those of files."""
    wrong = Unavailable if of_cluster else BadInput
    try:
        keys = PublicKeys(*pems)
    except KeyFileError as error:
        raise wrong(str(error)) from None
    if not keys.ids:
        raise wrong(
            f"no public key to check signatures with: give one with --keys FILE (PEM, or a copy of "
            f"ConfigMap {SIGNING_KEYS} of namespace cabgate-system)"
        )
    return keys
