# SPDX-License-Identifier: Apache-2.0
"""Why a write to one of cabgate's own objects is refused."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Cause:
    """One problem of a write that is refused, for programs: an entry of `status.details.causes` of
    what the API server answers."""

    reason: str
    message: str
    field: str = ""
    """Path of the field; empty where the problem is not about one."""


class Refusal(Exception):  # noqa: N818 - an answer to the user, not a fault of the program
    """A write that is refused: reason code, field path and what to do.

    `field` is empty where the refusal is not about one field. `causes` are the problems where there
    are several, all of which the message tells; the refusal itself is the one otherwise.
    """

    def __init__(
        self,
        reason: RefusalReason,
        message: str,
        field: str = "",
        causes: Sequence[Cause] = (),
    ) -> None:
        self.reason = reason
        self.field = field
        self.message = printed(message)
        self.causes = tuple(causes) or (Cause(reason, self.message, field),)
        self.detail = printed(f"{field}: {message}" if field else message)
        """What is wrong and where, without the reason code."""
        super().__init__(printed(f"{reason}: {self.detail}"))


def combined(refusals: Sequence[Refusal]) -> Refusal:
    """One refusal of all problems of a write, at least one: it has the reason and the field of the
    first, and its message tells all."""
    first, *others = refusals
    if not others:
        return first
    message = "; ".join([first.message, *(each.detail for each in others)])
    causes = [cause for each in refusals for cause in each.causes]
    return Refusal(first.reason, message, first.field, causes)


def check_all(*checks: Callable[[], object]) -> None:
    """Raise one `Refusal` of all that several checks refuse, so that nobody mends one problem to be
    told of the next."""
    refusals = []
    for check in checks:
        try:
            check()
        except Refusal as refusal:
            refusals.append(refusal)
    if refusals:
        raise combined(refusals)
