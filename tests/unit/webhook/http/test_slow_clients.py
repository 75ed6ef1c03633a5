# SPDX-License-Identifier: Apache-2.0
"""The real process under clients that are slow, too many, or still there when it stops."""

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cabgate_devcluster import wait_until
from cabgate_devcluster.clients.pki import Authority
from cabgate_kube.process.health import CONNECTION_SECONDS, MAX_CONNECTIONS
from cabgate_kube.process.serving import HEAD_SECONDS
from support.sitters import asked, is_closed, sit

pytestmark = pytest.mark.slow

CA = Authority("a test")
ENTRY = Path(__file__).with_name("webhook_entry.py")
LIMIT = 20
REVIEW = json.dumps(
    {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u",
            "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
            "operation": "CREATE",
            "namespace": "default",
            "userInfo": {"username": "x"},
            "object": {"kind": "Deployment", "apiVersion": "apps/v1"},
        },
    }
).encode()
HEAD = b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
TRUST = ssl.create_default_context(cadata=CA.cert_pem.decode())


class Webhook:
    """The process, whose API server is nowhere: it denies all, and says so."""

    def __init__(self, folder, drain=1):
        CA.server("webhook").write(folder / "tls.crt", folder / "tls.key")
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / "key.pem").write_bytes(pem)
        (folder / "proof").write_text("x" * 32)
        (folder / "kubeconfig").write_text(
            "current-context: c\n"
            "contexts: [{name: c, context: {cluster: c, user: u}}]\n"
            "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n"
            "users: [{name: u, user: {token: t}}]\n"
        )
        self.log = folder / "log"
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(self.log.open("wb"))
            sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
            for each in sockets:
                each.bind(("127.0.0.1", 0))
            self.port, self.health_port = (each.getsockname()[1] for each in sockets)
            numbers = [each.fileno() for each in sockets]
            self.process = subprocess.Popen(
                [
                    *(sys.executable, ENTRY, *map(str, numbers)),
                    *(f"--certificate={folder}/tls.crt", f"--key={folder}/tls.key"),
                    f"--signing-key={folder}/key.pem",
                    f"--admission-proof={folder}/proof",
                    *(f"--max-connections={LIMIT}", f"--drain-seconds={drain}"),
                ],
                env={**os.environ, "KUBECONFIG": str(folder / "kubeconfig")},
                stderr=log,
                pass_fds=numbers,
            )
        wait_until(lambda: self.get("/healthz")[0] == 200, timeout=60, what="it listens")

    def get(self, path):
        try:
            url = f"http://127.0.0.1:{self.health_port}{path}"
            with urllib.request.urlopen(url, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def dropped(self, why):
        text = self.get("/metrics")[1]
        name = f'cabgate_connections_dropped_total{{why="{why}"}} '
        return sum(float(line.split()[1]) for line in text.splitlines() if line.startswith(name))

    def connect(self):
        """A client that keeps its connection."""
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=TRUST, timeout=60)

    def tls(self):
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        return TRUST.wrap_socket(plain, server_hostname="127.0.0.1")

    def end(self):
        self.process.kill()
        self.process.wait()


def review(client):
    """Status of one review over a client's connection, and what the server says of it."""
    client.request("POST", "/validate", body=REVIEW)
    answer = client.getresponse()
    answer.read()
    return answer.status, answer.headers.get("Connection")


@pytest.fixture(scope="module")
def webhook(tmp_path_factory):
    running = Webhook(tmp_path_factory.mktemp("webhook"))
    yield running
    running.end()


def plain(webhook):
    """Never even begins with TLS."""
    return socket.create_connection(("127.0.0.1", webhook.port), timeout=60)


def silent(webhook):
    """Says nothing."""
    return webhook.tls()


def begun(webhook):
    """Says the beginning of a head, and more of it now and then."""
    connection = webhook.tls()
    connection.sendall(b"POST /valid")
    return connection


def half(webhook):
    """Sends the head of a request and little of its body."""
    connection = webhook.tls()
    connection.sendall(HEAD + b"{")
    return connection


def second(webhook):
    """Was good once, and sends the beginning of another request."""
    connection = webhook.tls()
    connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert connection.recv(65536).startswith(b"HTTP/1.1 404")
    connection.sendall(b"POST /val")
    return connection


def dribble(connection, seconds, said):
    """Send a byte now and then, until it is closed; how it was closed goes into `said`."""
    end = time.monotonic() + seconds
    connection.settimeout(0.5)
    received = b""
    while time.monotonic() < end:
        try:
            if isinstance(connection, ssl.SSLSocket) and connection.version():
                connection.send(b"x")
            data = connection.recv(65536)
        except TimeoutError:
            continue
        except OSError:
            data = b""
        received += data
        if not data:
            said.append(received)
            return


def test_slow_clients_are_let_go_and_others_do_not_notice_be_they_idle_or_not(webhook):
    idle = webhook.connect()
    assert review(idle) == (200, None)
    socket_before = idle.sock
    unused = webhook.connect()
    unused.connect()
    said = {slow: [] for slow in (plain, silent, begun, half, second)}
    threads = []
    for slow, found in said.items():
        for _ in range(2):
            connection = slow(webhook)
            args = (connection, HEAD_SECONDS + 60, found)
            threads.append(threading.Thread(target=dribble, args=args, daemon=True))
            threads[-1].start()
    good = webhook.connect()
    for thread in threads:
        while thread.is_alive():
            assert review(good)[0] == 200
            thread.join(0.2)
    for slow, found in said.items():
        assert len(found) == 2, f"not let go: {slow.__doc__}"
    assert all(answer.startswith(b"HTTP/1.1 408") for answer in said[half])
    assert webhook.dropped("slow") >= 4  # those who say nothing say what is no HTTP, in the end
    # It has said nothing for longer than they were given for the head of a request.
    assert review(idle) == (200, None)
    assert idle.sock is socket_before
    # The API server opens connections ahead in a burst, and takes one of them later.
    assert review(unused) == (200, None)
    for client in (idle, good, unused):
        client.close()


def test_too_many_idle_connections_push_one_another_out_and_nobody_else(webhook):
    good = webhook.connect()
    assert review(good)[0] == 200
    before = webhook.dropped("limit")
    with contextlib.ExitStack() as held:
        for _ in range(3 * LIMIT):
            with contextlib.suppress(OSError):  # its handshake was too slow
                held.enter_context(contextlib.closing(webhook.tls()))
        other = webhook.connect()
        assert review(other)[0] == 200
        other.close()
        assert review(good)[0] == 200
        wait_until(
            lambda: webhook.dropped("limit") >= before + 2 * LIMIT,
            timeout=60,
            what="they were dropped",
        )
    good.close()


def test_clients_that_sit_on_the_health_port_do_not_keep_a_kubelet_from_its_answer(webhook):
    before = webhook.dropped("probe-limit")
    held = []
    with contextlib.ExitStack() as stack:

        def pushed_out():
            held.extend(sit(stack, webhook.health_port, 2 * MAX_CONNECTIONS))
            for _ in range(20):
                assert asked(webhook.health_port) == 200
            return webhook.dropped("probe-limit") > before

        # Once more where the machine took so long that time let them go first.
        wait_until(pushed_out, "their number pushes some out")
        wait_until(
            lambda: all(map(is_closed, held)),
            timeout=CONNECTION_SECONDS + 60,
            what="all were let go",
        )
        assert asked(webhook.health_port) == 200
    assert webhook.dropped("probe-slow") > 0


def test_a_stopping_process_fails_readiness_first_and_gets_rid_of_its_clients(tmp_path):
    webhook = Webhook(tmp_path, drain=300)
    try:
        client, idle = webhook.connect(), webhook.connect()
        assert review(client) == (200, None)
        assert review(idle) == (200, None)
        webhook.process.send_signal(signal.SIGTERM)
        wait_until(
            lambda: webhook.get("/readyz")[1].startswith("not ready: this replica is stopping"),
            timeout=60,
            what="it is not ready",
        )
        assert webhook.get("/healthz")[0] == 200
        assert review(client) == (200, "close")
        late = webhook.connect()
        assert review(late) == (200, "close")
        webhook.process.send_signal(signal.SIGTERM)  # somebody is in a hurry
        assert webhook.process.wait(60) == 0
        assert idle.sock.recv(1) == b""
    finally:
        webhook.end()
    lines = [json.loads(line) for line in webhook.log.read_text().splitlines()]
    assert [line["message"] for line in lines if line["logger"].endswith("main")] == [
        "stopping",
        "stopped",
    ]
    assert {line["uid"] for line in lines if line["message"] == "denied"} == {"u"}


def test_a_process_ends_once_it_has_drained(tmp_path):
    webhook = Webhook(tmp_path, drain=0.5)
    try:
        webhook.process.send_signal(signal.SIGTERM)
        assert webhook.process.wait(60) == 0
    finally:
        webhook.end()
