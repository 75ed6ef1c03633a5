# SPDX-License-Identifier: Apache-2.0
"""What surrounds every request for the page: whose it is, from where, and what browsers are told
about the answer."""

import asyncio
import logging
from urllib.parse import parse_qsl

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cabgate.api.types import MAX_IMAGES, MAX_TARGETS
from cabgate_kube.process.bodies import Bodies, BusyError, TooLargeError
from cabgate_kube.process.logs import explained
from cabgate_portal.page.rendering import BUSY, Renderer
from cabgate_portal.page.session import Session
from cabgate_portal.problems import Problem

log = logging.getLogger(__name__)

MAX_FORM_BYTES = 512 * 1024
"""Longest form: one that names each image of a large request."""

MAX_HELD_BYTES = 2 * 1024 * 1024
"""What the forms that are being read may take together."""

MAX_FIELDS = MAX_TARGETS * MAX_IMAGES + 64
"""Fields of a form: each image of the largest request, and the others."""

FORM_SECONDS = 10.0
"""Time that a browser has to send a form."""

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


class Guard:
    """Lets through what the session's own browser sent to this address, and forms of this page."""

    def __init__(self, app: ASGIApp, session: Session, host: str, renderer: Renderer) -> None:
        """`host` is all that the header Host may be: by another name, a page of somebody else
        whose name leads here would read this one."""
        self._app = app
        self._session = session
        self._host = host
        self._renderer = renderer
        self._bodies = Bodies(MAX_FORM_BYTES, MAX_HELD_BYTES)

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
            if not self._own(request):
                return self._renderer.closed(problem)
            return self._renderer.problem(problem, typed=getattr(request.state, "rationale", ""))

    async def _admitted(self, request: Request) -> Response | None:
        """None for what goes on to the page, else the answer. Raises `Problem`."""
        if not self._addressed(request):
            raise Problem(
                421, "WrongHost", "this page has another address", next_step="Open the URL that "
                "`kubectl cab ui` printed, as it is."
            )  # fmt: skip
        base, path = self._session.base, request.url.path
        if not path.startswith(f"{base}/"):
            raise _closed()
        if path == f"{base}/" and "key" in request.query_params:
            cookie = self._session.exchange(request.query_params["key"])
            if cookie is None and not self._holds(request):
                raise _closed()
            answer = RedirectResponse(f"{base}/queue", 303)
            if cookie is not None:
                answer.headers["Set-Cookie"] = cookie
            return answer
        if not self._holds(request):
            raise _closed()
        if request.method == "POST":
            request.state.form = await self._form(request)
        elif request.method not in ("GET", "HEAD"):
            raise Problem(405, "NoSuchMethod", "this page takes GET and POST")
        return None

    def _addressed(self, request: Request) -> bool:
        return request.headers.getlist("host") == [self._host]

    def _own(self, request: Request) -> bool:
        """Whether the answer may name a path of the page: the secret part of it is what keeps the
        cookie from whoever else listens on this machine."""
        return self._addressed(request) and self._holds(request)

    def _holds(self, request: Request) -> bool:
        return any(map(self._session.holds, request.headers.getlist("cookie")))

    def _from_here(self, request: Request) -> bool:
        """Whether a form was sent by a page of this address. Browsers say so with every form: where
        nothing is said, no browser sent it."""
        sites = request.headers.getlist("sec-fetch-site")
        origins = request.headers.getlist("origin")
        return (
            bool(sites or origins)
            and all(each == "same-origin" for each in sites)
            and all(each == f"http://{self._host}" for each in origins)
        )

    async def _form(self, request: Request) -> dict[str, list[str]]:
        """The fields of a form of this page. Raises `Problem`."""
        if not self._from_here(request):
            raise _foreign()
        try:
            async with asyncio.timeout(FORM_SECONDS):
                body = await self._bodies.read(request)
        except TooLargeError:
            detail = f"a form has at most {MAX_FORM_BYTES >> 10} KiB"
            raise Problem(413, "TooLarge", detail, headers=_CLOSE) from None
        except BusyError:
            detail = "too many forms are being read at this moment"
            raise Problem(
                *(503, BUSY, detail), next_step="Go back in the browser, and send it again.",
                headers=_CLOSE,
            ) from None  # fmt: skip
        except (TimeoutError, ClientDisconnect):
            detail = "the form did not come whole and in time"
            raise Problem(408, "TooSlow", detail, headers=_CLOSE) from None
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != _FORM:
            raise Problem(415, "FormNeeded", f"a form has to be {_FORM}")
        found = _fields(body)
        # Shown again, where what follows refuses the form.
        request.state.rationale = next(iter(found.get("rationale", ())), "")
        if sum(map(len, found.values())) > MAX_FIELDS:
            raise Problem(400, "TooManyFields", f"a form has at most {MAX_FIELDS} fields")
        token = found.pop("form_token", [""])
        if len(token) != 1 or not self._session.sent_by_form(token[0]):
            raise _foreign()
        return found


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


_CLOSE = {"Connection": "close"}


def _closed() -> Problem:
    return Problem(
        401,
        "NotOpened",
        "this browser has not opened the page: its key was used before, or is another's",
        next_step="End `kubectl cab ui` with Ctrl-C, run it again, and open the URL that it "
        "prints in this browser.",
    )


def _foreign() -> Problem:
    return Problem(
        403,
        "ForeignForm",
        "this was not sent by a form of this page, and nothing was done",
        next_step="Open the page again, and decide there.",
    )
