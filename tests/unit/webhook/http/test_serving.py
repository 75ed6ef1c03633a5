# SPDX-License-Identifier: Apache-2.0
"""How the webhook's process is set up, and how it ends where it cannot be."""

import logging

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cabgate.api.base import Model
from cabgate_devcluster.clients.pki import Authority
from cabgate_kube.process.logs import set_up_logging
from cabgate_kube.process.serving import STOP_SECONDS
from cabgate_kube.process.settings import read_settings
from cabgate_webhook.http.app import DEADLINE_SECONDS
from cabgate_webhook.main import main, make_process
from cabgate_webhook.settings import WebhookSettings


@pytest.fixture
def arguments(tmp_path, kubeconfig):
    pair = Authority("a test").server("webhook")
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    pair.write(certificate, key)
    signing = tmp_path / "signing.pem"
    private = Ed25519PrivateKey.generate()
    signing.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    proof = tmp_path / "proof"
    proof.write_text("x" * 32)
    return [
        *(f"--certificate={certificate}", f"--key={key}", f"--signing-key={signing}"),
        f"--admission-proof={proof}",
    ]


@pytest.fixture
def kubeconfig(tmp_path, monkeypatch):
    path = tmp_path / "kubeconfig"
    path.write_text(
        "current-context: c\n"
        "contexts: [{name: c, context: {cluster: c, user: u}}]\n"
        "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n"
        "users: [{name: u, user: {token: t}}]\n"
    )
    monkeypatch.setenv("KUBECONFIG", str(path))


@pytest.fixture
def process(arguments):
    return make_process(read_settings(WebhookSettings, arguments, "cabgate-webhook"))


def test_the_models_are_built_before_it_serves(arguments):
    class Unbuilt(Model):
        name: str

    make_process(read_settings(WebhookSettings, arguments, "cabgate-webhook"))
    assert Unbuilt.__pydantic_complete__


async def test_the_certificate_is_in_the_metrics(process):
    transport = httpx.ASGITransport(process.probes.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://webhook") as client:
        shown = (await client.get("/metrics")).text
    left = next(x for x in shown.splitlines() if x.startswith("cabgate_certificate_seconds_left "))
    assert float(left.split()[1]) > 0
    assert "\ncabgate_certificate_reload_failures_total 0.0\n" in shown


def test_a_connection_outlives_what_the_api_server_keeps_idle(process):
    """The API server closes after 90 s. Were it we who close, a review could meet the closing."""
    assert process.admission.timeout_keep_alive > 90


def test_a_stopping_process_gives_reviews_their_full_time(process):
    assert process.admission.timeout_graceful_shutdown == STOP_SECONDS > DEADLINE_SECONDS


def test_admission_is_tls_probes_are_not_and_neither_says_what_serves_it(process):
    process.admission.load()
    process.probes.load()
    assert process.admission.ssl is process.certificate.context
    assert not process.probes.is_ssl
    for config in (process.admission, process.probes):
        assert (b"server", b"uvicorn") not in config.encoded_headers
    assert (process.admission.port, process.probes.port) == (8443, 8080)


def ended(capsys, arguments):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return end.value.code, capsys.readouterr().err


def test_without_an_api_server_it_ends_and_says_where_it_looked(arguments, monkeypatch, capsys):
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    said = "cabgate-webhook: no API server: neither in a Pod nor is KUBECONFIG set\n"
    assert ended(capsys, arguments) == (1, said)


def test_with_a_certificate_of_another_key_it_does_not_start(arguments, tmp_path, capsys):
    (tmp_path / "tls.key").write_bytes(Authority("a test").server("webhook").key_pem)
    code, said = ended(capsys, arguments)
    assert code == 1
    assert "they cannot be used together: key values mismatch" in said
    assert str(tmp_path / "tls.crt") in said


def test_a_setting_that_makes_no_sense_is_named(arguments, capsys):
    code, said = ended(capsys, [*arguments, "--port=0", "--log-format=xml"])
    assert code == 2
    assert "cabgate-webhook: --port (CABGATE_PORT): " in said
    assert "cabgate-webhook: --log-format (CABGATE_LOG_FORMAT): " in said


def test_lines_of_libraries_are_json_too(capsys):
    set_up_logging("json")
    for name in ("uvicorn.error", "aiohttp.client", "asyncio", "cabgate_webhook"):
        logging.getLogger(name).error("a line")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert all(line.startswith('{"time": "') for line in lines)
