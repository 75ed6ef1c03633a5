# SPDX-License-Identifier: Apache-2.0
"""Kept-alive connections to the API server, under the credentials as they are now."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from types import SimpleNamespace
from typing import Any

import aiohttp
from yarl import URL

from cabgate_kube.credentials import Access
from cabgate_kube.process.logs import fields

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 20.0
"""Longest that one call may take."""

LEFT_SECONDS = 30.0
"""How long connections under an old CA are kept: longer than a call may take."""

_TIMEOUT = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)


class Connections:
    """Connections that trust the CA as it is now. Those under the one before are left to what they
    are at, and closed later."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._trusted = access.ca_version()
        self._session: aiohttp.ClientSession | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def call(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: str | None = None,
        check: Callable[[], None] | None = None,
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """One call. `target` is path and query, encoded.

        `check` is asked once more when the call is about to be sent, and raises if it must not be:
        a connection may have to be made first, and the process may stand still meanwhile. Raises
        `OSError`, `aiohttp.ClientError`, `TimeoutError` and what `check` raises.
        """
        return self._current().request(
            method,
            URL(self._access.server + target, encoded=True),
            headers={**headers, **self._access.headers()},
            data=body,
            timeout=_TIMEOUT,
            allow_redirects=False,
            trace_request_ctx=check,
        )

    async def close(self) -> None:
        """Close all connections."""
        for task in list(self._closing):
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def _current(self) -> aiohttp.ClientSession:
        version = self._access.ca_version()
        if self._session is not None and version != self._trusted:
            task = asyncio.create_task(_close_later(self._session))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
            self._session = None
            log.info("loaded a new CA of the API server", extra=fields(reason="NewCATrusted"))
        if self._session is None:
            self._trusted = version
            self._session = _session(self._access)
        return self._session


def _session(access: Access) -> aiohttp.ClientSession:
    trace = aiohttp.TraceConfig()
    # aiohttp asks both right before it hands bytes to the connection: head and body go as one.
    trace.on_request_headers_sent.append(_may_be_sent)
    trace.on_request_chunk_sent.append(_may_be_sent)
    # No proxy and no netrc leads to the API server, and to look for them took a fifth of the
    # operator's time, anew at each call. kopf's own calls do not look either.
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=access.trust()),
        trace_configs=[trace],
        trust_env=False,
    )


async def _may_be_sent(_: object, context: SimpleNamespace, __: Any) -> None:
    check: Callable[[], None] | None = context.trace_request_ctx
    if check is not None:
        check()


async def _close_later(session: aiohttp.ClientSession) -> None:
    try:
        await asyncio.sleep(LEFT_SECONDS)
    finally:
        await session.close()
