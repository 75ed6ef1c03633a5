# SPDX-License-Identifier: Apache-2.0
"""Why a write to one of cabgate's own objects is refused."""

from enum import StrEnum

from cabgate.text.foreign import printed


class RefusalReason(StrEnum):
    """Reason codes of refused writes; part of the API."""

    NOT_AUTHORIZED = "NotAuthorized"
    SELF_APPROVAL = "SelfApproval"
    MACHINE = "MachineCannotDecide"
    REQUESTER_NEEDED = "RequesterNeeded"
    NOT_CURRENT = "NotCurrent"
    INTENT_CHANGED = "IntentChanged"
    REFUSALS_CHANGED = "RefusalsChanged"
    UNKNOWN_REQUIREMENT = "UnknownRequirement"
    ILLEGAL_TRANSITION = "IllegalTransition"
    EXCEPTION_NOT_ALLOWED = "ExceptionNotAllowed"
    IMAGES_NEEDED = "ImagesNeeded"
    DIGEST_MISMATCH = "DigestMismatch"
    WRITTEN_BY_OPERATOR_ONLY = "WrittenByOperatorOnly"
    WRONG_CONTENT = "WrongContent"
    DIGEST_REQUIRED = "DigestRequired"
    TARGET_NOT_GATED = "TargetNotGated"
    CALLER_NOT_PROVED = "CallerNotProved"
    BUDGET_USED_UP = "BudgetUsedUp"
    INVALID = "Invalid"


class Refusal(Exception):  # noqa: N818 - an answer to the user, not a fault of the program
    """A write that is refused: reason code, field path and what to do.

    `field` is empty where the refusal is not about one field.
    """

    def __init__(self, reason: RefusalReason, message: str, field: str = "") -> None:
        self.reason = reason
        self.field = field
        self.message = printed(message)
        told = f"{field}: {message}" if field else message
        super().__init__(printed(f"{reason}: {told}"))
