# SPDX-License-Identifier: Apache-2.0
"""krew itself installs the plugin by the manifest that we make of it, and what it installs works
with the real kubectl and API server: `make test-krew`, which builds both."""

import json
import os
import subprocess
import sys

import pytest

from cabgate_devcluster import locate_program, program_at_hand
from cabgate_devcluster.installed.installation import ROOT

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not program_at_hand("krew"), reason="krew is not built: make test-krew"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with the manifest and the archive of this platform, made as docs/reviewing.md says
    it."""
    folder = tmp_path_factory.mktemp("dist")
    url = "https://downloads.example.com/cabgate/v0.1.0"
    for words in (("build",), ("krew", "--url", url)):
        tool = [sys.executable, str(ROOT / "tools" / "kubectl_cab.py"), "--out", str(folder)]
        subprocess.run([*tool, *words], check=True)
    return folder


@pytest.fixture
def home(gate, tmp_path):
    """A machine with kubectl, krew and a Python, and without anything of this checkout."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "kubectl").symlink_to(gate.cluster.binaries.kubectl)
    (programs / "kubectl-krew").symlink_to(locate_program("krew"))
    (programs / "python3").symlink_to(os.path.realpath(sys.executable))

    def run(*words, kubeconfig="", code=0):
        result = subprocess.run(
            [str(programs / "kubectl"), *words],
            env={
                "HOME": str(tmp_path),
                "KUBECONFIG": str(kubeconfig),
                "PATH": f"{tmp_path}/.krew/bin:{programs}:/usr/bin:/bin",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert result.returncode == code, (words, result.stdout, result.stderr)
        return result

    return run


def test_krew_installs_the_plugin_and_it_decides(gate, home, made, submitted, namespace):
    [archive] = made.glob("*.tar.gz")
    install = ("krew", "install", f"--manifest={made / 'cab.yaml'}", f"--archive={archive}")
    seen = home(*install).stderr
    assert "Installed plugin: cab" in seen
    assert "kubectl_complete-cab" in seen  # the caveat: krew links no second name
    reviewer = gate.user("reviewer")
    [row] = json.loads(
        home("cab", "queue", "-n", namespace, "-o", "json", kubeconfig=reviewer).stdout
    )
    assert (row["name"], row["needed"]) == (submitted, "CAB member")
    digest = gate.get("cabrequest", submitted, namespace)["spec"]["evidenceDigest"]
    words = ("approve", submitted, "-n", namespace, "--because", "Read it", "--digest", digest)
    assert "recorded" in home("cab", *words, kubeconfig=reviewer).stderr


def test_krew_refuses_an_archive_that_is_another(home, made, tmp_path):
    other = tmp_path / "other.tar.gz"
    [archive] = made.glob("*.tar.gz")
    other.write_bytes(archive.read_bytes() + b"\0")
    install = ("krew", "install", f"--manifest={made / 'cab.yaml'}", f"--archive={other}")
    assert "checksum" in home(*install, code=1).stderr
