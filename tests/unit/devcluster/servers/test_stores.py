# SPDX-License-Identifier: Apache-2.0
"""Which store a cluster has, and how kine is started in the place of etcd."""

import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from socket import create_server

import pytest

from cabgate_devcluster import Binaries, DevClusterError
from cabgate_devcluster.clients.pki import Authority
from cabgate_devcluster.programs.pinned import KUBERNETES_VARIABLE
from cabgate_devcluster.servers import stores
from cabgate_devcluster.servers.layout import Layout
from cabgate_devcluster.servers.probe import Probe
from cabgate_kube.process.settings import PREFIX

BINARIES = Binaries(Path("etcd"), Path("api"), Path("kcm"), Path("kubectl"))
KINE = {"DEVCLUSTER_STORE": "kine"}


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({}, "etcd"),
        ({"DEVCLUSTER_STORE": ""}, "etcd"),
        ({"DEVCLUSTER_STORE": "etcd"}, "etcd"),
        (KINE, "kine"),
    ],
)
def test_the_environment_names_the_store(environ: dict[str, str], name: str) -> None:
    assert stores.chosen(environ) is stores.STORES[name]


@pytest.mark.parametrize("variable", [stores.VARIABLE, KUBERNETES_VARIABLE])
def test_webhook_and_operator_take_it_for_no_setting_of_theirs(variable: str) -> None:
    assert not variable.startswith(PREFIX)


def test_a_store_that_there_is_not_is_an_error() -> None:
    with pytest.raises(DevClusterError, match=r"DEVCLUSTER_STORE=dqlite: .* there are etcd, kine"):
        stores.chosen({"DEVCLUSTER_STORE": "dqlite"})


def test_kine_listens_on_loopback_and_asks_for_certificates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "my-kine"
    own.touch(0o755)
    monkeypatch.setenv("TEST_ASSET_KINE", str(own))
    layout = Layout(tmp_path, 1, 2, 3, 4)
    argv = stores.chosen(KINE).command(BINARIES, layout, ())
    assert argv[0] == str(own)
    assert "--listen-address=127.0.0.1:1" in argv
    assert "--metrics-bind-address=0" in argv
    assert f"--trusted-ca-file={layout.pki / 'etcd-ca.crt'}" in argv
    assert layout.etcd_data.stat().st_mode & 0o777 == 0o700


def test_kine_takes_no_flags_of_etcd(tmp_path: Path) -> None:
    with pytest.raises(DevClusterError, match="kine takes no flags of etcd: --quota"):
        stores.chosen(KINE).command(BINARIES, Layout(tmp_path, 1, 2, 3, 4), ["--quota=1"])


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority("test CA")
    made.pair.write(tmp_path / "ca.crt", tmp_path / "ca.key")
    made.client("client").write(tmp_path / "client.crt", tmp_path / "client.key")
    made.server("server").write(tmp_path / "server.crt", tmp_path / "server.key")
    return made


@pytest.fixture
def grpc_port(tmp_path: Path, authority: Authority) -> Iterator[int]:
    """Port of a server that takes connections for HTTP/2, as one of gRPC does."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    context.set_alpn_protocols(["h2"])
    with create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with context.wrap_socket(connection, server_side=True) as secure:
                secure.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(60)


def probe(port: int, folder: Path) -> Probe:
    return Probe(port, folder / "ca.crt", folder / "client.crt", folder / "client.key")


def test_a_server_that_listens_is_greeted(tmp_path: Path, grpc_port: int) -> None:
    assert probe(grpc_port, tmp_path).greet("h2", timeout=60) == (True, "it takes h2")


def test_where_nobody_listens_it_says_so(tmp_path: Path, authority: Authority) -> None:
    with create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    ready, answer = probe(port, tmp_path).greet("h2")
    assert not ready
    assert "refused" in answer
