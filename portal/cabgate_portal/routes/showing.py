# SPDX-License-Identifier: Apache-2.0
"""What waits, what is asked for, and one request or exception with all that it is decided by."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from fastapi import APIRouter, Request, Response

from cabgate.lifecycle.state.waiting import Outcome
from cabgate.views.plain import plain
from cabgate.views.queue import QueueRow
from cabgate_portal.answers import DecisionsAnswer, ShownAnswer, WaitingAnswer
from cabgate_portal.calls import AsCaller, Correlation, Everywhere, ObjectId, Wait, Waiting
from cabgate_portal.names import Id
from cabgate_portal.problems import Answer
from cabgate_portal.reading import Reader, Seen

router = APIRouter(tags=["showing"])
by_id = APIRouter(tags=["showing"])
"""Those whose path begins with an id: to be asked after all others."""


_UNCHANGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "Nothing changed since the answer of that ETag."}
}


@router.get("/pending", operation_id="pending", response_model=WaitingAnswer)
async def pending(
    reader: AsCaller, namespace: Everywhere = None, correlation_id: Correlation = None
) -> Answer:
    """What waits for a decision, the oldest first, with who is needed: as `kubectl cab queue`."""
    return await _waiting(reader, namespace, correlation_id, own=False)


@router.get("/my-requests", operation_id="myRequests", response_model=WaitingAnswer)
async def my_requests(
    reader: AsCaller, namespace: Everywhere = None, correlation_id: Correlation = None
) -> Answer:
    """What of that the caller submitted or is named as requester of."""
    return await _waiting(reader, namespace, correlation_id, own=True)


@router.get(
    "/exceptions/{id}",
    operation_id="getException",
    response_model=ShownAnswer,
    responses=_UNCHANGED,
)
async def get_exception(
    request: Request, which: ObjectId, reader: AsCaller, wait: Waiting
) -> Response:
    """An exception with its request. `wait` waits until it is decided. With If-None-Match: 304
    where nothing changed."""
    return await _shown(request, which, wait, reader, lambda: reader.exception(which))


@by_id.get("/{id}", operation_id="getRequest", response_model=ShownAnswer, responses=_UNCHANGED)
async def get_request(
    request: Request, which: ObjectId, reader: AsCaller, wait: Waiting
) -> Response:
    """A request with assessment, improvements, decisions, what it changes, and the next command.

    `wait` waits until it is decided. With If-None-Match: 304 where nothing changed.
    """
    return await _shown(request, which, wait, reader, lambda: reader.request(which))


async def _shown(
    request: Request, which: Id, wait: Wait, reader: Reader, read: Callable[[], Awaitable[Seen]]
) -> Response:
    seen = await wait.until(reader, read, lambda found: found.decided.outcome is not Outcome.OPEN)
    return _tagged(request, _content(str(which), seen))


@by_id.get("/{id}/decisions", operation_id="decisions", response_model=DecisionsAnswer)
async def decisions(which: ObjectId, reader: AsCaller) -> Answer:
    """The decisions of a request, in their order."""
    seen = await reader.request(which)
    return Answer({"id": str(which), "items": plain(seen.view.decisions)})


async def _waiting(
    reader: Reader, namespace: str | None, correlation_id: str | None, *, own: bool
) -> Answer:
    waiting = await reader.waiting(namespace or "", correlation_id=correlation_id or "", own=own)
    items = await asyncio.to_thread(_rows, waiting.rows)
    return Answer({"items": items, "notes": waiting.notes})


def _rows(rows: Sequence[QueueRow]) -> list[dict[str, Any]]:
    return [{"id": f"{row.namespace}.{row.name}", **plain(row)} for row in rows]


def _content(which: str, seen: Seen) -> dict[str, Any]:
    return {
        "id": which,
        "outcome": seen.decided.outcome.value,
        "message": seen.decided.message,
        "view": plain(seen.view),
        "notes": list(seen.notes),
    }


def _tagged(request: Request, content: dict[str, Any]) -> Response:
    """The answer with its ETag: another caller's is another, since it says what they may decide."""
    text = json.dumps(content, sort_keys=True).encode()
    tag = f'"{hashlib.sha256(text).hexdigest()[:32]}"'
    given = request.headers.get("if-none-match", "")
    if tag in {each.strip().removeprefix("W/") for each in given.split(",")}:
        return Response(status_code=304, headers={"ETag": tag, "Cache-Control": "no-store"})
    return Answer(content, headers={"ETag": tag})
