# SPDX-License-Identifier: Apache-2.0
"""The local cluster itself, booted for real."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cabgate_devcluster import Binaries, DevCluster, DevClusterError, wait_until
from cabgate_devcluster.servers.ports import Ports

# A parent that boots a cluster, starts something of its own in it, and waits to be killed.
PARENT = """
import json, signal, sys, time
# A shell's background jobs ignore Ctrl-C, and so would what they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
from cabgate_devcluster import DevCluster
with DevCluster() as cluster:
    mine = cluster.spawn("mine", ["sleep", "600"])
    names = ("etcd", "kube-apiserver", "kube-controller-manager")
    pids = [mine.pid, *(cluster.component(name).pid for name in names)]
    print(json.dumps([str(cluster.directory), pids]), flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[DevCluster]:
    with DevCluster() as cluster:
        yield cluster


def get(cluster: DevCluster, *args: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cluster.kubectl("get", *args, "-o", "json").stdout)
    return found


def whoami(cluster: DevCluster, kubeconfig: Path) -> dict[str, Any]:
    answer = cluster.kubectl("auth", "whoami", "-o", "json", kubeconfig=kubeconfig).stdout
    found: dict[str, Any] = json.loads(answer)["status"]["userInfo"]
    return found


def alive(pid: int) -> bool:
    result = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return result.stdout.strip()[:1] not in ("", "Z")


def test_a_deployment_makes_a_replica_set_and_a_pending_pod(own_cluster: DevCluster) -> None:
    own_cluster.kubectl("create", "namespace", "made")
    own_cluster.kubectl("create", "deployment", "app", "--image=example.test/app:1", "-n", "made")
    wait_until(
        lambda: get(own_cluster, "pods", "-n", "made")["items"], "the Deployment makes a Pod"
    )
    pod = get(own_cluster, "pods", "-n", "made")["items"][0]
    assert pod["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet"
    assert pod["status"]["phase"] == "Pending"
    (replica_set,) = get(own_cluster, "replicasets", "-n", "made")["items"]
    assert replica_set["metadata"]["ownerReferences"][0]["kind"] == "Deployment"
    own_cluster.kubectl("delete", "namespace", "made", "--timeout=60s")


def test_controllers_act_as_their_own_service_accounts(own_cluster: DevCluster) -> None:
    accounts = get(own_cluster, "serviceaccounts", "-n", "kube-system")["items"]
    names = {account["metadata"]["name"] for account in accounts}
    assert {"deployment-controller", "replicaset-controller", "namespace-controller"} <= names


def test_a_user_is_who_the_certificate_says(own_cluster: DevCluster) -> None:
    user = whoami(own_cluster, own_cluster.user("reviewer", groups=("cab", "on-call")))
    assert user["username"] == "reviewer"
    assert user["groups"] == ["cab", "on-call", "system:authenticated"]
    admin = whoami(own_cluster, own_cluster.admin)
    assert admin["username"] == "devcluster-admin"
    assert "system:masters" in admin["groups"]


def test_users_with_other_groups_have_files_of_their_own(
    own_cluster: DevCluster, tmp_path: Path
) -> None:
    one = own_cluster.user("ann", ("a",))
    other = own_cluster.user("ann", ("b",))
    assert one != other
    assert own_cluster.user("ann", kubeconfig=tmp_path / "mine") == tmp_path / "mine"
    with pytest.raises(DevClusterError, match="not the string"):
        own_cluster.user("ann", "cab")


def test_rbac_holds(own_cluster: DevCluster) -> None:
    nobody = own_cluster.user("nobody")
    with pytest.raises(DevClusterError, match="Forbidden"):
        own_cluster.kubectl("get", "secrets", kubeconfig=nobody)
    refused = own_cluster.kubectl("get", "secrets", kubeconfig=nobody, check=False)
    assert refused.returncode != 0


def test_a_service_account_gets_a_token_that_works(own_cluster: DevCluster) -> None:
    for _ in range(2):  # made by the first, found by the second
        kubeconfig = own_cluster.service_account("default", "bot")
    user = whoami(own_cluster, kubeconfig)
    assert user["username"] == "system:serviceaccount:default:bot"
    assert own_cluster.service_account_token("default", "bot", seconds=600).count(".") == 2
    with pytest.raises(DevClusterError, match="nowhere"):
        own_cluster.service_account("nowhere", "bot")


def test_objects_come_in_on_standard_input(own_cluster: DevCluster) -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "from-stdin"}}
    own_cluster.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    assert get(own_cluster, "configmap", "from-stdin")["kind"] == "ConfigMap"


def test_the_version_is_the_one_that_was_pinned(own_cluster: DevCluster) -> None:
    version = json.loads(own_cluster.kubectl("version", "-o", "json").stdout)
    assert version["serverVersion"]["major"] == "1"
    assert version["serverVersion"]["gitVersion"].startswith("v1.")


def test_a_serving_certificate_is_trusted_and_can_be_rotated(own_cluster: DevCluster) -> None:
    first = own_cluster.serving_certificate("webhook")
    second = own_cluster.serving_certificate("webhook")
    assert first.cert != second.cert
    assert first.cert.read_bytes() != second.cert.read_bytes()
    assert first.ca_pem == own_cluster.ca_pem


def test_the_servers_listen_on_loopback_only(own_cluster: DevCluster) -> None:
    port = int(own_cluster.server.rpartition(":")[2])
    for address in {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}:
        if str(address).startswith("127.") or ":" in str(address):
            continue
        with socket.socket() as client, pytest.raises(OSError, match="refused"):
            client.connect((address, port))


def test_a_spawned_process_does_not_see_the_users_kubeconfig(
    own_cluster: DevCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/somebody/elses")
    process = own_cluster.spawn("env", ["env"], env={"MINE": "1"})
    assert process.wait(60)
    lines = process.log.read_text().splitlines()
    assert "MINE=1" in lines
    assert not any(line.startswith("KUBECONFIG=") for line in lines)


def test_each_server_can_be_stopped_killed_and_started(own_cluster: DevCluster) -> None:
    own_cluster.kubectl("create", "configmap", "kept")
    own_cluster.stop("etcd")
    with pytest.raises(DevClusterError):
        own_cluster.kubectl("create", "configmap", "lost", "--request-timeout=2s")
    own_cluster.start("etcd")
    own_cluster.kill("kube-apiserver")
    with pytest.raises(DevClusterError, match="refused"):
        own_cluster.kubectl("get", "configmaps")
    own_cluster.start("kube-apiserver")
    own_cluster.stop("kube-controller-manager")
    own_cluster.kubectl("create", "deployment", "late", "--image=example.test/app:1")
    own_cluster.start("kube-controller-manager")
    wait_until(lambda: get(own_cluster, "pods")["items"], "the controllers are back")
    assert get(own_cluster, "configmap", "kept")
    with pytest.raises(DevClusterError, match="running already"):
        own_cluster.start("etcd")
    with pytest.raises(DevClusterError, match="no component 'scheduler'"):
        own_cluster.stop("scheduler")


def test_a_snapshot_can_be_restored(own_cluster: DevCluster, tmp_path: Path) -> None:
    own_cluster.kubectl("create", "namespace", "before")
    own_cluster.snapshot_etcd(tmp_path / "snapshot")
    own_cluster.kubectl("create", "namespace", "after")
    own_cluster.kubectl("delete", "namespace", "before")
    own_cluster.restore_etcd(tmp_path / "snapshot")
    names = own_cluster.kubectl("get", "namespaces", "-o", "name").stdout.split()
    assert "namespace/before" in names
    assert "namespace/after" not in names
    # The controllers see the old world, not their cache of the one that was undone.
    own_cluster.kubectl("create", "deployment", "app", "-n", "before", "--image=example.test/a:1")
    wait_until(lambda: get(own_cluster, "pods", "-n", "before")["items"], "controllers work on")
    with pytest.raises(DevClusterError, match="does not overwrite"):
        own_cluster.snapshot_etcd(tmp_path / "snapshot")
    with pytest.raises(DevClusterError, match="is not a snapshot"):
        own_cluster.restore_etcd(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_parent_leaves_no_process_and_no_folder(number: signal.Signals) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert parent.stdout is not None
    with parent.stdout:
        lines = iter(parent.stdout.readline, b"")
        directory, pids = json.loads(next(line for line in lines if line.startswith(b"[")))
    assert all(alive(pid) for pid in pids)
    parent.send_signal(number)
    parent.wait(60)
    wait_until(lambda: not any(alive(pid) for pid in pids), "every process is gone")
    wait_until(lambda: not Path(directory).exists(), "the folder is gone")


def test_a_server_that_fails_is_named_with_its_last_words_and_its_log(tmp_path: Path) -> None:
    binaries = Binaries.locate()
    with (
        pytest.raises(DevClusterError) as caught,
        DevCluster(binaries, tmp_path / "logs", ["--no-such-flag"]),
    ):
        pass
    message = str(caught.value)
    assert message.startswith("kube-apiserver ended with exit code 1")
    assert "unknown flag: --no-such-flag" in message
    assert str(tmp_path / "logs" / "kube-apiserver.log") in message


def test_logs_of_a_failed_boot_are_kept_without_a_log_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binaries = Binaries.locate()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(DevClusterError) as caught, DevCluster(binaries, None, ["--no-such-flag"]):
        pass
    log = Path(str(caught.value).rpartition("logs: ")[2])
    assert log.is_relative_to(tmp_path)
    assert "unknown flag" in log.read_text()


def test_a_port_that_somebody_takes_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binaries = Binaries.locate()
    original = Ports.free
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        taken = squatter.getsockname()[1]
        given = iter([taken])
        monkeypatch.setattr(Ports, "free", lambda self: next(given, None) or original(self))
        with DevCluster(binaries) as cluster:
            assert cluster.component("etcd").running
            assert not cluster.server.endswith(f":{taken}")
    assert list(tmp_path.iterdir()) == []  # the logs of the first attempt neither


def test_logs_stay_in_a_log_folder_and_the_rest_goes(tmp_path: Path) -> None:
    with DevCluster(log_dir=tmp_path) as cluster:
        directory = cluster.directory
        cluster.spawn("mine", ["sh", "-c", "trap 'echo ended; exit' TERM; sleep 600 & wait"])
        assert directory.stat().st_mode & 0o777 == 0o700
        assert directory.stat().st_uid == os.getuid()
    assert not directory.exists()
    assert {path.name for path in tmp_path.iterdir()} == {
        "etcd.log",
        "kube-apiserver.log",
        "kube-controller-manager.log",
        "mine.log",
    }
