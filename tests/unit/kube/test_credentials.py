# SPDX-License-Identifier: Apache-2.0
"""Credentials follow their files; what cannot be used changes nothing."""

import ssl
from pathlib import Path

import pytest
from aiohttp import web

from cabgate_devcluster.clients.pki import Authority
from cabgate_kube import credentials
from cabgate_kube.client import ApiServer
from cabgate_kube.credentials import Access, AccessError, access_of
from cabgate_kube.errors import ApiError
from cabgate_kube.resources import REQUESTS
from cabgate_kube.transport import Connections
from cabgate_operator.runtime.watches import Following, traced


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(credentials, "FOLDER", tmp_path)
    (tmp_path / "token").write_text("first\n")
    (tmp_path / "ca.crt").write_bytes(Authority("first").cert_pem)
    return tmp_path


def account(port: int = 6443) -> Access:
    return access_of({"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(port)})


@pytest.mark.parametrize(
    ("host", "server"),
    [("10.0.0.1", "https://10.0.0.1:6443"), ("fd00::1", "https://[fd00::1]:6443")],
)
def test_where_the_api_server_is(host: str, server: str, folder: Path) -> None:
    env = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": "6443"}
    found = access_of(env)
    assert (found.server, found.ca) == (server, folder / "ca.crt")


def test_the_token_is_that_of_the_file_and_the_one_before_while_there_is_none(
    folder: Path,
) -> None:
    found = account()
    assert found.authorization() == "Bearer first"
    (folder / "token").write_text("second!")
    assert found.authorization() == "Bearer second!"
    (folder / "token").write_text("")
    assert found.authorization() == "Bearer second!"
    (folder / "token").unlink()
    assert found.authorization() == "Bearer second!"
    (folder / "token").write_text("third")
    assert found.authorization() == "Bearer third"


def test_without_a_token_there_is_no_access(folder: Path) -> None:
    (folder / "token").write_text("")
    with pytest.raises(AccessError, match="token is empty"):
        account()


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({}, "neither in a Pod nor is KUBECONFIG set"),
        ({"KUBERNETES_SERVICE_HOST": "x"}, r"cannot use the service account: .*ca\.crt"),
        ({"KUBECONFIG": "/nowhere"}, "cannot use kubeconfig /nowhere: "),
    ],
)
def test_without_access_it_is_said_where_it_was_sought(
    env: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "FOLDER", tmp_path)
    with pytest.raises(AccessError, match=said):
        access_of(env)


def test_a_ca_that_cannot_be_used_is_told_once_and_changes_nothing(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = account()
    before = found.trust()
    (folder / "ca.crt").write_bytes(b"nonsense")
    assert (found.trust(), found.trust()) == (before, before)
    assert caplog.text.count("cannot be used") == 1
    (folder / "ca.crt").unlink()
    assert found.trust() is before
    (folder / "ca.crt").write_bytes(Authority("second").cert_pem)
    assert found.trust() is not before


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
    access = account(server.port)
    api = ApiServer(Connections(access))
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
    access = account(server.port)
    follow = Following(access, stale.append)
    session = traced(access, lambda *_: None, lambda _: None, follow=follow).aiohttp_session
    try:
        await session.get(f"{access.server}/things?watch=true")
        (folder / "token").write_text("renewed")
        await session.get(f"{access.server}/things?watch=true")
        assert stale == []
        (folder / "ca.crt").write_bytes(authority.cert_pem + Authority("second").cert_pem)
        for _ in range(2):
            await session.get(f"{access.server}/things?watch=true")
    finally:
        await session.close()
        await server.stop()
    assert server.tokens[:2] == ["Bearer first", "Bearer renewed"]
    assert stale == ["the API server has a new CA"]
