# SPDX-License-Identifier: Apache-2.0
"""Strict receivers of notifications, over TLS with a CA of their own: Slack's incoming webhook, a
workflow of Teams, a program that verifies signatures, and a real SMTP server."""

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult

from cabgate_kube.tls.issue import make_authority, sign_leaf
from support.slack import check_slack
from support.teams import check_teams

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LOOPBACK = ["127.0.0.0/8", "::1/128"]


@dataclass
class Authority:
    """A CA, and a certificate of it for localhost; in files of a folder."""

    folder: Path
    names: frozenset[str] = frozenset({"localhost", "127.0.0.1"})

    def __post_init__(self) -> None:
        now, day = datetime.now(UTC), timedelta(days=1)
        pem, key = make_authority(now, day)
        leaf, leaf_key = sign_leaf(pem, key, self.names, now, day)
        (self.folder / "ca.crt").write_text(pem)
        (self.folder / "tls.crt").write_text(leaf)
        (self.folder / "tls.key").write_text(leaf_key)

    def context(self) -> ssl.SSLContext:
        """For a server."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "tls.crt", self.folder / "tls.key")
        return context


@dataclass
class HttpReceiver:
    """A server that takes messages, at /slack as Slack does, at /teams?sig=hush as a workflow of
    Teams does, and anywhere else as a program does.

    `answers` come first: each a status with headers, or None for a connection that is closed. What
    is wrong with a message is in `wrong`, whoever sent it.
    """

    authority: Authority
    answers: deque[tuple[int, dict[str, str]] | None] = field(default_factory=deque)
    away: bool = False
    """Whether it answers 503 to all."""
    filter: Callable[[bytes], bool] = lambda body: False
    """Which messages it refuses for good."""
    slack: list[dict[str, Any]] = field(default_factory=list)
    teams: list[dict[str, Any]] = field(default_factory=list)
    programs: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    attempts: int = 0
    wrong: list[str] = field(default_factory=list)

    def __enter__(self) -> "HttpReceiver":
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                given = {key.lower(): value for key, value in self.headers.items()}
                found = receiver.answer(self.path, given, body)
                if found is None:
                    self.close_connection = True
                    return
                status, headers, text = found
                self.send_response(status)
                for key, value in {"Content-Length": str(len(text)), **headers}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(text)

            def do_GET(self) -> None:
                receiver.wrong.append(f"GET {self.path}")
                self.send_error(405)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        context = self.authority.context()
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"https://localhost:{self._server.server_address[1]}"

    def answer(
        self, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes] | None:
        """What is answered to a message."""
        self.attempts += 1
        if self.answers:
            found = self.answers.popleft()
            return None if found is None else (*found, b"")
        if self.away:
            return 503, {}, b""
        if self.filter(body):
            return 403, {}, b""
        try:
            if headers.get("content-type") != "application/json":
                raise ValueError(f"content-type {headers.get('content-type')}")
            content = json.loads(body)
            if path == "/slack":
                check_slack(content)
                self.slack.append(content)
            elif path == "/teams?sig=hush":
                check_teams(content)
                self.teams.append(content)
                return 202, {}, b""
            else:
                check_signed(headers, body)
                self.programs.append(content)
                self.headers.append(headers)
        except ValueError as error:
            self.wrong.append(str(error))
            return 400, {}, str(error).encode()
        return 200, {}, b"ok"

    def named(self) -> list[str]:
        """The keys of the notices that programs got, in order."""
        return [each["key"] for body in self.programs for each in body["data"]["notices"]]


def check_signed(headers: dict[str, str], body: bytes) -> None:
    """Verify a message as Standard Webhooks has it: `ValueError` if it is not as it should be."""
    identity, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(datetime.now(UTC).timestamp() - int(timestamp)) > 300:
        raise ValueError("webhook-timestamp is too old or too new")
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    content = b".".join([identity.encode(), timestamp.encode(), body])
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    signatures = headers["webhook-signature"].split(" ")
    if f"v1,{expected}" not in signatures:
        raise ValueError("webhook-signature does not match")
    if set(json.loads(body)) != {"type", "timestamp", "data"}:
        raise ValueError("not type, timestamp and data")


class Mailbox:
    """A real SMTP server, which takes mail with a password, after STARTTLS, or by TLS from the
    first byte on, or in plain text."""

    PASSWORD = "correct horse"

    def __init__(
        self,
        authority: Authority,
        *,
        tls: bool = False,
        plain: bool = False,
        code: str = "250 OK",
        slow: float = 0.0,
    ) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.raw: list[bytes] = []
        self._code, self._slow = code, slow
        self.deferred: Counter[str] = Counter()
        context = authority.context()

        def login(
            server: Any, session: Any, envelope: Any, mechanism: str, data: Any
        ) -> AuthResult:
            good = (data.login, data.password) == (b"cabgate", self.PASSWORD.encode())
            return AuthResult(success=good, handled=False)

        def protocol() -> SMTP:
            return SMTP(
                self,
                tls_context=None if tls or plain else context,
                require_starttls=not tls and not plain,
                auth_required=True,
                auth_require_tls=not tls and not plain,
                authenticator=login,
            )

        self._protocol, self._tls = protocol, context if tls else None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """As aiosmtpd calls it."""
        await asyncio.sleep(self._slow)
        if self._code.startswith("250"):
            self.raw.append(envelope.content)
            self.recipients.append(list(envelope.rcpt_tos))
            parsed = message_from_bytes(envelope.content, policy=policy.default)
            self.mails.append(cast("EmailMessage", parsed))
        return self._code

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        """As aiosmtpd calls it."""
        if address.startswith("unknown@"):
            return "550 no such mailbox"
        if address.startswith("later@") and not self.deferred[address]:
            self.deferred[address] += 1
            return "450 greylisted"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_QUIT(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """As aiosmtpd calls it: a slow server does not answer."""
        if self._slow:
            await asyncio.Event().wait()
        return "221 Bye"

    def __enter__(self) -> "Mailbox":
        self._thread.start()
        made = self._loop.create_server(self._protocol, "127.0.0.1", 0, ssl=self._tls)
        self._server = asyncio.run_coroutine_threadsafe(made, self._loop).result(60)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    @property
    def port(self) -> int:
        return int(self._server.sockets[0].getsockname()[1])
