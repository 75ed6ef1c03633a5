# SPDX-License-Identifier: Apache-2.0
"""Access by a kubeconfig, and what is said of one that cannot be used."""

import base64
import os

import pytest
import yaml

from cabgate_devcluster.clients.pki import Authority
from cabgate_kube import credentials
from cabgate_kube.credentials import AccessError, access_of


@pytest.fixture(scope="module")
def ca():
    return Authority("a test").cert_pem


def kubeconfig(folder, ca, cluster=None, user=None, **changes):
    """Path of a kubeconfig."""
    data = base64.b64encode(ca).decode()
    config = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "it", "user": "me"}}],
        "clusters": [
            {
                "name": "it",
                "cluster": cluster
                or {"server": "https://a:6443/", "certificate-authority-data": data},
            }
        ],
        "users": [{"name": "me", "user": {"token": "t"} if user is None else user}],
        **changes,
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


def loaded(path):
    return access_of({"KUBECONFIG": str(path)})


def test_a_kubeconfig_gives_server_trust_and_token(tmp_path, ca):
    found = loaded(kubeconfig(tmp_path, ca))
    assert found.server == "https://a:6443"
    assert found.authorization() == "Bearer t"
    assert len(found.trust().get_ca_certs()) == 1


def test_files_that_a_kubeconfig_names_lie_beside_it(tmp_path, ca):
    (tmp_path / "ca.crt").write_bytes(ca)
    (tmp_path / "token").write_text("from a file\n")
    cluster = {"server": "https://a", "certificate-authority": "ca.crt"}
    found = loaded(kubeconfig(tmp_path, ca, cluster, {"tokenFile": "token"}))
    assert found.authorization() == "Bearer from a file"
    assert len(found.trust().get_ca_certs()) == 1
    cluster["certificate-authority"] = str(tmp_path / "ca.crt")
    found = loaded(kubeconfig(tmp_path, ca, cluster, {"tokenFile": str(tmp_path / "token")}))
    assert found.authorization() == "Bearer from a file"


def test_a_token_file_is_read_again_when_it_changes(tmp_path, ca):
    token = tmp_path / "token"
    token.write_text("one")
    found = loaded(kubeconfig(tmp_path, ca, user={"tokenFile": "token"}))
    assert found.authorization() == "Bearer one"
    token.write_text("two")
    os.utime(token, (1, 1))
    assert found.authorization() == "Bearer two"
    token.unlink()
    assert found.authorization() == "Bearer two"


def test_a_ca_file_is_read_again_when_it_changes_and_a_broken_one_is_not_taken(tmp_path, caplog):
    """As the kubelet turns it: a symlink from one folder to another."""
    one, two = Authority("one").cert_pem, Authority("two").cert_pem
    for name, content in (("first", one), ("second", one + two), ("third", b"nonsense")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ca.crt").write_bytes(content)

    def turn(name):
        link = tmp_path / "turned"
        link.symlink_to(name)
        link.replace(tmp_path / "..data")

    turn("first")
    (tmp_path / "ca.crt").symlink_to("..data/ca.crt")
    cluster = {"server": "https://a", "certificate-authority": "ca.crt"}
    found = loaded(kubeconfig(tmp_path, b"", cluster))
    first = found.trust()
    assert found.trust() is first
    turn("second")
    second = found.trust()
    assert len(second.get_ca_certs()) == 2
    turn("third")
    assert found.trust() is second
    assert found.trust() is second
    assert caplog.text.count("the old one stays") == 1
    (tmp_path / "..data").unlink()
    assert found.trust() is second
    turn("first")
    assert len(found.trust().get_ca_certs()) == 1


def test_without_a_ca_of_its_own_a_kubeconfig_trusts_the_machine(tmp_path, ca):
    assert loaded(kubeconfig(tmp_path, ca, {"server": "https://a"})).server == "https://a"


BROKEN = {
    "no current context": {"current-context": "elsewhere"},
    "no contexts": {"contexts": None},
    "no such cluster": {"clusters": []},
    "a cluster that is none": {"clusters": [{"name": "it", "cluster": None}]},
    "no such user": {"users": []},
    "a user that is none": {"users": [{"name": "me", "user": None}]},
    "a user without a token": {"users": [{"name": "me", "user": {"username": "x"}}]},
    "a CA that is none": {
        "clusters": [
            {"name": "it", "cluster": {"server": "https://x", "certificate-authority-data": "AAAA"}}
        ]
    },
    "a CA that is no base64": {
        "clusters": [
            {"name": "it", "cluster": {"server": "https://x", "certificate-authority-data": "é"}}
        ]
    },
    "a CA file that is not there": {
        "clusters": [
            {"name": "it", "cluster": {"server": "https://x", "certificate-authority": "none"}}
        ]
    },
}


@pytest.mark.parametrize("what", list(BROKEN))
def test_a_broken_kubeconfig_is_named(tmp_path, ca, what):
    path = kubeconfig(tmp_path, ca, **BROKEN[what])
    with pytest.raises(AccessError, match="kubeconfig"):
        loaded(path)


@pytest.mark.parametrize("text", ["", "a: [", "- 1", "\x00"])
def test_a_file_that_is_no_kubeconfig_is_named(tmp_path, text):
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(AccessError, match=str(path)):
        loaded(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(AccessError, match="none"):
        loaded(tmp_path / "none")


def test_a_client_certificate_is_an_identity(tmp_path, ca):
    pair = Authority("users").client("me")
    user = {
        "client-certificate-data": base64.b64encode(pair.cert_pem).decode(),
        "client-key-data": base64.b64encode(pair.key_pem).decode(),
    }
    found = loaded(kubeconfig(tmp_path, ca, user=user))
    assert found.headers() == {}
    assert found.identity == (pair.cert_pem, pair.key_pem)


def test_nothing_of_a_kubeconfig_is_left_in_a_file(tmp_path, ca, monkeypatch):
    """A process may be killed at any moment, and a key would lie there for good."""
    pair = Authority("users").client("me")
    user = {
        "client-certificate-data": base64.b64encode(pair.cert_pem).decode(),
        "client-key-data": base64.b64encode(pair.key_pem).decode(),
    }
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    found = loaded(kubeconfig(tmp_path, ca, user=user))
    assert found.trust().get_ca_certs()
    assert list(folder.iterdir()) == []


def test_files_that_a_kubeconfig_names_are_used_where_they_are(tmp_path, ca):
    pair = Authority("users").client("me")
    files = [tmp_path / name for name in ("me.crt", "me.key")]
    for file, text in zip(files, (pair.cert_pem, pair.key_pem), strict=True):
        file.write_bytes(text)
    user = {"client-certificate": str(files[0]), "client-key": str(files[1])}
    assert loaded(kubeconfig(tmp_path, ca, user=user)).identity == tuple(files)


def test_a_client_certificate_without_its_key_is_told(tmp_path, ca):
    certificate = base64.b64encode(Authority("users").client("me").cert_pem).decode()
    with pytest.raises(AccessError, match="client-key"):
        loaded(kubeconfig(tmp_path, ca, user={"client-certificate-data": certificate}))


def test_a_plugin_gives_the_token(tmp_path, ca):
    plugin = tmp_path / "plugin"
    plugin.write_text(
        "#!/bin/sh\n"
        'echo \'{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",'
        ' "status": {"token": "from a plugin"}}\'\n'
    )
    plugin.chmod(0o700)
    made_by = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": str(plugin),
        "interactiveMode": "Never",
    }
    found = loaded(kubeconfig(tmp_path, ca, user={"exec": made_by}))
    assert found.authorization() == "Bearer from a plugin"


def test_an_api_server_that_nobody_verifies_is_refused(tmp_path, ca):
    cluster = {"server": "https://a", "insecure-skip-tls-verify": True}
    with pytest.raises(AccessError, match="insecure-skip-tls-verify is not supported"):
        loaded(kubeconfig(tmp_path, ca, cluster))


def test_in_a_pod_its_service_account_counts(tmp_path, ca, monkeypatch):
    monkeypatch.setattr(credentials, "FOLDER", tmp_path)
    (tmp_path / "ca.crt").write_bytes(ca)
    (tmp_path / "token").write_text("mounted")
    path = kubeconfig(tmp_path, ca)
    found = access_of({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBECONFIG": str(path)})
    assert (found.server, found.authorization()) == ("https://10.0.0.1:443", "Bearer mounted")


def test_the_environment_of_the_process_is_the_default(tmp_path, ca, monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, ca)))
    assert access_of().authorization() == "Bearer t"
