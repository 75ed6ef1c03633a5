# SPDX-License-Identifier: Apache-2.0
"""An event as a CloudEvent 1.0.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
"""

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from cabgate.siem.event import SecurityEvent, Status

TYPE_PREFIX = "dev.cabgate."
"""What the type of each begins with."""


class CloudEvent(TypedDict):
    """A CloudEvent in the JSON format."""

    specversion: str
    id: str
    """The same at each delivery."""
    source: str
    """`/clusters/CLUSTER`: the cluster that it happened in."""
    type: str
    subject: NotRequired[str]
    """Namespace and name of what it is about."""
    time: NotRequired[str]
    """When it happened, RFC 3339 in UTC."""
    datacontenttype: str
    outcome: NotRequired[str]
    """`unknown` where the API server failed while it was at it, an extension; absent else."""
    data: Mapping[str, Any]
    """A record as an export of the ledger has it, or the event of the audit log."""


def cloud_event(event: SecurityEvent) -> CloudEvent:
    """An event as a CloudEvent."""
    found = CloudEvent(
        specversion="1.0",
        id=event.id,
        source=f"/clusters/{event.cluster}",
        type=TYPE_PREFIX + event.type,
        datacontenttype="application/json",
        data=event.data,
    )
    path = event.entity.path
    if path and path.isascii() and path.isprintable():
        found["subject"] = path
    if event.at is not None:
        found["time"] = event.at.isoformat().replace("+00:00", "Z")
    if event.status is Status.UNKNOWN:
        found["outcome"] = "unknown"
    return found
