# SPDX-License-Identifier: Apache-2.0
"""Who may use the page of `kubectl cab ui`: whoever has the key that it printed, once."""

import hashlib
import hmac
import secrets

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cabgate_portal.problems import Problem

COOKIE = "cabgate-ui"
"""Name of the cookie. `__Host-` would need TLS and the path `/`: loopback has no certificate, and
a path of its own keeps the cookie from other ports of this machine, which a browser does not."""


class Session:
    """The one session of a process: a place in the URL, a key that is good once, and the cookie
    that it is exchanged for. All three are random, and live in memory alone."""

    def __init__(self) -> None:
        self.place = secrets.token_urlsafe(16)
        """The first part of every path. A cookie is sent to each port of a host, but to no other
        path: what else listens on this machine does not get it."""
        self._key = secrets.token_urlsafe(32)
        self._cookie = secrets.token_urlsafe(32)

    @property
    def base(self) -> str:
        """What every path of the page begins with."""
        return f"/{self.place}"

    def entry(self) -> str:
        """The path that opens the page, once."""
        return f"{self.base}/?key={self._key}"

    def exchange(self, key: str) -> str | None:
        """The header Set-Cookie for a key; None for one that is wrong or was used before."""
        if not self._key or not _equal(key, self._key):
            return None
        self._key = ""
        return f"{COOKIE}={self._cookie}; Path={self.base}/; HttpOnly; SameSite=Strict"

    def holds(self, header: str) -> bool:
        """Whether a header Cookie has the cookie."""
        # Other programs on this address set cookies, too, of any name and in any form: theirs are
        # passed over, also those of this name.
        pairs = (each.strip().partition("=") for each in header.split(";"))
        return any(
            _equal(value, self._cookie) for name, _, value in pairs if name.strip() == COOKIE
        )

    def form_token(self) -> str:
        """What a form has to hold to be this page's: nobody learns the cookie from it."""
        key = self._cookie.encode("ascii")
        return hmac.new(key, b"form", hashlib.sha256).hexdigest()

    def sent_by_form(self, token: str) -> bool:
        """Whether a form is one of this page."""
        return _equal(token, self.form_token())


class LocalDoor:
    """Lets in the browser that holds the cookie of a session, at one address of loopback."""

    def __init__(self, session: Session, host: str) -> None:
        self._session = session
        self.origin = f"http://{host}"
        self.wrong_host = Problem(
            421, "WrongHost", "this page has another address", next_step="Open the URL that "
            "`kubectl cab ui` printed, as it is."
        )  # fmt: skip

    async def enter(self, request: Request) -> Response | None:
        """None for what goes on to the page, else the answer. Raises `Problem`."""
        base, path = self._session.base, request.url.path
        if not path.startswith(f"{base}/"):
            raise _closed()
        if path == f"{base}/" and "key" in request.query_params:
            cookie = self._session.exchange(request.query_params["key"])
            if cookie is None and not self.holds(request):
                raise _closed()
            answer = RedirectResponse(f"{base}/queue", 303)
            if cookie is not None:
                answer.headers["Set-Cookie"] = cookie
            return answer
        if not self.holds(request):
            raise _closed()
        return None

    def check(self, request: Request) -> None:
        """A session lasts as long as its process."""

    def holds(self, request: Request) -> bool:
        """Whether a request has the cookie. The secret part of the page's paths is what keeps it
        from whoever else listens on this machine."""
        return any(map(self._session.holds, request.headers.getlist("cookie")))

    def sent_by_form(self, token: str) -> bool:
        """Whether a form is one of this page."""
        return self._session.sent_by_form(token)

    def sign_in_for(self, request: Request) -> str:
        """Nothing: kubectl signs in."""
        return ""


def _closed() -> Problem:
    return Problem(
        401,
        "NotOpened",
        "this browser has not opened the page: its key was used before, or is another's",
        next_step="End `kubectl cab ui` with Ctrl-C, run it again, and open the URL that it "
        "prints in this browser.",
    )


def _equal(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode("ascii"))
