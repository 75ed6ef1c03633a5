# SPDX-License-Identifier: Apache-2.0
"""AdmissionReview v1: reading a request, writing an answer."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cabgate import GROUP
from cabgate.gate.composing import shortened
from cabgate.review.identity import User
from cabgate.rollout.modes import Mode
from cabgate.text.foreign import printed
from cabgate.text.refusal import Cause
from cabgate_webhook.admission.narrow import decode_rollout, head_of, pod_templates_of

API_VERSION = "admission.k8s.io/v1"

MAX_BODY_BYTES = 7 * 1024 * 1024
"""Largest AdmissionReview: old and new object travel together, and the API server itself takes
3 MiB."""


MAX_OWN_BODY_BYTES = 3584 * 1024
"""Largest one about an object of cabgate's own: old and new, of which etcd stores 1.5 MiB each."""

MAX_VALUES = 500_000
"""What an AdmissionReview may have of commas and opening brackets outside of texts: as many values
as that take some 60 bytes each in memory, whatever they take in the body. A workload with as many
annotations as there may be has 462,000, old, new and who manages them."""


MAX_CAUSES = 20
"""Causes that a denial lists; where there are more, the last says how many."""

MAX_CAUSE = 1024
"""Bytes of the message of one, and of its field."""


class OversizedAdmissionError(Exception):
    """An admission request that is not looked at for its size; it is denied."""

    def __init__(self, uid: str, message: str) -> None:
        self.uid = uid
        super().__init__(message)


class MalformedAdmissionError(ValueError):
    """A body that is not an AdmissionReview; the message names the field."""


@dataclass(frozen=True)
class AdmissionRequest:
    """One admission request."""

    uid: str
    group: str
    resource: str
    subresource: str
    operation: str
    namespace: str
    name: str
    user: User
    object: Mapping[str, Any]
    """The object as it would be stored; empty on DELETE."""
    old_object: Mapping[str, Any]
    """The object as it is stored; empty on CREATE."""
    dry_run: bool = False
    """Whether nothing will be stored, whatever the answer."""
    pod_templates: bytes | None = None
    """Where the object holds no more than the gate reads of each: what holds its pod templates, as
    JSON; None where it holds all, or they are too large to be compared."""
    is_narrow: bool = False
    """Whether it holds no more than that."""

    @property
    def where(self) -> str:
        """Resource and subresource, such as `cabrequests/status`."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


@dataclass(frozen=True)
class AdmissionAnswer:
    """What the webhook says to one admission request."""

    allowed: bool
    reason: str
    """Reason code, for the metric and the audit log."""
    message: str = ""
    warnings: Sequence[str] = ()
    patch: Sequence[Mapping[str, Any]] = ()
    """JSON patch of a mutating answer."""
    correlation_id: str = ""
    """That of the request that the answer rests on, for the log."""
    workload: str = ""
    """The workload that an approval would have to name, for the metric; empty where that is not
    known."""
    causes: Sequence[Cause] = ()
    """What is wrong, one by one, for programs; the reason and the message are the one cause where
    there are none here."""
    mode: Mode | None = None
    """The mode that admits what the gate denies; None where no mode made a difference. Reason and
    message are those of the denial then."""

    @property
    def verdict(self) -> str:
        """What was done, in a word, for the metric."""
        if self.mode is not None:
            return {Mode.WARN: "warned", Mode.AUDIT: "audited"}[self.mode]
        return "allowed" if self.allowed else "denied"


def read_admission(body: bytes, *, rollout: bool = False) -> AdmissionRequest:
    """The admission request in a body. Raises `MalformedAdmissionError` and
    `OversizedAdmissionError`.

    With `rollout`, the objects of a kind that is gated everywhere hold the fields that the gate
    reads and no others.
    """
    _check_size(body)
    narrow = decode_rollout(body) if rollout else None
    is_narrow = narrow is not None
    admission: Any = narrow if is_narrow else _decode(body)
    _mapping(admission, "body")
    if (admission.get("apiVersion"), admission.get("kind")) != (API_VERSION, "AdmissionReview"):
        raise MalformedAdmissionError(f"body: not an AdmissionReview of {API_VERSION}")
    request = _mapping(admission.get("request"), "request")
    resource = _mapping(request.get("resource"), "request.resource")
    return AdmissionRequest(
        uid=_text(request.get("uid"), "request.uid", required=True),
        group=_text(resource.get("group"), "request.resource.group"),
        resource=_text(resource.get("resource"), "request.resource.resource", required=True),
        subresource=_text(request.get("subResource"), "request.subResource"),
        operation=_text(request.get("operation"), "request.operation", required=True),
        namespace=_text(request.get("namespace"), "request.namespace"),
        name=_text(request.get("name"), "request.name"),
        user=_user(_mapping(request.get("userInfo"), "request.userInfo")),
        object=_object(request.get("object") or {}, "request.object"),
        old_object=_object(request.get("oldObject") or {}, "request.oldObject"),
        dry_run=request.get("dryRun") is True,
        pod_templates=pod_templates_of(body) if is_narrow else None,
        is_narrow=is_narrow,
    )


def _check_size(body: bytes) -> None:
    """Raise `OversizedAdmissionError` for a body that would take more memory than it may."""
    if _may_have_more_values(body) and (found := _values(body)) > MAX_VALUES:
        why = f"the admission request has {found} values, of {MAX_VALUES} that cabgate reads"
    elif len(body) > MAX_OWN_BODY_BYTES and head_of(body)[1] == GROUP:
        why = f"the admission request has {len(body)} bytes, of {MAX_OWN_BODY_BYTES} that cabgate "
        why += "reads"
    else:
        return
    raise OversizedAdmissionError(head_of(body)[0], f"{why}. Make the object smaller")


def _may_have_more_values(body: bytes) -> bool:
    return sum(map(body.count, _BEFORE_VALUES)) > MAX_VALUES


def _values(body: bytes) -> int:
    """How many values a body has, at most: what stands in texts is none."""
    return sum(map(_TEXT.sub(b"", body).count, _BEFORE_VALUES))


_BEFORE_VALUES = (b",", b"[", b"{")
_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')


def _decode(body: bytes) -> Any:
    try:
        admission = json.loads(body.decode())
        if b"\\ud" in body or b"\\uD" in body:
            # Half of a surrogate pair, which json takes, is no text that could be told or stored.
            json.dumps(admission, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise MalformedAdmissionError(f"body: not JSON: {error}") from None
    return admission


def metadata_of(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    """The metadata of an object in an admission request; empty where it has none."""
    return obj.get("metadata") or {}


def answer_body(uid: str, answer: AdmissionAnswer) -> bytes:
    """The AdmissionReview that carries an answer. Whatever it refuses is a 403: for a 409 or a 422
    some tools delete the object and create it anew, for some texts too."""
    message = printed(answer.message)
    # The API server puts it into the audit log, as WEBHOOK-NAME/reason: `cabgate.reports.denials`
    # reads it there.
    annotations = {"reason": answer.reason}
    if answer.mode is not None or not answer.allowed:
        annotations |= {"denial": message, "workload": answer.workload}
    if answer.mode is not None:
        annotations["mode"] = answer.mode
    response: dict[str, Any] = {
        "uid": uid,
        "allowed": answer.allowed,
        "auditAnnotations": annotations,
    }
    if not answer.allowed:
        response["status"] = {
            "code": 403,
            "reason": "Forbidden",
            "message": message,
            "details": {"causes": _causes(answer)},
        }
    if answer.warnings:
        response["warnings"] = [printed(warning) for warning in answer.warnings]
    if answer.patch:
        patch = json.dumps(list(answer.patch)).encode()
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(patch).decode()
    body = {"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response}
    return json.dumps(body).encode()


def _causes(answer: AdmissionAnswer) -> list[dict[str, str]]:
    causes = list(answer.causes) or [
        Cause(answer.reason, answer.message.removeprefix(f"{answer.reason}: "))
    ]
    if len(causes) > MAX_CAUSES:
        left = len(causes) - MAX_CAUSES + 1
        more = Cause(answer.reason, f"{left} more problems, which are not listed")
        causes = [*causes[: MAX_CAUSES - 1], more]
    return [
        {
            "reason": each.reason,
            "field": shortened(each.field, MAX_CAUSE),
            "message": shortened(each.message, MAX_CAUSE),
        }
        for each in causes
    ]


def _user(info: Mapping[str, Any]) -> User:
    groups = info.get("groups") or []
    extra = _mapping(info.get("extra") or {}, "request.userInfo.extra")
    if not _is_texts(groups):
        raise MalformedAdmissionError("request.userInfo.groups: not a list of strings")
    if not all(_is_texts(values) for values in extra.values()):
        raise MalformedAdmissionError("request.userInfo.extra: not lists of strings")
    return User(
        username=_text(info.get("username"), "request.userInfo.username", required=True),
        uid=_text(info.get("uid"), "request.userInfo.uid"),
        groups=tuple(groups),
        extra=extra,
    )


def _object(value: Any, path: str) -> Mapping[str, Any]:
    """An object with metadata of the types that the API server guarantees."""
    obj = _mapping(value, path)
    metadata = _mapping(obj.get("metadata") or {}, f"{path}.metadata")
    labels = _mapping(metadata.get("labels") or {}, f"{path}.metadata.labels")
    if not all(isinstance(label, str) for label in labels.values()):
        raise MalformedAdmissionError(f"{path}.metadata.labels: not strings")
    for name in ("ownerReferences", "finalizers"):
        if not isinstance(metadata.get(name) or [], list):
            raise MalformedAdmissionError(f"{path}.metadata.{name}: not a list")
    return obj


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _mapping(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise MalformedAdmissionError(f"{path}: not an object")
    return value


def _text(value: Any, path: str, *, required: bool = False) -> str:
    if value is None and not required:
        return ""
    if not isinstance(value, str) or (required and not value):
        raise MalformedAdmissionError(f"{path}: not a string")
    return value
