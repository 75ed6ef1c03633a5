# SPDX-License-Identifier: Apache-2.0
"""An event as one of OCSF 1.5.0, of its class Entity Management.

https://schema.ocsf.io/1.5.0/classes/entity_management
"""

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from cabgate.siem.event import Activity, Actor, SecurityEvent

VERSION = "1.5.0"
CATEGORY_UID = 3
CLASS_UID = 3004


class Group(TypedDict):
    """A group of a user."""

    name: str


class User(TypedDict):
    """Who acted."""

    name: str
    type: str
    type_id: int
    uid: NotRequired[str]
    credential_uid: NotRequired[str]
    groups: NotRequired[list[Group]]


class ActorObject(TypedDict):
    """Who acted, as an object of OCSF."""

    user: User


class ManagedEntity(TypedDict):
    """What it is about."""

    name: str
    uid: NotRequired[str]
    type: str
    """Its kind."""
    type_id: int
    """99, Other: OCSF has no name for a change request."""
    data: Mapping[str, Any]
    """A record as an export of the ledger has it, or the event of the audit log."""


class Product(TypedDict):
    """What tells of it."""

    name: str
    vendor_name: str


class Metadata(TypedDict):
    """About the event itself."""

    version: str
    product: Product
    uid: str
    """The id, the same at each delivery."""
    event_code: str
    """The verdict of the record, or the action."""
    log_name: str
    """`ledger` or `audit`."""
    log_provider: str
    labels: list[str]
    """`cluster:NAME`, `break-glass` of what is about a broken glass, `impersonator:USER` of who
    acted as somebody else."""
    sequence: NotRequired[int]
    """Position in the chain of its namespace."""
    correlation_uid: NotRequired[str]
    original_time: NotRequired[str]


class EntityManagement(TypedDict):
    """An event of class 3004."""

    class_uid: int
    class_name: str
    category_uid: int
    category_name: str
    activity_id: int
    activity_name: str
    type_uid: int
    type_name: str
    severity_id: int
    severity: str
    status_id: int
    status: str
    time: int
    """Milliseconds since 1970; 0 where the record says no time that can be read."""
    message: str
    comment: NotRequired[str]
    actor: NotRequired[ActorObject]
    entity: ManagedEntity
    metadata: Metadata


def entity_management(event: SecurityEvent) -> EntityManagement:
    """An event as one of OCSF's Entity Management."""
    activity = event.code if event.activity is Activity.OTHER else event.activity.name.capitalize()
    found = EntityManagement(
        class_uid=CLASS_UID,
        class_name="Entity Management",
        category_uid=CATEGORY_UID,
        category_name="Identity & Access Management",
        activity_id=event.activity.value,
        activity_name=activity,
        type_uid=CLASS_UID * 100 + event.activity.value,
        type_name=f"Entity Management: {activity}",
        severity_id=event.severity.value,
        severity=event.severity.name.capitalize(),
        status_id=event.status.value,
        status=event.status.name.capitalize(),
        time=0 if event.at is None else int(event.at.timestamp() * 1000),
        message=event.message,
        entity=_entity(event),
        metadata=_metadata(event),
    )
    if event.comment:
        found["comment"] = event.comment
    if event.actor is not None:
        found["actor"] = {"user": _user(event.actor)}
    return found


def _entity(event: SecurityEvent) -> ManagedEntity:
    entity = event.entity
    found = ManagedEntity(name=entity.path, type=entity.kind, type_id=99, data=event.data)
    if entity.uid:
        found["uid"] = entity.uid
    return found


def _user(actor: Actor) -> User:
    kind = actor.type
    found = User(name=actor.username, type=kind.name.capitalize(), type_id=kind.value)
    if actor.uid:
        found["uid"] = actor.uid
    if actor.credential:
        found["credential_uid"] = actor.credential
    if actor.groups:
        found["groups"] = [{"name": each} for each in actor.groups]
    return found


def _metadata(event: SecurityEvent) -> Metadata:
    found = Metadata(
        version=VERSION,
        product={"name": "cabgate", "vendor_name": "cabgate"},
        uid=event.id,
        event_code=event.code,
        log_name=event.log,
        log_provider="cabgate",
        labels=[f"cluster:{event.cluster}", *event.labels],
    )
    if event.sequence is not None:
        found["sequence"] = event.sequence
    if event.correlation:
        found["correlation_uid"] = event.correlation
    if event.at is not None:
        found["original_time"] = event.at.isoformat().replace("+00:00", "Z")
    return found
