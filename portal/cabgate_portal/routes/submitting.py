# SPDX-License-Identifier: Apache-2.0
"""Submitting: an intent, an exception, and how an intent stands."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from cabgate.api import CABException, DeploymentIntent
from cabgate.lifecycle.state.waiting import Outcome, outcome_of, why
from cabgate.text.inert import inert
from cabgate.views.decided import exception_decided
from cabgate_kube.resources import EXCEPTIONS, INTENTS, Object, Resource
from cabgate_portal.answers import IntentAnswer, SubmitAnswer, SubmittedExceptionAnswer
from cabgate_portal.bodies import ExceptionManifest, IntentManifest, Manifest
from cabgate_portal.calls import AsCaller, DryRun, Waiting
from cabgate_portal.client import Written
from cabgate_portal.names import Id, Name, Namespace
from cabgate_portal.problems import Answer, Problem
from cabgate_portal.reading import Reader, parsed_written

router = APIRouter(tags=["submitting"])


@router.post(
    "/submit",
    operation_id="submit",
    response_model=SubmitAnswer,
    responses={201: {"model": SubmitAnswer, "description": "It is new, or of new content."}},
)
async def submit(body: IntentManifest, reader: AsCaller, wait: Waiting, dry_run: DryRun) -> Answer:
    """Apply an intent by server-side apply, never by force.

    201: new, or of new content. 200: the same as before. 409: another field manager owns a field,
    which is named. `outcome` is approved, refused or open.
    """
    written, is_new = await _applied(reader, INTENTS, body, dry_run=dry_run)
    intent = parsed_written(DeploymentIntent, written, dry_run=dry_run)
    notes: list[str] = []
    if wait.seconds and not dry_run:
        generation = intent.metadata.generation
        which = Id(body.metadata.namespace, body.metadata.name)
        try:
            intent = await wait.until(
                reader,
                lambda: reader.intent(which),
                # One that somebody changed meanwhile is no longer what this caller waits for.
                lambda found: (
                    outcome_of(found) is not Outcome.OPEN or found.metadata.generation != generation
                ),
            )
        except Problem as problem:
            # It is stored: an error would be read as if it were not.
            notes = [f"it is recorded, and how it stands is not known: {inert(problem.detail)}"]
    content = {**_intent_content(intent), "new": is_new, "dryRun": dry_run, "notes": notes}
    return Answer(content | {"auditId": written.audit_id}, 201 if is_new else 200)


@router.get("/status", operation_id="status", response_model=IntentAnswer)
async def status(
    reader: AsCaller,
    namespace: Annotated[Namespace, Query()],
    intent: Annotated[Name, Query(description="Name of the intent.")],
    wait: Waiting,
) -> Answer:
    """How an intent stands: approved means that its rollout would be admitted now."""
    which = Id(namespace, intent)
    found = await wait.until(
        reader,
        lambda: reader.intent(which),
        lambda each: outcome_of(each) is not Outcome.OPEN,
    )
    return Answer(_intent_content(found))


@router.post(
    "/exceptions",
    operation_id="submitException",
    response_model=SubmittedExceptionAnswer,
    status_code=200,
)
async def submit_exception(body: ExceptionManifest, reader: AsCaller, dry_run: DryRun) -> Answer:
    """Request an exception. What is sent again is the same one; its spec never changes."""
    written, is_new = await _applied(reader, EXCEPTIONS, body, dry_run=dry_run)
    found = parsed_written(CABException, written, dry_run=dry_run)
    decided = exception_decided(found, reader.clock())
    content = {
        "id": str(Id(body.metadata.namespace, body.metadata.name)),
        "uid": inert(found.metadata.uid),
        "request": str(Id(body.metadata.namespace, found.spec.request_ref.name)),
        "outcome": decided.outcome.value,
        "message": decided.message,
        "new": is_new,
        "dryRun": dry_run,
        "auditId": written.audit_id,
    }
    return Answer(content, 201 if is_new else 200)


async def _applied(
    reader: Reader, resource: Resource, body: Manifest, *, dry_run: bool
) -> tuple[Written, bool]:
    """What was stored, and whether its content is new."""
    namespace, name = body.metadata.namespace, body.metadata.name
    before = await _generation(reader, resource, namespace, name)
    written = await reader.api.apply(resource, namespace, name, body.to_apply(), dry_run=dry_run)
    changed = before is not None and _generation_of(written.object) != before
    return written, written.status == 201 or changed


async def _generation(reader: Reader, resource: Resource, namespace: str, name: str) -> int | None:
    """The generation of what is stored: 0 where nothing is, None where the caller may not read it;
    whether they may write it the write says."""
    try:
        return _generation_of(await reader.api.get(resource, namespace, name))
    except Problem as problem:
        if problem.status == 403:
            return None
        if problem.status != 404:
            raise
        return 0


def _generation_of(found: Object) -> int:
    metadata = found.get("metadata")
    generation = metadata.get("generation") if isinstance(metadata, dict) else None
    return generation if isinstance(generation, int) else 0


def _intent_content(intent: DeploymentIntent) -> dict[str, Any]:
    meta, found = intent.metadata, intent.status
    current = found.observed_generation == meta.generation
    request = found.request_name if current else None
    return {
        "intent": str(Id(meta.namespace, meta.name)),
        "uid": inert(meta.uid),
        "generation": meta.generation,
        "id": str(Id(meta.namespace, request)) if request else None,
        "state": inert(found.state) if current and found.state else None,
        "evidenceDigest": found.evidence_digest if current else None,
        "score": found.score if current else None,
        "tier": found.gate if current else None,
        "correlationID": inert(found.correlation_id or "") if current else None,
        "outcome": outcome_of(intent).value,
        "message": inert(why(intent)),
    }
