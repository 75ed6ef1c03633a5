# SPDX-License-Identifier: Apache-2.0
"""How an installation is set is told once, to Helm: command line and operator go by it."""

import json

import httpx
import pytest

from cabgate_devcluster import DevCluster, wait_until
from cabgate_samples.objects import workload
from support.cli import cabgate
from support.gate import install
from support.namespaces import create_namespace

EXCLUDED = "monitoring"
NAMES = ("-n", "cabgate-system", "configmap/cabgate-installation")


@pytest.fixture(scope="module")
def cluster():
    with DevCluster() as running:
        yield running


@pytest.fixture(scope="module")
def gate(cluster):
    create_namespace(cluster, EXCLUDED, None)
    create_namespace(cluster, "shop", None)
    create_namespace(cluster, "plain", None)
    made = install(
        cluster,
        excludedNamespaces=["kube-system", "kube-public", "kube-node-lease", EXCLUDED],
        mode="Warn",
        defaultRing=2,
    )
    for namespace in (EXCLUDED, "shop"):
        made.create("requester", workload(namespace))
        # Counted when the ring changes, so after there is something to count.
        made.kubectl("admin", "label", "namespace", namespace, "cabgate.dev/ring=3")
    return made


def counted(gate, metric):
    text = httpx.get(gate.installation.operator_url("/metrics"), timeout=60).text
    lines = [line for line in text.splitlines() if line.startswith(f"{metric} ")]
    return float(lines[0].removeprefix(metric)) if lines else None


def uncovered_in(gate, arguments, code):
    printed = cabgate(gate, "requester", f"uncovered {arguments} -o json", code).stdout
    return {item["namespace"] for item in json.loads(printed)["items"]}


def test_a_namespace_that_the_chart_excludes_is_excluded_everywhere(gate):
    """Its ring is 3, and nothing asks the gate about it."""
    explained = cabgate(gate, "requester", f"explain {EXCLUDED}/deployment/web", 0).stdout
    assert f"Ring       0, not gated: the installation excludes namespace {EXCLUDED}" in explained
    assert uncovered_in(gate, f"-n {EXCLUDED}", 0) == set()
    everywhere = uncovered_in(gate, "-A", 1)
    assert "shop" in everywhere
    assert EXCLUDED not in everywhere
    adopted = cabgate(gate, "requester", f"adopt -n {EXCLUDED}", 0)
    assert (adopted.stdout, "excludes it" in adopted.stderr) == ("", True)
    of_shop = 'cabgate_uncovered_workloads{namespace="shop"}'
    wait_until(lambda: counted(gate, of_shop) == 1, "the metric counts what runs in shop")
    assert counted(gate, of_shop.replace("shop", EXCLUDED)) is None
    events = [event["reason"] for event in gate.items("events", EXCLUDED)]
    assert "UncoveredWorkloads" not in events


def test_default_ring_and_mode_need_not_be_told_again(gate):
    gate.create("requester", workload("plain"))
    result = cabgate(gate, "requester", "explain plain/deployment/web", 0)
    assert "Ring       2, gated: namespace 2, workload 0" in result.stdout
    assert "admitted, since the mode is Warn" in result.stdout
    assert result.stderr == ""
    assert uncovered_in(gate, "-n plain", 1) == {"plain"}
    # What is given counts instead: to see what another setting would do.
    denied = cabgate(gate, "requester", "explain plain/deployment/web --mode Enforce", 1)
    assert "Decision   denied" in denied.stdout
    assert uncovered_in(gate, "-n plain --default-ring 0", 0) == set()


def test_whoever_is_signed_in_reads_it_and_nobody_but_admins_writes_it(gate):
    read = gate.kubectl("nobody", "get", *NAMES, "-o", "json")
    assert json.loads(read.stdout)["data"]["mode"] == "Warn"
    for user in ("nobody", "reviewer", "security"):
        for verb in ("patch", "delete"):
            asked = gate.kubectl(user, "auth", "can-i", verb, *NAMES, check=False)
            assert asked.stdout.strip() == "no", (user, verb)
    others = ("-n", "cabgate-system", "configmaps")
    assert gate.kubectl("nobody", "auth", "can-i", "list", *others, check=False).returncode == 1


def test_where_it_cannot_be_read_that_is_said_and_the_operator_says_what_was_changed(gate):
    operator = gate.installation
    operator.operator.stop()
    operator.start_operator(options=("--sweep-seconds", "1"))
    differs = "cabgate_installation_differs"
    wait_until(lambda: counted(gate, differs) == 0, "it is as the operator was told")

    patch = {"data": {"excludedNamespaces": "shop"}}
    gate.patch("admin", "configmap", "cabgate-installation", "cabgate-system", patch)
    wait_until(lambda: counted(gate, differs) == 1, "the operator counts the change")

    patch = {"data": {"defaultRing": "nine"}}
    gate.patch("admin", "configmap", "cabgate-installation", "cabgate-system", patch)
    for command in ("explain plain/deployment/web", "uncovered -n plain", "adopt -n plain"):
        said = cabgate(gate, "requester", command, 4).stderr
        assert "data.defaultRing: 'nine'; allowed: 0 to 4. It says how cabgate is set" in said

    gate.kubectl("admin", "delete", *NAMES)
    result = cabgate(gate, "requester", "explain plain/deployment/web", 0)
    assert "how cabgate is set here is not known" in result.stderr
    assert "taken: ring 0 without a label, mode Enforce" in result.stderr
    assert "RingNotGated" in result.stdout

    operator.apply_objects("cabgate-installation")
    wait_until(lambda: counted(gate, differs) == 0, "it is as it was")
