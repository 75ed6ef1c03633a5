# SPDX-License-Identifier: Apache-2.0
"""A record of the ledger as an event."""

import re
from collections.abc import Mapping
from typing import Any

from cabgate import API_VERSION
from cabgate.api.decision import ASKED, KIND, OPENED
from cabgate.api.values import AuthorType, ExceptionVerdict, RequestVerdict, SubjectKind
from cabgate.ledger.chain import placed
from cabgate.siem.event import (
    Activity,
    Actor,
    Entity,
    SecurityEvent,
    Severity,
    UserType,
    moment,
    text_at,
    texts_at,
)

_ACTIVITIES: Mapping[str, Activity] = {
    OPENED: Activity.CREATE,
    ASKED: Activity.CREATE,
    RequestVerdict.UNDER_REVIEW: Activity.UPDATE,
    RequestVerdict.ATTESTED: Activity.UPDATE,
    RequestVerdict.APPROVED: Activity.ACTIVATE,
    RequestVerdict.CONDITIONALLY_APPROVED: Activity.ACTIVATE,
    RequestVerdict.AUTO_APPROVED: Activity.ACTIVATE,
    RequestVerdict.REOPENED: Activity.ACTIVATE,
    RequestVerdict.GLASS_BROKEN: Activity.ACTIVATE,
    RequestVerdict.REJECTED: Activity.DEACTIVATE,
    RequestVerdict.REVOKED: Activity.DEACTIVATE,
    RequestVerdict.SUPERSEDED: Activity.DEACTIVATE,
    ExceptionVerdict.EXPIRED: Activity.DEACTIVATE,
}
"""What a verdict does to its subject: what lets rollouts through activates it."""

_MEDIUM = frozenset({ASKED, RequestVerdict.REJECTED, RequestVerdict.REVOKED})

_APPROVES = frozenset({RequestVerdict.APPROVED, RequestVerdict.CONDITIONALLY_APPROVED})

_SUBJECTS: Mapping[str, str] = {SubjectKind.REQUEST: "request", SubjectKind.EXCEPTION: "exception"}

_VERDICT = re.compile(r"[A-Z][A-Za-z]{0,63}")

UNREADABLE = "Unreadable"
"""Code of a record of which not even the verdict can be read: it is sent nevertheless."""


def record_event(cluster: str, raw: Mapping[str, Any]) -> SecurityEvent | None:
    """The event of a stored record; None of what has no place in any chain. Whatever else is wrong
    with a record, there is one."""
    name = text_at(raw, "metadata", "name")
    chain = name.rpartition(".")[0]
    place = placed(raw, chain)
    if place is None or not chain:
        return None
    sequence = place.head.sequence
    verdict = text_at(raw, "spec", "verdict")
    kind = text_at(raw, "spec", "subject", "kind")
    readable = kind in _SUBJECTS and _VERDICT.fullmatch(verdict) is not None
    code = verdict if readable else UNREADABLE
    entity = _entity(raw) if readable else Entity(KIND, "", name)
    actor = _actor(raw)
    broken = readable and isinstance(raw["spec"].get("breakGlass"), Mapping)
    in_part = code in _APPROVES and _is_in_part(raw["spec"])
    by = f" by {actor.username}" if actor is not None else ""
    return SecurityEvent(
        id=f"{cluster}/{chain}/{sequence}",
        cluster=cluster,
        type=f"{_SUBJECTS[kind]}.{verdict.lower()}" if readable else "record.unreadable",
        code=code,
        at=moment(text_at(raw, "spec", "at")),
        entity=entity,
        actor=actor,
        activity=Activity.UPDATE if in_part else _ACTIVITIES.get(code, Activity.OTHER),
        severity=_severity(kind, code, broken=broken, in_part=in_part),
        message=f"{entity.kind} {entity.path}: {code}{by}",
        comment=text_at(raw, "spec", "rationale"),
        correlation=text_at(raw, "spec", "correlationID"),
        sequence=sequence,
        log="ledger",
        labels=("break-glass",) if broken else (),
        data={
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": name},
            "spec": raw.get("spec"),
        },
    )


def _entity(raw: Mapping[str, Any]) -> Entity:
    kind, namespace, name, uid = (
        text_at(raw, "spec", "subject", key) for key in ("kind", "namespace", "name", "uid")
    )
    return Entity(kind, namespace, name, uid)


def _actor(raw: Mapping[str, Any]) -> Actor | None:
    username = text_at(raw, "spec", "author", "username")
    if not username:
        return None
    person = text_at(raw, "spec", "author", "type") == AuthorType.PERSON
    return Actor(
        username,
        UserType.USER if person else UserType.SYSTEM,
        text_at(raw, "spec", "author", "uid"),
        texts_at(raw, "spec", "author", "groups"),
        text_at(raw, "spec", "author", "credentialID"),
    )


def _is_in_part(spec: Mapping[str, Any]) -> bool:
    """Whether an approval cannot be the one that lets rollouts through: fewer decisions came before
    it than others had to approve. A later one may still not be, where others were taken back."""
    entry, needed = spec.get("entry"), _needed(spec)
    return type(entry) is int and entry < needed


def _needed(spec: Mapping[str, Any]) -> int:
    """The least number of different people who had to approve, as the record says."""
    exception, terms = spec.get("exception"), spec.get("terms")
    asked = [exception.get("approvalsNeeded")] if isinstance(exception, Mapping) else []
    rules = terms.get("approvals") if isinstance(terms, Mapping) and not asked else None
    listed = rules if isinstance(rules, list) else []
    asked += [each.get("count") for each in listed if isinstance(each, Mapping)]
    return max((each for each in asked if type(each) is int), default=1)


def _severity(kind: str, code: str, *, broken: bool, in_part: bool) -> Severity:
    if broken or code in (RequestVerdict.GLASS_BROKEN, UNREADABLE):
        return Severity.HIGH
    granted = kind == SubjectKind.EXCEPTION and code == ExceptionVerdict.APPROVED and not in_part
    return Severity.MEDIUM if granted or code in _MEDIUM else Severity.INFORMATIONAL
