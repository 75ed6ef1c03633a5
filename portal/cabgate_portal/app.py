# SPDX-License-Identifier: Apache-2.0
"""The application: what surrounds every operation, so that each error is a problem that says so."""

import logging
import time
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cabgate.api.base import plain_message
from cabgate_kube.process.logs import explained, fields
from cabgate_portal.bodies import check_json
from cabgate_portal.calls import Portal
from cabgate_portal.metrics import Answered
from cabgate_portal.problems import MEDIA_TYPE, PROBLEM_SCHEMA, Problem, answer_of
from cabgate_portal.receiving import Receiving
from cabgate_portal.routes import checking, deciding, listing, showing, submitting
from cabgate_portal.tokens import token_of

log = logging.getLogger(__name__)

PREFIX = "/api/cab/v1"
UNVERSIONED = "/api/cab"
"""The same operations, for clients that were written before there were versions."""

MAX_BODY_BYTES = 256 * 1024
"""Longest body of a request."""

MAX_HELD_BYTES = 32 * 1024 * 1024
"""What the bodies that are being read may take together."""

_JSON = b"application/json"

_PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    code: {"description": f"{HTTPStatus(code).phrase}: {what}", "content": _PROBLEM}
    for code, what in {
        400: "what was sent cannot be what an operation takes.",
        401: "the token is missing, or the API server does not take it.",
        403: "the caller has no right to it, or the gate denies it: `code` says why.",
        404: "there is no such object, or no such path.",
        405: "there is no such method here.",
        408: "the body came too slowly.",
        409: "another field manager owns a field, or it was changed meanwhile.",
        410: "`continue` is too old.",
        413: "the body is too large.",
        415: "the body is not application/json.",
        422: "the API server does not take it, or it cannot be read or is too much for an answer.",
        429: "too many calls: Retry-After says when to come back.",
        500: "the portal failed.",
        502: "the API server failed; OutcomeUnknown: a write may have been recorded.",
        503: "the API server does not answer, or the portal is busy: Retry-After.",
        504: "the API server was too slow.",
    }.items()
}


HSTS = "max-age=31536000"
"""For how long a browser that came by TLS comes by nothing else, in seconds: a year. Not for the
host's subdomains, nor to be preloaded: those are others' to decide."""


def create_app(portal: Portal, page: ASGIApp | None = None, *, by_tls: bool = False) -> ASGIApp:
    """The application, with bounds around it; with a page it has that beside the operations. Served
    `by_tls`, each of its answers says so."""
    app = _beside(portal, page)
    return _with_hsts(app) if by_tls else app


def _with_hsts(app: ASGIApp) -> ASGIApp:
    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(event: Message) -> None:
            if event["type"] == "http.response.start":
                MutableHeaders(scope=event)["Strict-Transport-Security"] = HSTS
            await send(event)

        await app(scope, receive, marked)

    return answered


def _beside(portal: Portal, page: ASGIApp | None) -> ASGIApp:
    api = create_api()
    api.state.portal = portal
    bounded = Bounded(api, portal)
    if page is None:
        return bounded

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        of_api = f"{scope.get('path')}/".startswith(f"{UNVERSIONED}/")
        await (bounded if of_api else page)(scope, receive, send)

    return either


def create_api() -> FastAPI:
    """The operations, and the description of them."""
    app = FastAPI(
        title="cabgate",
        version=version("cabgate"),
        summary="Submit rollouts, wait for their approval, decide on them: as whoever calls.",
        description="docs/api.md shows how pipelines use it.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    for prefix, shown in ((PREFIX, True), (UNVERSIONED, False)):
        for router in (
            submitting.router, checking.router, listing.router, showing.router, deciding.router,
            showing.by_id,
        ):  # fmt: skip
            app.include_router(router, prefix=prefix, include_in_schema=shown, responses=_RESPONSES)
    app.openapi = cache(lambda: _described(app))  # type: ignore[method-assign]
    app.add_route("/", _start)
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _fault)
    return app


def _described(app: FastAPI) -> dict[str, Any]:
    """The description, with the errors that there are: none is FastAPI's own."""
    found = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
    )
    schemas = found["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = PROBLEM_SCHEMA
    return found


async def _start(_request: Request) -> Response:
    """What a browser gets where no login is set up."""
    return PlainTextResponse(
        f"This is cabgate's REST API, below {PREFIX}. It has no page: a browser brings no token of "
        "yours, and no login by OpenID Connect is set up here (docs/page.md). For the page on your "
        "own machine run: kubectl cab ui\n"
    )


async def _problem(_request: Request, error: Exception) -> Response:
    if not isinstance(error, Problem):
        raise error
    return answer_of(error)


async def _invalid(_request: Request, error: Exception) -> Response:
    """What was sent is not what an operation takes. Its values are not repeated."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    causes = []
    for each in list(found)[:20]:
        place, *path = map(str, each["loc"])
        # Where JSON ends before its end, the path is a position.
        name = "" if each["type"] == "json_invalid" else ".".join(path)
        message = plain_message(str(each["msg"]))
        causes.append({"reason": "Invalid", "field": name[:200], "message": f"{place}: {message}"})
    first = causes[0] if causes else {"field": "", "message": "it cannot be read"}
    return answer_of(Problem(400, "Invalid", first["message"], field=first["field"], causes=causes))


async def _http(_request: Request, error: Exception) -> Response:
    """What the router answers: no such path, or no such method there."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    codes = {404: "NoSuchPath", 405: "NoSuchMethod", 400: "Invalid"}
    details = {404: "there is no such path", 405: "this path has no such method"}
    return answer_of(
        Problem(
            status,
            codes.get(status, "Error"),
            details.get(status, "the call cannot be read"),
            headers=headers,
        )
    )


async def _fault(_request: Request, _error: Exception) -> Response:
    """Whatever it is: it is logged by `Bounded`, and told to nobody."""
    return answer_of(_FAULT)


class Bounded:
    """An application that is given whole bodies, of bounded size and in bounded time, and whose
    faults become problems."""

    def __init__(self, app: ASGIApp, portal: Portal) -> None:
        self._app = app
        self._portal = portal
        self._bodies = Receiving("a body", MAX_BODY_BYTES, MAX_HELD_BYTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        started, answered = time.perf_counter(), Answered(send)
        try:
            if scope["method"] == "POST" and scope["path"].startswith(UNVERSIONED):
                token_of(scope["headers"])  # before a byte of the body is waited for
            elif _has_body(scope["headers"]):
                detail = "a body is for a POST of an operation alone; allowed: no body"
                raise Problem(400, "NoBodyHere", detail, headers=_CLOSE)
            body = await self._body(Request(scope, receive))
            await self._app(scope, _replayed(body, receive), answered.send)
        except Problem as problem:
            await answer_of(problem)(scope, receive, answered.send)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told and nothing more
            # Not its text, nor a traceback: they may quote what was sent.
            why = explained(error)
            log.error("unexpected error: %s", why, extra=fields(reason="InternalError"))
            if not answered.status:
                await answer_of(_FAULT)(scope, receive, answered.send)
        finally:
            self._count(scope, answered.status, time.perf_counter() - started)

    async def _body(self, request: Request) -> bytes:
        """The body. Raises `Problem`."""
        body = await self._bodies.read(request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if body and kind.encode("latin-1") != _JSON:
            raise Problem(415, "JsonNeeded", "a body has to be application/json")
        if body:
            check_json(body)
        return body

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a call by its operation: one of few, whatever path is asked for."""
        operation = getattr(scope.get("route"), "operation_id", None) or "none"
        self._portal.metrics.count(operation, status, seconds)


_CLOSE = {"Connection": "close"}
_FAULT = Problem(500, "InternalError", "the portal failed; its log has the place")


def _has_body(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether a body comes behind some headers."""
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip() != b"0")
        for name, value in headers
    )


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A body that was read already, and then what comes after it."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
