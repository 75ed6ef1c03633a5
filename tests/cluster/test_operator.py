# SPDX-License-Identifier: Apache-2.0
"""The operator against a real API server, without the webhook."""

import contextlib
import itertools
import json
import re
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cabgate_devcluster import DevCluster, Installation
from cabgate_devcluster.chart import NAMESPACE

ROOT = Path(__file__).resolve().parents[2]
ENTRY = Path(__file__).with_name("operator_entry.py")
ME = "system:serviceaccount:cabgate-system:cabgate-operator"

LOW: dict[str, Any] = {
    "artifacts": [{"name": "web"}],
    "testResults": {"coveragePercent": 95, "passed": 10, "failed": 0},
    "scanResults": {"critical": 0, "high": 0},
    "manualTesting": {"status": "Completed"},
    "rollbackPlan": {"validated": True, "uri": "https://plans/rollback"},
    "deploymentPlan": {"uri": "https://plans/deploy"},
    "scope": {"affectedComponents": 1},
}
MEDIUM: dict[str, Any] = {**LOW, "scanResults": {"critical": 3, "high": 0}}
HIGH: dict[str, Any] = {"scope": {"affectedComponents": 20}}

_numbers = itertools.count(1)


def wait_for(what: Callable[[], Any], seconds: float = 15.0) -> Any:
    """The first true answer."""
    end = time.monotonic() + seconds
    while True:
        answer = what()
        if answer or time.monotonic() > end:
            assert answer, "it did not happen"
            return answer
        time.sleep(0.05)


class Team:
    """A namespace and what stands in it."""

    def __init__(self, cluster: DevCluster, ring: str = "2") -> None:
        self.cluster = cluster
        self.namespace = f"team-{next(_numbers)}"
        manifest = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": self.namespace, "labels": {"cabgate.dev/ring": ring}},
        }
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(manifest))

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        return self.cluster.kubectl(*args, "-n", self.namespace, stdin=stdin).stdout

    def items(self, resource: str) -> dict[str, Any]:
        listed = json.loads(self.kubectl("get", resource, "-o", "json"))["items"]
        return {item["metadata"]["name"]: item for item in listed}

    def declare(self, evidence: dict[str, Any], name: str = "web") -> None:
        body = {
            "apiVersion": "cabgate.dev/v1alpha1",
            "kind": "DeploymentIntent",
            "metadata": {"name": name},
            "spec": {
                "targets": [
                    {
                        "apiVersion": "apps/v1",
                        "kind": "Deployment",
                        "name": name,
                        "images": [f"registry/{name}:1"],
                    }
                ],
                "evidence": evidence,
                "submittedBy": [{"username": "dev"}],
            },
        }
        self.kubectl("apply", "-f", "-", stdin=json.dumps(body))

    def ask_exception(self, request: str, days: int = 1) -> None:
        body = {
            "apiVersion": "cabgate.dev/v1alpha1",
            "kind": "CABException",
            "metadata": {"name": "leave"},
            "spec": {
                "requestRef": {"name": request},
                "reason": "urgent",
                "compensatingControls": ["somebody watches"],
                "durationDays": days,
            },
        }
        self.kubectl("create", "-f", "-", stdin=json.dumps(body))

    def review(self, resource: str, name: str, verdict: str) -> None:
        """What the webhook makes of a review: entry and state in one write."""
        item = self.items(resource)[name]
        request = name if resource == "cabrequests" else item["spec"]["requestRef"]["name"]
        digest = self.items("cabrequests")[request]["spec"]["evidenceDigest"]
        decisions = item.get("status", {}).get("decisions", [])
        entry = {
            "sequence": len(decisions) + 1,
            "author": {"type": "Person", "username": "ann"},
            "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "verdict": verdict,
            "rationale": "looked at it",
            "evidenceDigest": digest,
        }
        patch = {"status": {"decisions": [*decisions, entry], "state": verdict}}
        self.kubectl(
            "patch", resource, name, "--subresource=status", "--type=merge", "-p", json.dumps(patch)
        )

    def states(self) -> list[str]:
        return sorted(
            r.get("status", {}).get("state", "") for r in self.items("cabrequests").values()
        )

    def ready(self, name: str = "web") -> tuple[str, str]:
        item = self.items("deploymentintents").get(name, {})
        status = item.get("status", {})
        if status.get("observedGeneration") != item.get("metadata", {}).get("generation"):
            return ("", "")
        conditions = {c["type"]: c for c in status.get("conditions", [])}
        return conditions["Ready"]["status"], conditions["Ready"]["reason"]

    def current(self) -> str:
        name: str = self.items("deploymentintents")["web"]["status"]["requestName"]
        return name

    def versions(self) -> dict[str, str]:
        """resourceVersion of every object that the operator could write."""
        return {
            f"{resource}/{name}": item["metadata"]["resourceVersion"]
            for resource in ("deploymentintents", "cabrequests", "cabexceptions", "events")
            for name, item in self.items(resource).items()
        }

    def told(self) -> list[str]:
        events = self.items("events").values()
        return sorted(e["reason"] for e in events if e["source"]["component"] == "cabgate-operator")


def boot(cluster: DevCluster) -> None:
    # Without the policies: some tests here write what only the operator may.
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        cluster.kubectl("apply", "-f", path)
    cluster.kubectl("create", "namespace", NAMESPACE)
    Installation(cluster).apply_objects("cabgate-")
    cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=20s")


class Runner:
    """Starts operators of a cluster, one at a time."""

    def __init__(self, cluster: DevCluster) -> None:
        self.cluster = cluster
        self._kubeconfig = cluster.service_account("cabgate-system", "cabgate-operator")

    def killed(self, writes: int) -> None:
        """The life of an operator that dies after so many writes; the next need not wait until its
        Lease ends."""
        process = self.spawn("--die-after", str(writes), entry=True)
        assert process.wait(30)
        assert process.returncode == -9, process.tail(20)
        self.cluster.kubectl(
            *("patch", "lease", "cabgate-operator", "-n", "cabgate-system", "--type=merge"),
            *("-p", json.dumps({"spec": {"holderIdentity": ""}})),
        )

    def spawn(self, *argv: str, entry: bool = False) -> Any:
        program = [str(ENTRY)] if entry else ["-m", "cabgate_operator.main"]
        return self.cluster.spawn(
            f"operator-{next(_numbers)}",
            [sys.executable, *program, *argv],
            env={"KUBECONFIG": str(self._kubeconfig)},
        )

    @contextlib.contextmanager
    def running(self, *argv: str, entry: bool = False) -> Iterator[Any]:
        options = list(argv)
        if not entry:
            options += ["--health-port", str(self.cluster.free_port())]
        process = self.spawn(*options, entry=entry)
        try:
            wait_for(lambda: "swept" in process.tail(1000))
            yield process
        finally:
            if process.running:
                begun = time.monotonic()
                process.stop()
                assert time.monotonic() - begun < 5
                assert process.returncode == 0, process.tail(30)


@pytest.fixture(scope="module")
def operator_cluster() -> Iterator[DevCluster]:
    with DevCluster() as cluster:
        boot(cluster)
        yield cluster


@pytest.fixture(scope="module")
def operators(operator_cluster: DevCluster) -> Runner:
    return Runner(operator_cluster)


@pytest.fixture
def team(operator_cluster: DevCluster) -> Team:
    return Team(operator_cluster)


def requests_made(cluster: DevCluster, verbs: str = "POST|PUT|PATCH|DELETE") -> int:
    """Calls for what the operator writes, as the API server counted them."""
    text = cluster.kubectl("get", "--raw", "/metrics").stdout
    pattern = (
        r'^apiserver_request_total\{[^}]*resource="(?:deploymentintents|cabrequests|cabexceptions'
        rf'|events)"[^}}]*verb="(?:{verbs})"[^}}]*\}} (\d+)'
    )
    return sum(int(count) for count in re.findall(pattern, text, re.MULTILINE))


def test_low_risk_is_approved_by_the_system_in_four_writes(operators: Runner, team: Team) -> None:
    with operators.running():
        before = requests_made(team.cluster)
        team.declare(LOW)
        wait_for(lambda: team.ready() == ("True", "RequestApproved"))
        time.sleep(1.0)
        # One of them is the declaration itself.
        assert requests_made(team.cluster) - before - 1 <= 4
        intent = team.items("deploymentintents")["web"]
        request = team.items("cabrequests")[team.current()]
        entry = request["status"]["decisions"][0]
        assert entry["author"] == {"type": "System", "username": ME}
        assert request["status"]["state"] == intent["status"]["state"] == "AutoApproved"
        for item in (intent, request):
            assert "finalizers" not in item["metadata"]
            assert "ownerReferences" not in item["metadata"]
            assert not any("kopf" in key for key in item["metadata"].get("annotations", {}))
        assert team.told() == ["AutoApproved"]


def test_a_then_b_then_a_then_a_person(operators: Runner, team: Team) -> None:
    with operators.running():
        team.declare(MEDIUM)
        wait_for(lambda: team.ready() == ("False", "ReviewPending"))
        first = team.current()
        team.declare(HIGH)
        wait_for(lambda: team.ready() == ("False", "ExceptionRequired"))
        second = team.current()
        assert team.states() == ["ExceptionRequired", "Superseded"]
        team.declare(MEDIUM)
        wait_for(lambda: team.ready() == ("False", "ReviewPending"))
        assert team.current() == first
        wait_for(lambda: team.states() == ["Submitted", "Superseded"])
        verdicts = [d["verdict"] for d in team.items("cabrequests")[first]["status"]["decisions"]]
        assert verdicts == ["Superseded", "Reopened"]
        team.review("cabrequests", first, "Approved")
        wait_for(lambda: team.ready() == ("True", "RequestApproved"))
        decided = team.items("cabrequests")[first]["status"]["conditions"][0]
        assert (decided["status"], decided["reason"]) == ("True", "Approved")
        assert "ann" in decided["message"]
        team.kubectl("delete", "deploymentintent", "web", "--timeout=5s")
        assert team.states() == ["Approved", "Superseded"]
        assert second in team.items("cabrequests")


def test_deleting_an_intent_supersedes_what_is_undecided(operators: Runner, team: Team) -> None:
    with operators.running():
        team.declare(MEDIUM)
        wait_for(lambda: team.states() == ["Submitted"])
        wait_for(lambda: team.ready() == ("False", "ReviewPending"))
        team.kubectl("delete", "deploymentintent", "web", "--timeout=5s")
        wait_for(lambda: team.states() == ["Superseded"])


def test_deleted_while_the_operator_is_away(operators: Runner, team: Team) -> None:
    with operators.running():
        team.declare(MEDIUM)
        wait_for(lambda: team.ready() == ("False", "ReviewPending"))
    team.kubectl("delete", "deploymentintent", "web", "--timeout=5s")
    with operators.running():
        wait_for(lambda: team.states() == ["Superseded"])


def test_a_restart_writes_nothing(operators: Runner, team: Team) -> None:
    with operators.running():
        team.declare(MEDIUM)
        wait_for(lambda: team.ready() == ("False", "ReviewPending"))
        team.declare(HIGH)
        wait_for(lambda: team.ready() == ("False", "ExceptionRequired"))
        team.ask_exception(team.current())
        wait_for(lambda: team.ready() == ("False", "ExceptionPending"))
        team.declare(LOW, name="other")
        wait_for(lambda: team.ready("other") == ("True", "RequestApproved"))
        time.sleep(0.5)
    before = team.versions()
    writes = requests_made(team.cluster)
    with operators.running("--sweep-seconds", "1"):
        time.sleep(3.5)
    assert team.versions() == before
    assert requests_made(team.cluster) == writes


def test_killed_after_each_single_write_it_finishes(operators: Runner, team: Team) -> None:
    team.declare(MEDIUM)
    with operators.running():
        wait_for(lambda: team.ready() == ("False", "ReviewPending"))
    team.declare(LOW)
    lives = 0
    while team.ready() != ("True", "RequestApproved") or team.states() != [
        "AutoApproved",
        "Superseded",
    ]:
        operators.killed(1)
        lives += 1
        assert lives < 10
    assert lives >= 4
    before = team.versions()
    with operators.running():
        time.sleep(1)
    assert team.versions() == before
    requests = team.items("cabrequests")
    assert len(requests) == 2
    assert all(len(request["status"]["decisions"]) == 1 for request in requests.values())
    assert team.told().count("AutoApproved") == 1


def test_killed_at_random_moments_it_finishes(operators: Runner, team: Team) -> None:
    for number in range(12):
        team.declare(LOW if number % 2 else MEDIUM, name=f"app-{number}")
    for writes in (3, 7, 5, 11):
        operators.killed(writes)
    with operators.running():
        wait_for(lambda: team.states() == ["AutoApproved"] * 6 + ["Submitted"] * 6)
        for number in range(12):
            expected = ("True", "RequestApproved") if number % 2 else ("False", "ReviewPending")
            wait_for(lambda n=number, e=expected: team.ready(f"app-{n}") == e)
    requests = team.items("cabrequests").values()
    assert all(len(r["status"].get("decisions", [])) <= 1 for r in requests)
    assert team.told() == ["AutoApproved"] * 6 + ["ReviewNeeded"] * 6


def test_an_exception_ends_at_its_moment(operators: Runner, team: Team) -> None:
    with operators.running():
        team.declare(HIGH)
        wait_for(lambda: team.ready() == ("False", "ExceptionRequired"))
        team.ask_exception(team.current())
        wait_for(lambda: team.ready() == ("False", "ExceptionPending"))
        team.review("cabexceptions", "leave", "Approved")
        wait_for(lambda: team.ready() == ("True", "ExceptionActive"))
    leave = team.items("cabexceptions")["leave"]
    assert leave["status"]["state"] == "Approved"
    end = datetime.fromisoformat(leave["status"]["expiresAt"])
    seconds = (end - datetime.now(UTC)).total_seconds()
    assert 86300 < seconds <= 86400
    shift = seconds - 6
    with operators.running("--clock-shift", str(shift), entry=True):
        assert team.ready() == ("True", "ExceptionActive")
        wait_for(lambda: team.ready() == ("False", "ExceptionEnded"))
        late = time.time() + shift - end.timestamp()
        assert 0 <= late < 2
    leave = team.items("cabexceptions")["leave"]
    assert [entry["verdict"] for entry in leave["status"]["decisions"]] == ["Approved", "Expired"]
    assert leave["status"]["state"] == "Expired"
    assert leave["status"]["decisions"][1]["at"] == leave["status"]["expiresAt"]
    assert "ExceptionExpired" in team.told()


def test_an_exception_that_ended_while_the_operator_was_away(operators: Runner, team: Team) -> None:
    def said() -> list[str]:
        leave = team.items("cabexceptions")["leave"]
        return [entry["verdict"] for entry in leave["status"]["decisions"]]

    with operators.running():
        team.declare(HIGH)
        wait_for(lambda: team.ready() == ("False", "ExceptionRequired"))
        team.ask_exception(team.current(), days=2)
        team.review("cabexceptions", "leave", "Approved")
        wait_for(lambda: team.ready() == ("True", "ExceptionActive"))
    with operators.running("--clock-shift", str(3 * 86400), entry=True):
        wait_for(lambda: team.ready() == ("False", "ExceptionEnded"))
        # The entry is another reconciler's, and may come a moment later.
        wait_for(lambda: said() == ["Approved", "Expired"])


def test_a_live_exception_outlives_a_change_and_a_ring_counts_at_once(
    operators: Runner, team: Team
) -> None:
    with operators.running():
        team.declare(HIGH)
        wait_for(lambda: team.ready() == ("False", "ExceptionRequired"))
        high = team.current()
        team.ask_exception(high)
        team.review("cabexceptions", "leave", "Approved")
        wait_for(lambda: team.ready() == ("True", "ExceptionActive"))
        team.declare(MEDIUM)
        wait_for(lambda: team.current() != high)
        assert team.states() == ["ExceptionRequired", "Submitted"]
        # The exception covers the same images; without it a person has to look.
        team.review("cabexceptions", "leave", "Revoked")
        wait_for(lambda: team.states() == ["Submitted", "Superseded"])
        wait_for(lambda: team.ready() == ("False", "ReviewPending"))
        team.cluster.kubectl("label", "ns", team.namespace, "cabgate.dev/ring=0", "--overwrite")
        wait_for(lambda: team.ready() == ("True", "RingNotGated"))
        team.cluster.kubectl("label", "ns", team.namespace, "cabgate.dev/ring=3", "--overwrite")
        wait_for(lambda: team.ready() == ("False", "ReviewPending"))


def test_a_namespace_goes_without_waiting(operators: Runner, team: Team) -> None:
    with operators.running():
        team.declare(MEDIUM)
        wait_for(lambda: team.ready() == ("False", "ReviewPending"))
    team.cluster.kubectl("delete", "ns", team.namespace, "--timeout=30s")


def test_health(operator_cluster: DevCluster, operators: Runner) -> None:
    port = operator_cluster.free_port()
    process = operators.spawn("--health-port", str(port))

    def answer(path: str) -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as response:
                return int(response.status)
        except OSError as error:
            return int(getattr(error, "code", 0))

    wait_for(lambda: answer("/readyz") == 200)
    assert answer("/healthz") == 200
    process.stop()
    assert process.returncode == 0


def test_it_waits_for_an_api_server_that_is_away(
    operator_cluster: DevCluster, operators: Runner, team: Team
) -> None:
    with operators.running() as process:
        operator_cluster.stop("kube-apiserver")
        time.sleep(3)
        operator_cluster.start("kube-apiserver")
        team.declare(LOW)
        wait_for(lambda: team.ready() == ("True", "RequestApproved"), 60)
        assert process.running


def test_etcd_rolled_back(
    operator_cluster: DevCluster, operators: Runner, team: Team, tmp_path: Path
) -> None:
    snapshot = tmp_path / "etcd"
    team.declare(MEDIUM)
    with operators.running() as process:
        wait_for(lambda: team.ready() == ("False", "ReviewPending"))
        operator_cluster.snapshot_etcd(snapshot)
        team.declare(LOW)
        wait_for(lambda: team.ready() == ("True", "RequestApproved"), 60)
        for number in range(30):
            team.declare(LOW, name=f"app-{number}")
        wait_for(lambda: team.states().count("AutoApproved") == 31, 60)
        operator_cluster.restore_etcd(snapshot)
        assert team.states() == ["Submitted"]
        team.declare(LOW)
        wait_for(lambda: team.ready() == ("True", "RequestApproved"), 90)
        wait_for(lambda: team.states() == ["AutoApproved", "Superseded"])
        # Not by a sweep alone: the watches live again.
        time.sleep(3)
        team.declare(HIGH, name="late")
        wait_for(lambda: team.ready("late") == ("False", "ExceptionRequired"), 5)
        assert process.running


def test_rbac_has_no_wildcard_and_nothing_is_refused(operators: Runner, team: Team) -> None:
    with operators.running() as process:
        team.declare(HIGH)
        wait_for(lambda: team.ready() == ("False", "ExceptionRequired"))
        assert "orbidden" not in process.log.read_text()
