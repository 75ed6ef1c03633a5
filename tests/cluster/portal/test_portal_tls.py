# SPDX-License-Identifier: Apache-2.0
"""The portal behind TLS, its certificate from a folder as the kubelet mounts a Secret: what the
chart starts it with, and a renewal without a restart."""

import socket
import ssl

import httpx
import pytest
from cryptography import x509

from cabgate_devcluster import wait_until
from support.portal import ARGV, Portal
from support.tls import turn


def files(cluster):
    """What the named Secret holds: a new certificate each time."""
    pair = cluster.serving_certificate("portal")
    return {"tls.crt": pair.cert.read_bytes(), "tls.key": pair.key.read_bytes()}


def serial(portal, trust):
    """The serial number of the certificate that a new connection is shown."""
    with (
        socket.create_connection(("127.0.0.1", portal.port)) as connection,
        trust.wrap_socket(connection, server_hostname="localhost") as secure,
    ):
        return x509.load_der_x509_certificate(secure.getpeercert(binary_form=True)).serial_number


@pytest.fixture
def trust(cluster):
    return ssl.create_default_context(cadata=cluster.ca_pem.decode())


def test_a_renewed_certificate_is_served_without_a_restart(gate, people_tokens, tmp_path, trust):
    secret = tmp_path / "tls"
    first = files(gate.cluster)
    turn(secret, first)
    portal = Portal(
        gate.cluster, "--certificate", f"{secret}/tls.crt", "--key", f"{secret}/tls.key"
    )
    serials = [x509.load_pem_x509_certificate(first["tls.crt"]).serial_number]
    with portal.client(people_tokens["tess"], verify=trust) as client:
        assert serial(portal, trust) == serials[0]
        first_answer = client.get("/my-requests")
        assert first_answer.status_code in (200, 403)
        assert "max-age" in first_answer.headers["strict-transport-security"]
        second = files(gate.cluster)
        turn(secret, second)
        serials.append(x509.load_pem_x509_certificate(second["tls.crt"]).serial_number)
        wait_until(lambda: serial(portal, trust) == serials[1], "the new certificate is served")
        # An open connection goes on; a torn Secret changes nothing.
        assert client.get("/my-requests").status_code in (200, 403)
        turn(secret, {**first, "tls.crt": second["tls.crt"]})
        wait_until(
            lambda: "reload_failures_total 0.0" not in portal.output, "the torn pair was looked at"
        )
        assert serial(portal, trust) == serials[1]
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        httpx.get(f"http://127.0.0.1:{portal.port}/api/cab/v1/pending", timeout=60)
    portal.process.stop()
    assert people_tokens["tess"] not in portal.process.log.read_text()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "localhost"])  # noqa: S104 - what is refused
def test_without_one_it_serves_loopback_alone(gate, tmp_path, host):
    ca = tmp_path / "ca.crt"
    ca.write_bytes(gate.cluster.ca_pem)
    options = ("--api-server", gate.cluster.server, "--api-server-ca", str(ca), "--host", host)
    process = gate.cluster.spawn("refused-portal", [*ARGV, *options])
    assert process.wait(60)
    assert process.returncode == 2
    assert "--certificate" in process.tail()
