# SPDX-License-Identifier: Apache-2.0
"""Nothing outlives its parent: with `sleep` in place of servers."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cabgate_devcluster import DevClusterError, Process, wait_until
from cabgate_devcluster.clients.kubeconfig import token_credentials, write_kubeconfig
from cabgate_devcluster.clients.pki import Authority
from cabgate_devcluster.processes.guard import Guard

pytestmark = pytest.mark.slow

# A parent with a folder, a child, a grandchild, and a fork that keeps its end of the socket open.
PARENT = """
import json, os, signal, sys, time
from pathlib import Path
from cabgate_devcluster.processes.guard import Guard
guard = Guard("guard-test-", Path(sys.argv[1]), forking=sys.argv[2] == "forking")
log = guard.directory / "log"
child = guard.spawn(["sh", "-c", "sleep 600 & echo $!; wait"], log=log, env=os.environ)
while not log.read_text().strip():
    time.sleep(0.02)
grandchild = int(log.read_text())
fork = os.fork()
if fork == 0:
    time.sleep(600)
print(json.dumps([str(guard.directory), guard.pid, child[1], grandchild, fork]), flush=True)
time.sleep(600)
"""


@pytest.fixture(params=[False, True], ids=["started", "forked"])
def guard(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Guard]:
    guard = Guard("guard-test-", tmp_path, forking=request.param)
    yield guard
    guard.close()


def process(guard: Guard, *argv: str) -> Process:
    return Process(guard, "it", argv, log=guard.directory / "it.log", env=os.environ)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie that its new parent has not reaped yet does not."""
    result = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return result.stdout.strip()[:1] not in ("", "Z")


@pytest.mark.parametrize("how", ["starting", "forking"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_parent_leaves_no_process_and_no_folder(
    tmp_path: Path, number: signal.Signals, how: str
) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path), how], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    folder, guard_pid, child, grandchild, fork = json.loads(parent.stdout.readline())
    try:
        assert Path(folder).is_dir()
        assert all(alive(pid) for pid in (guard_pid, child, grandchild))
        parent.send_signal(number)
        parent.wait(60)
        wait_until(lambda: not Path(folder).exists(), timeout=60, what="the folder is gone")
        wait_until(
            lambda: not any(alive(pid) for pid in (guard_pid, child, grandchild)),
            timeout=60,
            what="all processes are gone",
        )
    finally:
        os.kill(fork, signal.SIGKILL)
        parent.stdout.close()


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_children_die_with_a_killed_guard(guard: Guard) -> None:
    child = process(guard, "sleep", "600")
    os.kill(guard.pid, signal.SIGKILL)
    wait_until(lambda: not alive(child.pid), timeout=60, what="the child is gone")
    assert not child.running
    with pytest.raises(DevClusterError, match="guard process has ended"):
        process(guard, "true")
    guard.close()
    assert not guard.directory.exists()


def test_the_folder_is_private(guard: Guard) -> None:
    assert stat.S_IMODE(guard.directory.stat().st_mode) == 0o700


def test_close_kills_and_removes_and_may_be_repeated(guard: Guard) -> None:
    child = process(guard, "sh", "-c", "trap '' TERM; echo set; sleep 600")
    wait_until(child.log.read_text, timeout=60, what="the trap is set")
    guard.close()
    guard.close()
    assert not alive(child.pid)
    assert not guard.directory.exists()
    assert not child.running


def test_a_process_has_its_own_group_and_a_log(guard: Guard) -> None:
    child = process(guard, "sh", "-c", "echo out; echo err >&2; sleep 600")
    wait_until(lambda: child.log.read_text() == "out\nerr\n", timeout=60, what="the log is written")
    assert os.getpgid(child.pid) == child.pid
    assert os.getpgid(child.pid) != os.getpgid(0)
    assert child.tail(1) == "err"


def test_stop_asks_first(guard: Guard) -> None:
    child = process(
        guard, "sh", "-c", "trap 'echo bye; exit 7' TERM; echo set; while :; do sleep 0.05; done"
    )
    wait_until(child.log.read_text, timeout=60, what="the trap is set")
    child.stop(timeout=60)
    assert child.returncode == 7
    assert child.tail(1) == "bye"


def test_stop_kills_what_does_not_listen(guard: Guard) -> None:
    child = process(guard, "sh", "-c", "trap '' TERM; echo set; while :; do sleep 0.05; done")
    wait_until(child.log.read_text, timeout=60, what="the trap is set")
    child.stop(timeout=0.2)
    assert child.returncode == -signal.SIGKILL


def test_a_paused_process_can_be_stopped(guard: Guard) -> None:
    child = process(guard, "sleep", "600")
    child.pause()
    assert child.running
    child.stop(timeout=60)
    assert child.returncode == -signal.SIGTERM


def test_the_end_of_a_leader_ends_its_group(guard: Guard) -> None:
    child = process(guard, "sh", "-c", "sleep 600 & echo $!")
    assert child.wait(60)
    grandchild = int(child.log.read_text())
    wait_until(lambda: not alive(grandchild), timeout=60, what="the grandchild is gone")
    assert not child.signal(signal.SIGTERM)


def test_a_program_that_is_not_there_is_named(guard: Guard) -> None:
    with pytest.raises(DevClusterError, match="/nowhere/program"):
        process(guard, "/nowhere/program")
    assert process(guard, "true").wait(60)  # and the guard goes on


def run_module(guard: Guard, *arguments: str, **environment: str) -> tuple[int | None, str]:
    log = guard.directory / f"{len(list(guard.directory.iterdir()))}.log"
    argv = [sys.executable, "-m", "cabgate_webhook.main", *arguments]
    child = Process(guard, "it", argv, log=log, env={**os.environ, **environment})
    assert child.wait(60)
    return child.returncode, log.read_text()


def test_a_forked_module_reads_options_and_environment_and_ends_as_a_started_one(
    tmp_path: Path,
) -> None:
    found = []
    for forking in (False, True):
        guard = Guard("guard-test-", tmp_path, forking=forking)
        try:
            found += [
                [
                    run_module(guard, "--help"),
                    run_module(guard, "--no-such-option"),
                    run_module(guard, "--host=127.0.0.1", CABGATE_PORT="no number"),
                    run_module(guard, "--help", PYTHONVERBOSE=""),
                ]
            ]
        finally:
            guard.close()
    started, forked = found
    assert started == forked
    assert [code for code, _ in started] == [0, 2, 2, 0]
    assert all(text for _, text in started)


def test_a_forked_module_is_stopped_and_killed_like_any_process(tmp_path: Path) -> None:
    guard = Guard("guard-test-", tmp_path, forking=True)
    # It waits for an API server that takes connections and answers nothing.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        kubeconfig = write_kubeconfig(
            tmp_path / "kubeconfig",
            server=f"https://127.0.0.1:{silent.getsockname()[1]}",
            ca_pem=Authority("nobody").cert_pem,
            user="nobody",
            credentials=token_credentials("none"),
        )
        try:
            argv = [sys.executable, "-m", "cabgate_operator.main", "--health-port=0"]
            environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
            child = Process(guard, "it", argv, log=guard.directory / "it.log", env=environment)
            assert os.getpgid(child.pid) == child.pid
            silent.accept()[0].close()  # it is at work: it does not end by itself
            child.kill()
            assert child.returncode == -signal.SIGKILL
            assert not alive(child.pid)
        finally:
            guard.close()
