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
    """The denial that an event of the audit log is of; None where it is of none, or of a dry run,
    which rolls nothing out. Raises `UnreadableEventError`."""
    annotations = event.get("annotations") or {}
    mark = next((key for key in annotations if key.endswith(MARK)), None)
    if mark is None or event.get("stage") != "ResponseComplete" or _is_dry_run(event):
        return None
    said = {name: annotations.get(f"{mark.removesuffix('denial')}{name}", "") for name in _NAMES}
    try:
        about = event["objectRef"]
        return Denial(
            at=datetime.fromisoformat(event["requestReceivedTimestamp"]),
            namespace=about["namespace"],
            workload=said["workload"] or f"{about['resource']}/{about.get('name', '')}",
            reason=said["reason"],
            mode=Mode(said["mode"] or Mode.ENFORCE),
            user=(event.get("impersonatedUser") or event["user"])["username"],
            message=annotations[mark],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableEventError(f"{type(error).__name__}: {error}") from None


_NAMES = ("reason", "mode", "workload")


def _is_dry_run(event: Mapping[str, Any]) -> bool:
    return "dryRun" in parse_qs(urlsplit(event.get("requestURI") or "").query)


def summed(denials: Iterable[Denial]) -> list[Denials]:
    """Those of one workload, reason and mode together; the most frequent first."""
    rows: dict[tuple[str, str, str, Mode], Denials] = {}
    for each in denials:
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
