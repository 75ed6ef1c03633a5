# SPDX-License-Identifier: Apache-2.0
"""A reviewer's answers. Each is one patch, which the webhook judges and makes a decision of."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from pydantic import ValidationError

from cabgate.api import CABException, CABRequest
from cabgate.api.base import first_problem
from cabgate.gate.commands import review_of
from cabgate.lifecycle.state.standing import WholeRequest
from cabgate.text.inert import inert
from cabgate.views.decided import exception_decided
from cabgate.views.plain import plain
from cabgate.views.show import decision_view
from cabgate.views.verdicts import review_for
from cabgate_kube.resources import EXCEPTIONS, REQUESTS
from cabgate_portal.answers import DecidedExceptionAnswer, DecidedRequestAnswer
from cabgate_portal.bodies import (
    Approval,
    ConditionAttestation,
    Decision,
    ExceptionApproval,
    ExceptionDecision,
    Revocation,
)
from cabgate_portal.calls import AsCaller, DryRun, ObjectId
from cabgate_portal.names import Id
from cabgate_portal.problems import Answer, Problem
from cabgate_portal.reading import Reader, parsed_written

router = APIRouter(tags=["deciding"])


@router.post("/{id}/approve", operation_id="approve", response_model=DecidedRequestAnswer)
async def approve(which: ObjectId, body: Approval, reader: AsCaller, dry_run: DryRun) -> Answer:
    """Approve a request for exactly the evidence that was looked at."""
    details: dict[str, Any] = {}
    if body.conditions:
        details = {"conditions": [each.to_dict() for each in body.conditions]}
    verdict = "ConditionallyApproved" if body.conditions else "Approved"
    return await _request(reader, which, verdict, body, details, dry_run=dry_run)


@router.post("/{id}/reject", operation_id="reject", response_model=DecidedRequestAnswer)
async def reject(which: ObjectId, body: Decision, reader: AsCaller, dry_run: DryRun) -> Answer:
    """Reject a request."""
    return await _request(reader, which, "Rejected", body, {}, dry_run=dry_run)


@router.post("/{id}/take", operation_id="take", response_model=DecidedRequestAnswer)
async def take(which: ObjectId, body: Decision, reader: AsCaller, dry_run: DryRun) -> Answer:
    """Show others that one looks at a request; another reviewer may still decide it."""
    return await _request(reader, which, "UnderReview", body, {}, dry_run=dry_run)


@router.post("/{id}/attest", operation_id="attest", response_model=DecidedRequestAnswer)
async def attest(
    which: ObjectId, body: ConditionAttestation, reader: AsCaller, dry_run: DryRun
) -> Answer:
    """Attest that an approval condition is met."""
    details = {"condition": body.condition}
    return await _request(reader, which, "Attested", body, details, dry_run=dry_run)


@router.post("/{id}/revoke", operation_id="revoke", response_model=DecidedRequestAnswer)
async def revoke(which: ObjectId, body: Revocation, reader: AsCaller, dry_run: DryRun) -> Answer:
    """Take the approval of a request back."""
    details = {"images": body.images} if body.images else {}
    return await _request(reader, which, "Revoked", body, details, dry_run=dry_run)


@router.post(
    "/exceptions/{id}/approve",
    operation_id="approveException",
    response_model=DecidedExceptionAnswer,
)
async def approve_exception(
    which: ObjectId, body: ExceptionApproval, reader: AsCaller, dry_run: DryRun
) -> Answer:
    """Approve an exception, perhaps within narrower limits than its team asked for."""
    details = {"constraints": body.constraints.to_dict()} if body.constraints else {}
    return await _exception(reader, which, "Approved", body, details, dry_run=dry_run)


@router.post(
    "/exceptions/{id}/reject", operation_id="rejectException", response_model=DecidedExceptionAnswer
)
async def reject_exception(
    which: ObjectId, body: ExceptionDecision, reader: AsCaller, dry_run: DryRun
) -> Answer:
    """Reject an exception."""
    return await _exception(reader, which, "Rejected", body, {}, dry_run=dry_run)


@router.post(
    "/exceptions/{id}/revoke", operation_id="revokeException", response_model=DecidedExceptionAnswer
)
async def revoke_exception(
    which: ObjectId, body: ExceptionDecision, reader: AsCaller, dry_run: DryRun
) -> Answer:
    """Take the approval of an exception back."""
    return await _exception(reader, which, "Revoked", body, {}, dry_run=dry_run)


async def _request(
    reader: Reader,
    which: Id,
    verdict: str,
    body: Decision,
    details: Mapping[str, Any],
    *,
    dry_run: bool,
) -> Answer:
    patch = _patch(verdict, body, details, of_exception=False)
    written = await reader.api.patch_status(
        REQUESTS, which.namespace, which.name, patch, dry_run=dry_run
    )
    request = WholeRequest.of(parsed_written(CABRequest, written, dry_run=dry_run))
    content = {
        "id": str(which),
        "state": request.standing.state.value,
        "decisions": [plain(decision_view(each)) for each in request.stored.status.decisions],
        "dryRun": dry_run,
        "auditId": written.audit_id,
    }
    return Answer(content)


async def _exception(
    reader: Reader,
    which: Id,
    verdict: str,
    body: ExceptionDecision,
    details: Mapping[str, Any],
    *,
    dry_run: bool,
) -> Answer:
    patch = _patch(verdict, body, details, of_exception=True)
    written = await reader.api.patch_status(
        EXCEPTIONS, which.namespace, which.name, patch, dry_run=dry_run
    )
    found = parsed_written(CABException, written, dry_run=dry_run)
    decided = exception_decided(found, reader.clock())
    content = {
        "id": str(which),
        "outcome": decided.outcome.value,
        "message": decided.message,
        "decisions": [plain(decision_view(each)) for each in found.status.decisions],
        "dryRun": dry_run,
        "auditId": written.audit_id,
    }
    return Answer(content)


def _patch(verdict: str, body: Decision, details: Mapping[str, Any], *, of_exception: bool) -> str:
    """The patch that gives a verdict. Raises `Problem` for what the schema would refuse."""
    try:
        review = review_for(
            verdict, body.evidence_digest, body.rationale, details, of_exception=of_exception
        )
    except ValidationError as error:
        first = first_problem(error)
        raise Problem(400, "Invalid", first.message, field=inert(first.path)) from None
    return review_of(review, body.uid or "")
