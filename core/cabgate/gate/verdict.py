# SPDX-License-Identifier: Apache-2.0
"""What is decided at the gate, and what a decision says."""

from dataclasses import dataclass
from enum import StrEnum

from cabgate.api.request import RequestState
from cabgate.lifecycle.history.revocations import Revocation
from cabgate.lifecycle.limits.constraints import Violation
from cabgate.lifecycle.limits.freezes import FreezeInForce
from cabgate.lifecycle.limits.promotion import PriorRing
from cabgate.lifecycle.state.standing import ExceptionStanding, RequestStanding


class Reason(StrEnum):
    """Why a rollout is admitted or denied; part of the API."""

    RING_NOT_GATED = "RingNotGated"
    NO_NEW_IMAGE = "NoNewImage"
    REQUEST_APPROVED = "RequestApproved"
    EXCEPTION_ACTIVE = "ExceptionActive"
    NO_REQUEST = "NoRequest"
    IMAGES_NOT_COVERED = "ImagesNotCovered"
    TEMPLATE_NOT_COVERED = "TemplateNotCovered"
    REVIEW_PENDING = "ReviewPending"
    EXCEPTION_REQUIRED = "ExceptionRequired"
    EXCEPTION_PENDING = "ExceptionPending"
    EXCEPTION_ENDED = "ExceptionEnded"
    CONSTRAINT_VIOLATED = "ConstraintViolated"
    OUTSIDE_WINDOW = "OutsideWindow"
    APPROVAL_ENDED = "ApprovalEnded"
    FROZEN = "Frozen"
    PREVIOUS_RING_PENDING = "PreviousRingPending"
    PREVIOUS_RING_FAILED = "PreviousRingFailed"
    ATTESTATION_MISSING = "AttestationMissing"
    REJECTED = "Rejected"
    REVOKED = "Revoked"
    SUPERSEDED = "Superseded"
    GLASS_BROKEN = "GlassBroken"
    UNKNOWN_REQUIREMENT = "UnknownRequirement"


@dataclass(frozen=True)
class Look:
    """What one request that names the workload says to a rollout."""

    request: RequestStanding
    state: RequestState
    reason: Reason
    """What is decided if no other request admits."""
    exception: ExceptionStanding | None = None
    """The exception for it that admits, or that the reason tells of."""
    uncovered: tuple[str, ...] = ()
    """Images of the rollout that it does not name."""
    differing: tuple[str, ...] = ()
    """Paths of what the containers do otherwise than it says, as far as that can be told."""
    revocation: Revocation | None = None
    """What denies an image of the rollout although this request approves it."""
    violation: Violation | None = None
    """The constraint of the exception that the rollout does not keep."""
    freeze: FreezeInForce | None = None
    """The freeze that keeps back what is approved otherwise."""
    prior: PriorRing | None = None
    """The ring before, which does so."""
    awaited: ExceptionStanding | None = None
    """Beside a violation: another exception, which waits for its approval and would be kept to."""
    refused: RequestStanding | None = None
    """Another request for the very same content that was rejected or revoked, and speaks for it."""


@dataclass(frozen=True)
class Basis:
    """What a decision rests on."""

    request: RequestStanding | None = None
    exception: ExceptionStanding | None = None
    uncovered: tuple[str, ...] = ()
    """Images that the request nearest to covering the rollout does not name."""
    differing: tuple[str, ...] = ()
    """Paths of what the containers do otherwise than it says, as far as that can be told."""
    revocation: Revocation | None = None
    """What denies an image of the rollout although the request approves it."""
    violation: Violation | None = None
    """The constraint of the exception that the rollout does not keep."""
    freeze: FreezeInForce | None = None
    """The freeze that keeps back what is approved otherwise."""
    prior: PriorRing | None = None
    """The ring before, which does so."""
    awaited: ExceptionStanding | None = None
    """Beside a violation: another exception, which waits for its approval and would be kept to."""


@dataclass(frozen=True)
class GateVerdict:
    """Whether a rollout is admitted, and why."""

    allowed: bool
    reason: Reason
    message: str
    basis: Basis
    warnings: tuple[str, ...] = ()
    """What whoever rolls out should know although the rollout is admitted."""
    kept_back: bool = False
    """Whether it is denied although some request, not only the one that it tells of, would admit
    it if it ran before, or if it met what is asked of it."""
