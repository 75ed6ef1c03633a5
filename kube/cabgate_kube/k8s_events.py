# SPDX-License-Identifier: Apache-2.0
"""Kubernetes Events: told once, because their names follow from what they tell."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from cabgate.api.base import rfc3339
from cabgate.text.foreign import printed
from cabgate_kube.resources import Object, Resource

COMPONENT = "cabgate-operator"
"""Reporting component of every Event."""

MAX_MESSAGE_BYTES = 1024
"""Longest message of an Event."""


@dataclass(frozen=True)
class Reference:
    """The object that an Event is about."""

    resource: Resource
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True)
class News:
    """Something that happened."""

    reason: str
    message: str
    identity: tuple[str, ...]
    """What makes it another one than the one before: the same news gets the same name."""
    warning: bool = False


def event_object(about: Reference, news: News, now: datetime) -> Object:
    """The Event to create."""
    identity = "\0".join((about.uid, news.reason, *news.identity))
    digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
    moment = rfc3339(now)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{about.name[:200].rstrip('-.')}.{digest}",
            "namespace": about.namespace,
        },
        "involvedObject": {
            "apiVersion": about.resource.api_version,
            "kind": about.resource.kind,
            "namespace": about.namespace,
            "name": about.name,
            "uid": about.uid,
        },
        "type": "Warning" if news.warning else "Normal",
        "reason": news.reason,
        "message": printed(news.message).encode()[:MAX_MESSAGE_BYTES].decode(errors="ignore"),
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": COMPONENT,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
