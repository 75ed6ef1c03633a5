# SPDX-License-Identifier: Apache-2.0
"""Tokens are sent in the clear to nobody, whatever is set."""

import pytest

from cabgate_devcluster.clients.pki import Authority
from cabgate_kube.process.settings import SettingsError, read_settings
from cabgate_portal.main import Process
from cabgate_portal.settings import PortalSettings

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what is tried


@pytest.fixture
def files(tmp_path):
    for name in ("ca.crt", "tls.crt", "tls.key"):
        (tmp_path / name).write_text("dGhlIGtleQ==")
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


LOGIN = {
    "--oidc-issuer": "https://dex.example.com/dex",
    "--page-url": "https://cabgate.example.com",
    "--oidc-client-id": "cabgate",
    "--cookie-key-file": "tls.key",
}


def login(files, **changed):
    """The options of a login, changed or without some."""
    given = {**LOGIN, "--cookie-key-file": f"{files}/tls.key", **changed}
    return [part for pair in given.items() if pair[1] is not None for part in pair]


def test_a_login_is_whole_or_there_is_none(files):
    assert settings(files).oidc_issuer == ""
    found = settings(files, *login(files))
    assert (found.page_url, found.oidc_scopes) == (LOGIN["--page-url"], "openid profile email")
    for option in LOGIN:
        with pytest.raises(SettingsError, match="oidc-issuer"):
            settings(files, *login(files, **{option: None}))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--oidc-issuer", "http://dex.example.com"),
        ("--oidc-issuer", "https://user@dex.example.com"),
        ("--oidc-issuer", "https://dex.example.com?x"),
        ("--oidc-issuer", "https://dex.example.com#x"),
        ("--page-url", "https://cabgate.example.com?x"),
        ("--page-url", "https://cabgate.example.com:0"),
        ("--page-url", "http://cabgate.example.com"),
        ("--page-url", "https://cabgate.example.com/page"),
        ("--page-url", "https://Cabgate.example.com"),
        ("--page-url", "https://cabgate.example.com:443"),
        ("--oidc-scopes", "profile"),
        ("--oidc-ca", "/nowhere"),
    ],
)
def test_what_no_login_works_with_is_refused(files, option, value):
    with pytest.raises(SettingsError, match=option.removeprefix("--")):
        settings(files, *login(files, **{option: value}))


def test_a_key_that_is_none_is_told_and_not_repeated(files):
    (files / "ca.crt").write_bytes(Authority("CA").cert_pem)
    with pytest.raises(SettingsError, match=r"cookie-key-file.*line 1 is not 32 bytes") as caught:
        Process(settings(files, *login(files)))
    assert "dGhlIGtleQ" not in str(caught.value)
