# SPDX-License-Identifier: Apache-2.0
"""The operator against a real API server, without the webhook."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cabgate.api import DeploymentIntent
from cabgate.lifecycle.requests.opening import request_for
from cabgate.risk.scoring import assess
from cabgate_devcluster import DevCluster, wait_until
from cabgate_operator.plans.requests import body_of
from cabgate_samples.objects import GOOD, MIDDLING
from cluster.intents.operators_alone import (
    BUSY,
    ME,
    SWEEPING,
    Runner,
    Running,
    Team,
    _numbers,
    boot,
)


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
        team.declare(GOOD)
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
        assert team.notes() == ["AutoApproved"]


def test_requests_of_the_release_before_go_on(operators: Runner, team: Team) -> None:
    """Their evidence names no images: what was approved stays, and what was about to be approved by
    score waits for a person."""
    names = {}
    for name in ("approved", "open"):
        team.declare(GOOD, name, named=False)
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
        team.declare(MIDDLING)
        team.becomes("False", "ReviewPending")
        first = team.current()
        team.declare(BUSY)
        team.becomes("False", "ExceptionRequired")
        second = team.current()
        team.reach("ExceptionRequired", "Superseded")
        team.declare(MIDDLING)
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
        team.declare(MIDDLING)
        team.reach("Submitted")
        team.becomes("False", "ReviewPending")
        team.kubectl("delete", "deploymentintent", "web", "--timeout=60s")
        team.reach("Superseded")


def test_deleted_while_the_operator_is_away(operators: Runner, team: Team) -> None:
    with operators.running():
        team.declare(MIDDLING)
        team.becomes("False", "ReviewPending")
    team.kubectl("delete", "deploymentintent", "web", "--timeout=60s")
    with operators.running():
        team.reach("Superseded")


def test_a_restart_writes_nothing(operators: Runner, team: Team) -> None:
    with operators.running(*SWEEPING) as operator:
        team.declare(MIDDLING)
        team.becomes("False", "ReviewPending")
        team.declare(BUSY)
        team.becomes("False", "ExceptionRequired")
        team.ask_exception(team.current())
        team.becomes("False", "ExceptionPending")
        team.declare(GOOD, name="other")
        team.becomes("True", "RequestApproved", "other")
        operator.rests()
    before = team.versions()
    writes = requests_made(team.cluster)
    with operators.running(*SWEEPING) as operator:
        operator.rests()
    assert team.versions() == before
    assert requests_made(team.cluster) == writes


def test_killed_after_each_single_write_it_finishes(operators: Runner, team: Team) -> None:
    team.declare(MIDDLING)
    with operators.running():
        team.becomes("False", "ReviewPending")
    team.declare(GOOD)
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
    assert team.notes().count("AutoApproved") == 1
    assert team.notes().count("Superseded") == 1


def test_killed_at_any_moment_it_finishes(operators: Runner, team: Team) -> None:
    evidence: dict[str, dict[str, Any]] = {}
    for writes in (3, 7, 5, 11):
        # More for each life: what was under way when it died may have been done as well.
        more = {f"app-{len(evidence) + n}": (MIDDLING, GOOD)[n % 2] for n in range(4)}
        evidence |= more
        team.declare_all(more)
        operators.killed(writes)
    with operators.running():
        team.reach(*["AutoApproved"] * 8, *["Submitted"] * 8)
        for name, given in evidence.items():
            expected = ("True", "RequestApproved") if given is GOOD else ("False", "ReviewPending")
            team.becomes(*expected, name)
        seen = ["AutoApproved"] * 8 + ["ReviewNeeded"] * 8
        wait_until(lambda: team.notes() == seen, timeout=60.0, what="each is told of once")
    requests = team.items("cabrequests").values()
    assert all(len(r["status"].get("decisions", [])) <= 1 for r in requests)


def test_an_exception_ends_at_its_moment(operators: Runner, team: Team) -> None:
    with operators.running():
        team.declare(BUSY)
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
            lambda: team.said() == ["Approved", "Expired"] and "ExceptionExpired" in team.notes(),
            timeout=60.0,
            what="the end is recorded and told",
        )
    leave = team.items("cabexceptions")["leave"]
    assert leave["status"]["state"] == "Expired"
    # When it was written; both are whole seconds of one form.
    assert leave["status"]["decisions"][1]["at"] >= leave["status"]["expiresAt"]


def test_an_exception_that_ended_while_the_operator_was_away(operators: Runner, team: Team) -> None:
    with operators.running():
        team.declare(BUSY)
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
        team.declare(BUSY)
        team.becomes("False", "ExceptionRequired")
        high = team.current()
        team.ask_exception(high)
        team.review("cabexceptions", "leave", "Approved")
        team.becomes("True", "ExceptionActive")
        team.declare(MIDDLING)
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
        team.declare(MIDDLING)
        team.becomes("False", "ReviewPending")
    team.cluster.kubectl("delete", "ns", team.namespace, "--timeout=110s")


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
        team.declare(GOOD)
        team.becomes("True", "RequestApproved", timeout=90.0)
        assert operator.process.running


def test_etcd_rolled_back(
    operator_cluster: DevCluster, operators: Runner, team: Team, tmp_path: Path
) -> None:
    snapshot = tmp_path / "etcd"
    team.declare(MIDDLING)
    with operators.running() as operator:
        team.becomes("False", "ReviewPending")
        operator_cluster.snapshot_etcd(snapshot)
        team.declare(GOOD)
        team.becomes("True", "RequestApproved")
        team.declare_all({f"app-{number}": GOOD for number in range(30)})
        team.reach(*["AutoApproved"] * 31, "Superseded", timeout=120.0)
        operator_cluster.restore_etcd(snapshot)
        assert team.states() == ["Submitted"]
        team.declare(GOOD)
        team.becomes("True", "RequestApproved", timeout=90.0)
        team.reach("AutoApproved", "Superseded")
        wait_until(
            lambda: seen_by_a_watch(operator, team), timeout=90.0, what="the watches live again"
        )
        assert operator.process.running


def seen_by_a_watch(operator: Running, team: Team) -> bool:
    """Whether a new intent is looked at with no sweep meanwhile."""
    name, swept = f"late-{next(_numbers)}", operator.swept()
    team.declare(BUSY, name=name)
    team.becomes("False", "ExceptionRequired", name)
    return operator.swept() == swept


def test_rbac_has_no_wildcard_and_nothing_is_refused(operators: Runner, team: Team) -> None:
    with operators.running() as operator:
        team.declare(BUSY)
        team.becomes("False", "ExceptionRequired")
        assert "orbidden" not in operator.process.log.read_text()
