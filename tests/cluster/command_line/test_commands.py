# SPDX-License-Identifier: Apache-2.0
"""The commands of the README: what they print, and that they leave nothing behind."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
import pytest

from cabgate_devcluster import wait_until

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def temp(monkeypatch, tmp_path):
    """A temp folder of our own, to see what is left in it."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def processes_below(folder):
    """Command lines that name a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if str(folder) in words:
            found.append(words)
    return found


def nothing_runs_below(folder):
    """What guards the processes of a cluster may outlive its parent by a moment."""
    wait_until(lambda: not processes_below(folder), timeout=60.0, what="no process is left")


def page_of(kubectl, env):
    """The first page of `kubectl cab ui`, as a browser gets it."""
    process = subprocess.Popen(
        [kubectl, "cab", "ui"], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), process.communicate(timeout=60)
        answer = httpx.get(url, timeout=60.0, follow_redirects=True)
        assert answer.status_code == 200, answer.text
    finally:
        process.terminate()
        said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    return answer.text


def test_the_demo_succeeds_and_leaves_nothing_behind(temp):
    run = subprocess.run(
        [sys.executable, "-m", "cabgate_demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr
    assert max(map(len, run.stdout.splitlines())) <= 100
    scenes = re.compile(r"^\d+\. .*$", re.MULTILINE)
    written = (ROOT / "docs" / "demo.txt").read_text()
    assert scenes.findall(run.stdout) == scenes.findall(written), "make demo-picture writes it"
    assert list(temp.iterdir()) == []
    nothing_runs_below(temp)


def test_a_demo_with_a_wrong_outcome_says_so_and_fails(temp):
    script = (
        "import sys; from cabgate_demo import story, __main__ as demo\n"
        "wrong = lambda stage: stage.passes('requester', 'kubectl get pods -n nowhere')\n"
        "story._no_intent = wrong\n"
        "sys.argv[1:] = []; sys.exit(demo.main())"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert run.returncode == 1
    assert "the demo failed" in run.stderr
    assert "kubectl get pods -n nowhere" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_cluster_to_play_with_serves_its_users_until_it_is_stopped(temp, tmp_path, number):
    folder = tmp_path / "checkout"
    script = (
        "import sys; from pathlib import Path\n"
        "from cabgate_devcluster.installed.playground import run_playground\n"
        "run_playground(Path(sys.argv[1]), mode='Audit', portal=True)"
    )
    output = tmp_path / "output"
    with output.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(folder)], cwd=ROOT, stdout=out, stderr=out
        )
    try:
        wait_until(
            lambda: "ready" in output.read_text().splitlines(),
            timeout=300.0,
            what="make cluster is ready",
        )
        said = output.read_text()
        # Pasted as a whole, what is printed leaves the admin.
        pasted = [line for line in said.splitlines() if line.startswith("export KUBECONFIG=")]
        assert [line.partition("  #")[0] for line in pasted] == [
            f"export KUBECONFIG={folder / 'admin.kubeconfig'}"
        ]
        assert "The cluster's mode is Audit." in said
        for process_of in ("webhook", "operator"):
            [url] = re.findall(rf"{process_of}: (http://\S+)", said)
            assert "cabgate_" in httpx.get(url, timeout=60.0).text
        helm = subprocess.run([str(folder / "bin" / "helm"), "version"], check=False)
        assert helm.returncode == 0
        kubectl = str(folder / "bin" / "kubectl")
        as_reviewer = {
            "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
            "KUBECONFIG": str(folder / "reviewer.kubeconfig"),
            "TMPDIR": str(temp),
        }
        queue = subprocess.run(
            [kubectl, "cab", "queue", "-A"],
            env=as_reviewer,
            capture_output=True,
            text=True,
            check=False,
        )
        assert queue.stdout == "nothing waits\n", queue.stderr
        assert "Nothing waits" in page_of(kubectl, as_reviewer)
        lines = [line for line in said.splitlines()
                 if line.startswith(("export CAB=", "export token=", "curl "))]  # fmt: skip
        pending = subprocess.run(
            ["bash", "-ec", "\n".join(lines)], capture_output=True, text=True, check=False
        )
        assert pending.stdout == '{"items": [], "notes": []}', pending.stderr
        for user in ("admin", "requester", "reviewer", "security"):
            kubeconfig = folder / f"{user}.kubeconfig"
            assert f"export KUBECONFIG={kubeconfig}" in output.read_text()
            who = subprocess.run(
                [str(folder / "bin" / "kubectl"), "auth", "whoami", "-o", "jsonpath={.status}"],
                env={**os.environ, "KUBECONFIG": str(kubeconfig)},
                capture_output=True,
                text=True,
                check=True,
            )
            assert f'"username":"{user}"' in who.stdout
    finally:
        process.send_signal(number)
        process.wait(120)
    assert process.returncode == 0, output.read_text()
    assert not [*folder.glob("*.kubeconfig"), *folder.glob("*.token")]
    nothing_runs_below(temp)
