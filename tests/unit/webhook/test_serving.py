# SPDX-License-Identifier: Apache-2.0
"""How the webhook's process is set up, and how it ends where it cannot be."""

from datetime import UTC, datetime

import pytest

from cabgate_devcluster.pki import Authority
from cabgate_webhook import main
from cabgate_webhook.app import DEADLINE_SECONDS
from cabgate_webhook.main import DRAIN_SECONDS, run, server_config

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def options(tmp_path):
    pair = Authority("a test").server("webhook")
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    pair.write(certificate, key)
    return {
        "certificate": certificate,
        "key": key,
        "host": "127.0.0.1",
        "port": 8443,
        "settings": object(),  # the application's, of no matter here
        "clock": lambda: NOW,
    }


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


def test_a_connection_outlives_what_the_api_server_keeps_idle(options, kubeconfig):
    """The API server closes after 90 s. Were it we who close, a review could meet the closing."""
    config = server_config(**options)
    assert config.timeout_keep_alive > 90


def test_a_stopping_process_gives_reviews_their_full_time(options, kubeconfig):
    config = server_config(**options)
    assert config.timeout_graceful_shutdown == DRAIN_SECONDS > DEADLINE_SECONDS


def test_it_serves_tls_and_says_nothing_of_itself(options, kubeconfig):
    config = server_config(**options)
    config.load()
    assert config.is_ssl
    assert (b"server", b"uvicorn") not in config.encoded_headers


def test_without_an_api_server_it_ends_and_says_where_it_looked(options, monkeypatch, capsys):
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SystemExit) as ended:
        run(**options)
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said == "cabgate-webhook: no API server: neither in a Pod nor is KUBECONFIG set\n"


def test_it_runs_what_it_was_given(options, kubeconfig, monkeypatch):
    ran = []

    class Server:
        def __init__(self, config):
            ran.append(config)

        def run(self):
            ran.append("run")

    monkeypatch.setattr(main.uvicorn, "Server", Server)
    run(**options)
    assert ran[0].port == 8443
    assert ran[1] == "run"
