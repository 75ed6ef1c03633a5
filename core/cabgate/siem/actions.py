# SPDX-License-Identifier: Apache-2.0
"""A privileged action, of which no record of the ledger tells, as an event: from the API server's
audit log.

Events of the API: https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cabgate import GROUP
from cabgate.api import changepolicy, riskmodel, signer
from cabgate.rollout.installation import SYSTEM_NAMESPACE
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

LOWERED = "rings.cabgate.dev/lowered"
"""The audit annotation of ValidatingAdmissionPolicy `rings.cabgate.dev`: what a write lowered or
loosened, in words."""

CHECKPOINTS = "cabgate-ledger-checkpoints"
"""The ConfigMap that each prune of the ledger writes first."""

_VERBS: Mapping[str, Activity] = {
    "create": Activity.CREATE,
    "update": Activity.UPDATE,
    "patch": Activity.UPDATE,
    "delete": Activity.DELETE,
    "deletecollection": Activity.DELETE,
}

_KINDS: Mapping[str, str] = {
    riskmodel.PLURAL: "risk-model-changed",
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

_DONE = 400
"""From this status of an answer on nothing was done."""


@dataclass(frozen=True)
class _Action:
    code: str
    severity: Severity
    comment: str = ""


def action_event(cluster: str, event: Mapping[str, Any]) -> SecurityEvent | None:
    """The event of a privileged action; None of an audit event that is of none, of one that was
    refused, or of a dry run, which changes nothing."""
    activity = _VERBS.get(text_at(event, "verb"))
    if activity is None or not _was_done(event):
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
    return SecurityEvent(
        id=f"{cluster}/audit/{text_at(event, 'auditID')}",
        cluster=cluster,
        type=f"action.{action.code}",
        code=action.code,
        at=moment(event.get("requestReceivedTimestamp")),
        entity=entity,
        actor=actor,
        activity=activity,
        severity=action.severity,
        message=f"{action.code}: {text_at(event, 'verb')} {entity.kind} {entity.path}"
        + (f" by {actor.username}" if actor is not None else ""),
        comment=action.comment,
        log="audit",
        data=event,
    )


def _was_done(event: Mapping[str, Any]) -> bool:
    if event.get("stage") != "ResponseComplete" or not text_at(event, "auditID"):
        return False
    answered = event.get("responseStatus")
    code = answered.get("code") if isinstance(answered, Mapping) else None
    if not isinstance(code, int) or code >= _DONE:
        return False
    return "dryRun" not in parse_qs(urlsplit(text_at(event, "requestURI")).query)


def _action(event: Mapping[str, Any]) -> _Action | None:
    group = text_at(event, "objectRef", "apiGroup")
    resource = text_at(event, "objectRef", "resource")
    name = text_at(event, "objectRef", "name")
    lowered = text_at(event, "annotations", LOWERED)
    if lowered:
        return _Action("requirements-lowered", Severity.HIGH, lowered)
    if group == GROUP and resource in _KINDS:
        return _Action(_KINDS[resource], Severity.MEDIUM)
    if group == "admissionregistration.k8s.io" and resource in _ADMISSION and _is_ours(name):
        return _Action("admission-configuration-changed", Severity.HIGH)
    namespace = text_at(event, "objectRef", "namespace")
    made = text_at(event, "verb") == "create" or event["responseStatus"]["code"] == _CREATED
    if (resource, namespace, name) == ("configmaps", SYSTEM_NAMESPACE, CHECKPOINTS) and not made:
        return _Action("ledger-pruned", Severity.HIGH)
    return None


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
