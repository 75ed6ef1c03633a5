# SPDX-License-Identifier: Apache-2.0
"""Where the webhook finds the API server, and what it says when it does not."""

import base64
import os

import pytest
import yaml

from cabgate_devcluster.clients.pki import Authority
from cabgate_webhook.client.credentials import CredentialsError, load_credentials


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
    return load_credentials({"KUBECONFIG": str(path)})


def test_a_kubeconfig_gives_server_trust_and_token(tmp_path, ca):
    found = loaded(kubeconfig(tmp_path, ca))
    assert found.server == "https://a:6443"
    assert found.token() == "t"
    assert len(found.trust().get_ca_certs()) == 1


def test_files_that_a_kubeconfig_names_lie_beside_it(tmp_path, ca):
    (tmp_path / "ca.crt").write_bytes(ca)
    (tmp_path / "token").write_text("from a file\n")
    cluster = {"server": "https://a", "certificate-authority": "ca.crt"}
    found = loaded(kubeconfig(tmp_path, ca, cluster, {"tokenFile": "token"}))
    assert found.token() == "from a file"
    assert len(found.trust().get_ca_certs()) == 1
    cluster["certificate-authority"] = str(tmp_path / "ca.crt")
    found = loaded(kubeconfig(tmp_path, ca, cluster, {"tokenFile": str(tmp_path / "token")}))
    assert found.token() == "from a file"


def test_a_token_file_is_read_again_when_it_changes(tmp_path, ca):
    token = tmp_path / "token"
    token.write_text("one")
    found = loaded(kubeconfig(tmp_path, ca, user={"tokenFile": "token"}))
    assert found.token() == "one"
    token.write_text("two")
    os.utime(token, (1, 1))
    assert found.token() == "two"
    token.unlink()
    with pytest.raises(OSError, match="token"):
        found.token()


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
            {"name": "it", "cluster": {"server": "x", "certificate-authority-data": "AAAA"}}
        ]
    },
    "a CA that is no base64": {
        "clusters": [{"name": "it", "cluster": {"server": "x", "certificate-authority-data": "é"}}]
    },
    "a CA file that is not there": {
        "clusters": [{"name": "it", "cluster": {"server": "x", "certificate-authority": "none"}}]
    },
}


@pytest.mark.parametrize("what", list(BROKEN))
def test_a_broken_kubeconfig_is_named(tmp_path, ca, what):
    path = kubeconfig(tmp_path, ca, **BROKEN[what])
    with pytest.raises(CredentialsError, match="kubeconfig"):
        loaded(path)


@pytest.mark.parametrize("text", ["", "a: [", "- 1", "\x00"])
def test_a_file_that_is_no_kubeconfig_is_named(tmp_path, text):
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(CredentialsError, match=str(path)):
        loaded(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CredentialsError, match="none"):
        loaded(tmp_path / "none")


@pytest.mark.parametrize(
    ("host", "server"),
    [("10.0.0.1", "https://10.0.0.1:443"), ("fd00::1", "https://[fd00::1]:443")],
)
def test_in_a_pod_the_mounted_account_is_used(tmp_path, ca, host, server):
    environment = {"KUBERNETES_SERVICE_HOST": host}
    with pytest.raises(CredentialsError, match=r"ca\.crt"):
        load_credentials(environment, tmp_path)
    (tmp_path / "ca.crt").write_bytes(ca)
    (tmp_path / "token").write_text("mounted")
    found = load_credentials(environment, tmp_path)
    assert (found.server, found.token()) == (server, "mounted")


def test_nowhere_is_said():
    with pytest.raises(CredentialsError, match="neither in a Pod nor is KUBECONFIG set"):
        load_credentials({})


def test_the_environment_of_the_process_is_the_default(tmp_path, ca, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, ca)))
    assert load_credentials().token() == "t"
