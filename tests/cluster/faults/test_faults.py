# SPDX-License-Identifier: Apache-2.0
"""The real webhook process when what it depends on fails, and when what it is sent is garbage: it
denies and says why, within the time that the API server gives it, and it lives."""

import concurrent.futures
import contextlib
import dataclasses
import http.client
import json
import os
import signal
import socket
import ssl
import urllib.error
import urllib.request

import pytest
import yaml

from cabgate_devcluster import DevCluster, wait_until
from cabgate_devcluster.clients.pki import Authority
from cabgate_devcluster.installed.installation import NAMESPACE, WEBHOOK_ARGV
from cabgate_samples.objects import GOOD, MIDDLING, exception, workload
from support.faulty import ANSWERS, MUTE, SILENT, FaultyServer
from support.gate import denial, install
from support.proxy import ApiProxy

MIB = 1024 * 1024
GRACE_SECONDS = 25
"""terminationGracePeriodSeconds of the chart: who has not ended by then is killed."""


@pytest.fixture(scope="module")
def cluster():
    with DevCluster() as running:
        yield running


@pytest.fixture(scope="module")
def gate(cluster):
    return install(cluster)


@pytest.fixture(scope="module")
def trust(cluster):
    return ssl.create_default_context(cadata=cluster.ca_pem.decode())


@contextlib.contextmanager
def webhook_with(gate, change):
    """The webhook started anew, its kubeconfig changed; at the end the usual one is back."""
    cluster, installation = gate.cluster, gate.installation
    original = cluster.service_account(NAMESPACE, "cabgate-webhook")
    config = yaml.safe_load(original.read_text())
    change(config["clusters"][0]["cluster"], config["users"][0]["user"])
    path = cluster.directory / "changed.kubeconfig"
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    installation.webhook.stop()
    words = installation.webhook_options()
    process = cluster.spawn("faulty", [*WEBHOOK_ARGV, *words], env={"KUBECONFIG": str(path)})
    try:
        wait_until(lambda: listens(gate), timeout=60.0, what="the webhook listens")
        yield process
    finally:
        process.stop()
        installation.start_webhook()


def listens(gate):
    """Whether both servers of the webhook answer: which of them is first is not promised."""
    trust = ssl.create_default_context(cadata=gate.cluster.ca_pem.decode())
    return probe(gate, "/healthz")[0] == 200 and post(gate, trust, b"", method="GET") == 405


def probe(gate, path):
    """Status and text of a GET."""
    url = f"http://127.0.0.1:{gate.installation.webhook_health_port}{path}"
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def tried(gate, namespace, obj=None):
    """What came of a rollout, tried once. Where it was the webhook that denied, its answer came
    within the 5 s that the chart gives it: the API server waits no longer."""
    body = json.dumps(obj or workload(namespace))
    return gate.tried_once("requester", "create", "--dry-run=server", "-f", "-", stdin=body)


@pytest.fixture
def faulty(gate):
    """The webhook, with a server that fails for an API server."""
    pair = gate.cluster.serving_certificate("faulty")
    with FaultyServer(pair.cert, pair.key) as server:

        def change(cluster, _user):
            cluster["server"] = f"https://127.0.0.1:{server.port}"

        with webhook_with(gate, change):
            yield server


def test_an_api_server_that_does_not_answer_gives_a_denial_in_time(gate, namespace, faulty):
    for fault in (MUTE, SILENT):
        faulty.fault = fault
        # On a busy machine the second that is left for the answer may be too short.
        message = wait_until(lambda: denial(tried(gate, namespace)), "the webhook denies in time")
        assert message.startswith(
            "LookupTimedOut: the API server did not answer cabgate within 4 s"
        ), fault
        assert "try again" in message


@pytest.fixture
def leave(gate, namespace):
    """An exception, made while the webhook was well."""
    gate.create("requester", exception(namespace, "web-00000000"))
    return "leave"


def test_an_api_server_that_answers_nonsense_gives_a_denial_that_says_so(
    gate, namespace, trust, leave, faulty
):
    for fault in ANSWERS:
        faulty.fault = fault
        message = denial(tried(gate, namespace))
        assert message.startswith("LookupFailed: "), (fault, message)
        assert f"namespaces/{namespace}" in message, fault
        assert "Nothing was decided: try again." in message, fault
        assert "\n" not in message, fault
        assert len(message.encode()) < 1024, fault
        status, text = probe(gate, "/readyz")
        assert status == 503, (fault, text)
    result = gate.review("security", "cabexception", leave, namespace, "Approved", check=False)
    assert denial(result).startswith("LookupFailed: ")
    assert probe(gate, "/healthz")[0] == 200


def test_an_api_server_that_is_too_busy_for_a_moment_is_asked_again(gate, namespace):
    gate.open(namespace, GOOD, "AutoApproved")
    with ApiProxy(gate.cluster) as proxy:

        def change(cluster, _user):
            cluster["server"] = f"https://127.0.0.1:{proxy.port}"

        with webhook_with(gate, change):
            assert tried(gate, namespace).returncode == 0
            turned_away = []

            def refuse_once(call):
                if turned_away or f"namespaces/{namespace}/cabrequests" not in call.path:
                    return None
                turned_away.append(call)
                return 429, "TooManyRequests"

            proxy.refuse = refuse_once
            result = tried(gate, namespace)
            assert result.returncode == 0, result.stderr
            assert turned_away
            proxy.refuse = lambda call: (429, "TooManyRequests")

            def turned_away_for_good():
                message = denial(tried(gate, namespace))
                assert message.startswith("LookupFailed: "), message
                assert "HTTP 429" in message
                return message

            assert "try again" in wait_until(turned_away_for_good, "it says why")
            proxy.heal()
            assert tried(gate, namespace).returncode == 0


def test_a_token_that_is_refused_denies_a_renewed_one_is_read_and_none_changes_nothing(
    gate, namespace
):
    gate.open(namespace, GOOD, "AutoApproved")
    token = gate.cluster.directory / "webhook.token"

    def change(_cluster, user):
        token.write_text(user.pop("token"))
        user["tokenFile"] = str(token)

    with webhook_with(gate, change):
        good = token.read_text()
        assert tried(gate, namespace).returncode == 0
        token.write_text(good[:-8])
        message = denial(tried(gate, namespace))
        assert message.startswith("LookupFailed: "), message
        assert "HTTP 401" in message, message
        status, text = probe(gate, "/readyz")
        assert status == 503, text
        token.write_text(good)
        assert tried(gate, namespace).returncode == 0
        assert probe(gate, "/readyz")[0] == 200
        token.write_text("")
        assert tried(gate, namespace).returncode == 0
        token.unlink()
        assert tried(gate, namespace).returncode == 0
        assert probe(gate, "/readyz")[0] == 200


def test_another_ca_of_the_api_server_is_taken_up_and_none_is_not(gate, namespace):
    gate.open(namespace, GOOD, "AutoApproved")
    ca = gate.cluster.directory / "webhook-ca.crt"
    good = gate.cluster.ca_pem

    def change(cluster, _user):
        del cluster["certificate-authority-data"]
        ca.write_bytes(good)
        cluster["certificate-authority"] = str(ca)

    with webhook_with(gate, change):
        assert tried(gate, namespace).returncode == 0
        ca.write_bytes(Authority("another").cert_pem)
        message = denial(tried(gate, namespace))
        assert message.startswith("LookupFailed: "), message
        assert "certificate verify failed" in message
        ca.write_bytes(good + Authority("a third").cert_pem)
        assert tried(gate, namespace).returncode == 0
        ca.write_bytes(b"nonsense")
        assert tried(gate, namespace).returncode == 0


def test_a_webhook_without_rights_denies_and_names_what_it_lacks(gate, namespace, cluster):
    gate.open(namespace, GOOD, "AutoApproved")
    cluster.kubectl("delete", "clusterrolebinding", "cabgate-webhook")
    try:
        message = wait_until(lambda: denial(tried(gate, namespace)), "the right is gone")
        assert message.startswith("LookupFailed: ")
        assert "HTTP 403" in message
        assert "cabgate-webhook" in message
    finally:
        cluster.kubectl(
            *("create", "clusterrolebinding", "cabgate-webhook", "--clusterrole=cabgate-webhook"),
            f"--serviceaccount={NAMESPACE}:cabgate-webhook",
        )
    wait_until(lambda: tried(gate, namespace).returncode == 0, "the right is back")


# What it is sent


@dataclasses.dataclass
class Exchange:
    status: int
    text: str


def exchange(gate, trust, body, path="/validate", method="POST", headers=None):
    """The answer of the process itself."""
    port = gate.installation.webhook_port
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=trust, timeout=60)
    try:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return Exchange(answer.status, answer.read().decode())
    finally:
        connection.close()


def post(*args, **options):
    """The status alone."""
    return exchange(*args, **options).status


REVIEW = {
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
WHOLE = json.dumps(REVIEW).encode()
BODIES = {
    "empty": (b"", 400),
    "cut in half": (WHOLE[: len(WHOLE) // 2], 400),
    "binary": (bytes(range(256)) * 100, 400),
    "deep": (b"[" * 100_000, 400),
    "a number too long": (b'{"a": ' + b"9" * 10_000 + b"}", 400),
    "another kind": (json.dumps({**REVIEW, "kind": "Pod"}).encode(), 400),
    "another version": (
        json.dumps({**REVIEW, "apiVersion": "admission.k8s.io/v1beta1"}).encode(),
        400,
    ),
    "a list": (b"[" + WHOLE + b"]", 400),
    "no request": (json.dumps({**REVIEW, "request": None}).encode(), 400),
    "a lone surrogate": (WHOLE.replace(b'"x"', b'"\\ud800"'), 400),
    "whole": (WHOLE, 200),
    "of 7 MiB": (b" " * (7 * MIB - len(WHOLE)) + WHOLE, 200),
    "over 7 MiB": (b" " * (7 * MIB + 1), 413),
}


@pytest.mark.parametrize("path", ["/validate", "/mutate"])
def test_a_body_that_is_no_review_is_a_client_error(gate, trust, path):
    for what, (body, status) in BODIES.items():
        assert post(gate, trust, body, path) == status, what


def test_a_request_that_is_none_is_a_client_error(gate, trust):
    assert post(gate, trust, b"", "/validate", "GET") == 405
    assert post(gate, trust, WHOLE, "/other") == 404
    assert post(gate, trust, WHOLE, headers={"Content-Type": "text/plain"}) == 200
    with contextlib.suppress(OSError):  # it may close before all of it is sent
        assert post(gate, trust, WHOLE, headers={"X-Long": "x" * 200_000}) in (400, 431)
    assert post(gate, trust, iter([WHOLE[:10], WHOLE[10:]])) == 200  # chunked
    assert post(gate, trust, iter([b" " * MIB] * 9)) == 413


def open_garbage(port, number):
    """A connection that is up to no good, left open."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.settimeout(60)
    with contextlib.suppress(OSError):
        if number % 4 == 0:
            connection.sendall(os.urandom(64))
        elif number % 4 == 1:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        elif number % 4 == 2:
            connection.sendall(b"\x16\x03\x01")  # the beginning of a TLS handshake, no more
    return connection


def open_half_request(port, trust):
    """TLS, and then a request whose body never comes."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=60)
    secure = trust.wrap_socket(plain, server_hostname="127.0.0.1")
    secure.sendall(b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
    return secure


def test_a_thousand_garbage_connections_do_not_stop_it(gate, namespace, trust):
    gate.open(namespace, GOOD, "AutoApproved")
    port = gate.installation.webhook_port
    process = gate.installation.webhook
    with contextlib.ExitStack() as held:
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            for connection in pool.map(lambda n: open_garbage(port, n), range(900)):
                held.enter_context(contextlib.closing(connection))
        for _ in range(100):
            held.enter_context(contextlib.closing(open_half_request(port, trust)))
        result = tried(gate, namespace)
        assert result.returncode == 0, result.stderr
        other = workload(namespace, images=["web:2"])
        assert denial(tried(gate, namespace, other)).startswith("ImagesNotCovered: ")
    assert process.running
    assert probe(gate, "/readyz")[0] == 200


def test_a_stopping_webhook_answers_what_it_has_begun(gate, namespace, trust):
    """Begun reviews are answered after SIGTERM, and the process ends in time."""
    pair = gate.cluster.serving_certificate("mute")
    with FaultyServer(pair.cert, pair.key) as server:

        def change(cluster, _user):
            cluster["server"] = f"https://127.0.0.1:{server.port}"

        with webhook_with(gate, change) as process:
            review = json.dumps(
                {**REVIEW, "request": {**REVIEW["request"], "object": workload("default")}}
            )
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                answer = pool.submit(exchange, gate, trust, review)
                wait_until(lambda: server.reached, "the review is under way")
                process.stop(timeout=GRACE_SECONDS)  # as a kubelet does it
            assert process.returncode in (0, -signal.SIGTERM), "it was killed"
            message = json.loads(answer.result().text)["response"]["status"]["message"]
            assert message.startswith("LookupTimedOut: ")


def test_restarted_it_judges_as_before(gate, namespace):
    """It keeps nothing: what it has to know it reads."""
    name = gate.open(namespace, MIDDLING, "Submitted")
    gate.review("reviewer", "cabrequest", name, namespace, "Approved")
    gate.installation.webhook.kill()
    assert "failed calling webhook" in tried(gate, namespace).stderr
    gate.installation.start_webhook()
    assert tried(gate, namespace).returncode == 0
