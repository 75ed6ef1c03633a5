# SPDX-License-Identifier: Apache-2.0
"""Operator and webhook are granted what they use, and nothing else: the chart's roles against the
audit log of an API server on which everything is done that they do."""

import contextlib
import json

import pytest
import yaml

from cabgate.lifecycle.requests.break_glass import ANNOTATION
from cabgate.rollout.workloads import REFERABLE
from cabgate_devcluster import DevCluster, wait_until
from cabgate_devcluster.installed.chart import NAMESPACE, manifests
from cabgate_samples.objects import BAD, GOOD, MIDDLING, exception, intent, target
from support import audit
from support.gated import KINDS, ROLLOUT_CRD, gated
from support.glass import WHY, Glass
from support.namespaces import create_namespace, set_ring
from support.replicas import read_secret, running

SMALL = ("--keep-approved", "1", "--sweep-seconds", "5")

# Rights that this does not make them use, each with the reason why they are needed all the same.
RARE: dict[str, str] = {
    f"{account}: list evidencesigners.cabgate.dev, everywhere": "where evidence is signed, as in "
    "test_signed_evidence.py"
    for account in ("cabgate-operator", "cabgate-webhook")
} | {
    f"{right} cabevidences.cabgate.dev, everywhere": "where a template is written out, as in "
    "test_kept_evidence.py"
    for right in ("cabgate-operator: create", "cabgate-operator: delete", "cabgate-webhook: get")
}

RARE |= {
    f"cabgate-webhook: list {resource}, everywhere": "where freezes hold, as in test_freezes.py"
    for resource in ("changefreezes.cabgate.dev", "replicasets.apps", "controllerrevisions.apps")
}

RARE |= {
    f"{account}: {right}, everywhere": "where a workload of an intent runs, as in test_outcomes.py"
    for account, right in (
        *(
            ("cabgate-operator", f"{verb} rolloutoutcomes.cabgate.dev")
            for verb in ("get", "create", "delete")
        ),
        ("cabgate-operator", "update rolloutoutcomes/status.cabgate.dev"),
        *(("cabgate-webhook", f"list {each}") for each in ("rolloutoutcomes.cabgate.dev", "pods")),
    )
}

# What every service account may, by the bindings that Kubernetes comes with.
EVERYBODYS = {"selfsubjectreviews", "selfsubjectaccessreviews"}


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return tmp_path_factory.mktemp("audit") / "audit.log"


@pytest.fixture(scope="module")
def gate(log):
    policy = log.with_name("policy.yaml")
    policy.write_text(yaml.safe_dump(audit.POLICY))
    arguments = [f"--audit-policy-file={policy}", f"--audit-log-path={log}"]
    with DevCluster(apiserver_args=arguments) as cluster:
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps(ROLLOUT_CRD))
        stack = contextlib.ExitStack()
        made = stack.enter_context(running(cluster))
        for role in ("cluster-admin", "cabgate-break-glass"):
            args = (f"breaker-{role}", f"--clusterrole={role}", "--user=breaker")
            cluster.kubectl("create", "clusterrolebinding", *args)
        made.installation.operator.stop()
        made.installation.start_managing(*SMALL)
        with stack:
            yield made


@pytest.fixture(scope="module")
def used(gate, log):
    """The audit log, after everything that they do."""
    decisions(gate)
    exceptions(gate)
    deletions(gate)
    references(gate)
    broken_glass(gate)
    uncovered(gate)
    certificates(gate)
    election(gate)
    return wait_until(lambda: audit.events(log), "the audit log")


def space(gate, name):
    create_namespace(gate.cluster, name)
    return name


def decisions(gate):
    """Approved by score, approved by a person, revoked, and rolled out."""
    shop = space(gate, "shop")
    gate.open(shop, GOOD, "AutoApproved", name="good")
    name = gate.open(shop, MIDDLING, "Submitted", name="middling")
    gate.review("reviewer", "cabrequest", name, shop, "Approved")
    gate.review("security", "cabrequest", name, shop, "Revoked", images=["web:1"])
    gate.wait_state("cabrequest", name, shop, "Revoked")
    kubectl = gate.cluster.kubectl
    wait_until(lambda: len(ledger(kubectl)) >= 3, "the ledger has them")


def ledger(kubectl):
    return json.loads(kubectl("get", "cabdecisions", "-o", "json").stdout)["items"]


def exceptions(gate):
    """An exception, decided by a person, that admits."""
    shop = space(gate, "excepted")
    name = gate.open(shop, BAD, "ExceptionRequired", name="web")
    gate.apply("requester", exception(shop, name))
    gate.review("security", "cabexception", "leave", shop, "Approved")
    gate.wait_state("cabexception", "leave", shop, "Approved")
    gate.create("requester", gated("Deployment", shop, images=("web:1",)))


def deletions(gate):
    """More approved requests of one target than stay."""
    shop = space(gate, "releases")
    for number in range(3):
        targets = [target([f"web:{number}"])]
        gate.apply("requester", intent(shop, evidence=GOOD, targets=targets))
        gate.request_of(shop, state="AutoApproved")

    def pruned():
        return len(gate.items("cabrequests", shop)) == 2  # what is asked for, and the one before

    wait_until(pruned, "the oldest approved request is deleted", timeout=120)


def references(gate):
    """Argo Rollouts that refer to workloads of each kind."""
    shop = space(gate, "references")
    for _, kind in sorted(REFERABLE):
        set_ring(gate.cluster, shop)
        obj = gated(kind, shop, kind.lower())
        gate.create("admin", obj)
        set_ring(gate.cluster, shop, "2")
        gate.create("admin", referring(shop, kind), check=False)


def broken_glass(gate):
    """The glass broken on every kind on which it can be, also by reference to a PodTemplate."""
    shop = space(gate, "incident")
    kinds = [kind for kind in KINDS if kind not in ("Pod", "PodTemplate")]
    for kind in kinds:
        break_it(gate, gated(kind, shop))
    set_ring(gate.cluster, shop)
    gate.create("admin", gated("PodTemplate", shop, "podtemplate"))
    set_ring(gate.cluster, shop, "2")
    break_it(gate, referring(shop, "PodTemplate"))
    glass = Glass(gate)
    try:
        glass.opened(shop, len(kinds) + 1)
    finally:
        glass.close()


def break_it(gate, obj):
    obj["metadata"]["annotations"] = {ANNOTATION: WHY}
    gate.create("breaker", obj)


def referring(shop, kind):
    """An Argo Rollout that refers to a workload."""
    rollout = gated("Rollout", shop, f"of-{kind.lower()}")
    del rollout["spec"]["template"]
    version = KINDS[kind].api_version
    rollout["spec"]["workloadRef"] = {"apiVersion": version, "kind": kind, "name": kind.lower()}
    return rollout


def uncovered(gate):
    """A namespace that is gated over what runs there."""
    shop = space(gate, "adopted")
    kubectl = gate.cluster.kubectl
    set_ring(gate.cluster, shop)
    for kind in KINDS:
        gate.create("admin", gated(kind, shop))
    set_ring(gate.cluster, shop, "3")
    wait_until(
        lambda: "Uncovered" in kubectl("get", "events", "-A", "-o", "json").stdout,
        "the operator tells of what is uncovered",
    )


def certificates(gate):
    """Certificates that nobody can use any more, and a signing key that is gone."""
    cluster = gate.cluster
    for name, field in (("cabgate-webhook-tls", "tls.crt"), ("cabgate-webhook-ca", "ca.crt")):
        patch = json.dumps({"stringData": {field: "broken"}})
        cluster.kubectl("patch", "secret", name, "-n", NAMESPACE, "-p", patch)
        wait_until(lambda n=name, f=field: read_secret(cluster, n)[f] != b"broken", name)
    gate.installation.operator.stop()
    cluster.kubectl("delete", "secret", "cabgate-signing-key", "-n", NAMESPACE)
    gate.installation.start_managing(*SMALL)
    wait_until(lambda: read_secret(cluster, "cabgate-signing-key"), "another signing key")


def election(gate):
    """The Lease that the chart brings, deleted by somebody."""
    kubectl = gate.cluster.kubectl
    kubectl("delete", "lease", "cabgate-operator", "-n", NAMESPACE)
    wait_until(
        lambda: gate.get("lease", "cabgate-operator", NAMESPACE)["spec"]["holderIdentity"],
        "it leads again",
    )


def test_nothing_was_refused_to_them(used):
    refused = {audit.seen(each) for each in used if not audit.allowed(each)}
    assert not refused, "needed, and not granted:\n" + "\n".join(sorted(refused))


def test_what_they_used_is_granted_by_the_chart(used):
    others = {
        audit.seen(each)
        for each in used
        if audit.allowed(each)
        and not audit.by_us(each)
        and each["objectRef"]["resource"] not in EVERYBODYS
    }
    assert not others, "used, and granted by somebody else:\n" + "\n".join(sorted(others))


def test_what_is_granted_to_them_is_used(used):
    rights = audit.granted(manifests())
    assert {each.account for each in rights} == set(audit.ACCOUNTS)
    seen = [each for each in used if audit.allowed(each)]
    unused = {str(right) for right in rights if not any(right.covers(each) for each in seen)}
    assert not unused - RARE.keys(), "granted, and not used:\n" + "\n".join(sorted(unused))
    assert not RARE.keys() - unused, "used after all: no longer rare"
