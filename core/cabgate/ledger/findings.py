# SPDX-License-Identifier: Apache-2.0
"""What may be wrong with a ledger, and what to do about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from cabgate.api.base import first_problem


class FindingCode(StrEnum):
    """What may be wrong; part of the API."""

    UNREADABLE = "Unreadable"
    MISNAMED = "Misnamed"
    CHANGED_RECORD = "ChangedRecord"
    MISSING_RECORD = "MissingRecord"
    BROKEN_LINK = "BrokenLink"
    FORK = "Fork"
    RECORDED_TWICE = "RecordedTwice"
    OUT_OF_ORDER = "OutOfOrder"
    UNSIGNED = "Unsigned"
    UNKNOWN_KEY = "UnknownKey"
    WRONG_SIGNATURE = "WrongSignature"
    NOT_RECORDED = "NotRecorded"
    SUBJECT_DIFFERS = "SubjectDiffers"
    WRONG_ASSESSMENT = "WrongAssessment"
    ILLEGAL_DECISION = "IllegalDecision"
    HEAD_GONE = "HeadGone"


ADVICE: Mapping[FindingCode, str] = {
    FindingCode.UNREADABLE: "look at it with kubectl get -o yaml, and compare it with an export or "
    "a backup; if a newer release wrote it, use that release's command line",
    FindingCode.MISNAMED: "treat the record as forged: the operator never names one so",
    FindingCode.CHANGED_RECORD: "compare it with an export or a backup from before the change",
    FindingCode.MISSING_RECORD: "look for it in an export or a backup, and for its deletion in the "
    "API server's audit log",
    FindingCode.BROKEN_LINK: "one of the two records was replaced: compare both with an export",
    FindingCode.FORK: "find out by an export or a copy of the heads which of them is genuine",
    FindingCode.RECORDED_TWICE: "the first record counts; look in the audit log for who created "
    "the other",
    FindingCode.OUT_OF_ORDER: "the chain was rebuilt: compare it with an export or a copy of its "
    "heads",
    FindingCode.UNSIGNED: "treat the decision as not given by the person it names: it was written "
    "past the webhook; look in the audit log for who wrote it",
    FindingCode.UNKNOWN_KEY: "give the public key of that time (--keys FILE); if nobody knows the "
    "key, treat the decision as unsigned",
    FindingCode.WRONG_SIGNATURE: "treat the decision as changed after it was made",
    FindingCode.NOT_RECORDED: "see whether the operator runs, and run this again; if it does, the "
    "record was deleted",
    FindingCode.SUBJECT_DIFFERS: "believe the ledger; look in the audit log for who changed the "
    "object",
    FindingCode.WRONG_ASSESSMENT: "treat the request as forged: the webhook admits none like it",
    FindingCode.ILLEGAL_DECISION: "treat the decision as forged: the webhook lets none like it in, "
    "and it counts for nothing; look in the audit log for who wrote it",
    FindingCode.HEAD_GONE: "records were cut off or the chain was rebuilt since the copy was made: "
    "compare with an export or a backup",
}
"""What to do about each finding."""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, and where."""

    code: FindingCode
    where: str
    message: str

    @property
    def advice(self) -> str:
        """What to do about it."""
        return ADVICE[self.code]


def unreadable(kind: str, raw: Mapping[str, Any], error: ValidationError) -> Finding:
    """That an object cannot be read, and at which field."""
    first = first_problem(error)
    message = f"{first.path}: {first.message}"
    return Finding(FindingCode.UNREADABLE, f"{kind} {_name(raw)}", message)


def _name(raw: Mapping[str, Any]) -> str:
    meta = raw.get("metadata")
    if not isinstance(meta, Mapping):
        return "without a name"
    return "/".join(str(meta[key]) for key in ("namespace", "name") if meta.get(key))
