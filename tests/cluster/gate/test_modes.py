# SPDX-License-Identifier: Apache-2.0
"""A cluster that warns, and one that only counts: what the gate denies is admitted there, but in
namespaces labelled otherwise, and no dead webhook stops it."""

import json
import re
import subprocess
import urllib.request
from functools import partial

import pytest

from cabgate_devcluster import DevCluster, Installation, people, wait_until
from cabgate_samples.objects import GOOD, MIDDLING, target, workload
from support.cli import CABGATE
from support.clients import undecided
from support.gate import Gate
from support.gate import denial as denial_of
from support.gated import gated
from support.namespaces import create_namespace

AUDIT_POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    resources: [{group: apps, resources: [deployments]}]
  - level: None
"""

NAMESPACES = {"plain": None, "audits": "Audit", "warns": "Warn", "enforces": "Enforce"}
"""Namespaces of ring 3 and their own mode."""


@pytest.fixture(scope="module")
def audit_log(tmp_path_factory):
    return tmp_path_factory.mktemp("audit") / "audit.log"


@pytest.fixture(scope="module")
def cluster(audit_log):
    """A cluster of our own: it does not enforce, and its webhook is going to be killed."""
    policy = audit_log.with_name("policy.yaml")
    policy.write_text(AUDIT_POLICY)
    args = [f"--audit-policy-file={policy}", f"--audit-log-path={audit_log}"]
    with DevCluster(apiserver_args=args) as running:
        yield running


@pytest.fixture(scope="module")
def installed(cluster):
    """cabgate in mode Warn."""
    installation = Installation(cluster, {"mode": "Warn"})
    installation.install()
    people.bind(cluster)
    for name, mode in NAMESPACES.items():
        create_namespace(cluster, name, "3", **({"mode": mode} if mode else {}))
    return Gate(cluster, installation)


def in_mode(gate, mode):
    """The gate, its cluster's mode changed: as by an upgrade with another value."""
    installation = gate.installation
    if installation.mode != mode:
        installation.webhook.stop()
        installation.values["mode"] = mode
        installation.start_webhook()
        installation.configure_admission()
    return gate


@pytest.fixture(params=["Warn", "Audit"])
def gate(request, installed):
    return in_mode(installed, request.param)


@pytest.fixture
def warning(installed):
    return in_mode(installed, "Warn")


@pytest.fixture
def auditing(installed):
    return in_mode(installed, "Audit")


def rolled_out(gate, namespace, *args, user="requester", **kind):
    """The result of a rollout that nothing covers: a dry run, of the real verdict."""
    return gate.create(user, workload(namespace, **kind), "--dry-run=server", *args, check=False)


def admitted(result):
    assert result.returncode == 0, result.stderr
    return result.stderr


def warnings(result):
    lines = admitted(result).splitlines()
    assert all(line.startswith("Warning: ") for line in lines), lines
    return [line.removeprefix("Warning: ") for line in lines]


def shown_for(dry_run):
    """The warnings of a dry run, made anew where nothing was decided: outside of Enforce a webhook
    that takes too long is passed over, and one that cannot look in time warns of that."""

    def shown():
        result = dry_run()
        assert not undecided(result.stderr), result.stderr
        return warnings(result)

    return wait_until(shown, "it is warned of")


def metrics_of(gate):
    """What the webhook serves."""
    url = f"http://127.0.0.1:{gate.installation.webhook_health_port}/metrics"
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read().decode()


def counted(gate):
    """What the metric of reviews says: verdict and reason, and how many."""
    found = {}
    for line in metrics_of(gate).splitlines():
        if line.startswith("cabgate_admission_requests_total"):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
            key = (labels["verdict"], labels["reason"])
            found[key] = found.get(key, 0) + float(line.rpartition(" ")[2])
    return found


# Attacks


def test_a_namespace_labelled_enforce_is_enforced_whatever_happens(gate):
    assert denial_of(rolled_out(gate, "enforces")).startswith("NoRequest: Deployment web")
    cluster, installation = gate.cluster, gate.installation
    # The webhook cannot look anything up: a doubt, and not even the mode can be read.
    cluster.kubectl("delete", "clusterrolebinding", "cabgate-webhook")
    try:
        said = wait_until(
            lambda: (
                (text := denial_of(rolled_out(gate, "enforces"))).startswith("LookupFailed: ")
                and text
            ),
            "the webhook may read nothing",
        )
        assert "Nothing was decided" in said
        stderr = admitted(rolled_out(gate, "plain"))
        assert ("LookupFailed: " in stderr) == (installation.mode == "Warn")
    finally:
        installation.apply_objects("cabgate-webhook")
    wait_until(
        lambda: denial_of(rolled_out(gate, "enforces")).startswith("NoRequest: "), "it reads again"
    )


def test_nobody_loosens_the_mode_of_a_namespace(gate):
    """The label counts where it is stricter than the cluster's, and taking it away is loosening."""
    for user in ("requester", "reviewer"):
        gate.refused(user, "label", "namespace", "enforces", "cabgate.dev/mode-")
    assert denial_of(rolled_out(gate, "enforces", user="admin")).startswith("NoRequest: ")
    loosest = admitted(rolled_out(gate, "audits"))
    assert ("NoRequest: " in loosest) == (gate.installation.mode == "Warn")


def test_what_is_cabgates_own_has_no_mode(gate):
    own = f"own-{gate.installation.mode.lower()}"
    targets = [target(["web:1"], name=own)]
    name = gate.open("plain", MIDDLING, "Submitted", name=own, targets=targets)
    result = gate.review("requester", "cabrequest", name, "plain", "Approved", check=False)
    assert result.returncode != 0
    result = gate.review("admin", "cabrequest", name, "plain", "Approved", check=False)
    assert result.returncode == 0, "and whoever may decide decides"
    forged = {**gate.get("cabrequest", name, "plain")}
    forged["metadata"] = {"name": "forged", "namespace": "plain"}
    assert denial_of(gate.create("admin", forged, check=False)).startswith(
        "WrittenByOperatorOnly: "
    )


def test_a_controller_revision_is_refused_where_it_is_enforced(gate):
    def write(namespace):
        revision = {
            "apiVersion": "apps/v1",
            "kind": "ControllerRevision",
            "metadata": {"name": "web-1", "namespace": namespace},
            "data": {},
            "revision": 1,
        }
        return gate.create("admin", revision, "--dry-run=server", check=False)

    assert "ControllerRevisionGuarded: " in write("enforces").stderr
    assert write("enforces").returncode != 0
    for namespace in ("plain", "warns", "audits"):
        assert write(namespace).returncode == 0, namespace


# What the modes do


def test_warn_admits_with_the_words_of_the_denial(warning):
    denial = denial_of(rolled_out(warning, "enforces"))
    shown = shown_for(lambda: rolled_out(warning, "plain"))
    assert shown[0] == "cabgate denies this where it enforces:"
    assert " ".join(shown[1:]) == denial.replace("enforces", "plain")
    assert all(len(line) <= 256 for line in shown)
    # The last one is the command, and works as it stands.
    assert shown[-1].startswith("cabgate intent -n plain deployment/web")
    for kind in ("Pod", "CronJob", "ReplicaSet"):
        trying = ("requester", gated(kind, "plain"), "--dry-run=server")
        shown = shown_for(partial(warning.create, *trying, check=False))
        assert f"NoRequest: {kind} web in namespace plain" in " ".join(shown)
    # Stored, not only tried.
    warning.create("requester", workload("plain", name="stored"))
    assert warning.get("deployment", "stored", "plain")


LONG = "registry.example.com/" + "long-path/" * 20 + "image"


def test_kubectl_shows_a_long_denial_whole(warning):
    targets = [target([f"{LONG}:{n}" for n in range(5)], name="long")]
    warning.open("warns", MIDDLING, "Submitted", name="long", targets=targets)
    warning.open("enforces", MIDDLING, "Submitted", name="long", targets=targets)
    for images in ([f"{LONG}:{n}" for n in range(5)], [f"{LONG}:9"]):
        denial = denial_of(rolled_out(warning, "enforces", name="long", images=images))
        shown = shown_for(partial(rolled_out, warning, "warns", name="long", images=images))
        there = warning.request_of("enforces", "long")["metadata"]["name"]
        here = warning.request_of("warns", "long")["metadata"]["name"]
        assert there == here, "the same content has the same digest"
        assert " ".join(shown[1:]) == denial.replace("enforces", "warns")


def test_what_is_covered_or_not_gated_passes_without_a_word(gate):
    name = f"good-{gate.installation.mode.lower()}"
    for namespace in NAMESPACES:
        gate.open(
            namespace, GOOD, "AutoApproved", name=name, targets=[target(["web:1"], name=name)]
        )
        assert admitted(rolled_out(gate, namespace, name=name)) == ""


def test_audit_admits_and_tells_those_who_look(auditing, audit_log):
    before = counted(auditing).get(("audited", "NoRequest"), 0)
    log = auditing.installation.webhook.log
    noted = len(log.read_text())
    for namespace in ("plain", "audits"):
        assert admitted(rolled_out(auditing, namespace, name="audited")) == ""
    assert counted(auditing)["audited", "NoRequest"] == before + 2
    assert '"deployment/audited"' not in metrics_of(auditing), "a dry run hits nobody"
    for namespace in ("plain", "audits"):
        made = workload(namespace, name="audited")
        assert admitted(auditing.create("requester", made, check=False)) == ""
    assert counted(auditing)["audited", "NoRequest"] == before + 4
    hit = 'cabgate_not_enforced_denials_total{namespace="%s",reason="NoRequest",workload="%s"} 1.0'
    for namespace in ("plain", "audits"):
        assert hit % (namespace, "deployment/audited") in metrics_of(auditing).splitlines()
    said = [line for line in log.read_text()[noted:].splitlines() if 'object="audited"' in line]
    assert len(said) == 4
    for line in said:
        assert 'audited uid="' in line
        assert 'reason="NoRequest"' in line
        assert 'mode="Audit"' in line

    def event():
        events = map(json.loads, audit_log.read_text().splitlines())
        return [
            event["annotations"]
            for event in events
            if event["objectRef"].get("name") == "audited"
            and event["objectRef"]["namespace"] == "plain"
            and event["verb"] == "create"
        ]

    found = wait_until(event, "the audit log has it")[-1]
    key = "enforced-" if any(k.startswith("enforced") for k in found) else ""
    assert found[f"{key}rollouts.cabgate.dev/mode"] == "Audit"
    assert found[f"{key}rollouts.cabgate.dev/denial"].startswith("NoRequest: Deployment audited")
    assert found[f"{key}rollouts.cabgate.dev/workload"] == "deployment/audited"


def test_the_audit_log_says_whom_enforce_will_hit_and_whom_it_hit(auditing, audit_log):
    """By the command that the page on adopting a namespace names, on the log as it is written."""
    for namespace, times in {"plain": 2, "enforces": 1}.items():
        for _ in range(times):
            rolled_out(auditing, namespace, name="listed")  # a dry run hits nobody
            made = workload(namespace, name="listed")
            auditing.create("requester", made, check=False)
            auditing.cluster.kubectl("delete", "deployment/listed", "-n", namespace, check=False)

    def rows():
        argv = [CABGATE, "audit", "denials", "-f", audit_log, "-o", "json"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        listed = json.loads(done.stdout)
        return {
            (row["namespace"], row["mode"], row["times"], *row["users"])
            for row in listed
            if (row["workload"], row["reason"]) == ("deployment/listed", "NoRequest")
        }

    expected = {("plain", "Audit", 2, "requester"), ("enforces", "Enforce", 1, "requester")}
    wait_until(lambda: rows() == expected, "the audit log has them")


def test_a_namespace_may_be_stricter_than_its_cluster(auditing):
    def stricter():
        before = counted(auditing)
        assert "NoRequest: " in admitted(rolled_out(auditing, "warns"))
        assert denial_of(rolled_out(auditing, "enforces")).startswith("NoRequest: ")
        after = counted(auditing)
        for verdict in ("warned", "denied"):
            key = (verdict, "NoRequest")
            assert after[key] == before.get(key, 0) + 1
        return True

    # Where the webhook takes too long, nothing is said, and it may count all the same.
    wait_until(stricter, "one is warned of, and one is denied")


# Out of the way


@pytest.mark.parametrize("fault", ["dead", "hung"])
def test_a_webhook_that_does_not_answer_stops_nothing_but_where_it_is_enforced(gate, fault):
    webhook = gate.installation.webhook
    gate.cluster.kubectl("delete", "namespace", "free", "--ignore-not-found")
    gate.cluster.kubectl("create", "namespace", "free")
    webhook.kill() if fault == "dead" else webhook.pause()
    try:
        for namespace in ("plain", "warns", "audits") if fault == "dead" else ("plain",):
            assert admitted(rolled_out(gate, namespace)) == "", namespace
        labelled = workload("free", labels={"cabgate.dev/ring": "3"})
        assert admitted(gate.create("requester", labelled, "--dry-run=server", check=False)) == ""
        result = rolled_out(gate, "enforces")
        assert "failed calling webhook" in result.stderr
        assert result.returncode != 0
    finally:
        if fault == "dead":
            gate.installation.start_webhook()
        else:
            webhook.resume()
    assert denial_of(rolled_out(gate, "enforces")).startswith("NoRequest: ")
