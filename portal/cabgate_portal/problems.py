# SPDX-License-Identifier: Apache-2.0
"""Errors as problem+json (RFC 9457): what is wrong, with which field, and what to do."""

import json
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse

from cabgate_kube.process.logs import PlainError
from cabgate_kube.transport import HttpAnswer

MEDIA_TYPE = "application/problem+json"

MAX_DETAIL = 4000
"""Characters kept of what the API server says."""

MAX_CAUSES = 20
"""Fields that are named of those that are wrong."""

_TEXT = {"type": "string"}
PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457. Members that are empty are left out.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": {**_TEXT, "description": "What is wrong, for people."},
        "code": {**_TEXT, "description": "What is wrong, for programs."},
        "field": {**_TEXT, "description": "Path of the field that is wrong."},
        "next": {**_TEXT, "description": "What to do."},
        "auditId": {**_TEXT, "description": "Id of the call in the API server's audit log."},
        "causes": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"reason": _TEXT, "field": _TEXT, "message": _TEXT},
            },
        },
    },
}
"""The schema of an error."""

_PASSED_THROUGH = frozenset({400, 401, 403, 404, 409, 410, 413, 415, 422, 429, 503, 504})
"""Statuses of the API server that mean the same to the portal's caller."""

BUSY = "Busy"
"""The code where too much is asked at once."""

UNKNOWN = "OutcomeUnknown"
"""The code where nobody knows whether a write was stored."""

_NEXT = {
    400: "Correct what was sent, and try again.",
    401: "Send a token that the API server takes: it may have expired or be for another audience.",
    404: "Check namespace and name, and whether you may read that namespace.",
    409: "Conflict: read the object again, and retry.",
    410: "Restart the list, without `continue`.",
    413: "Send less.",
    422: "Correct the fields that are named, and try again.",
    429: "Wait as long as Retry-After says, and try again.",
    503: "Try again later.",
    504: "Try again later.",
}
_UNDECLARED = re.compile(
    r"failed to create typed patch object \(.{0,600}?\): (\.\S{1,400}): (\S.{0,300})", re.DOTALL
)

_CONFLICT = (
    "Leave that field to the manager that is named, or have it give the field up; nothing is taken "
    "over by force."
)
_NOT_RECORDED = "What the API server denied was not recorded: the detail says what it wants."


class Problem(PlainError):  # noqa: N818 - RFC 9457 calls it so
    """A call that is answered with an error. Its text is its code: it quotes nothing that was sent,
    so that it may be logged."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        field: str = "",
        next_step: str = "",
        audit_id: str = "",
        causes: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.detail = detail[:MAX_DETAIL]
        self.field = field
        self.next_step = next_step or _NEXT.get(status, "")
        self.audit_id = audit_id
        self.causes = list(causes)
        self.headers = dict(headers or {})
        super().__init__(f"{status} {code}")

    def content(self) -> dict[str, Any]:
        """The members of the answer; those that are empty are left out."""
        found = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "field": self.field,
            "next": self.next_step,
            "auditId": self.audit_id,
            "causes": self.causes,
        }
        return {key: value for key, value in found.items() if value}


class Answer(JSONResponse):
    """JSON in ASCII, kept by no cache: nothing in it steers a terminal or a page."""

    def __init__(self, content: Any, status_code: int = 200, **options: Any) -> None:
        super().__init__(content, status_code, **options)
        self.headers["Cache-Control"] = "no-store"
        self.headers["X-Content-Type-Options"] = "nosniff"

    def render(self, content: Any) -> bytes:
        """The bytes of the body."""
        return json.dumps(content, allow_nan=False).encode("ascii")


def answer_of(problem: Problem) -> Answer:
    """The answer that tells of a problem."""
    return Answer(problem.content(), problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


def refused(answer: HttpAnswer) -> Problem:
    """The problem for an answer of the API server that is none of success."""
    status = _status_of(answer.body)
    details = status.get("details")
    listed = details.get("causes") if isinstance(details, dict) else None
    causes = [
        {key: str(each[key])[:1000] for key in ("reason", "field", "message") if each.get(key)}
        for each in (listed if isinstance(listed, list) else [])
        if isinstance(each, dict)
    ][:MAX_CAUSES]
    message = str(status.get("message") or f"the API server answered {answer.status}")
    code = answer.status if answer.status in _PASSED_THROUGH else 502
    if answer.status == 500 and (unknown := _UNDECLARED.search(message)):
        # How the API server answers an apply whose fields are no part of the schema.
        code = 422
        causes = [{"reason": "Invalid", "field": unknown[1], "message": unknown[2]}]
    first = causes[0] if causes else {}
    headers = {}
    if answer.retry_after.isdigit():
        headers["Retry-After"] = answer.retry_after.decode("ascii")
    if code == 401:
        headers["WWW-Authenticate"] = "Bearer"
    reason = first.get("reason") or str(status.get("reason") or "") or HTTPStatus(code).name
    return Problem(
        code,
        reason[:100],
        message,
        field=first.get("field", ""),
        next_step=_next_step(code, reason, denied=bool(causes)),
        audit_id=audit_id_of(answer),
        causes=causes,
        headers=headers,
    )


def audit_id_of(answer: HttpAnswer) -> str:
    """The id under which the API server's audit log has a call; empty if there is none."""
    return answer.audit_id.decode("ascii", "replace")[:100]


def _next_step(code: int, reason: str, *, denied: bool) -> str:
    if reason == "FieldManagerConflict":
        return _CONFLICT
    if code == 403:
        return _NOT_RECORDED if denied else "Ask for that right: docs/roles.md has the roles."
    return ""


def _status_of(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
