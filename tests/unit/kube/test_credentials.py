# SPDX-License-Identifier: Apache-2.0
"""The credentials of the operator follow their files; what cannot be used changes nothing."""

import ssl
from pathlib import Path

import kopf
import pytest
from aiohttp import web

from cabgate_devcluster.clients.pki import Authority
from cabgate_kube import credentials
from cabgate_kube.client import REQUESTS, ApiError, ApiServer
from cabgate_kube.connections import Connections
from cabgate_kube.credentials import AccessError, ServiceAccount, access_of
from cabgate_operator.main import log_in
from cabgate_operator.runtime.watches import Following, traced


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("first\n")
    (tmp_path / "ca.crt").write_bytes(Authority("first").cert_pem)
    return tmp_path


@pytest.mark.parametrize(
    ("host", "server"),
    [("10.0.0.1", "https://10.0.0.1:6443"), ("fd00::1", "https://[fd00::1]:6443")],
)
def test_where_the_api_server_is(host: str, server: str) -> None:
    env = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": "6443"}
    found = ServiceAccount.of_this_pod(env)
    assert found is not None
    assert (found.server, found.ca) == (server, credentials.FOLDER / "ca.crt")
    assert ServiceAccount.of_this_pod({}) is None


def test_the_token_is_that_of_the_file_and_the_one_before_while_there_is_none(
    folder: Path,
) -> None:
    account = ServiceAccount("https://x", folder)
    assert account.token() == "first"
    (folder / "token").write_text("second!")
    assert account.token() == "second!"
    (folder / "token").write_text("")
    assert account.token() == "second!"
    (folder / "token").unlink()
    assert account.token() == "second!"
    (folder / "token").write_text("third")
    assert account.token() == "third"


def test_without_a_token_there_is_no_login(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "token").write_text("")
    with pytest.raises(OSError, match="token is empty"):
        ServiceAccount("https://x", folder).token()
    with pytest.raises(kopf.PermanentError, match="token is empty"):
        log_in(ServiceAccount("https://x", folder))
    (folder / "token").write_text("first")
    found = log_in(ServiceAccount("https://x", folder))
    assert found is not None
    assert (found.server, found.token, found.ca_path) == (
        *("https://x", "first", str(folder / "ca.crt")),
    )
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    assert log_in(None, settings=kopf.OperatorSettings()) is None


@pytest.mark.parametrize(
    ("env", "text", "said"),
    [
        ({}, None, "neither in a Pod nor is KUBECONFIG set"),
        ({"KUBERNETES_SERVICE_HOST": "x"}, None, "cannot use the service account: .*token"),
        ({}, "current-context: gone", "cannot use KUBECONFIG: 'gone'"),
        ({}, ": {", "cannot use KUBECONFIG: "),
    ],
)
def test_without_access_it_is_said_where_it_was_sought(
    env: dict[str, str],
    text: str | None,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    if text is not None:
        (tmp_path / "config").write_text(text)
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    with pytest.raises(AccessError, match=said):
        access_of(env)


def test_a_ca_that_cannot_be_used_is_told_once_and_changes_nothing(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    account = ServiceAccount("https://x", folder)
    before = account.ca_version()
    (folder / "ca.crt").write_bytes(b"nonsense")
    assert (account.ca_version(), account.ca_version()) == (before, before)
    assert caplog.text.count("cannot be used") == 1
    (folder / "ca.crt").unlink()
    assert account.ca_version() == before
    (folder / "ca.crt").write_bytes(Authority("second").cert_pem)
    assert account.ca_version() != before


class Server:
    """A server with TLS whose certificate can be exchanged; it notes the tokens that it is sent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tokens: list[str] = []
        self.port = 0

    async def start(self, authority: Authority) -> None:
        self.serve(authority)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._context)
        await site.start()
        self.port = self._runner.addresses[0][1]

    def serve(self, authority: Authority) -> None:
        """Serve from now on, on new connections, with a certificate of an authority."""
        cert, key = self._folder / "server.crt", self._folder / "server.key"
        authority.server("server").write(cert, key)
        self._context.load_cert_chain(cert, key)

    async def _answer(self, request: web.Request) -> web.Response:
        self.tokens.append(request.headers.get("Authorization", ""))
        response = web.json_response({"metadata": {}, "items": []})
        response.force_close()
        return response

    async def stop(self) -> None:
        await self._runner.cleanup()


async def test_calls_send_the_token_of_now_and_trust_the_ca_of_now(folder: Path) -> None:
    first, second = Authority("first"), Authority("second")

    server = Server(folder)
    (folder / "ca.crt").write_bytes(first.cert_pem)
    await server.start(first)
    account = ServiceAccount(f"https://127.0.0.1:{server.port}", folder)
    api = ApiServer(Connections(account))
    try:
        await api.list(REQUESTS, "team")
        (folder / "token").write_text("renewed")
        await api.list(REQUESTS, "team")
        server.serve(second)
        with pytest.raises(ApiError) as caught:
            await api.list(REQUESTS, "team")
        assert (caught.value.code, caught.value.reason) == (0, "Unreachable")
        (folder / "ca.crt").write_bytes(second.cert_pem)
        await api.list(REQUESTS, "team")
        server.serve(first)  # the old one is not trusted any more
        with pytest.raises(ApiError):
            await api.list(REQUESTS, "team")
    finally:
        await api.close()
        await server.stop()
    assert server.tokens == ["Bearer first", "Bearer renewed", "Bearer renewed"]


async def test_watches_send_the_token_of_now_and_begin_anew_under_another_ca(folder: Path) -> None:
    authority = Authority("first")
    stale: list[str] = []

    server = Server(folder)
    (folder / "ca.crt").write_bytes(authority.cert_pem)
    await server.start(authority)
    account = ServiceAccount(f"https://127.0.0.1:{server.port}", folder)
    info = log_in(account)
    assert info is not None
    follow = Following(account, stale.append)
    session = traced(info, lambda *_: None, lambda _: None, follow=follow).aiohttp_session
    try:
        await session.get(f"{account.server}/things?watch=true")
        (folder / "token").write_text("renewed")
        await session.get(f"{account.server}/things?watch=true")
        assert stale == []
        (folder / "ca.crt").write_bytes(authority.cert_pem + Authority("second").cert_pem)
        for _ in range(2):
            await session.get(f"{account.server}/things?watch=true")
    finally:
        await session.close()
        await server.stop()
    assert server.tokens[:2] == ["Bearer first", "Bearer renewed"]
    assert stale == ["the API server has a new CA"]
