# SPDX-License-Identifier: Apache-2.0
"""What the chart makes of each set of values is what a real API server takes, with the kinds of
cert-manager and of the Prometheus operator; and our operator takes over from it. The tests
build on one another, in this order."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from cabgate_devcluster import DevCluster, wait_until
from cabgate_devcluster.installed import chart
from cabgate_devcluster.installed.chart import GOLDEN, NAMESPACE
from cabgate_kube.tls.issue import make_authority, sign_leaf
from cabgate_samples.objects import GOOD, workload
from cluster.certificates.test_rotation import CONFIGURATIONS, bundles, renew_connections, serves
from support.load import Load
from support.namespaces import create_namespace
from support.replicas import read_secret, running

STANDINS = GOLDEN.parents[1] / "tests" / "support" / "upstream.yaml"
GOLDENS = sorted(path for path in GOLDEN.glob("*.yaml") if ".values" not in path.name)


@pytest.fixture(scope="module")
def cluster():
    with DevCluster() as made:
        yield made


@pytest.fixture(scope="module")
def kinds(cluster):
    """The kinds of cert-manager and of the Prometheus operator, and the namespace."""
    cluster.kubectl("apply", "-f", str(STANDINS))
    cluster.kubectl("wait", "--for=condition=Established", "-f", str(STANDINS))
    cluster.kubectl("create", "namespace", NAMESPACE)
    label = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "namespace", NAMESPACE, label)


def tried(cluster, text):
    """What a strict dry run at the API server says to manifests; empty if it takes all."""
    args = ("apply", "--dry-run=server", "--validate=strict", "-f", "-")
    return cluster.kubectl(*args, stdin=text, check=False)


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda path: path.stem)
def test_the_api_server_takes_each_golden_file_to_the_last_field(cluster, kinds, golden):
    text = chart.golden(golden)
    result = tried(cluster, text)
    assert result.returncode == 0, result.stderr
    assert result.stderr == "", "not even a warning"
    documents = [each for each in yaml.safe_load_all(text) if each]
    taken = [line for line in result.stdout.splitlines() if line.endswith("(server dry run)")]
    assert len(taken) == len(documents)


def test_each_of_those_kinds_is_in_a_golden_file():
    made = {
        document["kind"]
        for golden in GOLDENS
        for document in yaml.safe_load_all(golden.read_text())
        if document
    }
    assert {"Certificate", "Issuer", "PodMonitor", "PrometheusRule"} <= made


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("rotationPolicy: Never", "rotation: Never", 'unknown field "spec.privateKey.rotation"'),
        ("rotationPolicy: Never", "rotationPolicy: Seldom", 'Unsupported value: "Seldom"'),
        ("podMetricsEndpoints:", "endpoints:", 'unknown field "spec.endpoints"'),
        ("- alert: ", "- alarm: ", 'unknown field "spec.groups[0].rules[0].alarm"'),
    ],
)
def test_a_field_that_is_none_would_be_seen(cluster, kinds, old, new, words):
    golden = chart.golden(GOLDEN / "production.yaml")
    assert old in golden
    assert words in tried(cluster, golden.replace(old, new)).stderr


@pytest.fixture(scope="module")
def gate(cluster, kinds):
    with running(cluster) as installed:
        yield installed


def issued(authority, key):
    """What cert-manager puts into the Secret of the chart's Certificate."""
    leaf, leaf_key = sign_leaf(
        authority, key, frozenset({"127.0.0.1"}), datetime.now(UTC), timedelta(days=90)
    )
    return {"tls.crt": leaf, "tls.key": leaf_key, "ca.crt": authority}


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def inject(gate, *authorities):
    """Do what the CA injector does, which knows of no annotation of ours."""
    kubectl = gate.cluster.kubectl
    bundle = encoded("".join(authorities))
    for kind in CONFIGURATIONS:
        found = json.loads(kubectl("get", kind, "cabgate", "-o", "json").stdout)
        patch = [
            {"op": "replace", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": bundle}
            for index in range(len(found["webhooks"]))
        ]
        kubectl("patch", kind, "cabgate", "--type=json", "-p", json.dumps(patch))
        kubectl("annotate", kind, "cabgate", "cabgate.dev/ca-bundle-written-")


@pytest.fixture
def approved(gate, cluster):
    """A rollout that is approved."""
    create_namespace(cluster, "shop")
    gate.open("shop", GOOD, "AutoApproved")
    return workload("shop")


@pytest.fixture
def managed(gate, approved):
    """The cluster as cert-manager leaves it when the chart no longer asks for it; its CA."""
    kubectl = gate.cluster.kubectl
    gate.installation.operator.stop()
    ours = read_secret(gate.cluster, "cabgate-webhook-ca")["ca.crt"].decode()
    theirs, key = make_authority(datetime.now(UTC), timedelta(days=1800))
    inject(gate, ours, theirs)
    data = {name: encoded(text) for name, text in issued(theirs, key).items()}
    secret = ("secret", "cabgate-webhook-tls", "-n", NAMESPACE)
    kubectl("patch", *secret, "--type=merge", "-p", json.dumps({"data": data}))
    wait_until(lambda: serves(gate, read_secret(gate.cluster, secret[1])), "it is served")
    inject(gate, theirs)
    kubectl("delete", "secret", "cabgate-webhook-ca", "-n", NAMESPACE)
    return theirs


def test_the_operator_takes_over_from_cert_manager_and_no_admission_fails(
    gate, cluster, approved, managed
):
    with Load(gate.user("requester"), approved) as load:
        wait_until(lambda: load.count > 20, "the load runs")
        gate.installation.start_managing()
        ours = wait_until(lambda: read_secret(cluster, "cabgate-webhook-ca"), "a CA of ours")
        new = ours["ca.crt"].decode()
        wait_until(lambda: all(each == {managed, new} for each in bundles(cluster)), "both")

        def signed():
            found = read_secret(cluster, "cabgate-webhook-tls")
            return found["ca.crt"].decode() == new and found

        leaf = wait_until(signed, "it has signed")
        wait_until(lambda: serves(gate, leaf), "both webhooks serve it")
        renew_connections(gate)
        wait_until(lambda: all(each == {new} for each in bundles(cluster)), "theirs is gone")
        renew_connections(gate)
        wait_until(lambda: load.count > 100, timeout=60.0, what="there were admissions enough")
    assert load.failures == []
