# SPDX-License-Identifier: Apache-2.0
"""What the log says of an admission request."""

import logging
from collections.abc import Mapping
from typing import Any

from cabgate_kube.process.logs import fields
from cabgate_webhook.admission.requests import AdmissionAnswer, AdmissionRequest

log = logging.getLogger(__name__)


def note(
    admission: AdmissionRequest, endpoint: str, answer: AdmissionAnswer, seconds: float
) -> None:
    """One line in the log. The uid is the one of the API server's audit log."""
    said = about(
        admission,
        answer.reason,
        endpoint=endpoint,
        operation=admission.operation,
        user=admission.user.username,
        mode=answer.mode,
        correlationID=answer.correlation_id or _correlation_id(admission),
        milliseconds=round(seconds * 1000, 1),
    )
    log.info(answer.verdict, extra=said)


def about(admission: AdmissionRequest, reason: str, **more: object) -> dict[str, Any]:
    """The fields of a line about an admission request."""
    return fields(
        uid=admission.uid,
        resource=f"{admission.where}.{admission.group}" if admission.group else admission.where,
        namespace=admission.namespace,
        object=admission.name,
        reason=reason,
        **more,
    )


def _correlation_id(admission: AdmissionRequest) -> str | None:
    spec = admission.object.get("spec")
    found = spec.get("correlationID") if isinstance(spec, Mapping) else None
    return found[:100] if isinstance(found, str) else None
