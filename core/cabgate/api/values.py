# SPDX-License-Identifier: Apache-2.0
"""Words and numbers of the API that rules go by. Apart from the models, which take longer to import
than a list of what waits takes otherwise: what only lists imports these."""

import re
from datetime import datetime
from enum import StrEnum

MAX_GROUPS = 64
"""Groups of a user that are recorded with a decision."""

MAX_GROUP_NAME = 256
"""Longest name of a group that is recorded, in characters."""

MAX_LISTED = 256
"""Longest text of a column of a list, in characters."""

DEFAULT_DURATION_DAYS = 30
"""Length of an exception that names none, in days."""

MAX_DURATION_DAYS = 90
"""Longest exception, in days."""

SHA256_PREFIX = "sha256:"
"""What may stand before the digits of a digest."""


class Tier(StrEnum):
    """What a score asks for."""

    AUTO_APPROVE = "AutoApprove"
    MANUAL_REVIEW = "ManualReview"
    EXCEPTION_REQUIRED = "ExceptionRequired"


class RequestState(StrEnum):
    """Where a request stands."""

    SUBMITTED = "Submitted"
    UNDER_REVIEW = "UnderReview"
    AUTO_APPROVED = "AutoApproved"
    APPROVED = "Approved"
    CONDITIONALLY_APPROVED = "ConditionallyApproved"
    REJECTED = "Rejected"
    EXCEPTION_REQUIRED = "ExceptionRequired"
    SUPERSEDED = "Superseded"
    REVOKED = "Revoked"


class RequestVerdict(StrEnum):
    """What an entry of a request's decisions says: six for people, four for the system."""

    UNDER_REVIEW = "UnderReview"
    APPROVED = "Approved"
    CONDITIONALLY_APPROVED = "ConditionallyApproved"
    REJECTED = "Rejected"
    REVOKED = "Revoked"
    ATTESTED = "Attested"
    AUTO_APPROVED = "AutoApproved"
    SUPERSEDED = "Superseded"
    REOPENED = "Reopened"
    GLASS_BROKEN = "GlassBroken"


class ExceptionState(StrEnum):
    """Where an exception stands."""

    PENDING = "Pending"
    APPROVED = "Approved"
    REJECTED = "Rejected"
    EXPIRED = "Expired"
    REVOKED = "Revoked"


class ExceptionVerdict(StrEnum):
    """What an entry of an exception's decisions says: three for people, two for the system."""

    APPROVED = "Approved"
    REJECTED = "Rejected"
    REVOKED = "Revoked"
    EXPIRED = "Expired"
    REOPENED = "Reopened"


class AuthorType(StrEnum):
    """Who speaks in an entry of `status.decisions`."""

    SYSTEM = "System"
    PERSON = "Person"


class SubmitterType(StrEnum):
    """Whether a person or a machine submitted."""

    PERSON = "Person"
    MACHINE = "Machine"


class Attestation(StrEnum):
    """Whether somebody has to say that a condition is met."""

    NOT_REQUIRED = "NotRequired"
    REQUIRED = "Required"


class SubjectKind(StrEnum):
    """What a decision may be about."""

    REQUEST = "CABRequest"
    EXCEPTION = "CABException"


def bare_digest(digest: str) -> str:
    """A digest without its prefix: with it and without, it is the same."""
    return digest.removeprefix(SHA256_PREFIX)


def has_to_be_attested(attestation: Attestation | None) -> bool:
    """Whether the gate waits for somebody to attest an approval condition."""
    return attestation is Attestation.REQUIRED


def left_to_people(
    attestation: Attestation | None, not_before: datetime | None, not_after: datetime | None
) -> bool:
    """Whether the gate cannot see to an approval condition, so that each rollout is told of
    it."""
    return not (has_to_be_attested(attestation) or not_before or not_after)


CORRELATION_ID = r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$"
"""Pattern of an identifier that ties a rollout to records elsewhere."""

MAX_CORRELATION_ID = 128
"""Most characters of one."""


def is_correlation_id(text: str) -> bool:
    """Whether a text can be one; what is none could say more in a field selector."""
    return len(text) <= MAX_CORRELATION_ID and re.fullmatch(CORRELATION_ID, text) is not None


class Limit(StrEnum):
    """A constraint of an exception, by its name there."""

    MAX_REPLICAS = "maxReplicas"
    MAX_RING = "maxRing"
    UNTIL = "until"
    WINDOWS = "windows"
