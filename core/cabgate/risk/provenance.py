# SPDX-License-Identifier: Apache-2.0
"""Who speaks for evidence: for each part of it whether a signature that is trusted says the same,
another thing, or whether it is declared by the team alone. Whatever is in doubt is declared."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from cabgate.api.base import first_problem, rfc3339
from cabgate.api.intent import DeploymentIntent
from cabgate.api.request import Provenance, ProvenanceState
from cabgate.api.signer import EvidenceSigner, Section, SelectorOperator, SignerKey
from cabgate.api.types import Target
from cabgate.risk.statements import (
    DoubtError,
    KeyProblemError,
    Statement,
    image_digests,
    public_key,
    sections_of,
    statement_of,
    verifies,
)
from cabgate.text.canonical import canonical_json
from cabgate.text.foreign import printed
from cabgate.text.refusal import Refusal, RefusalReason

RawObject = Mapping[str, Any]

AHEAD = timedelta(minutes=5)
"""How far the clock of a pipeline may be ahead of ours."""

MAX_SIGNERS = 50
"""EvidenceSigners of one namespace that are tried: more are a doubt, since each key costs time."""

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_WHY = 300
"""Characters of a reason that are kept: it stands in the request, for each part."""


@dataclass(frozen=True)
class _Trusted:
    """What a signer who may speak here says."""

    statement: Statement
    signer: EvidenceSigner
    sections: Mapping[Section, Any]
    """What it says, as far as the signer may speak for it."""


def provenance_of(
    intent: DeploymentIntent,
    labels: Mapping[str, str] | None,
    signers: Sequence[RawObject],
    now: datetime,
) -> list[Provenance]:
    """Who speaks for each part of the evidence of an intent: of what is declared, and of what a
    trusted signer says beside it. Empty where nothing is signed: then all of it is declared.

    `labels` are those of its namespace, `signers` all the EvidenceSigners that there are, as the
    API server has them.
    """
    attestations = intent.spec.evidence.attestations or []
    if not attestations:
        return []
    known, unreadable = _known(signers)
    here, elsewhere = _by_namespace(known, labels or {})
    doubts: list[str] = []
    trusted: list[_Trusted] = []
    for number, attestation in enumerate(attestations, 1):
        try:
            statement, signed, signature = statement_of(attestation)
            mine = [each for each in here if _signed_by(each, signed, signature, now)]
            if not mine:
                raise DoubtError(f"no key of an EvidenceSigner that holds now signed it{elsewhere}")
            _check_about(statement, intent, now)
        except DoubtError as doubt:
            doubts.append(f"attestation {number}: {doubt}")
            continue
        spoken = statement.sections
        for signer in mine:
            if now - statement.predicate.created_at > max_age(signer):
                name = signer.metadata.name
                doubts.append(
                    f"attestation {number}: it is older than EvidenceSigner {name} allows, "
                    f"{signer.spec.max_age}"
                )
            else:
                parts = signer.spec.speaks_for
                said = {part: value for part, value in spoken.items() if part in parts}
                trusted.append(_Trusted(statement, signer, said))
    doubts += unreadable  # last: there is room for little, and they may be none of ours
    declared = sections_of(intent.spec.evidence)
    places = _places(intent)
    found = [
        _section(section, declared.get(section), trusted, doubts, places) for section in Section
    ]
    return [each for each in found if each is not None]


def _known(signers: Sequence[RawObject]) -> tuple[list[EvidenceSigner], list[str]]:
    """The signers that can be read, and what is wrong with the others."""
    known: list[EvidenceSigner] = []
    doubts: list[str] = []
    for raw in sorted(signers, key=lambda raw: str((raw.get("metadata") or {}).get("name", ""))):
        if (raw.get("metadata") or {}).get("deletionTimestamp"):
            continue  # revoked, whatever its finalizers wait for
        try:
            known.append(EvidenceSigner.model_validate(raw))
        except ValidationError as error:
            name = (raw.get("metadata") or {}).get("name", "")
            first = first_problem(error)
            doubts.append(f"EvidenceSigner {name}: {first.path}: {first.message}")
    return known, doubts


def _signed_by(signer: EvidenceSigner, signed: bytes, signature: bytes, now: datetime) -> bool:
    for key in signer.spec.public_keys:
        if not _holds(key, now):
            continue
        try:
            if verifies(public_key(key.key), signed, signature):
                return True
        except KeyProblemError:
            continue  # signs nothing
    return False


def _holds(key: SignerKey, now: datetime) -> bool:
    """By our clock: what is signed says itself when it was."""
    return (key.not_before is None or key.not_before <= now) and (
        key.not_after is None or now <= key.not_after
    )


def _check_about(statement: Statement, intent: DeploymentIntent, now: datetime) -> None:
    """Raise `DoubtError` unless a statement is about these very images, in this intent."""
    said, meta = statement.predicate, intent.metadata
    if (said.namespace, said.intent) != (meta.namespace, meta.name):
        raise DoubtError(f"it is about intent {said.namespace}/{said.intent}")
    if statement.digests != _digests(intent.spec.targets):
        raise DoubtError("its subjects are other images than those of the targets")
    if said.created_at > now + AHEAD:
        raise DoubtError(f"it was made in the future, {said.created_at.isoformat()}")


def _digests(targets: Iterable[Target]) -> set[str]:
    found: set[str] = set()
    for image, digest in image_digests(targets).items():
        if digest is None:
            raise DoubtError(f"image {image} is named by no digest, so that nothing is about it")
        found.add(digest)
    return found


def _by_namespace(
    known: Sequence[EvidenceSigner], labels: Mapping[str, str]
) -> tuple[list[EvidenceSigner], str]:
    """The signers that speak in a namespace, and what to say of the others. Only of these the keys
    are tried: who writes an intent has no others' keys tried in the time of everybody's reviews."""
    here: list[EvidenceSigner] = []
    others: list[str] = []
    for signer in known:
        label = _label_against(signer, labels)
        if label is None:
            here.append(signer)
        else:
            name = signer.metadata.name
            others.append(f"{name} does not speak in this namespace, by its label {label}")
    if len(here) > MAX_SIGNERS:
        return [], f": there are more than {MAX_SIGNERS} EvidenceSigners in this namespace"
    more = f", nor do {len(others) - 1} more" if len(others) > 1 else ""
    return here, f"; EvidenceSigner {others[0]}{more}" if others else ""


def _label_against(signer: EvidenceSigner, labels: Mapping[str, str]) -> str | None:
    """The label by which a signer does not speak in a namespace; None if it speaks there."""
    for term in signer.spec.namespace_selector.match_expressions:
        value = labels.get(term.key)
        if value is None or (term.operator is SelectorOperator.IN and value not in term.values):
            return term.key
    return None


def max_age(signer: EvidenceSigner) -> timedelta:
    """For how long what a signer signed may be used."""
    text = signer.spec.max_age  # the model has its pattern
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


def _section(
    section: Section,
    declared: Any,
    trusted: Sequence[_Trusted],
    doubts: Sequence[str],
    places: Mapping[str, str],
) -> Provenance | None:
    said = [(each, each.sections[section]) for each in trusted if section in each.sections]
    for each, value in said:
        if value != declared:
            path, ours, theirs = next(_differences(section.value, declared, value))
            first, dot, rest = path.partition(".")
            path = places.get(first, first) + dot + rest
            return _by(
                each, section, ProvenanceState.CONTRADICTED,
                f"{path} is declared as {ours}, and signed as {theirs}", path,
            )  # fmt: skip
    if said:
        return _by(said[0][0], section, ProvenanceState.VERIFIED, "", "")
    if declared is None:
        return None
    why = "; ".join(doubts) or "no signer who may speak for it signed it"
    return Provenance(section=section, state=ProvenanceState.DECLARED, why=_cut(why))


def _places(intent: DeploymentIntent) -> dict[str, str]:
    """Where the artifacts stand in an intent, by where they stand in the order of their names."""
    names = [artifact.name for artifact in intent.spec.evidence.artifacts or ()]
    written = sorted(range(len(names)), key=names.__getitem__)
    return {f"artifacts[{n}]": f"artifacts[{place}]" for n, place in enumerate(written)}


def _by(
    trusted: _Trusted, section: Section, state: ProvenanceState, why: str, path: str
) -> Provenance:
    said = trusted.statement.predicate
    return Provenance(
        section=section,
        state=state,
        signer=trusted.signer.metadata.name,
        created_at=rfc3339(said.created_at),
        commit=said.commit or None,
        path=path or None,
        why=_cut(why) or None,
    )


def _cut(text: str) -> str:
    # Anybody may write keys into an envelope that make `kubectl get -o yaml` fail for everybody.
    text = printed(text.encode(errors="replace").decode())  # half a character cannot be stored
    return text if len(text) <= _WHY else f"{text[: _WHY - 3]}..."


def _differences(path: str, ours: Any, theirs: Any) -> Iterator[tuple[str, str, str]]:
    """Where two values differ: the path, and both."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted({*ours, *theirs}):
            if ours.get(key) != theirs.get(key):
                yield from _differences(f"{path}.{key}", ours.get(key), theirs.get(key))
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, pair in enumerate(zip(ours, theirs, strict=True)):
            if pair[0] != pair[1]:
                yield from _differences(f"{path}[{index}]", *pair)
    else:
        yield path, _shown(ours), _shown(theirs)


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    text = value if isinstance(value, str) else canonical_json(value).decode()
    return text if len(text) <= 100 else f"{text[:97]}..."


def check_not_contradicted(provenance: Iterable[Provenance]) -> None:
    """Raise `Refusal` for evidence of which a trusted signer says another thing."""
    for each in provenance:
        if each.state is ProvenanceState.CONTRADICTED:
            said = (each.why or "").removeprefix(f"{each.path} ")
            raise Refusal(
                RefusalReason.WRONG_CONTENT,
                f"{said} by EvidenceSigner {each.signer}; declare what is signed, or have the "
                "pipeline sign what is so, and take out what it signed before",
                f"spec.evidence.{each.path}",
            )
