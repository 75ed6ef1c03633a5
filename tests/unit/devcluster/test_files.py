# SPDX-License-Identifier: Apache-2.0
"""Certificates, kubeconfigs, ports, and what is said before there is a cluster."""

import base64
import datetime
import socket
import ssl
import stat
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cabgate_devcluster import Binaries, DevCluster, DevClusterError, wait_until
from cabgate_devcluster.clients.kubeconfig import certificate_credentials, write_kubeconfig
from cabgate_devcluster.clients.pki import Authority
from cabgate_devcluster.servers.components import COMPONENTS, command
from cabgate_devcluster.servers.layout import Layout
from cabgate_devcluster.servers.ports import Ports


def test_a_client_certificate_names_user_and_groups() -> None:
    cert = x509.load_pem_x509_certificate(Authority("ca").client("ann", ["cab", "dev"]).cert_pem)
    names = [(each.oid, each.value) for each in cert.subject]
    assert names == [
        (NameOID.ORGANIZATION_NAME, "cab"),
        (NameOID.ORGANIZATION_NAME, "dev"),
        (NameOID.COMMON_NAME, "ann"),
    ]
    ago = datetime.datetime.now(datetime.UTC) - cert.not_valid_before_utc
    assert ago >= datetime.timedelta(hours=1)


def test_a_server_certificate_is_for_loopback_and_no_client(tmp_path: Path) -> None:
    authority = Authority("ca")
    pair = authority.server("webhook")
    cert = x509.load_pem_x509_certificate(pair.cert_pem)
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    usage = cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    pair.write(tmp_path / "crt", tmp_path / "key")
    ssl.create_default_context().load_cert_chain(tmp_path / "crt", tmp_path / "key")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_a_kubeconfig_embeds_everything_and_is_private(tmp_path: Path) -> None:
    authority = Authority("ca")
    pair = authority.client("ann")
    for _ in range(2):  # it may be written again
        path = write_kubeconfig(
            tmp_path / "config",
            server="https://127.0.0.1:1",
            ca_pem=authority.cert_pem,
            user="ann",
            credentials=certificate_credentials(pair),
        )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    document = yaml.safe_load(path.read_text())
    cluster = document["clusters"][0]["cluster"]
    assert cluster["server"] == "https://127.0.0.1:1"
    assert base64.b64decode(cluster["certificate-authority-data"]) == authority.cert_pem
    assert base64.b64decode(document["users"][0]["user"]["client-key-data"]) == pair.key_pem
    assert [each.name for each in tmp_path.iterdir()] == ["config"]


def can_be_bound(port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def test_ports_are_free_distinct_and_not_those_of_clients() -> None:
    ports = Ports()
    given = [ports.free() for _ in range(50)]
    assert len(set(given)) == 50
    assert all(20000 <= port < 30000 for port in given)
    ports.release()
    assert any(map(can_be_bound, given))  # somebody else may have taken one meanwhile


def test_every_server_listens_on_loopback_only(tmp_path: Path) -> None:
    binaries = Binaries(Path("etcd"), Path("api"), Path("kcm"), Path("kubectl"))
    layout = Layout(tmp_path, 1, 2, 3, 4)
    for component in COMPONENTS:
        argv = command(component, binaries, layout, ["--v=2"])
        listens = [each for each in argv if each.startswith(("--bind-address", "--listen-"))]
        assert listens
        assert all("127.0.0.1" in each for each in listens)
    assert command("kube-apiserver", binaries, layout, ["--v=2"])[-1] == "--v=2"


def test_before_it_is_entered_a_cluster_says_so() -> None:
    cluster = DevCluster()
    with pytest.raises(DevClusterError, match="has not been started"):
        _ = cluster.server
    with pytest.raises(DevClusterError, match="has not been started"):
        cluster.spawn("x", ["true"])


def test_wait_until_returns_the_value() -> None:
    values = iter([0, 0, 7])
    assert wait_until(lambda: next(values), timeout=60, what="a seven", interval=0) == 7


def test_wait_until_names_what_it_waited_for_and_the_last_value() -> None:
    with pytest.raises(DevClusterError, match=r"not within 0.05 s: the end; .* value was \[\]"):
        wait_until(list, timeout=0.05, what="the end", interval=0.01)


def test_wait_until_takes_an_exception_for_not_yet() -> None:
    def never() -> bool:
        raise ValueError("too early")

    with pytest.raises(DevClusterError, match="ValueError: too early"):
        wait_until(never, timeout=0.05, what="the end", interval=0.01)
