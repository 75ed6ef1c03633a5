# SPDX-License-Identifier: Apache-2.0
"""The page in the cluster, beside the REST API: each signs in by OpenID Connect, and everything is
done with their token."""

import contextlib
import time
from collections.abc import Iterator, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from cabgate.review.identity import User
from cabgate_portal.calls import Portal
from cabgate_portal.client import Caller
from cabgate_portal.metrics import Answered
from cabgate_portal.page.guard import guarded
from cabgate_portal.page.login.door import OidcDoor
from cabgate_portal.page.login.issuer import Client, Issuer
from cabgate_portal.page.pages import Pages
from cabgate_portal.reading import Reader
from cabgate_portal.tokens import Token

PAGE = "page"
"""How requests for the page are counted."""


def create_page(portal: Portal, client: Client, origin: str, keys: Sequence[bytes]) -> ASGIApp:
    """The page at an address, for all that sign in; `keys` seal what their browsers keep."""

    def called(method: str, code: int) -> None:
        portal.metrics.api_calls.labels(method, str(code)).inc()

    async def who_is(token: Token) -> User:
        caller = Caller(portal.connections, token, called, portal.room)
        return await caller.who_am_i()

    door = OidcDoor(origin, Issuer(client), keys, who_is, portal.clock)

    @contextlib.contextmanager
    def reading() -> Iterator[Reader]:
        token = door.token()
        with portal.limits.taken(token):
            caller = Caller(portal.connections, token, called, portal.room)
            yield Reader(caller, portal.clock, portal.machines)

    pages = Pages(reading, door.renderer)
    app = guarded([*pages.routes(door.base), *door.routes()], door, door.renderer)
    return _counted(app, portal)


def _counted(app: ASGIApp, portal: Portal) -> ASGIApp:
    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        started, answered = time.perf_counter(), Answered(send)
        try:
            await app(scope, receive, answered.send)
        finally:
            if scope["type"] == "http":
                portal.metrics.count(PAGE, answered.status, time.perf_counter() - started)

    return counted
