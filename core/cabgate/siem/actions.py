# SPDX-License-Identifier: Apache-2.0
"""A privileged action, of which no record of the ledger tells, as an event: from the API server's
audit log.

Events of the API: https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from cabgate import GROUP
from cabgate.api import changefreeze, changepolicy, decision, riskmodel, signer
from cabgate.ledger import cursors
from cabgate.rollout.installation import SYSTEM_NAMESPACE
from cabgate.siem.event import (
    Activity,
    Actor,
    Entity,
    SecurityEvent,
    Severity,
    Status,
    UserType,
    moment,
    text_at,
    texts_at,
)

LOWERED = "rings.cabgate.dev/lowered"
"""The audit annotation of ValidatingAdmissionPolicy `rings.cabgate.dev`: what a write lowered or
loosened, in words."""

CHECKPOINTS = "cabgate-ledger-checkpoints"
"""The ConfigMap that each prune of the ledger writes first."""

RELAY = f"system:serviceaccount:{SYSTEM_NAMESPACE}:cabgate-relay"
"""User name of the relay, which writes the positions of its sinks after each batch."""

_VERBS: Mapping[str, Activity] = {
    "create": Activity.CREATE,
    "update": Activity.UPDATE,
    "patch": Activity.UPDATE,
    "delete": Activity.DELETE,
    "deletecollection": Activity.DELETE,
}

_KINDS: Mapping[str, str] = {
    riskmodel.PLURAL: "risk-model-changed",
    changefreeze.PLURAL: "freeze-changed",
    changepolicy.PLURAL: "change-policy-changed",
    signer.PLURAL: "signer-changed",
}

_ADMISSION = frozenset(
    {
        *("validatingwebhookconfigurations", "mutatingwebhookconfigurations"),
        *("validatingadmissionpolicies", "validatingadmissionpolicybindings"),
        *("mutatingadmissionpolicies", "mutatingadmissionpolicybindings"),
    }
)

_CREATED = 201
"""Status of an answer by which something was made, by an apply as well: an installation does so."""

_REFUSED = range(400, 500)
"""Statuses of an answer by which nothing was done."""

_ENDED = frozenset({"ResponseComplete", "Panic"})
"""Stages of an audit event that tell how it ended."""


@dataclass(frozen=True)
class _Action:
    code: str
    severity: Severity
    comment: str = ""


def action_event(cluster: str, event: Mapping[str, Any]) -> SecurityEvent | None:
    """The event of a privileged action; None of an audit event that is of none, of one that was
    refused, or of a dry run, which changes nothing.

    What the API server failed at is one, of unknown status. Raises `RecursionError` for an event
    that is nested too deep to be written.
    """
    activity = _VERBS.get(text_at(event, "verb"))
    status = _status(event)
    if activity is None or status is None or _is_dry_run(event):
        return None
    action = _action(event)
    if action is None:
        return None
    reference = event.get("objectRef")
    entity = Entity(
        text_at(reference, "resource"),
        text_at(reference, "namespace"),
        text_at(reference, "name"),
        text_at(reference, "uid"),
    )
    if entity.kind == "namespaces":  # whose reference has their name in both places
        entity = Entity(entity.kind, "", entity.name, entity.uid)
    actor = _actor(event)
    impersonator = text_at(event, "user", "username") if "impersonatedUser" in event else ""
    return SecurityEvent(
        id=f"{cluster}/_audit/{_digest(event)}",
        cluster=cluster,
        type=f"action.{action.code}",
        code=action.code,
        at=moment(event.get("requestReceivedTimestamp")),
        entity=entity,
        actor=actor,
        activity=activity,
        severity=action.severity,
        message=f"{action.code}: {text_at(event, 'verb')} {entity.kind} {entity.path}"
        + (f" by {actor.username}" if actor is not None else "")
        + (f", impersonated by {impersonator}" if impersonator else ""),
        comment=action.comment,
        log="audit",
        labels=(f"impersonator:{impersonator}",) if impersonator else (),
        status=status,
        data=event,
    )


def _digest(event: Mapping[str, Any]) -> str:
    """SHA-256 of all that an audit event says, 64 hexadecimal digits. Not its `auditID`, which the
    client chooses; nor of RFC 8785 JSON, which has no form for each number of a log."""
    text = json.dumps(event, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _code(event: Mapping[str, Any]) -> int:
    """Status of the answer; 0 where the event has none."""
    answered = event.get("responseStatus")
    code = answered.get("code") if isinstance(answered, Mapping) else None
    return code if isinstance(code, int) else 0


def _status(event: Mapping[str, Any]) -> Status | None:
    """What became of a request; None where nothing was done, or it has not ended."""
    stage, code = text_at(event, "stage"), _code(event)
    if stage not in _ENDED:
        return None
    if stage == "ResponseComplete" and 200 <= code < _REFUSED.start:
        return Status.SUCCESS
    if stage == "ResponseComplete" and code in _REFUSED:
        # One object of many may be refused after others were deleted.
        many = text_at(event, "verb") == "deletecollection"
        allowed = text_at(event, "annotations", "authorization.k8s.io/decision") == "allow"
        return Status.UNKNOWN if many and allowed else None
    return Status.UNKNOWN


def _is_dry_run(event: Mapping[str, Any]) -> bool:
    """Whether nothing was to be stored. Options in the body of a deletion win over its query, which
    says nothing therefore."""
    if _VERBS[text_at(event, "verb")] is Activity.DELETE:
        return texts_at(event, "requestObject", "dryRun") == ["All"]
    # Read as the API server reads it: up to the end, with no fragment.
    query = text_at(event, "requestURI").partition("?")[2]
    return "All" in parse_qs(query).get("dryRun", ())


def _action(event: Mapping[str, Any]) -> _Action | None:
    group = text_at(event, "objectRef", "apiGroup")
    resource = text_at(event, "objectRef", "resource")
    name = text_at(event, "objectRef", "name")
    lowered = text_at(event, "annotations", LOWERED)
    if lowered:
        return _Action("requirements-lowered", Severity.HIGH, lowered)
    deletes = _VERBS[text_at(event, "verb")] is Activity.DELETE
    if (group, resource) == (GROUP, decision.PLURAL) and deletes:
        return _Action("record-deleted", Severity.HIGH)
    if (group, resource) == ("apiextensions.k8s.io", "customresourcedefinitions"):
        # The API server itself writes the status of each.
        ours = _is_ours(name) and text_at(event, "user", "username") != "system:apiserver"
        return _Action("api-definition-changed", Severity.HIGH) if ours else None
    if text_at(event, "objectRef", "subresource") == "status":
        return None  # what a controller found out; nothing is judged by it
    if group == GROUP and resource in _KINDS:
        return _Action(_KINDS[resource], Severity.MEDIUM)
    if group == "admissionregistration.k8s.io" and resource in _ADMISSION and _is_ours(name):
        return _Action("admission-configuration-changed", Severity.HIGH)
    namespace = text_at(event, "objectRef", "namespace")
    if (group, resource, namespace) == ("", "configmaps", SYSTEM_NAMESPACE):
        return _of_config_map(event, name)
    return None


def _of_config_map(event: Mapping[str, Any], name: str) -> _Action | None:
    """The action of a write of a ConfigMap in the namespace of cabgate."""
    verb = text_at(event, "verb")
    if verb == "deletecollection":  # of any of them
        return _Action("ledger-state-deleted", Severity.HIGH)
    made = verb == "create" or _code(event) == _CREATED
    if name == CHECKPOINTS and not made:
        return _Action("ledger-pruned", Severity.HIGH)
    if name == cursors.CONFIG_MAP and not made and not _is_the_relay(event):
        return _Action("sink-positions-changed", Severity.HIGH)
    return None


def _is_the_relay(event: Mapping[str, Any]) -> bool:
    """Whether the relay itself acts, which notes what its sinks have acknowledged."""
    return (
        text_at(event, "user", "username") == RELAY
        and "impersonatedUser" not in event
        and text_at(event, "verb") in ("update", "patch")
    )


def _is_ours(name: str) -> bool:
    """Whether it is configuration of cabgate's; one of no name is of all of them."""
    return not name or name == "cabgate" or name.endswith(f".{GROUP}")


def _actor(event: Mapping[str, Any]) -> Actor | None:
    """Who asked: of an impersonation who was impersonated, and the data has both."""
    user = event.get("impersonatedUser") or event.get("user")
    username = text_at(user, "username")
    if not username:
        return None
    kind = UserType.SERVICE if username.startswith("system:serviceaccount:") else UserType.USER
    credential = "authentication.kubernetes.io/credential-id"
    extra = user.get("extra") if isinstance(user, Mapping) else None
    return Actor(
        username,
        kind,
        text_at(user, "uid"),
        texts_at(user, "groups"),
        next(iter(texts_at(extra, credential)), ""),
    )
