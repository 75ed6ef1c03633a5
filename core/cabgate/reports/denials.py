# SPDX-License-Identifier: Apache-2.0
"""Rollouts that were denied, or would have been in mode Enforce, as the API server's audit log has
them.

The webhook says of each what it is about (`answer_body` of the webhook); the log has who did it
and when. Events of the API: https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cabgate.rollout.modes import Mode

MARK = "rollouts.cabgate.dev/denial"
"""What ends the name of the annotation that an event of such a rollout has: the names of the
webhooks that rollouts are sent to differ in what stands before."""


@dataclass(frozen=True)
class Denial:
    """One rollout that was denied, or would have been."""

    event: str
    """`auditID` of the event: the same in each file of a log that has it."""
    at: datetime
    namespace: str
    workload: str
    """What an approval would have to name, `deployment/checkout` say."""
    reason: str
    mode: Mode
    """Enforce where it was denied; else the mode that let it through."""
    user: str
    message: str
    """What was said, or would have been."""


@dataclass(frozen=True)
class Denials:
    """Those of one workload that have the same reason and mode."""

    namespace: str
    workload: str
    reason: str
    mode: Mode
    times: int
    first: datetime
    last: datetime
    users: frozenset[str]
    """Who rolled out, by name."""
    message: str
    """Of the last of them."""


class UnreadableEventError(ValueError):
    """An event of the audit log lacks what each of them has."""


def denial_of(event: Mapping[str, Any]) -> Denial | None:
    """The denial that an event of the audit log is of. None where it is of none, of a dry run,
    which rolls nothing out, or of what cabgate let through and something else refused. Raises
    `UnreadableEventError`."""
    try:
        annotations = event.get("annotations") or {}
        mark = next((key for key in annotations if key.endswith(MARK)), None)
        if mark is None or event.get("stage") != "ResponseComplete" or _is_dry_run(event):
            return None
        found = _denial(event, annotations, mark.removesuffix("denial"))
        code = event["responseStatus"]["code"]
        return None if found.mode is not Mode.ENFORCE and code >= _FAILED else found
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnreadableEventError(f"{type(error).__name__}: {error}") from None


_FAILED = 400
"""The least code of an answer that says that nothing was done."""


def _denial(event: Mapping[str, Any], annotations: Mapping[str, Any], webhook: str) -> Denial:
    def noted(name: str) -> str:
        return _text(annotations.get(f"{webhook}{name}", ""))

    about = event["objectRef"]
    at = datetime.fromisoformat(event["requestReceivedTimestamp"])
    if at.tzinfo is None:
        raise ValueError("requestReceivedTimestamp: without a time zone")
    return Denial(
        event=_text(event["auditID"]),
        at=at,
        namespace=_text(about["namespace"]),
        workload=noted("workload") or f"{_text(about['resource'])}/{_text(about.get('name', ''))}",
        reason=noted("reason"),
        mode=Mode(noted("mode") or Mode.ENFORCE),
        user=_text((event.get("impersonatedUser") or event["user"])["username"]),
        message=noted("denial"),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    return value


def _is_dry_run(event: Mapping[str, Any]) -> bool:
    return "dryRun" in parse_qs(urlsplit(event.get("requestURI") or "").query)


def summed(denials: Iterable[Denial]) -> list[Denials]:
    """Those of one workload, reason and mode together, the most frequent first; an event that is
    there several times, as in files that overlap, counts once."""
    rows: dict[tuple[str, str, str, Mode], Denials] = {}
    counted: set[str] = set()
    for each in denials:
        if each.event in counted:
            continue
        counted.add(each.event)
        key = (each.namespace, each.workload, each.reason, each.mode)
        rows[key] = _with(rows.get(key), each)
    return sorted(
        rows.values(), key=lambda r: (-r.times, r.namespace, r.workload, r.reason, r.mode)
    )


def _with(row: Denials | None, one: Denial) -> Denials:
    if row is None:
        about = (one.namespace, one.workload, one.reason, one.mode)
        return Denials(*about, 1, one.at, one.at, frozenset({one.user}), one.message)
    return replace(
        row,
        times=row.times + 1,
        first=min(row.first, one.at),
        last=max(row.last, one.at),
        users=row.users | {one.user},
        message=one.message if one.at >= row.last else row.message,
    )
