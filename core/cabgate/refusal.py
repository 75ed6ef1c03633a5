# SPDX-License-Identifier: Apache-2.0
"""Why a write to one of cabgate's own objects is refused."""

from enum import StrEnum


class RefusalReason(StrEnum):
    """Reason codes of refused writes; part of the API."""

    NOT_AUTHORIZED = "NotAuthorized"
    SELF_APPROVAL = "SelfApproval"
    SERVICE_ACCOUNT = "ServiceAccountCannotDecide"
    REQUESTER_NEEDED = "RequesterNeeded"
    NOT_CURRENT = "NotCurrent"
    ILLEGAL_TRANSITION = "IllegalTransition"
    DIGEST_MISMATCH = "DigestMismatch"
    WRITTEN_BY_OPERATOR_ONLY = "WrittenByOperatorOnly"
    WRONG_CONTENT = "WrongContent"
    DIGEST_REQUIRED = "DigestRequired"
    INVALID = "Invalid"


class Refusal(Exception):  # noqa: N818 - an answer to the user, not a fault of the program
    """A write that is refused: reason code, field path and what to do.

    `field` is empty where the refusal is not about one field.
    """

    def __init__(self, reason: RefusalReason, message: str, field: str = "") -> None:
        self.reason = reason
        self.field = field
        self.message = message
        super().__init__(f"{reason}: {field}: {message}" if field else f"{reason}: {message}")
