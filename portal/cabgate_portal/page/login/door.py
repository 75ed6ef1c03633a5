# SPDX-License-Identifier: Apache-2.0
"""Signing in and out: the authorization code flow with PKCE.

The session's cookie is SameSite=Strict: no other site has a browser send it, with a form or with a
link. What comes back from the issuer is such a link, so the cookie of a sign-in under way is Lax,
and the answer to it is a page of ours that goes on by itself: from there the browser sends the
session's.
"""

import hmac
import json
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from cabgate.review.identity import User
from cabgate.text.inert import inert
from cabgate_kube.clock import Clock
from cabgate_portal.page.login.cookies import LAX, cookies_of, removed, set_cookies
from cabgate_portal.page.login.issuer import IdToken, Issuer
from cabgate_portal.page.login.places import place_of
from cabgate_portal.page.login.sealing import Sealer
from cabgate_portal.page.login.sessions import Sessions, SignedIn, removed_session, set_session
from cabgate_portal.page.rendering import Renderer
from cabgate_portal.problems import Problem
from cabgate_portal.tokens import Token

SIGN_IN = "/oidc/login"
CALLBACK = "/oidc/callback"
SIGN_OUT = "/oidc/logout"

ATTEMPT = "__Host-cabgate-login"
"""The cookie of a sign-in under way."""

ATTEMPT_SECONDS = 600
"""Time that somebody has to sign in."""

UNAUTHENTICATED = "system:unauthenticated"
"""The group of those whose token an API server did not look at."""


class OidcDoor:
    """Lets in whoever has signed in with the issuer, with a token that the API server takes."""

    base = ""

    def __init__(
        self,
        origin: str,
        issuer: Issuer,
        keys: Sequence[bytes],
        who_is: Callable[[Token], Awaitable[User]],
        clock: Clock,
    ) -> None:
        """`who_is` asks the API server; it raises `Problem` for a token that it does not take."""
        self.origin = origin
        self.wrong_host = Problem(
            421, "WrongHost", "this page has another address", next_step=f"Open {origin}."
        )
        self._issuer = issuer
        self._sessions = Sessions(keys)
        self._attempts = Sealer(keys, "sign-in")
        self._who_is = who_is
        self._clock = clock
        self._present: ContextVar[SignedIn | None] = ContextVar("signed_in", default=None)
        self.renderer = Renderer(
            self.base, self._form_token, sign_in=SIGN_IN, sign_out=SIGN_OUT
        )  # fmt: skip

    def routes(self) -> list[Route]:
        """What it has for those who are in."""
        return [Route(SIGN_OUT, self._sign_out, methods=["POST"])]

    async def enter(self, request: Request) -> Response | None:
        """None for what goes on to the page, else the answer. Raises `Problem`."""
        self._present.set(None)
        path, reading = request.url.path, request.method in ("GET", "HEAD")
        if path == SIGN_IN and reading:
            return await self._begun(request)
        if path == CALLBACK and reading:
            return await self._returned(request)
        if path.startswith("/static/") and reading:
            return None
        found = self._session_of(request)
        if found is None and reading and _from_elsewhere(request):
            # A link of a mail or a chat: the browser keeps the cookie back from those alone.
            return self.renderer.page("landing.html", {"place": place_of(_target(request))})
        if found is None:
            raise _needed("you are not signed in")
        self._present.set(found)
        return None

    def check(self, request: Request) -> None:
        """Raise `Problem` where whoever is in has to sign in again; they may always sign out."""
        found = self._present.get()
        if found is not None and found.over(self._clock()) and request.url.path != SIGN_OUT:
            raise _needed("your sign-in has expired")

    def holds(self, request: Request) -> bool:
        """Whether a request brings a session, also one that has expired."""
        return self._session_of(request) is not None

    def sent_by_form(self, token: str) -> bool:
        """Whether a form is one of a page of whoever is signed in."""
        found = self._present.get()
        return found is not None and self._sessions.is_form_token(token, found.username)

    def sign_in_for(self, request: Request) -> str:
        """The path that signs somebody in, and then goes on to the page that they asked for."""
        asked = request.query_params.get("next") if request.url.path == SIGN_IN else None
        place = place_of(_target(request) if asked is None else asked)
        return f"{SIGN_IN}?{urlencode({'next': place})}"

    def token(self) -> Token:
        """The token of whoever is signed in. Raises `Problem`: nothing is ever asked without."""
        found = self._present.get()
        if found is None:
            raise _needed("you are not signed in")
        return found.token

    def _form_token(self) -> str:
        found = self._present.get()
        return "" if found is None else self._sessions.form_token(found.username)

    def _session_of(self, request: Request) -> SignedIn | None:
        return self._sessions.signed_in(cookies_of(request.headers.getlist("cookie")))

    async def _begun(self, request: Request) -> Response:
        """To the issuer. Other sites have nobody sign in: they get the page with the link."""
        if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            raise _needed("sign in to go on")
        attempt = {
            "state": secrets.token_urlsafe(32),
            "nonce": secrets.token_urlsafe(32),
            "verifier": secrets.token_urlsafe(48),
        }
        url = await self._issuer.authorization_url(**attempt)
        content = {
            **attempt,
            "place": place_of(request.query_params.get("next", "")),
            "at": int(self._clock().timestamp()),
        }
        sealed = {ATTEMPT: self._attempts.seal(json.dumps(content))}
        return _with(RedirectResponse(url, 303), set_cookies(sealed, LAX, ATTEMPT_SECONDS))

    async def _returned(self, request: Request) -> Response:
        """Back from the issuer. The browser forgets what was begun once a code was tried; what it
        did not begin ends nothing that it did."""
        try:
            attempt = self._attempt_of(request)
        except Problem as problem:
            return self.renderer.closed(problem, SIGN_IN)
        try:
            answer = await self._signed_in(request, attempt)
        except Problem as problem:
            answer = self.renderer.closed(problem, SIGN_IN)
        return _with(answer, removed([ATTEMPT], LAX))

    def _attempt_of(self, request: Request) -> dict[str, str]:
        """What this browser began. Raises `Problem`: a code and a state that somebody else got, or
        hands on, are nothing without the cookie."""
        given = cookies_of(request.headers.getlist("cookie")).get(ATTEMPT, "")
        text = self._attempts.open(given)
        found = {} if text is None else json.loads(text)
        states = request.query_params.getlist("state")
        age = self._clock().timestamp() - found.get("at", 0)
        if len(states) != 1 or not _same(states[0], found.get("state", "")):
            raise _not_begun()
        if age > ATTEMPT_SECONDS:
            raise _not_begun()
        return dict(found)

    async def _signed_in(self, request: Request, attempt: dict[str, str]) -> Response:
        query = request.query_params
        if "error" in query:
            what = ": ".join(filter(None, (query["error"], query.get("error_description", ""))))
            raise Problem(
                *(403, "IssuerRefused", f"the issuer did not sign you in: {inert(what)[:500]}"),
                next_step="Sign in again, perhaps as somebody else.",
            )
        if query.get("iss", self._issuer.client.issuer) != self._issuer.client.issuer:
            raise Problem(400, "AnotherIssuer", "this comes from another issuer")
        found = await self._issuer.redeemed(
            query.get("code", ""), attempt["nonce"], attempt["verifier"]
        )
        user = await self._known(found)
        ends = datetime.fromtimestamp(int(found.claims["exp"]), UTC)
        cookies = self._sessions.cookies(found.value, user.username, ends)
        answer = self.renderer.page("landing.html", {"place": attempt["place"]})
        return _with(answer, set_session(cookies))

    async def _known(self, found: IdToken) -> User:
        """Who the API server says that it is. Raises `Problem`."""
        try:
            user = await self._who_is(Token(found.value))
        except Problem as problem:
            if problem.status != 401:
                raise
            raise self._not_taken() from None
        if UNAUTHENTICATED in user.groups:
            raise self._not_taken()
        return user

    def _not_taken(self) -> Problem:
        client = self._issuer.client
        return Problem(
            403,
            "TokenNotTaken",
            f"you signed in, but the API server does not take the token: it is of the issuer "
            f"{client.issuer} for the audience {client.client_id}",
            next_step="Whoever runs the API server has to trust that issuer and that audience, by "
            "--authentication-config or the --oidc- flags: docs/page.md has an example.",
        )

    async def _sign_out(self, request: Request) -> Response:
        cookies = cookies_of(request.headers.getlist("cookie"))
        there = self._issuer.end_session
        self._present.set(None)
        answer = self.renderer.page("signed_out.html", {"there": there, "sign_in": SIGN_IN})
        return _with(answer, removed_session(cookies))


def _with(answer: Response, cookies: Iterable[str]) -> Response:
    for each in cookies:
        answer.headers.append("Set-Cookie", each)
    return answer


def _from_elsewhere(request: Request) -> bool:
    """Whether a link of another site led here: then a session's cookie is kept back."""
    site = request.headers.get("sec-fetch-site")
    mode = request.headers.get("sec-fetch-mode")
    return site == "cross-site" and mode == "navigate"


def _target(request: Request) -> str:
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path


def _same(given: str, wanted: str) -> bool:
    return bool(wanted) and hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _needed(why: str) -> Problem:
    return Problem(401, "SignInNeeded", why, next_step="Sign in to go on.")


def _not_begun() -> Problem:
    return Problem(
        400,
        "NotBegunHere",
        "this browser did not begin that sign-in, or it took over 10 minutes, or it is over",
        next_step="Sign in again. Nobody was signed in by this.",
    )
