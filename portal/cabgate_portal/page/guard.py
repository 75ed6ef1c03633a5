# SPDX-License-Identifier: Apache-2.0
"""What surrounds every request for the page: whose it is, from where, and what browsers are told
about the answer."""

import logging
from collections.abc import Sequence
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cabgate.api.types import MAX_IMAGES, MAX_TARGETS
from cabgate_kube.process.logs import explained
from cabgate_portal.page.forms import kept_of
from cabgate_portal.page.rendering import Renderer
from cabgate_portal.problems import Problem
from cabgate_portal.receiving import Receiving

log = logging.getLogger(__name__)

MAX_FORM_BYTES = 512 * 1024
"""Longest form: one that names each image of a large request."""

MAX_HELD_BYTES = 2 * 1024 * 1024
"""What the forms that are being read may take together."""

MAX_FIELDS = MAX_TARGETS * MAX_IMAGES + 64
"""Fields of a form: each image of the largest request, and the others."""

FAULT = Problem(500, "InternalError", "the page failed: this is a bug of cabgate")
"""What is shown where the page has a bug."""

_FORM = "application/x-www-form-urlencoded"

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: with that, browsers send `Origin: null` with the forms of this page.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
"""What browsers are told about every answer."""


class Door(Protocol):
    """Who is let in: whoever started `kubectl cab ui`, or whoever has signed in."""

    origin: str
    """Scheme, host and port that the page is opened by. By another name, a page of somebody else
    whose name leads here would read this one."""
    wrong_host: Problem

    async def enter(self, request: Request) -> Response | None:
        """None for what goes on to the page, else the answer. Raises `Problem`."""

    def check(self, request: Request) -> None:
        """Asked once the form of a request is read. Raises `Problem` where whoever is in is so no
        more; what they typed is shown with it."""

    def holds(self, request: Request) -> bool:
        """Whether it is the page's own browser, which may be told its paths."""

    def sent_by_form(self, token: str) -> bool:
        """Whether a form is one of a page of whoever is in."""

    def sign_in_for(self, request: Request) -> str:
        """The path that signs somebody in for this request; empty where there is none."""


class Guard:
    """Lets through what a door lets in, if it was sent to this address, and forms of this page."""

    def __init__(self, app: ASGIApp, door: Door, renderer: Renderer) -> None:
        self._app = app
        self._door = door
        self._host = urlsplit(door.origin).netloc
        self._renderer = renderer
        self._forms = Receiving(
            *("a form", MAX_FORM_BYTES, MAX_HELD_BYTES),
            next_step="Go back in the browser, and send it again.",
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return

        begun = False

        async def guarded(event: Message) -> None:
            nonlocal begun
            if event["type"] == "http.response.start":
                begun = True
                MutableHeaders(scope=event).update(HEADERS)
            await send(event)

        request = Request(scope, receive)
        admitted = False
        try:
            answer = await self._answer(request)
            admitted = answer is None
            await (self._app if answer is None else answer)(scope, receive, guarded)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told and nothing more
            log.error("unexpected error: %s", explained(error))
            if not begun:
                page_of = self._renderer.problem if admitted else self._renderer.closed
                await page_of(FAULT)(scope, receive, guarded)

    async def _answer(self, request: Request) -> Response | None:
        """The answer to what does not go on to the page; it names no path of the page to others
        than its own browser."""
        try:
            return await self._admitted(request)
        except Problem as problem:
            if not self._addressed(request):
                return self._renderer.closed(problem)
            sign_in = self._door.sign_in_for(request) if problem.status == 401 else ""
            if not self._door.holds(request):
                return self._renderer.closed(problem, sign_in)
            return self._renderer.problem(
                *(problem, sign_in), kept=kept_of(request),
                typed=getattr(request.state, "rationale", ""),
            )  # fmt: skip

    async def _admitted(self, request: Request) -> Response | None:
        """None for what goes on to the page, else the answer. Raises `Problem`."""
        if not self._addressed(request):
            raise self._door.wrong_host
        answer = await self._door.enter(request)
        if answer is not None:
            return answer
        if request.method == "POST":
            request.state.form = await self._form(request)
        elif request.method not in ("GET", "HEAD"):
            raise Problem(405, "NoSuchMethod", "this page takes GET and POST")
        self._door.check(request)
        return None

    def _addressed(self, request: Request) -> bool:
        return request.headers.getlist("host") == [self._host]

    def _from_here(self, request: Request) -> bool:
        """Whether a form was sent by a page of this address. Browsers say so with every form: where
        nothing is said, no browser sent it."""
        sites = request.headers.getlist("sec-fetch-site")
        origins = request.headers.getlist("origin")
        return (
            bool(sites or origins)
            and all(each == "same-origin" for each in sites)
            and all(each == self._door.origin for each in origins)
        )

    async def _form(self, request: Request) -> dict[str, list[str]]:
        """The fields of a form of this page. Raises `Problem`."""
        if not self._from_here(request):
            raise _foreign()
        body = await self._forms.read(request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != _FORM:
            raise Problem(415, "FormNeeded", f"a form has to be {_FORM}")
        found = _fields(body)
        # Shown again, where what follows refuses the form.
        request.state.rationale = next(iter(found.get("rationale", ())), "")
        if sum(map(len, found.values())) > MAX_FIELDS:
            raise Problem(400, "TooManyFields", f"a form has at most {MAX_FIELDS} fields")
        token = found.pop("form_token", [""])
        if len(token) != 1 or not self._door.sent_by_form(token[0]):
            raise _foreign()
        return found


def guarded(routes: Sequence[Route], door: Door, renderer: Renderer) -> Guard:
    """Pages behind a door; each problem of theirs is a page, too, with what was typed."""

    async def problem(request: Request, error: Exception) -> Response:
        if not isinstance(error, Problem):
            return renderer.problem(FAULT)
        return renderer.problem(error, door.sign_in_for(request), kept=kept_of(request))

    async def missing(_request: Request, _error: Exception) -> Response:
        return renderer.problem(Problem(404, "NoSuchPath", "there is no such page"))

    app = Starlette(routes=list(routes))
    app.add_exception_handler(Problem, problem)
    app.add_exception_handler(Exception, problem)
    app.add_exception_handler(404, missing)
    app.add_exception_handler(405, missing)
    return Guard(app, door, renderer)


def _fields(body: bytes) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    try:
        text = body.decode("ascii")
        pairs = parse_qsl(text, strict_parsing=bool(text), keep_blank_values=True, errors="strict")
    except ValueError:
        raise Problem(400, "Invalid", "the form cannot be read") from None
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def _foreign() -> Problem:
    return Problem(
        403,
        "ForeignForm",
        "this was not sent by a form of this page, and nothing was done",
        next_step="Open the page again, and decide there.",
    )
