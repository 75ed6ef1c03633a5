# SPDX-License-Identifier: Apache-2.0
"""The labels that decide what a rollout needs, through every door, with all of cabgate dead."""

import json

import pytest

from cabgate_devcluster import DevCluster, wait_until
from cluster.gate.doors import (
    BLIND,
    COPIES,
    ELSEWHERE,
    FREE,
    GUARDED,
    KEEPER,
    LABELLER,
    MALFORMED,
    MODE,
    MODEL,
    PATCHES,
    PATHS,
    POLICY,
    REQUIRE,
    RING,
    ROBOT,
    STANDING,
    SUBRESOURCES,
    WORKLOADS,
    doors,
    installed_with,
    made,
    path_of,
    refused,
    subject,
    write,
)
from support.clients import client_of
from support.gate import denial, install
from support.gated import ROLLOUT_CRD, url
from support.namespaces import set_ring

LOOSER = {MODE: "Audit", MODEL: "lenient", POLICY: "lax", REQUIRE: "4"}
"""Labels of a namespace, and what asks less than it has."""


@pytest.fixture(scope="module")
def cluster():
    """A cluster of our own: labels stand in it from before cabgate, and cabgate is dead."""
    with DevCluster() as running:
        for namespace in (STANDING, FREE):
            running.kubectl("create", "namespace", namespace)
            obj = made(namespace, "Deployment", labels={RING: "two"})
            running.kubectl("create", "-f", "-", stdin=json.dumps(obj))
        malformed = [f"{RING}=high", f"{MODE}=Strict", f"{REQUIRE}=always"]
        running.kubectl("label", "namespace", STANDING, *malformed)
        yield running


@pytest.fixture(scope="module")
def gate(cluster):
    gate = install(cluster)
    for name in (GUARDED, ELSEWHERE, COPIES):
        cluster.kubectl("create", "namespace", name)
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(ROLLOUT_CRD))
    cluster.kubectl("wait", "--for=condition=Established", "crd", "rollouts.argoproj.io")
    wait_until(lambda: cluster.kubectl("get", "rollouts", check=False).returncode == 0, "a kind")
    body = {"apiVersion": "v1", "kind": "List"}
    body["items"] = [made(GUARDED, kind, labels={RING: "1"}) for kind in WORKLOADS]
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(body))
    cluster.kubectl("label", "namespace", ELSEWHERE, f"{RING}=2")
    raised = {RING: "3", MODE: "Warn", MODEL: "strict", POLICY: "strict", REQUIRE: "3"}
    cluster.kubectl("label", "namespace", GUARDED, *map("=".join, raised.items()))
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "writer"},
    }
    rule = {"apiGroups": ["", "apps", "batch", "argoproj.io"], "resources": ["*"]}
    role["rules"] = [{**rule, "verbs": ["get", "list", "create", "update", "patch"]}]
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(role))
    writers = ("writers", "--clusterrole=writer", f"--user={LABELLER}", f"--user={KEEPER}")
    cluster.kubectl("create", "clusterrolebinding", *writers)
    gate.user(ROBOT)
    robot = ("robot", "--clusterrole=cluster-admin", f"--serviceaccount={GUARDED}:robot")
    cluster.kubectl("create", "clusterrolebinding", *robot)
    gate.user(KEEPER)
    gate.bind(KEEPER, "cabgate-ring-keeper", GUARDED)
    gate.installation.webhook.kill()
    gate.installation.operator.kill()
    return gate


@pytest.fixture(scope="module")
def clients(gate):
    """A client for each user."""
    made = {name: client_of(gate.user(name)) for name in ("admin", LABELLER, KEEPER, ROBOT)}
    yield made
    for client in made.values():
        client.close()


@pytest.mark.parametrize("kind", PATHS)
def test_nobody_lowers_a_ring_through_any_door(clients, kind):
    obj = subject(kind)
    for _, sub, patch in doors([kind]):
        for to in ("0", None):
            if (patch, to) == ("apply", None):
                continue
            for user in (LABELLER, ROBOT):
                answer = write(clients[user], obj, sub, patch, {RING: to})
                row = (kind, sub, patch, to, user, answer.status_code, answer.text)
                if (kind, sub) in BLIND:
                    assert answer.is_success, row
                    assert answer.json()["metadata"]["labels"][RING] == "1", row
                    continue
                said = refused(answer)
                assert said.startswith("NotAuthorized: "), row
                assert (
                    f"metadata.labels[{RING}] from {'3' if kind == 'Namespace' else '1'} to "
                    in said
                )
                assert said.endswith(f"kubectl auth can-i --list -n {GUARDED}")


@pytest.mark.parametrize(
    ("label", "to"),
    [(label, to) for label, lower in LOOSER.items() for to in (lower, None)],
)
def test_nobody_loosens_what_a_namespace_asks_for_through_any_door(clients, label, to):
    for kind, sub, patch in doors(["Namespace"]):
        if (patch, to) == ("apply", None):
            continue
        for user in (LABELLER, ROBOT):
            said = refused(write(clients[user], subject(kind), sub, patch, {label: to}))
            assert said.startswith(f"NotAuthorized: namespace {GUARDED}: "), (sub, patch, user)
            assert f"changing metadata.labels[{label}] from " in said
            assert f" to {to or '(none)'}" in said


def test_a_risk_model_is_not_even_given_freely(clients):
    said = refused(
        write(clients[LABELLER], subject("Namespace", ELSEWHERE), "", "merge", {MODEL: "lenient"})
    )
    assert f"changing metadata.labels[{MODEL}] from (none) to lenient" in said


def test_a_label_dropped_from_what_a_tool_applies_stays(gate, clients):
    """Server-side apply takes away what its manager no longer names: the usual way of GitOps."""
    obj = made(ELSEWHERE, "Deployment", name="applied")
    set_ring(gate.cluster, ELSEWHERE)
    gate.cluster.kubectl("create", "-f", "-", stdin=json.dumps(obj))
    set_ring(gate.cluster, ELSEWHERE, "2")
    args = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    labelled = json.dumps({**obj, "metadata": {**obj["metadata"], "labels": {RING: "4"}}})
    gate.kubectl(LABELLER, *args, stdin=labelled)
    message = gate.refused(LABELLER, *args, stdin=json.dumps(obj))
    assert f"changing metadata.labels[{RING}] from 4 to (none) (ring 4 to 0)" in message
    assert gate.get("deployment", "applied", ELSEWHERE)["metadata"]["labels"][RING] == "4"


def test_raising_and_tightening_are_free(clients):
    rows = [("Namespace", {RING: "4"}), ("Namespace", {MODE: "Enforce"})]
    rows += [("Namespace", {REQUIRE: ring}) for ring in "210"]
    rows += [(kind, {RING: "2"}) for kind in WORKLOADS]
    for kind, labels in rows:
        for user in (LABELLER, ROBOT):
            answer = write(clients[user], subject(kind), "", "merge", labels)
            assert answer.is_success, (kind, labels, user, answer.text)
            assert labels.items() <= answer.json()["metadata"]["labels"].items()
    # A mode where there was none, and the loosest taken away, change nothing that holds.
    for labels in ({MODE: "Audit"}, {REQUIRE: "4"}):
        answer = write(clients[LABELLER], subject("Namespace", ELSEWHERE), "", "merge", labels)
        assert answer.is_success, answer.text


def test_the_verb_counts_in_its_own_namespace(clients):
    lower = {RING: "0", MODE: None, MODEL: "lenient", REQUIRE: None}
    for kind, sub, patch in doors():
        labels = lower if kind == "Namespace" else {RING: "0"}
        if patch == "apply":
            labels = {key: value for key, value in labels.items() if value is not None}
        answer = write(clients[KEEPER], subject(kind), sub, patch, labels)
        assert answer.is_success, (kind, sub, patch, answer.text)
    elsewhere = subject("Namespace", ELSEWHERE)
    said = refused(write(clients[KEEPER], elsewhere, "", "merge", {RING: "0"}))
    assert said.endswith(f"-n {ELSEWHERE}")
    # A cluster admin has every verb.
    assert write(clients["admin"], subject("Namespace"), "", "merge", lower).is_success


def test_writes_that_leave_the_labels_alone_pass(clients):
    for kind in PATHS:
        for sub in ("", *SUBRESOURCES.get(kind, ["status"])[:1]):
            path = path_of(subject(kind), sub)
            body = {"metadata": {"annotations": {"note": "x"}, "labels": {"team": "x"}}}
            if sub:
                body["status"] = {}
            sent = {"params": {"dryRun": "All"}, "headers": {"Content-Type": PATCHES["merge"]}}
            answer = clients[LABELLER].patch(path, content=json.dumps(body), **sent)
            assert answer.is_success, (kind, sub, answer.text)


def test_a_malformed_value_is_set_by_nobody(gate, clients):
    for value in MALFORMED:
        for user in ("admin", LABELLER, KEEPER, ROBOT):
            for kind in PATHS if value == "5" else ("Namespace", "Deployment"):
                said = refused(write(clients[user], subject(kind), "", "merge", {RING: value}))
                assert said.startswith("Invalid: "), (user, kind, value)
                assert f'[{RING}]: must be 0, 1, 2, 3 or 4, not "{value}"' in said
    rows = [(MODE, value, "Enforce, Warn or Audit") for value in ("enforce", "", "Off")]
    rows += [(REQUIRE, each, "0, 1, 2, 3 or 4, the ring from which on") for each in MALFORMED]
    for label, value, must in rows:
        said = refused(write(clients["admin"], subject("Namespace"), "", "merge", {label: value}))
        assert f'[{label}]: must be {must}, not "{value}"' in said
    malformed = ("label", "namespace", GUARDED, f"{RING}=x", "--overwrite")
    everybody = gate.cluster.kubectl(*malformed, check=False)
    assert "must be 0, 1, 2, 3 or 4" in everybody.stderr, "not by system:masters either"


def test_a_malformed_value_is_not_created_either(clients):
    for kind in PATHS:
        obj = {**subject(kind)}
        obj["metadata"] = {**obj["metadata"], "name": "new", "labels": {RING: "high"}}
        path = path_of(obj).rpartition("/")[0]
        answer = clients["admin"].post(path, params={"dryRun": "All"}, json=obj)
        assert 'not "high"' in refused(answer), kind
    obj = {**subject("Namespace"), "metadata": {"name": "new", "labels": {MODE: "Strict"}}}
    answer = clients["admin"].post("/api/v1/namespaces", params={"dryRun": "All"}, json=obj)
    assert 'not "Strict"' in refused(answer)
    obj["metadata"]["labels"] = {MODE: "Warn", RING: "0", MODEL: "lenient"}
    answer = clients[LABELLER].post("/api/v1/namespaces", params={"dryRun": "All"}, json=obj)
    assert answer.is_success, "who creates a namespace says what it is"


def test_a_malformed_value_that_stands_counts_as_the_strictest_and_is_in_nobodys_way(clients):
    namespace = subject("Namespace", STANDING)
    deployment = subject("Deployment", STANDING)
    for obj in (namespace, deployment):
        for labels in ({"team": "x"}, {RING: "4"}):
            answer = write(clients[LABELLER], obj, "", "merge", labels)
            assert answer.is_success, (obj["kind"], labels, answer.text)
        for labels in ({RING: "3"}, {RING: None}):
            said = refused(write(clients[LABELLER], obj, "", "merge", labels))
            assert f"(ring 4 to {labels[RING] or 0})" in said
        assert "must be" in refused(write(clients["admin"], obj, "", "merge", {RING: "9"}))
    rows = [(MODE, "Strict", "Enforce", "Warn"), (REQUIRE, "always", "0", "1")]
    for label, stands, strictest, looser in rows:
        assert write(clients[LABELLER], namespace, "", "merge", {label: strictest}).is_success
        for value in (looser, None):
            said = refused(write(clients[LABELLER], namespace, "", "merge", {label: value}))
            assert f"metadata.labels[{label}] from {stands} to {value or '(none)'}" in said


def test_a_binding_does_not_overwrite_the_ring_of_its_pod(gate, clients):
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "pod", "namespace": GUARDED, "labels": {RING: "0"}},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "node"},
    }
    for path in ("pods/pod/binding", "bindings"):
        url = f"/api/v1/namespaces/{GUARDED}/{path}"
        said = refused(clients["admin"].post(url, params={"dryRun": "All"}, json=binding))
        assert "a Binding carries none" in said, path
        binding["metadata"]["labels"] = {"topology.kubernetes.io/zone": "a"}
        answer = clients["admin"].post(url, params={"dryRun": "All"}, json=binding)
        assert answer.is_success, answer.text
        binding["metadata"]["labels"] = {RING: "0"}


def test_the_controllers_copy_whatever_stands_in_a_template(gate, clients):
    """A Pod as its template says, with every process of ours dead."""
    obj = made(COPIES, "Deployment")
    obj["spec"]["replicas"] = 1
    obj["spec"]["template"]["metadata"]["labels"][RING] = "high"
    gate.cluster.kubectl("create", "-f", "-", stdin=json.dumps(obj))
    for resource in ("replicasets", "pods"):
        found = wait_until(lambda kind=resource: gate.items(kind, COPIES), resource)
        assert found[0]["metadata"]["labels"][RING] == "high"
    pod = found[0]
    del pod["metadata"]["ownerReferences"]
    pod["metadata"] = {"name": "forged", "namespace": COPIES, "labels": {RING: "high"}}
    answer = clients["admin"].post(f"/api/v1/namespaces/{COPIES}/pods", json=pod)
    assert 'not "high"' in refused(answer), "and nobody else does"


def test_a_mirror_pod_says_what_its_file_says(gate, clients):
    node = "system:node:one"
    gate.user(node, "system:nodes")
    binding = ("clusterrolebinding", "node", "--clusterrole=writer", f"--user={node}")
    gate.cluster.kubectl("create", *binding)
    pod = made(ELSEWHERE, "Pod", name="static-one", labels={RING: "high"})
    pod["spec"]["nodeName"] = "one"
    with client_of(gate.user(node)) as client:

        def create(annotations, of=client):
            body = {**pod, "metadata": {**pod["metadata"], "annotations": annotations}}
            where = url("Pod", ELSEWHERE)
            return of.post(where, json=body, params={"dryRun": "All"})

        mirror = {"kubernetes.io/config.mirror": "x"}
        wait_until(lambda: create(mirror).is_success, timeout=60.0, what="its right counts")
        assert 'not "high"' in refused(create({}))
        assert 'not "high"' in refused(create(mirror, clients["admin"]))


def test_a_controller_lowers_no_ring_of_what_it_does_not_make(gate):
    account = "system:serviceaccount:kube-system:deployment-controller"
    with client_of(gate.user(account)) as client:
        answer = write(client, subject("Deployment"), "", "merge", {RING: "0"})
        # It may update Deployments, not patch them.
        assert answer.status_code == 403
        answer = write(client, subject("Deployment"), "", "replace", {RING: "0"})
        assert refused(answer).startswith("NotAuthorized: Deployment deployment in namespace")


def test_the_namespaces_of_the_system_are_left_alone(gate, clients):
    obj = made("kube-system", "Deployment", labels={RING: "high"})
    gate.cluster.kubectl("create", "-f", "-", stdin=json.dumps(obj))
    answer = write(clients[LABELLER], obj, "", "merge", {RING: None})
    assert answer.is_success, answer.text


def test_a_service_account_lowers_once_it_is_listed_and_has_the_verb(gate, clients):
    def lower(user=ROBOT):
        return refused(write(clients[user], subject("Namespace"), "", "merge", {RING: "0"}))

    assert "service accounts do this only if they are listed" in lower()
    with installed_with(gate, "listedServiceAccounts", f"['{ROBOT}']"):
        wait_until(lambda: lower() == "", "the list counts")
        assert "needs the verb lower-ring" in lower(LABELLER), "a person needs the verb"
        gate.cluster.kubectl("delete", "clusterrolebinding", "robot")
        subject_of = f"--serviceaccount={GUARDED}:robot"
        gate.cluster.kubectl(
            "create", "clusterrolebinding", "robot", "--clusterrole=writer", subject_of
        )
        wait_until(lambda: "needs the verb lower-ring" in lower(), "and the machine too")
        gate.cluster.kubectl("delete", "clusterrolebinding", "robot")
        gate.cluster.kubectl(
            "create", "clusterrolebinding", "robot", "--clusterrole=cluster-admin", subject_of
        )
    wait_until(lambda: "only if they are listed" in lower(), "the list is empty again")


def test_without_a_label_a_namespace_has_the_default_ring(gate, clients):
    def remove():
        return refused(
            write(clients[LABELLER], subject("Namespace", ELSEWHERE), "", "merge", {RING: None})
        )

    assert "(ring 2 to 0)" in remove()
    with installed_with(gate, "defaultRing", "1"):
        wait_until(lambda: "(ring 2 to 1)" in remove(), "the default counts")
    with installed_with(gate, "defaultRing", "2"):
        wait_until(lambda: remove() == "", "the default counts")
    wait_until(lambda: "(ring 2 to 0)" in remove(), "it is 0 again")


def test_a_refusal_is_short_whatever_the_names(gate, clients):
    long = "n" * 63
    gate.cluster.kubectl("create", "namespace", long)
    given = (f"{RING}=4", f"{MODE}=Enforce", f"{MODEL}={'m' * 63}")
    gate.cluster.kubectl("label", "namespace", long, *given)
    labels = {RING: "0", MODE: "Audit", MODEL: "o" * 63}
    said = refused(write(clients[LABELLER], subject("Namespace", long), "", "merge", labels))
    assert all(f"metadata.labels[{label}] from" in said for label in labels)
    obj = made(COPIES, "CronJob", name="c" * 52, labels={RING: "1"})
    gate.cluster.kubectl("create", "-f", "-", stdin=json.dumps(obj))
    for user in (LABELLER, ROBOT):
        for each in (subject("Namespace", long), obj):
            said = refused(write(clients[user], each, "", "merge", {RING: "0"}))
            assert len(said.encode()) <= 1000


def test_the_command_of_a_refusal_tells(gate):
    message = gate.refused(LABELLER, "label", "namespace", GUARDED, f"{RING}=0", "--overwrite")
    command = message[message.index("kubectl auth") :]
    assert "lower-ring" in gate.shell(KEEPER, command).stdout
    answer = gate.shell(LABELLER, command)
    assert "namespaces" in answer.stdout or "*" in answer.stdout
    assert "lower-ring" not in answer.stdout


def test_a_malformed_ring_that_stands_is_gated_as_ring_4(gate):
    gate.installation.start_webhook()
    try:
        image = {"spec": {"template": {"spec": {"containers": [{"name": "c0", "image": "web:2"}]}}}}
        for namespace in (STANDING, FREE):
            result = gate.patch(
                *("admin", "deployment", "deployment", namespace, image),
                kind="strategic",
                check=False,
            )
            assert "(ring 4) has no CABRequest" in denial(result), namespace
    finally:
        gate.installation.webhook.kill()
