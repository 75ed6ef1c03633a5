# SPDX-License-Identifier: Apache-2.0
"""What passes with the webhook dead, hung, or with all of cabgate gone: everything that is no
rollout; and that no rollout does."""

import json

import pytest

from cabgate_devcluster import DevCluster, wait_until
from cabgate_samples.objects import BAD, MIDDLING, exception, intent, target, workload
from support.gate import install, paused
from support.namespaces import set_ring

KINDS = ["Deployment", "StatefulSet", "DaemonSet"]


@pytest.fixture(scope="module")
def cluster():
    """A cluster of our own: its webhook is going to be killed."""
    with DevCluster() as running:
        yield running


@pytest.fixture(scope="module")
def gate(cluster):
    return install(cluster)


@pytest.fixture(params=["dead", "hung"])
def fault(request, gate, namespace):
    """A namespace with a workload of each kind that nobody approved; a way to break the webhook
    once the test has prepared what it needs."""
    set_ring(gate.cluster, namespace)
    for kind in KINDS:
        # The ring label alone, on the workload, would hide a fault of the other entry.
        gate.create("requester", workload(namespace, kind=kind))
    set_ring(gate.cluster, namespace, "3")
    installation = gate.installation

    def breaks():
        if request.param == "dead":
            installation.webhook.kill()
        else:
            installation.webhook.pause()

    yield breaks
    if request.param == "dead":
        installation.start_webhook()
    else:
        installation.webhook.resume()


def patched(gate, kind, namespace, body, *args, patch="merge"):
    return gate.patch(
        *("requester", kind.lower(), "web", namespace, body, *args), kind=patch, check=False
    )


def in_template(part, **fields):
    return {"spec": {"template": {part: fields}}}


def harmless(kind):
    """Writes that change no pod template: name, arguments of `patched`."""
    rows = {
        "annotate": {"metadata": {"annotations": {"note": "x"}}},
        "label": {"metadata": {"labels": {"team": "x"}}},
        "revisionHistoryLimit": {"spec": {"revisionHistoryLimit": 3}},
        "a finalizer": {"metadata": {"finalizers": ["example.com/wait"]}},
        "the finalizer's removal": {"metadata": {"finalizers": None}},
        "restart": in_template(
            "metadata", annotations={"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}
        ),
        "undo of a restart": in_template(
            "metadata", annotations={"kubectl.kubernetes.io/restartedAt": None}
        ),
    }
    if kind != "DaemonSet":
        rows["scale by the field"] = {"spec": {"replicas": 4}}
    return rows


def rollouts():
    """Writes that change the pod template: each must be stopped by a webhook that does not
    answer."""
    image = [{"name": "c0", "image": "web:2"}]
    return {
        "image": in_template("spec", containers=image),
        "environment": in_template(
            "spec", containers=[{"name": "c0", "image": "web:1", "env": [{"name": "A"}]}]
        ),
        "service account": in_template("spec", serviceAccountName="other"),
        "template label": in_template("metadata", labels={"version": "2"}),
        "template annotation": in_template("metadata", annotations={"inject": "true"}),
        "empty template annotation": in_template("metadata", annotations={"inject": ""}),
        "an image under cover of a restart": {
            "spec": {
                "template": {
                    "metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}},
                    "spec": {"containers": image},
                }
            }
        },
        "an image under cover of a new name of the ring": {
            "metadata": {"labels": {"cabgate.dev/ring": "0"}},
            **in_template("spec", containers=image),
        },
    }


def stopped(result):
    return result.returncode != 0 and "failed calling webhook" in result.stderr


def test_what_is_no_rollout_passes_and_what_is_one_does_not(gate, namespace, fault):
    fault()
    for kind in KINDS:
        for what, body in harmless(kind).items():
            result = patched(gate, kind, namespace, body)
            assert result.returncode == 0, (kind, what, result.stderr)
    where = ("-n", namespace)
    for args in (
        ("scale", "deployment/web", "--replicas=2", *where),
        ("scale", "statefulset/web", "--replicas=2", *where),
        ("rollout", "restart", "deployment/web", *where),
        ("rollout", "restart", "statefulset/web", *where),
        ("rollout", "restart", "daemonset/web", *where),
        ("rollout", "pause", "deployment/web", *where),
        ("rollout", "resume", "deployment/web", *where),
        ("autoscale", "deployment/web", "--max=3", *where),
    ):
        gate.kubectl("requester", *args)
    for kind in KINDS:
        body = {"status": {"observedGeneration": 1}}
        gate.patch("admin", kind.lower(), "web", namespace, body, "--subresource=status")
    # A hung webhook costs 5 s a call: one row of each kind is enough there.
    rows = list(rollouts().items())
    if gate.installation.webhook.running:
        rows = rows[:1]
    for kind in KINDS if len(rows) > 1 else KINDS[:1]:
        for what, body in rows:
            result = patched(gate, kind, namespace, body, "--dry-run=server")
            assert stopped(result), (kind, what, result.stdout, result.stderr)
    if len(rows) > 1:
        new = json.dumps(workload(namespace, name="new"))
        assert stopped(gate.kubectl("requester", "create", "-f", "-", stdin=new, check=False))
    gate.kubectl("requester", "delete", "deployment,statefulset,daemonset", "web", *where)


def test_an_annotation_of_the_template_cannot_be_taken_away_unseen(gate, namespace, cluster):
    set_ring(cluster, namespace)
    for value in ("x", ""):
        obj = workload(namespace, name=f"web{value}")
        obj["spec"]["template"]["metadata"]["annotations"] = {"inject": value}
        gate.create("requester", obj)
    set_ring(cluster, namespace, "2")
    for name in ("webx", "web"):
        for change in (None, "y"):
            body = in_template("metadata", annotations={"inject": change})
            result = gate.patch("requester", "deployment", name, namespace, body, check=False)
            assert "NoRequest" in result.stderr, (name, change, result.stdout)


def test_rings_that_are_not_gated_never_meet_the_webhook(gate, make_namespace):
    namespaces = {ring: make_namespace(ring) for ring in ("0", "1", None)}
    gate.installation.webhook.kill()
    try:
        for ring, namespace in namespaces.items():
            for kind in KINDS:
                labels = {} if ring is None else {"cabgate.dev/ring": "1"}
                gate.create("requester", workload(namespace, kind=kind, labels=labels))
                result = patched(gate, kind, namespace, rollouts()["image"])
                assert result.returncode == 0, (ring, kind, result.stderr)
            gated = workload(namespace, name="gated", labels={"cabgate.dev/ring": "2"})
            result = gate.create("requester", gated, check=False)
            assert stopped(result), ring
    finally:
        gate.installation.start_webhook()


OURS = [
    ("deploymentintent", "web", "requester"),
    ("cabexception", "leave", "requester"),
    ("cabrequest", None, "admin"),
]


def test_notes_on_our_own_objects_and_their_deletion_need_none_of_our_processes(
    gate, namespace, cluster
):
    request = gate.open(namespace, MIDDLING, "Submitted")
    bad = gate.open(namespace, BAD, "ExceptionRequired", name="bad")
    gate.create("requester", exception(namespace, bad))
    gate.wait_state("cabexception", "leave", namespace, "Pending")
    installation = gate.installation
    installation.webhook.kill()
    installation.operator.kill()
    try:
        for resource, name, user in OURS:
            where = (resource, name or request, "-n", namespace)
            gate.kubectl(user, "annotate", *where, "note=x")
            if resource != "cabrequest":  # whose labels are how the gate finds it
                gate.kubectl(user, "label", *where, "team=x")
                body = {"metadata": {"finalizers": ["example.com/wait"]}}
                gate.patch(user, resource, where[1], namespace, body)
                gate.patch(user, resource, where[1], namespace, {"metadata": {"finalizers": None}})
            else:
                assert stopped(gate.kubectl(user, "label", *where, "team=x", check=False))
        again = intent(namespace, evidence=MIDDLING)
        gate.apply("requester", again)  # changes nothing
        assert stopped(gate.apply("requester", {**again, "spec": {**again["spec"],
                                                "summary": "x"}}, check=False))  # fmt: skip
        for resource, name in (("deploymentintent", "web"), ("cabexception", "leave")):
            gate.kubectl("requester", "delete", resource, name, "-n", namespace, "--timeout=60s")
        # Records stay, whoever asks, with every process of ours dead.
        for user in ("requester", "admin"):
            message = gate.refused(user, "delete", "cabrequest", request, "-n", namespace)
            assert "record" in message or user == "requester"
        # And go with their namespace.
        gate.kubectl("admin", "delete", "namespace", namespace, "--timeout=110s")
    finally:
        installation.start_webhook()
        installation.start_operator()
    found = cluster.kubectl("get", "namespace", namespace, check=False)
    assert found.returncode != 0


def test_a_namespace_with_finalizers_in_it_goes_with_the_webhook_dead(gate, make_namespace):
    namespace = make_namespace()
    request = gate.open(namespace, MIDDLING, "Submitted")
    body = {"metadata": {"finalizers": ["example.com/wait"]}}
    gate.patch("requester", "deploymentintent", "web", namespace, body)
    gate.installation.webhook.kill()
    try:
        gate.kubectl("admin", "delete", "namespace", namespace, "--wait=false")
        wait_until(
            lambda: gate.get("deploymentintent", "web", namespace)["metadata"].get(
                "deletionTimestamp"
            ),
            "the namespace controller deletes the intent",
        )
        gate.patch("requester", "deploymentintent", "web", namespace,
                   {"metadata": {"finalizers": None}})  # fmt: skip
        gate.kubectl("admin", "wait", "--for=delete", f"namespace/{namespace}", "--timeout=110s")
    finally:
        gate.installation.start_webhook()
    assert request


def test_the_gate_opens_again_with_the_webhook(gate, namespace):
    gate.open(namespace, {}, "ExceptionRequired", targets=[target(["web:1"])])
    with paused(gate.installation.webhook):
        pass
    message = gate.refused("requester", "create", "-f", "-", stdin=json.dumps(workload(namespace)))
    assert "ExceptionRequired: " in message
