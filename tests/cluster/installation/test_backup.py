# SPDX-License-Identifier: Apache-2.0
"""docs/operations/backup.md: what a snapshot of etcd brings back, what a backup of objects does,
and each command of the page."""

import contextlib
import json
import os
import re
import subprocess
import sys
import textwrap

import pytest

from cabgate.lifecycle.requests.break_glass import ANNOTATION, BY_ANNOTATION
from cabgate_devcluster import DevCluster, wait_until
from cabgate_devcluster.errors import DevClusterError
from cabgate_devcluster.installed.installation import ROOT
from cabgate_samples.objects import BAD, GOOD, exception, target, workload
from support.cli import CABGATE
from support.gate import Gate, denial, install
from support.glass import Glass
from support.invariants import problems
from support.namespaces import create_namespace
from support.replicas import Replicas, running
from support.reviews import middling

PAGE = (ROOT / "docs" / "operations" / "backup.md").read_text()
KINDS = ("cabrequests", "cabexceptions", "cabdecisions", "deploymentintents")
LATER = (sys.executable, "-m", "cabgate_demo.later")
ADMIN = "devcluster-admin"


def blocks(section):
    """The blocks of commands of a section, in order."""
    text = re.split(rf"^##+ {section}$", PAGE, flags=re.MULTILINE)[1]
    text = re.split(r"^##+ ", text, flags=re.MULTILINE)[0]
    found = re.findall(r"^ *```sh\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for block in found]


class Operator:
    """Somebody at a shell, in a folder of backups, with the rights of a cluster admin."""

    def __init__(self, folder):
        self._folder = folder

    def runs(self, cluster, block, code=0):
        """Run a block of the page; what it printed."""
        result = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", block],
            cwd=self._folder,
            env={
                "KUBECONFIG": str(cluster.admin),
                "HOME": str(cluster.directory),
                "PATH": os.pathsep.join(
                    (str(cluster.binaries.kubectl.parent), str(CABGATE.parent), os.defpath)
                ),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert result.returncode == code, f"{block}\n{result.stdout}{result.stderr}"
        return result.stdout

    def backs_up(self, cluster):
        """Take every copy that the page asks for."""
        for block in blocks("What to keep, and where"):
            self.runs(cluster, block)

    def read(self, name):
        """A file among the backups."""
        return (self._folder / name).read_text()


@pytest.fixture
def admin(tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    return Operator(folder)


class Shop:
    """A namespace of ring 2 in which everything that can be decided was decided."""

    name = "shop"

    def __init__(self, gate):
        self.gate = gate
        create_namespace(gate.cluster, self.name)
        glass = Glass(gate)
        for user, role in (("breaker", "edit"), ("breaker", "cabgate-break-glass")):
            gate.bind(user, role, self.name)
        ready = ("auth", "can-i", "--list", "-n", self.name)
        wait_until(lambda: "break-glass" in gate.kubectl("breaker", *ready).stdout, "bound")
        self.open("scored", GOOD, "AutoApproved")
        person = self.open("person", middling(1), "Submitted")
        gate.review("reviewer", "cabrequest", person, self.name, "Approved")
        refused = self.open("refused", middling(2), "Submitted")
        gate.review("reviewer", "cabrequest", refused, self.name, "Rejected")
        revoked = self.open("revoked", GOOD, "AutoApproved")
        gate.review("security", "cabrequest", revoked, self.name, "Revoked")
        bad = self.open("excepted", BAD, "ExceptionRequired")
        gate.create("requester", exception(self.name, bad, durationDays=30))
        gate.review("security", "cabexception", "leave", self.name, "Approved")
        glass.make(self.name)
        wait_until(lambda: glass.breaks("breaker", self.name).status_code == 200, "broken")
        glass.opened(self.name)
        glass.close()
        self.late = self.open("late", middling(3), "Submitted")

    def open(self, name, evidence, state):
        """Name of the request for a workload of its own."""
        targets = [target([f"{name}:1"], name)]
        return self.gate.open(self.name, evidence, state, name=name, targets=targets)


def rollout(gate, name, *args):
    """What the gate says to a rollout; empty where it passes."""
    obj = json.dumps(workload(Shop.name, name=name, images=[f"{name}:1"]))
    result = gate.kubectl("requester", "create", "-f", "-", *args, stdin=obj, check=False)
    return denial(result).partition(":")[0] if result.returncode else ""


def verdicts(gate):
    """The verdict of the gate on each workload."""
    names = ("scored", "person", "refused", "revoked", "excepted", "late")
    return {name: rollout(gate, name, "--dry-run=server") for name in names}


AS_DECIDED = {
    "scored": "",
    "person": "",
    "excepted": "",
    "refused": "Rejected",
    "revoked": "Revoked",
    "late": "ReviewPending",
}


def everything(gate):
    """Each object of cabgate's in the shop, with its uid and all that it says."""
    found = {}
    for kind in KINDS:
        for item in gate.items(kind, Shop.name):
            meta = item["metadata"]
            named = (kind, meta["name"], meta["uid"], meta["creationTimestamp"])
            found[named] = (item["spec"], decided(item))
    return found


def decided(item):
    status = item.get("status") or {}
    return [status.get("state"), status.get("decisions"), status.get("expiresAt")]


def settled(gate):
    """Wait until everything is as it has to be, the ledger included."""
    found = []

    def holds():
        found[:] = problems(gate, Shop.name)
        return not found

    try:
        wait_until(holds, "all is recorded and in its state", timeout=90, interval=0.5)
    except DevClusterError as error:
        raise AssertionError(found) from error


def published(gate):
    """Wait until the heads name the last record of the shop."""

    def current():
        specs = [item["spec"] for item in gate.items("cabdecisions", Shop.name)]
        last = max(specs, key=lambda spec: spec["sequence"])
        heads = gate.get("configmap", "cabgate-ledger-heads", "cabgate-system")
        return heads.get("data", {}).get(Shop.name) == f"{last['sequence']} {last['digest']}"

    wait_until(current, "the heads are published", interval=0.3)


def after_the_snapshot(gate, shop, admin):
    """One approval more, and copies that know of it."""
    gate.review("reviewer", "cabrequest", shop.late, shop.name, "Approved")
    assert rollout(gate, "late", "--dry-run=server") == ""
    settled(gate)
    published(gate)
    admin.backs_up(gate.cluster)


def as_of_the_snapshot(gate, before, admin):
    """That a restored cluster is what it was, says what it lost, and goes on."""

    def judges():
        with contextlib.suppress(AssertionError):  # said by the API server: no webhook answers yet
            return verdicts(gate) == AS_DECIDED

    wait_until(judges, "the gate judges as it did")
    settled(gate)
    assert everything(gate) == before
    whole, copies, lost = blocks("From a snapshot of etcd")
    assert "nothing is wrong" in admin.runs(gate.cluster, whole)
    assert "chain of shop: HeadGone" in admin.runs(gate.cluster, copies, 1)
    gone = [line for line in admin.runs(gate.cluster, lost, 1).splitlines() if line[0] == "<"]
    assert [line.split()[3:5] for line in gone] == [["Approved", "reviewer"]]
    assert gone[0].split()[2].startswith("late-")
    # It goes on: what was lost is decided again, and what is new as well.
    late = gate.request_of(Shop.name, "late", "Submitted")
    gate.review("reviewer", "cabrequest", late["metadata"]["name"], Shop.name, "Approved")
    assert rollout(gate, "late", "--dry-run=server") == ""
    targets = [target(["new:1"], "new")]
    gate.open(Shop.name, GOOD, "AutoApproved", name="new", targets=targets)
    assert rollout(gate, "new", "--dry-run=server") == ""
    settled(gate)
    # Other records in their places hide nothing.
    assert "HeadGone" in admin.runs(gate.cluster, copies, 1)


def rollout_later(gate, name, days, monkeypatch):
    """What the gate says by a clock that is days ahead, with nobody to write the end down."""
    installation = gate.installation
    installation.operator.stop()
    monkeypatch.setenv("DEMO_DAYS_AHEAD", str(days))
    for backend in installation.backends:
        installation.stop_replica(backend)
        installation.start_replica(backend, LATER)
    return rollout(gate, name, "--dry-run=server")


def test_a_snapshot_of_etcd_restores_everything(admin, tmp_path, monkeypatch):
    snapshot = tmp_path / "snapshot"
    with DevCluster() as cluster, running(cluster) as gate:
        shop = Shop(gate)
        settled(gate)
        published(gate)
        assert verdicts(gate) == AS_DECIDED
        before = everything(gate)
        cluster.snapshot_etcd(snapshot)
        after_the_snapshot(gate, shop, admin)
        started = [gate.installation.operator, *gate.installation.processes.values()]
        cluster.restore_etcd(snapshot)
        as_of_the_snapshot(gate, before, admin)
        assert all(process.running for process in started), "nothing was restarted"
    # A disaster: of the control plane nothing is left but the snapshot.
    with DevCluster() as cluster:
        cluster.restore_etcd(snapshot)
        installation = Replicas(cluster)
        # Elsewhere a Service has the name that it had; here the webhooks have another port.
        installation.configure_admission()
        installation.start_managing()
        try:
            installation.run_webhooks()
            gate = Gate(cluster, installation)
            as_of_the_snapshot(gate, before, admin)
            assert rollout_later(gate, "excepted", 30, monkeypatch) == "ExceptionEnded"
        finally:
            installation.close()


@pytest.fixture
def backed_up(admin):
    """A backup of objects, of a cluster that is no more; the workloads that were in it."""
    with DevCluster() as cluster:
        gate = install(cluster)
        Shop(gate)
        for name in ("scored", "person"):
            assert rollout(gate, name) == ""
        settled(gate)
        published(gate)
        admin.backs_up(cluster)
        return {item["metadata"]["name"]: item for item in gate.items("deployments", Shop.name)}


@pytest.fixture
def fresh(backed_up):
    """cabgate on another control plane, with nothing in it."""
    with DevCluster() as cluster:
        yield install(cluster)


def test_a_backup_of_objects_brings_intents_which_are_decided_anew(admin, backed_up, fresh):
    restore, waiting, refused = blocks("From a backup of objects")
    admin.runs(fresh.cluster, restore)
    states = {
        "scored": "AutoApproved",
        "person": "Submitted",
        "refused": "Submitted",
        "revoked": "AutoApproved",
        "excepted": "ExceptionRequired",
        "late": "Submitted",
    }
    requests = {name: fresh.request_of(Shop.name, name, state) for name, state in states.items()}
    listed = admin.runs(fresh.cluster, waiting)
    for name, request in requests.items():
        assert [each["username"] for each in request["spec"]["submittedBy"]] == [ADMIN]
        assert states[name] == "AutoApproved" or request["metadata"]["name"] in listed
    lines = admin.runs(fresh.cluster, refused)
    assert re.findall(r" (?:Rejected|Revoked) +(\S+)", lines) == ["reviewer", "security"]
    _records_are_refused(admin, fresh)
    _exceptions_begin_anew(admin, fresh)
    _workloads_are_gated(fresh, backed_up)
    _others_decide(fresh, requests["person"]["metadata"]["name"])
    settled(fresh)
    (old,) = blocks("Why requests and decisions do not come back")
    assert "nothing is wrong" in admin.runs(fresh.cluster, old)


def _copied(admin, kind):
    """The objects of a kind in the export, as a backup tool would create them."""
    items = json.loads(admin.read("export.json"))["items"]
    found = [item for item in items if item["kind"] == kind]
    assert found
    for item in found:
        del item["metadata"]["resourceVersion"]
    return [json.dumps(item) for item in found]


def _records_are_refused(admin, gate):
    """Of cluster admins too, with the reason that the page gives."""
    for kind in ("CABRequest", "CABDecision"):
        why = re.search(rf"^\| {kind} \| `(.*)` \|$", PAGE, re.MULTILINE)[1]
        for body in _copied(admin, kind):
            result = gate.cluster.kubectl("create", "-f", "-", stdin=body, check=False)
            assert result.returncode != 0
            assert why in result.stderr


def _exceptions_begin_anew(admin, gate):
    (body,) = _copied(admin, "CABException")
    gate.cluster.kubectl("create", "-f", "-", stdin=body)
    found = gate.wait_state("cabexception", "leave", Shop.name, "Pending")
    before = json.loads(body)["metadata"]
    assert found["metadata"]["creationTimestamp"] > before["creationTimestamp"]
    assert [each["username"] for each in found["spec"]["submittedBy"]] == [ADMIN]
    assert rollout(gate, "excepted", "--dry-run=server") == "ExceptionPending"


def _workloads_are_gated(gate, workloads):
    def restored(name, *args):
        found = workloads[name]
        obj = {key: found[key] for key in ("apiVersion", "kind", "metadata", "spec")}
        for field in ("resourceVersion", "uid"):
            obj["metadata"].pop(field, None)
        return gate.cluster.kubectl("create", "-f", "-", *args, stdin=json.dumps(obj), check=False)

    assert restored("scored").returncode == 0
    assert denial(restored("person")).startswith("ReviewPending: ")
    broken = restored("web", "--dry-run=server", "-o", "json")
    assert "this breaks the glass" in broken.stderr
    assert json.loads(broken.stdout)["metadata"]["annotations"][BY_ANNOTATION] == ADMIN
    del workloads["web"]["metadata"]["annotations"][ANNOTATION]
    assert denial(restored("web")).startswith("NoRequest: ")


def _others_decide(gate, name):
    review = json.dumps({"status": {"review": {"verdict": "Approved", "rationale": "mine"}}})
    own = gate.cluster.kubectl(
        *("patch", "cabrequest", name, "-n", Shop.name, "--subresource=status"),
        *("--type=merge", "-p", review),
        check=False,
    )
    assert denial(own).startswith("SelfApproval: ")
    gate.review("reviewer", "cabrequest", name, Shop.name, "Approved")
    assert rollout(gate, "person", "--dry-run=server") == ""
