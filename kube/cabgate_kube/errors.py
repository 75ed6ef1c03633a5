# SPDX-License-Identifier: Apache-2.0
"""What is raised for a call that the API server refused or did not answer."""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from cabgate.text.refusal import RefusalReason
from cabgate_kube.process.logs import PlainError

MAX_MESSAGE = 600
"""Characters kept of an error message of the API server."""

MAX_CAUSES = 5
"""Fields that the text of an error names."""


class ApiError(PlainError):
    """The API server refused, or could not be reached (code 0).

    As text it says which call failed and what was wrong with which field. What the API server said
    is in `message`, for those who may read the object: it quotes content, which is not for logs.
    """

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        about: str = "",
        causes: Collection[str] = (),
    ) -> None:
        self.code = code
        self.causes = frozenset(causes)
        """The reasons of `status.details.causes`."""
        self.reason = reason
        self.message = message[:MAX_MESSAGE]
        super().__init__(f"{code} {reason}" + (f": {about}" if about else ""))

    @property
    def refused(self) -> bool:
        """Whether the content was refused, so that the same call would be refused again."""
        return self.code in (400, 403, 422)

    @property
    def used_up(self) -> bool:
        """Whether the budget of a namespace was used up: to try again soon is of no use, and costs
        others what the refused call reads."""
        return self.code == 403 and RefusalReason.BUDGET_USED_UP in self.causes


class ConflictError(ApiError):
    """The object changed since it was read."""


class AlreadyExistsError(ApiError):
    """There is an object of that name."""


def refusal_of(call: str, code: int, data: bytes) -> ApiError:
    """The error for an answer that is none of success."""
    try:
        status = json.loads(data)
        reason, message = str(status.get("reason", "")), str(status.get("message", ""))
    except (ValueError, AttributeError):
        status, reason, message = {}, "", data[:200].decode(errors="replace")
    causes = _causes(status)
    fields = (f"{field[:100]} {cause[:64]}".strip() for cause, field in causes[:MAX_CAUSES])
    about = ", ".join([call, *_policy(message), *fields])
    kind = ApiError
    if code == 409:
        kind = AlreadyExistsError if reason == "AlreadyExists" else ConflictError
    return kind(code, reason, message, about, {cause for cause, _ in causes})


_POLICY = re.compile(r"is forbidden: (ValidatingAdmissionPolicy '[\w.-]{1,253}')")


def _policy(message: str) -> list[str]:
    """The policy that refused a write: the API server names it in its message alone."""
    policy = _POLICY.search(message)
    return [] if policy is None else [policy[1]]


def _causes(status: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Why a call was refused, by code, and for which fields: by the API server or by a webhook."""
    details = status.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    return [
        (str(cause.get("reason", "")), str(cause.get("field", "")))
        for cause in causes or []
        if isinstance(cause, dict)
    ]
