# SPDX-License-Identifier: Apache-2.0
"""The operator against a real API server, without the webhook."""

import contextlib
import itertools
import json
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cabgate.api import DeploymentIntent
from cabgate.lifecycle.requests.opening import request_for
from cabgate.risk.scoring import assess
from cabgate_devcluster import DevCluster, Installation, wait_until
from cabgate_devcluster.installed.chart import NAMESPACE
from cabgate_devcluster.processes.process import Process
from cabgate_operator.plans.requests import body_of
from cabgate_samples.objects import about

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

GRACE_SECONDS = 30
"""terminationGracePeriodSeconds of the chart: who has not ended by then is killed."""

_numbers = itertools.count(1)


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
        listed = self.cluster.api.items(resource, self.namespace)
        return {item["metadata"]["name"]: item for item in listed}

    def declare(self, evidence: dict[str, Any], name: str = "web", *, named: bool = True) -> None:
        self.declare_all({name: evidence}, named=named)

    def declare_all(self, intents: dict[str, dict[str, Any]], *, named: bool = True) -> None:
        """Declare intents by their names, all in one call; `named` says whether their evidence
        names their images."""
        items = [self._intent(name, evidence, named) for name, evidence in intents.items()]
        body = {"apiVersion": "v1", "kind": "List", "items": items}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(body))

    def _intent(self, name: str, evidence: dict[str, Any], named: bool) -> dict[str, Any]:
        image = f"registry/{name}:1"
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "images": [image]}
        return {
            "apiVersion": "cabgate.dev/v1alpha1",
            "kind": "DeploymentIntent",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "targets": [target],
                "evidence": about(evidence, [{"images": [image]}]) if named else evidence,
                "submittedBy": [{"username": "dev"}],
            },
        }

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
            "author": {"type": "System", "username": ME}
            if verdict == "AutoApproved"
            else {"type": "Person", "username": "ann"},
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

    def becomes(self, status: str, reason: str, name: str = "web", timeout: float = 60.0) -> None:
        """Wait until an intent is ready, or is not, for a reason."""
        wait_until(
            lambda: self.ready(name) == (status, reason),
            timeout=timeout,
            what=f"Ready of {self.namespace}/{name} is {status} for {reason}",
        )

    def reach(self, *states: str, timeout: float = 60.0) -> None:
        """Wait until the requests are in these states, in their order."""
        wait_until(
            lambda: self.states() == list(states),
            timeout=timeout,
            what=f"requests of {self.namespace} in states {states}",
        )

    def decided(self, request: str) -> Any:
        """The condition of a request that somebody has decided; None while nobody has."""
        condition = self.items("cabrequests")[request]["status"]["conditions"][0]
        return condition if condition["status"] == "True" else None

    def said(self, exception: str = "leave") -> list[str]:
        """The verdicts that an exception holds."""
        status = self.items("cabexceptions")[exception]["status"]
        return [entry["verdict"] for entry in status.get("decisions", [])]

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
    cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")


class Running:
    """An operator that runs, and what it shows of itself."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self._port = port

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of one of its pages; 0 where there is none."""
        try:
            url = f"http://127.0.0.1:{self._port}{path}"
            with urllib.request.urlopen(url, timeout=60) as answer:
                return int(answer.status), answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def metric(self, name: str) -> float:
        """The value of a metric without labels; 0 where there is none."""
        found = re.search(rf"^{name} (\S+)$", self.get("/metrics")[1], re.MULTILINE)
        return float(found[1]) if found else 0.0

    def swept(self) -> float:
        """When its last sweep was done."""
        return self.metric("cabgate_last_sweep_timestamp_seconds")

    def rests(self) -> None:
        """Return once two further sweeps have found nothing that is left to do."""
        for _ in range(2):
            self._sweeps_again()

    def _sweeps_again(self) -> None:
        last = self.swept()
        wait_until(
            lambda: self.swept() > last and self.metric("cabgate_queue_depth") == 0,
            timeout=60.0,
            what="another sweep is done, and what it queued",
        )


SWEEPING = ("--sweep-seconds", "1")
"""For an operator of which it is to be seen that it rests."""


class Runner:
    """Starts operators of a cluster, one at a time."""

    def __init__(self, cluster: DevCluster) -> None:
        self.cluster = cluster
        self._kubeconfig = cluster.service_account("cabgate-system", "cabgate-operator")

    def killed(self, writes: int) -> None:
        """The life of an operator that dies after so many writes; the next need not wait until its
        Lease ends."""
        process = self.spawn("--die-after", str(writes), entry=True)
        died = process.wait(120)
        process.kill()  # or it would lead in the tests to come
        assert died, f"it did not come to {writes} writes: {process.tail(20)}"
        assert process.returncode == -9, process.tail(20)
        self.cluster.kubectl(
            *("patch", "lease", "cabgate-operator", "-n", "cabgate-system", "--type=merge"),
            *("-p", json.dumps({"spec": {"holderIdentity": ""}})),
        )

    def spawn(self, *argv: str, entry: bool = False) -> Process:
        program = [str(ENTRY)] if entry else ["-m", "cabgate_operator.main"]
        return self.cluster.spawn(
            f"operator-{next(_numbers)}",
            [sys.executable, *program, *argv],
            env={"KUBECONFIG": str(self._kubeconfig)},
        )

    @contextlib.contextmanager
    def running(self, *argv: str, entry: bool = False) -> Iterator[Running]:
        port = self.cluster.free_port()
        process = self.spawn(*argv, "--health-port", str(port), entry=entry)
        made = Running(process, port)
        try:
            wait_until(lambda: made.swept() > 0, timeout=60.0, what="it leads and has swept")
            yield made
        finally:
            if process.running:
                process.stop(timeout=GRACE_SECONDS)
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
    with operators.running(*SWEEPING) as operator:
        before = requests_made(team.cluster)
        team.declare(LOW)
        team.becomes("True", "RequestApproved")
        operator.rests()
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


def test_requests_of_the_release_before_go_on(operators: Runner, team: Team) -> None:
    """Their evidence names no images: what was approved stays, and what was about to be approved by
    score waits for a person."""
    names = {}
    for name in ("approved", "open"):
        team.declare(LOW, name, named=False)
        live = DeploymentIntent.model_validate(team.items("deploymentintents")[name])
        made = request_for(live, 2)
        spec = made.spec.model_copy(update={"assessment": assess(live.spec.evidence)})
        body = body_of(made.model_copy(update={"spec": spec}))
        team.kubectl("create", "-f", "-", stdin=json.dumps(body))
        names[name] = made.metadata.name
    team.review("cabrequests", names["approved"], "AutoApproved")
    with operators.running():
        team.becomes("True", "RequestApproved", "approved")
        team.becomes("False", "ReviewPending", "open")
        requests = team.items("cabrequests")
        assert requests[names["approved"]]["status"]["state"] == "AutoApproved"
        assert requests[names["open"]]["status"]["state"] == "Submitted"
        [decided] = requests[names["open"]]["status"]["conditions"]
        assert (
            "waits for a CAB member. no artifact names image registry/open:1"
            in (decided["message"])
        )
        team.review("cabrequests", names["open"], "Approved")
        team.becomes("True", "RequestApproved", "open")


def test_a_then_b_then_a_then_a_person(operators: Runner, team: Team) -> None:
    with operators.running():
        team.declare(MEDIUM)
        team.becomes("False", "ReviewPending")
        first = team.current()
        team.declare(HIGH)
        team.becomes("False", "ExceptionRequired")
        second = team.current()
        team.reach("ExceptionRequired", "Superseded")
        team.declare(MEDIUM)
        team.becomes("False", "ReviewPending")
        assert team.current() == first
        team.reach("Submitted", "Superseded")
        verdicts = [d["verdict"] for d in team.items("cabrequests")[first]["status"]["decisions"]]
        assert verdicts == ["Superseded", "Reopened"]
        team.review("cabrequests", first, "Approved")
        team.becomes("True", "RequestApproved")
        decided = wait_until(lambda: team.decided(first), timeout=60.0, what="it says so itself")
        assert decided["reason"] == "Approved"
        assert "ann" in decided["message"]
        team.kubectl("delete", "deploymentintent", "web", "--timeout=60s")
        assert team.states() == ["Approved", "Superseded"]
        assert second in team.items("cabrequests")


def test_deleting_an_intent_supersedes_what_is_undecided(operators: Runner, team: Team) -> None:
    with operators.running():
        team.declare(MEDIUM)
        team.reach("Submitted")
        team.becomes("False", "ReviewPending")
        team.kubectl("delete", "deploymentintent", "web", "--timeout=60s")
        team.reach("Superseded")


def test_deleted_while_the_operator_is_away(operators: Runner, team: Team) -> None:
    with operators.running():
        team.declare(MEDIUM)
        team.becomes("False", "ReviewPending")
    team.kubectl("delete", "deploymentintent", "web", "--timeout=60s")
    with operators.running():
        team.reach("Superseded")


def test_a_restart_writes_nothing(operators: Runner, team: Team) -> None:
    with operators.running(*SWEEPING) as operator:
        team.declare(MEDIUM)
        team.becomes("False", "ReviewPending")
        team.declare(HIGH)
        team.becomes("False", "ExceptionRequired")
        team.ask_exception(team.current())
        team.becomes("False", "ExceptionPending")
        team.declare(LOW, name="other")
        team.becomes("True", "RequestApproved", "other")
        operator.rests()
    before = team.versions()
    writes = requests_made(team.cluster)
    with operators.running(*SWEEPING) as operator:
        operator.rests()
    assert team.versions() == before
    assert requests_made(team.cluster) == writes


def test_killed_after_each_single_write_it_finishes(operators: Runner, team: Team) -> None:
    team.declare(MEDIUM)
    with operators.running():
        team.becomes("False", "ReviewPending")
    team.declare(LOW)
    lives = 0
    while team.ready() != ("True", "RequestApproved") or team.states() != [
        "AutoApproved",
        "Superseded",
    ]:
        operators.killed(1)
        lives += 1
        assert lives < 10
    assert lives >= 2
    before = team.versions()
    with operators.running(*SWEEPING) as operator:
        operator.rests()
    assert team.versions() == before
    requests = team.items("cabrequests")
    assert len(requests) == 2
    assert all(len(request["status"]["decisions"]) == 1 for request in requests.values())
    assert team.told().count("AutoApproved") == 1
    assert team.told().count("Superseded") == 1


def test_killed_at_any_moment_it_finishes(operators: Runner, team: Team) -> None:
    evidence: dict[str, dict[str, Any]] = {}
    for writes in (3, 7, 5, 11):
        # More for each life: what was under way when it died may have been done as well.
        more = {f"app-{len(evidence) + n}": (MEDIUM, LOW)[n % 2] for n in range(4)}
        evidence |= more
        team.declare_all(more)
        operators.killed(writes)
    with operators.running():
        team.reach(*["AutoApproved"] * 8, *["Submitted"] * 8)
        for name, given in evidence.items():
            expected = ("True", "RequestApproved") if given is LOW else ("False", "ReviewPending")
            team.becomes(*expected, name)
        told = ["AutoApproved"] * 8 + ["ReviewNeeded"] * 8
        wait_until(lambda: team.told() == told, timeout=60.0, what="each is told of once")
    requests = team.items("cabrequests").values()
    assert all(len(r["status"].get("decisions", [])) <= 1 for r in requests)


def test_an_exception_ends_at_its_moment(operators: Runner, team: Team) -> None:
    with operators.running():
        team.declare(HIGH)
        team.becomes("False", "ExceptionRequired")
        team.ask_exception(team.current())
        team.becomes("False", "ExceptionPending")
        team.review("cabexceptions", "leave", "Approved")
        team.becomes("True", "ExceptionActive")
    leave = team.items("cabexceptions")["leave"]
    assert leave["status"]["state"] == "Approved"
    end = datetime.fromisoformat(leave["status"]["expiresAt"])
    created = datetime.fromisoformat(leave["metadata"]["creationTimestamp"])
    assert end - created == timedelta(days=1)
    shift = (end - datetime.now(UTC)) - timedelta(seconds=6)
    options = ("--clock-shift", str(shift.total_seconds()))

    def is_active() -> bool:
        return team.ready() == ("True", "ExceptionActive")

    # It sweeps each ten minutes: what it does at the end it does by its own deadline.
    with operators.running(*options, entry=True):
        wait_until(lambda: not is_active(), timeout=60.0, what="it ends")
        assert datetime.now(UTC) + shift >= end, "never early"
        team.becomes("False", "ExceptionEnded")
        # The entry is another reconciler's, and may come a moment later; so may the Event.
        wait_until(
            lambda: team.said() == ["Approved", "Expired"] and "ExceptionExpired" in team.told(),
            timeout=60.0,
            what="the end is recorded and told",
        )
    leave = team.items("cabexceptions")["leave"]
    assert leave["status"]["state"] == "Expired"
    # When it was written; both are whole seconds of one form.
    assert leave["status"]["decisions"][1]["at"] >= leave["status"]["expiresAt"]


def test_an_exception_that_ended_while_the_operator_was_away(operators: Runner, team: Team) -> None:
    with operators.running():
        team.declare(HIGH)
        team.becomes("False", "ExceptionRequired")
        team.ask_exception(team.current(), days=2)
        team.review("cabexceptions", "leave", "Approved")
        team.becomes("True", "ExceptionActive")
    with operators.running("--clock-shift", str(3 * 86400), entry=True):
        team.becomes("False", "ExceptionEnded")
        # The entry is another reconciler's, and may come a moment later.
        wait_until(
            lambda: team.said() == ["Approved", "Expired"], timeout=60.0, what="it is recorded"
        )


def test_a_live_exception_outlives_a_change_and_a_ring_counts_at_once(
    operators: Runner, team: Team
) -> None:
    with operators.running():
        team.declare(HIGH)
        team.becomes("False", "ExceptionRequired")
        high = team.current()
        team.ask_exception(high)
        team.review("cabexceptions", "leave", "Approved")
        team.becomes("True", "ExceptionActive")
        team.declare(MEDIUM)
        wait_until(lambda: team.current() != high, timeout=60.0, what="there is another request")
        team.reach("ExceptionRequired", "Submitted")
        # The exception covers the same images; without it a person has to look.
        team.review("cabexceptions", "leave", "Revoked")
        team.reach("Submitted", "Superseded")
        team.becomes("False", "ReviewPending")
        team.cluster.kubectl("label", "ns", team.namespace, "cabgate.dev/ring=0", "--overwrite")
        team.becomes("True", "RingNotGated")
        team.cluster.kubectl("label", "ns", team.namespace, "cabgate.dev/ring=3", "--overwrite")
        team.becomes("False", "ReviewPending")


def test_a_namespace_goes_without_waiting(operators: Runner, team: Team) -> None:
    with operators.running():
        team.declare(MEDIUM)
        team.becomes("False", "ReviewPending")
    team.cluster.kubectl("delete", "ns", team.namespace, "--timeout=60s")


def test_health(operators: Runner) -> None:
    with operators.running() as operator:
        wait_until(lambda: operator.get("/readyz")[0] == 200, timeout=60.0, what="it is ready")
        assert operator.get("/healthz")[0] == 200


def test_it_waits_for_an_api_server_that_is_away(
    operator_cluster: DevCluster, operators: Runner, team: Team
) -> None:
    with operators.running() as operator:
        operator_cluster.stop("kube-apiserver")
        wait_until(lambda: operator.get("/readyz")[0] == 503, timeout=60.0, what="it misses it")
        operator_cluster.start("kube-apiserver")
        team.declare(LOW)
        team.becomes("True", "RequestApproved", timeout=90.0)
        assert operator.process.running


def test_etcd_rolled_back(
    operator_cluster: DevCluster, operators: Runner, team: Team, tmp_path: Path
) -> None:
    snapshot = tmp_path / "etcd"
    team.declare(MEDIUM)
    with operators.running() as operator:
        team.becomes("False", "ReviewPending")
        operator_cluster.snapshot_etcd(snapshot)
        team.declare(LOW)
        team.becomes("True", "RequestApproved")
        team.declare_all({f"app-{number}": LOW for number in range(30)})
        team.reach(*["AutoApproved"] * 31, "Superseded", timeout=120.0)
        operator_cluster.restore_etcd(snapshot)
        assert team.states() == ["Submitted"]
        team.declare(LOW)
        team.becomes("True", "RequestApproved", timeout=90.0)
        team.reach("AutoApproved", "Superseded")
        wait_until(
            lambda: seen_by_a_watch(operator, team), timeout=90.0, what="the watches live again"
        )
        assert operator.process.running


def seen_by_a_watch(operator: Running, team: Team) -> bool:
    """Whether a new intent is looked at with no sweep meanwhile."""
    name, swept = f"late-{next(_numbers)}", operator.swept()
    team.declare(HIGH, name=name)
    team.becomes("False", "ExceptionRequired", name)
    return operator.swept() == swept


def test_rbac_has_no_wildcard_and_nothing_is_refused(operators: Runner, team: Team) -> None:
    with operators.running() as operator:
        team.declare(HIGH)
        team.becomes("False", "ExceptionRequired")
        assert "orbidden" not in operator.process.log.read_text()
