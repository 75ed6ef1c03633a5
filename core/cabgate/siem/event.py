# SPDX-License-Identifier: Apache-2.0
"""One thing that happened, before it is written in the format of a receiver."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any


class Activity(IntEnum):
    """What was done to an entity: `activity_id` of OCSF's Entity Management."""

    CREATE = 1
    UPDATE = 3
    DELETE = 4
    ACTIVATE = 10
    DEACTIVATE = 11
    OTHER = 99


class Severity(IntEnum):
    """How much it calls for attention: `severity_id` of OCSF."""

    INFORMATIONAL = 1
    MEDIUM = 3
    HIGH = 4


class Status(IntEnum):
    """What became of it: `status_id` of OCSF."""

    UNKNOWN = 0
    """The API server failed while it was at it: it may have been done."""
    SUCCESS = 1


class UserType(IntEnum):
    """Who acted: `type_id` of OCSF's User."""

    UNKNOWN = 0
    USER = 1
    SYSTEM = 3
    SERVICE = 99
    """Other: this version of OCSF has no number for service accounts."""


@dataclass(frozen=True)
class Entity:
    """The object that something was done to."""

    kind: str
    """Its kind or its resource, such as `CABRequest`."""
    namespace: str
    """Empty for what has none."""
    name: str
    uid: str = ""

    @property
    def path(self) -> str:
        """Namespace and name, as far as there are such."""
        return "/".join(filter(None, (self.namespace, self.name)))


@dataclass(frozen=True)
class Actor:
    """Who did it, as the API server authenticated them."""

    username: str
    type: UserType
    uid: str = ""
    groups: Sequence[str] = ()
    credential: str = ""
    """Identifier of the credential that was used."""


@dataclass(frozen=True)
class SecurityEvent:
    """One thing that happened. Made of the same source it is the same each time, id and all."""

    id: str
    """Unique for ever: `CLUSTER/CHAIN/SEQUENCE` of a record, `CLUSTER/_audit/DIGEST` of what the
    audit log tells of."""
    cluster: str
    type: str
    """What happened, in two words: `request.approved`, `action.ring-lowered`."""
    code: str
    """The word of the source for it, such as the verdict of a record."""
    at: datetime | None
    """When; None where that cannot be read."""
    entity: Entity
    actor: Actor | None
    """None where nobody is named."""
    activity: Activity
    severity: Severity
    message: str
    data: Mapping[str, Any]
    """The source itself, as JSON."""
    log: str
    """`ledger` or `audit`."""
    comment: str = ""
    """Why, in the words of who did it."""
    correlation: str = ""
    """What ties it to records elsewhere."""
    sequence: int | None = None
    """Position in its chain; None of an action."""
    labels: Sequence[str] = ()
    status: Status = Status.SUCCESS


def moment(value: object) -> datetime | None:
    """A time of RFC 3339 in UTC; None for anything else."""
    if not isinstance(value, str) or re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T", value) is None:
        return None
    try:
        found = datetime.fromisoformat(value)
        return None if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def text_at(value: object, *path: str) -> str:
    """The text at a path into JSON; empty where there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""


def texts_at(value: object, *path: str) -> list[str]:
    """The texts of a list at a path into JSON; empty where there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
