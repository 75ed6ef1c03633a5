# SPDX-License-Identifier: Apache-2.0
"""Lists by the page, each as long as the API server's `continue` goes on."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from cabgate.api import CABException, CABRequest
from cabgate.api.exception import Constraints
from cabgate.ledger.queries import Query as LedgerQuery
from cabgate.ledger.queries import answers
from cabgate.lifecycle.state.standing import ExceptionStanding, WholeRequest
from cabgate.lifecycle.state.states import expires_at, state_of
from cabgate.text.inert import inert
from cabgate.text.moments import rfc3339
from cabgate.views.decided import exception_decided
from cabgate.views.queue import listed_names
from cabgate_kube.resources import DECISIONS, EXCEPTIONS, REQUESTS, Object
from cabgate_portal.answers import ExceptionsAnswer, LedgerAnswer, RequestsAnswer
from cabgate_portal.calls import AsCaller, Correlation, Everywhere
from cabgate_portal.client import Page
from cabgate_portal.names import Id, Name
from cabgate_portal.problems import Answer
from cabgate_portal.reading import Notes, Reader, all_readable

router = APIRouter(tags=["listing"])

Limit = Annotated[int, Query(ge=1, le=500, description="Most objects that are looked at.")]
Continue = Annotated[
    str,
    Query(alias="continue", max_length=4096, description="`continue` of the page before."),
]
State = Annotated[str, Query(pattern="^[A-Za-z]{0,32}$", description="Such as Approved.")]


@router.get("/requests", operation_id="requests", response_model=RequestsAnswer)
async def requests(
    reader: AsCaller,
    namespace: Everywhere = None,
    intent: Annotated[Name | None, Query(description="Of the intent of this name.")] = None,
    state: State = "",
    correlation_id: Correlation = None,
    limit: Limit = 100,
    further: Continue = "",
) -> Answer:
    """Requests, whatever their state."""
    fields = _fields(
        ("spec.intentRef.name", intent),
        ("status.state", state),
        ("spec.correlationID", correlation_id),
    )
    page = await reader.api.page(
        REQUESTS, namespace or "", fields=fields, limit=limit, further=further
    )
    notes = Notes()
    items = [_request(each) for each in await all_readable(CABRequest, page.items, notes)]
    return _answer(items, page, notes.texts)


@router.get("/exceptions", operation_id="exceptions", response_model=ExceptionsAnswer)
async def exceptions(
    reader: AsCaller,
    namespace: Everywhere = None,
    intent: Annotated[Name | None, Query(description="For requests of this intent.")] = None,
    request: Annotated[Name | None, Query(description="For the request of this name.")] = None,
    state: State = "",
    limit: Limit = 100,
    further: Continue = "",
) -> Answer:
    """Exceptions. `intent` and `state` select of a page, by where they stand now: one may have
    ended since its status was written. So a page may be shorter than `limit`."""
    fields = _fields(("spec.requestRef.name", request))
    page = await reader.api.page(
        EXCEPTIONS, namespace or "", fields=fields, limit=limit, further=further
    )
    notes, now = Notes(), reader.clock()
    found = await all_readable(CABException, page.items, notes)
    if intent is not None:
        of_intent = await _requests_of(reader, namespace or "", intent)
        found = [e for e in found if (e.metadata.namespace, e.spec.request_ref.name) in of_intent]
    chosen = [each for each in found if not state or state_of(each, now).value == state]
    return _answer([_exception(each, reader) for each in chosen], page, notes.texts)


@router.get("/ledger", operation_id="ledger", response_model=LedgerAnswer)
async def ledger(
    reader: AsCaller,
    namespace: Everywhere = None,
    subject: Annotated[Name | None, Query(description="Name of request or exception.")] = None,
    verdict: Annotated[str, Query(pattern="^[A-Za-z]{0,32}$")] = "",
    author: Annotated[str, Query(max_length=512, description="User name of who decided.")] = "",
    correlation_id: Correlation = None,
    limit: Limit = 100,
    further: Continue = "",
) -> Answer:
    """Records of the ledger, whole. A page holds those that fit of `limit` that were looked at.
    Nothing is verified: `cabgate ledger verify` does that."""
    fields = _fields(("spec.subject.namespace", namespace), ("spec.correlationID", correlation_id))
    page = await reader.api.page(DECISIONS, fields=fields, limit=limit, further=further)
    query = LedgerQuery(
        namespace=namespace,
        subject=subject,
        verdict=verdict or None,
        author=author or None,
        correlation=correlation_id,
    )
    answered = answers(page.items, query)
    notes = [f"{each.where} cannot be read: {each.why}" for each in answered.unread]
    if answered.cut:
        notes.append(f"{answered.cut} records were cut and may fit too")
    items = [{"name": raw["metadata"]["name"], "spec": raw["spec"]} for _, raw in answered.found]
    return _answer(items, page, notes)


async def _requests_of(reader: Reader, namespace: str, intent: str) -> set[tuple[str, str]]:
    """Namespace and name of each request of the intents of a name."""
    items = await reader.api.all(REQUESTS, namespace, fields=f"spec.intentRef.name={intent}")
    return {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in items}


def _fields(*wanted: tuple[str, str | None]) -> str:
    return ",".join(f"{path}={value}" for path, value in wanted if value)


def _answer(items: list[dict[str, Any]], page: Page, notes: list[str]) -> Answer:
    return Answer({"items": items, "continue": page.further or None, "notes": notes})


def _request(found: CABRequest) -> Object:
    request, meta, spec = WholeRequest.of(found), found.metadata, found.spec
    return {
        "id": str(Id(inert(meta.namespace), inert(meta.name))),
        "uid": inert(meta.uid),
        "opened": rfc3339(meta.creation_timestamp) if meta.creation_timestamp else None,
        "intent": inert(spec.intent_ref.name) if spec.intent_ref else None,
        "state": request.standing.state.value,
        "score": spec.assessment.score,
        "tier": spec.assessment.gate.value,
        "targets": listed_names(spec.targets),
        "correlationID": inert(spec.correlation_id),
        "evidenceDigest": spec.evidence_digest,
    }


def _exception(found: CABException, reader: Reader) -> Object:
    meta, now = found.metadata, reader.clock()
    constraints = ExceptionStanding.of(found).constraints
    return {
        "id": str(Id(inert(meta.namespace), inert(meta.name))),
        "uid": inert(meta.uid),
        "request": str(Id(inert(meta.namespace), inert(found.spec.request_ref.name))),
        "state": state_of(found, now).value,
        "outcome": exception_decided(found, now).outcome.value,
        "reason": inert(found.spec.reason),
        "constraints": [each.to_dict() for each in constraints if isinstance(each, Constraints)],
        "ends": rfc3339(expires_at(found)),
    }
