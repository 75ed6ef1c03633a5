# SPDX-License-Identifier: Apache-2.0
"""Tokens are sent in the clear to nobody, whatever is set."""

import pytest

from cabgate_kube.process.settings import SettingsError, read_settings
from cabgate_portal.settings import PortalSettings

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what is tried


@pytest.fixture
def files(tmp_path):
    for name in ("ca.crt", "tls.crt", "tls.key"):
        (tmp_path / name).write_text("x")
    return tmp_path


def settings(files, *arguments):
    given = ["--api-server-ca", f"{files}/ca.crt", *arguments]
    return read_settings(PortalSettings, given, "cabgate-portal")


@pytest.mark.parametrize("host", [EVERYWHERE, "", "::", "localhost", "10.0.0.1", "portal", "127.1"])
def test_plain_http_is_served_on_loopback_alone(files, host):
    with pytest.raises(SettingsError, match="loopback"):
        settings(files, "--host", host)
    certified = ("--certificate", f"{files}/tls.crt", "--key", f"{files}/tls.key")
    assert settings(files, "--host", host or EVERYWHERE, *certified).host


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "127.0.0.2"])
def test_on_loopback_it_is(files, host):
    assert settings(files, "--host", host).certificate is None


@pytest.mark.parametrize(
    "url",
    [
        "http://kubernetes.default.svc",
        "https://user:password@kubernetes",
        "https://kubernetes/evil",
        "https://kubernetes?x=1",
        "https://",
        "kubernetes.default.svc",
        "https://kubernetes:99999",
        "file:///etc/passwd",
    ],
)
def test_tokens_go_to_an_api_server_by_https(files, url):
    with pytest.raises(SettingsError, match="api-server"):
        settings(files, "--api-server", url)


def test_a_certificate_without_its_key_is_refused(files):
    with pytest.raises(SettingsError, match="give both"):
        settings(files, "--certificate", f"{files}/tls.crt")
