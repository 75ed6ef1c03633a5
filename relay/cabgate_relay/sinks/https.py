# SPDX-License-Identifier: Apache-2.0
"""Sends batches over HTTPS."""

import asyncio
import contextlib
import errno
import gzip
import os
import socket
import ssl
from collections.abc import Sequence

import aiohttp

from cabgate.siem.formats import CONTENT_TYPES, batch
from cabgate_kube.clock import Clock
from cabgate_relay.retrying import retry_after
from cabgate_relay.sinks.configuration import HttpsSink
from cabgate_relay.sinks.receiver import ACCEPTED, Answer, Outcome

TIMEOUT_SECONDS = 30.0
"""Longest that one batch may take."""

MAX_CREDENTIAL = 16 * 1024
MAX_ANSWER = 64 * 1024

_AGENT = "cabgate-relay"

_WAIT = frozenset({401, 403, 404, 407, 408, 425, 429})
"""Of the credential, of the address, of a proxy or of the load: whatever record it is."""

_OTHER_NAME = {62: "it is for another name", 64: "it is for another address"}
"""Of OpenSSL's X509_V_ERR those whose text quotes the address."""


class CredentialError(Exception):
    """The file of a credential cannot be used; the message quotes nothing of it."""


class HttpsReceiver:
    """The receiver of one sink. Certificates and credential are read again after a failure."""

    def __init__(self, sink: HttpsSink, clock: Clock) -> None:
        self._sink = sink
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def send(self, lines: Sequence[bytes]) -> Answer:
        """Send a batch by one POST."""
        try:
            answer = await self._post(gzip.compress(batch(lines), 6, mtime=0))
        except CredentialError as error:
            answer = Answer(Outcome.WAIT, 0, str(error))
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            answer = Answer(Outcome.WAIT, 0, _why(error))
        if answer.outcome is not Outcome.ACCEPTED:
            await self.close()
        return answer

    async def _post(self, body: bytes) -> Answer:
        headers = {
            "Content-Type": CONTENT_TYPES[self._sink.format],
            "Content-Encoding": "gzip",
            **self._credential(),
        }
        session = self._opened()
        async with session.post(
            self._sink.url, data=body, headers=headers, allow_redirects=False
        ) as response:
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                # What it says is for nobody; read, so that the connection can be used again.
                await response.content.read(MAX_ANSWER)
            return answer_of(response.status, response.headers.get("Retry-After"), self._clock)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            ca = self._sink.ca_file
            trust = ssl.create_default_context(cafile=None if ca is None else str(ca))
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=1, ssl=trust),
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": _AGENT, "Accept": "*/*"},
                trust_env=False,
                auto_decompress=False,
            )
        return self._session

    def _credential(self) -> dict[str, str]:
        path = self._sink.credential_file
        if path is None:
            return {}
        try:
            with path.open("rb") as file:
                value = file.read(MAX_CREDENTIAL + 1).strip()
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise CredentialError(f"{path}: cannot be read: {why}") from None
        if not value or len(value) > MAX_CREDENTIAL:
            raise CredentialError(f"{path}: is empty, or longer than any header")
        if any(byte < 0x20 or byte > 0x7E for byte in value):
            raise CredentialError(f"{path}: is no value of a header: it has line breaks or such")
        text = value.decode("ascii")
        if self._sink.header is not None:
            return {self._sink.header: text}
        return {"Authorization": f"Bearer {text}"}

    async def close(self) -> None:
        """Close the connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
            await asyncio.sleep(0)  # the transport of TLS closes at the next turn


def answer_of(status: int, asked: str | None, clock: Clock) -> Answer:
    """What a status says about a batch: what is no fault of the batch is waited for. A redirection
    is not followed, since the credential is for this address."""
    if 200 <= status <= 299:
        return ACCEPTED
    waits = status in _WAIT or not 400 <= status <= 499
    outcome = Outcome.WAIT if waits else Outcome.REFUSED
    pause = retry_after(asked, clock()) if waits else 0.0
    return Answer(outcome, status, f"HTTP {status}", pause)


def _why(error: BaseException) -> str:
    """What kind of a failure it was. Not its text, which quotes the address."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = _OTHER_NAME.get(cause.verify_code, cause.verify_message)
            return f"the certificate is not trusted: {why}"
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT_SECONDS:.0f} s"
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    if isinstance(error, socket.gaierror):
        return "the name of the host cannot be resolved"
    kind = type(error).__name__
    number = (error.errno if isinstance(error, OSError) else None) or 0
    return f"{kind}: {os.strerror(number)}" if number in errno.errorcode else kind
