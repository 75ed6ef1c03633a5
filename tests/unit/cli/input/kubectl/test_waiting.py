# SPDX-License-Identifier: Apache-2.0
"""What the queue reads at once, and what alone: a plugin that signs in gets the terminal."""

import threading
from pathlib import Path

import pytest

from cabgate_cli.input.kubectl.process import Kubectl, Ran
from cabgate_cli.input.kubectl.waiting import Reading
from unit.cli.fake_kubectl import FakeKubectl, installed

WAIT_SECONDS = 60
CERTIFICATE = "users: [{name: rita, user: {client-certificate-data: ZXhlYw==}}]"
PLUGIN = """
users:
- name: rita
  user:
    exec: {command: oidc-login, apiVersion: client.authentication.k8s.io/v1}
"""
PROVIDER = '{"users": [{"name": "rita", "user": {"auth-provider": {"name": "oidc"}}}]}'


class Watched(FakeKubectl):
    """Holds the list of requests up until the two other calls were made, if they are to be."""

    def __init__(self, others: int) -> None:
        super().__init__()
        self.others = others
        self.begun = threading.Semaphore(0)
        self.beside: list[tuple[str, ...]] = []

    def run(self, kubectl: Kubectl, *args: str, quiet: bool = False) -> Ran:
        if "cabrequests" not in args[-2]:
            try:
                return super().run(kubectl, *args, quiet=quiet)
            finally:
                self.begun.release()
        for _ in range(self.others):
            assert self.begun.acquire(timeout=WAIT_SECONDS)
        self.beside = list(self.calls)
        return super().run(kubectl, *args, quiet=quiet)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    (tmp_path / ".kube").mkdir()
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("kubeconfig", [CERTIFICATE, None])
def test_all_is_read_at_once_where_nothing_signs_in(home, monkeypatch, kubeconfig):
    if kubeconfig is not None:
        write(home / ".kube" / "config", kubeconfig)
    fake = installed(monkeypatch, Watched(others=2))
    Reading(Kubectl(), None, everywhere=True).result()
    assert len(fake.beside) == 2
    assert len(fake.calls) == 3


@pytest.mark.parametrize("kubeconfig", [PLUGIN, PROVIDER])
def test_a_plugin_signs_in_before_anything_else_is_read(home, monkeypatch, kubeconfig):
    write(home / ".kube" / "config", kubeconfig)
    fake = installed(monkeypatch, Watched(others=0))
    Reading(Kubectl(), None, everywhere=True).result()
    assert fake.beside == []
    assert len(fake.calls) == 3


def test_each_file_of_the_kubeconfig_may_name_a_plugin(home, monkeypatch):
    files = [write(home / "a", CERTIFICATE), write(home / "b", PLUGIN)]
    monkeypatch.setenv("KUBECONFIG", ":".join(map(str, files)))
    assert Kubectl().may_sign_in()
    assert not Kubectl((f"--kubeconfig={files[0]}",)).may_sign_in()
    monkeypatch.setenv("KUBECONFIG", str(files[0]))
    assert not Kubectl().may_sign_in()
    assert Kubectl((f"--kubeconfig={files[1]}",)).may_sign_in()


def test_a_kubeconfig_that_cannot_be_read_may_name_a_plugin(home):
    assert Kubectl((f"--kubeconfig={home}",)).may_sign_in()
    assert not Kubectl((f"--kubeconfig={home / 'none'}",)).may_sign_in()
