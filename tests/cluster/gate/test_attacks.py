# SPDX-License-Identifier: Apache-2.0
"""Ways round the gate, each by its name, with the real kubectl."""

import json

import pytest

from cabgate_devcluster import wait_until
from cabgate_samples.objects import intent, target
from support.clients import client_of
from support.gated import ROLLOUT_CRD, changed, gated, template, url
from support.namespaces import set_ring

GOOD_IMAGE, EVIL = "good:1", "evil:1"
NEW = ("create", "-f", "-")


@pytest.fixture
def team(gate, namespace):
    """A namespace of ring 2 with an approved Deployment, and somebody who may do anything there."""
    gate.bind("mallory", "cluster-admin", namespace)
    approve(gate, namespace, "Deployment", "web")
    deployment = gated("Deployment", namespace, images=(GOOD_IMAGE,))
    deployment["spec"]["replicas"] = 1
    gate.create("mallory", deployment)
    return namespace


def approve(gate, namespace, kind, name, images=(GOOD_IMAGE,), api_version=None):
    """Have a workload's images approved, by an intent of its own."""
    version = api_version or gated(kind, namespace)["apiVersion"]
    made = f"{kind.lower()}-{name.rstrip('-*')}"
    gate.apply("admin", intent(namespace, name=made, targets=[target(images, name, kind, version)]))
    gate.request_of(namespace, made, state="AutoApproved", timeout=60)


def first(gate, resource, namespace):
    """The first object of a kind in a namespace, once a controller has made one."""
    return wait_until(lambda: gate.items(resource, namespace), f"a {resource}")[0]


def stopped(gate, *args, stdin=None, reason="NoRequest"):
    """Let mallory run a command that the gate must refuse."""
    obj = json.dumps(stdin) if isinstance(stdin, dict) else stdin
    message = gate.refused("mallory", *args, stdin=obj)
    assert f"{reason}: " in message
    return message


def owned(obj, owner):
    """The object with another one forged as its controller."""
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"],
                 "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
                 "controller": True, "blockOwnerDeletion": True}  # fmt: skip
    obj["metadata"]["ownerReferences"] = [reference]
    return obj


def test_a_forged_owner_lends_nothing(gate, team):
    deployment = gate.get("deployment", "web", team)
    replica_set = first(gate, "replicaset", team)
    forged = owned(gated("ReplicaSet", team, "web-forged", (EVIL,)), deployment)
    forged["metadata"]["labels"] = replica_set["metadata"]["labels"]
    stopped(gate, *NEW, stdin=forged)
    stopped(gate, *NEW, stdin=owned(gated("Pod", team, "web-forged", (EVIL,)), replica_set))
    # Nor does what is approved for the owner: the Pod is another workload.
    stopped(gate, *NEW, stdin=owned(gated("Pod", team, "web-forged", (GOOD_IMAGE,)), replica_set))


def test_the_replica_set_and_the_pod_of_an_approved_deployment_keep_their_image(gate, team):
    replica_set = first(gate, "replicaset", team)["metadata"]["name"]
    pod = first(gate, "pod", team)["metadata"]["name"]
    where = ("-n", team)
    stopped(gate, "set", "image", f"replicaset/{replica_set}", f"c0={EVIL}", *where)
    # A running Pod may run what is approved for its Deployment, and nothing else.
    other = {"reason": "ImagesNotCovered"}
    stopped(gate, "set", "image", f"pod/{pod}", f"c0={EVIL}", *where, **other)
    stopped(gate, "debug", pod, f"--image={EVIL}", "--attach=false", *where, **other)
    found = gate.get("pod", pod, team)["spec"]
    assert [c["image"] for c in found["containers"]] == [GOOD_IMAGE]
    assert "ephemeralContainers" not in found


def test_a_debug_container_passes_once_its_image_is_approved_for_the_pod(gate, team):
    pod = first(gate, "pod", team)["metadata"]["name"]
    approve(gate, team, "Pod", pod, ("debug:1",))
    gate.kubectl("mallory", "debug", pod, "--image=debug:1", "--attach=false", "-n", team)
    # It stands there already, so that it counts no more in what comes next.
    stopped(gate, "debug", pod, f"--image={EVIL}", "--attach=false", "-n", team,
            reason="ImagesNotCovered")  # fmt: skip


def test_a_controller_revision_is_written_by_controllers_alone(gate, team):
    approve(gate, team, "StatefulSet", "db")
    gate.create("mallory", gated("StatefulSet", team, "db", (GOOD_IMAGE,)))
    revision = first(gate, "controllerrevision", team)
    name = revision["metadata"]["name"]
    body = {"revision": 7}
    for user in ("mallory", "admin"):
        result = gate.patch(user, "controllerrevision", name, team, body, check=False)
        assert "ControllerRevisionGuarded: " in result.stderr
    labels = {"metadata": {"labels": {"app": "other"}}}
    assert gate.patch("mallory", "controllerrevision", name, team, labels, check=False).returncode
    gate.kubectl("mallory", "annotate", "controllerrevision", name, "note=x", "-n", team)
    for field in ("resourceVersion", "uid", "creationTimestamp"):
        del revision["metadata"][field]
    data = revision["data"]["spec"]["template"]["spec"]["containers"]
    data[0]["image"] = EVIL
    gate.kubectl("mallory", "delete", "controllerrevision", name, "-n", team)
    # The controller makes its own again, perhaps first: refused, or there already.
    stopped(gate, *NEW, stdin=revision, reason="ControllerRevisionGuarded")
    revision["metadata"]["name"] = "db-other"
    message = stopped(gate, *NEW, stdin=revision, reason="ControllerRevisionGuarded")
    assert message.rstrip().endswith(f"kubectl rollout undo statefulset/NAME -n {team}")


def test_a_job_from_a_cron_job_runs_what_is_approved_for_that_cron_job(gate, team):
    approve(gate, team, "CronJob", "nightly")
    gate.create("mallory", gated("CronJob", team, "nightly", (GOOD_IMAGE,)))
    where = ("-n", team)
    gate.kubectl("mallory", "create", "job", "by-hand", "--from=cronjob/nightly", *where)
    # The claim to come from it opens the gate to nothing else.
    owner = gate.get("cronjob", "nightly", team)
    stopped(gate, *NEW, stdin=owned(gated("Job", team, "other", (EVIL,)), owner),
            reason="ImagesNotCovered")  # fmt: skip
    elsewhere = {**owner, "metadata": {"name": "absent", "uid": "0"}}
    stopped(gate, *NEW, stdin=owned(gated("Job", team, "other", (GOOD_IMAGE,)), elsewhere))
    foreign = {**owner, "apiVersion": "example.com/v1"}
    stopped(gate, *NEW, stdin=owned(gated("Job", team, "other", (GOOD_IMAGE,)), foreign))


def test_a_generated_name_is_approved_by_its_prefix_alone(gate, team):
    approve(gate, team, "Job", "migrate-*")

    def job(generate, name=None):
        obj = gated("Job", team, images=(GOOD_IMAGE,))
        obj["metadata"] |= {"generateName": generate, "name": name}
        return obj

    gate.create("mallory", job("migrate-"))
    for generate, name in (("migrate", None), ("migrate-x-", None), ("x-", None),
                           ("migrate-", "other")):  # fmt: skip
        stopped(gate, *NEW, stdin=job(generate, name))
    message = {stopped(gate, *NEW, stdin=job("cleanup-")) for _ in range(3)}
    assert len(message) == 1
    assert f"cabgate intent -n {team} 'job/cleanup-*' --image good:1" in message.pop()


def test_a_star_is_for_generated_names(gate, team):
    for version, kind, name in (
        ("apps/v1", "Deployment", "web-*"),
        ("batch/v1", "Job", "*"),
        ("batch/v1", "Job", "a*b"),
        ("v1", "Pod", "a-**"),
    ):
        obj = intent(team, name="star", targets=[target(["x"], name, kind, version)])
        said = gate.apply("admin", obj, check=False).stderr
        assert "spec.targets[0].name: " in said, (kind, name, said)


def test_a_rollout_takes_no_template_that_is_not_approved(gate, team, cluster):
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(ROLLOUT_CRD))
    cluster.kubectl("wait", "--for=condition=Established", "crd/rollouts.argoproj.io")

    def rollout(kind, name, api_version="apps/v1", **spec):
        reference = {"apiVersion": api_version, "kind": kind, "name": name}
        return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
                "metadata": {"name": "ro", "namespace": team},
                "spec": {"workloadRef": reference, **spec}}  # fmt: skip

    set_ring(cluster, team)
    for kind in ("PodTemplate", "Deployment"):
        gate.create("mallory", gated(kind, team, "old", (EVIL,)))
    set_ring(cluster, team, "2")
    stopped(gate, *NEW, stdin=rollout("PodTemplate", "old", "v1"))
    stopped(gate, *NEW, stdin=rollout("Deployment", "old"))
    stopped(gate, *NEW, stdin=rollout("Deployment", "web", template=template([EVIL])),
            reason="ImagesNotCovered")  # fmt: skip
    stopped(gate, *NEW, stdin=rollout("Secret", "old", "v1"), reason="MalformedObject")
    stopped(gate, *NEW, stdin=rollout("Deployment", f"../../{team}/deployments/old"),
            reason="MalformedObject")  # fmt: skip
    # What is approved for the Deployment is approved for the Rollout that takes it.
    gate.create("mallory", rollout("Deployment", "web"))
    other = {"spec": {"workloadRef": {"name": "old"}}}
    result = gate.patch("mallory", "rollout", "ro", team, other, check=False)
    assert "NoRequest: " in result.stderr
    # What does not exist runs nothing, and meets the gate when it comes.
    gate.patch("mallory", "rollout", "ro", team, {"spec": {"workloadRef": {"name": "later"}}})
    stopped(gate, *NEW, stdin=gated("Deployment", team, "later", (EVIL,)))


def test_a_mirror_pod_is_the_node_s_alone(gate, team, cluster):
    gate.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}}))  # fmt: skip
    gate.bind("system:node:n1", "cluster-admin", team)
    node = gate.user("system:node:n1", "system:nodes")
    mirror = gated("Pod", team, "static-n1", (EVIL,))
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "abc"}
    mirror["spec"] |= {"nodeName": "n1"}
    stopped(gate, *NEW, stdin=mirror)
    gate.bind("system:node:impostor", "cluster-admin", team)  # the name without the group
    message = gate.refused("system:node:impostor", *NEW, stdin=json.dumps(mirror))
    assert "NoRequest: " in message
    del mirror["metadata"]["annotations"]
    assert "NoRequest: " in gate.refused("system:node:n1", *NEW, stdin=json.dumps(mirror))
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "abc"}
    with client_of(node) as client:
        answer = client.post(url("Pod", team), json=mirror)
    assert answer.status_code == 201, answer.text
    cluster.kubectl("delete", "node", "n1")


def test_the_name_label_of_the_namespace_cannot_be_forged(gate, team):
    gate.kubectl("admin", "label", "namespace", team, "kubernetes.io/metadata.name=kube-system",
                 "--overwrite", check=False)  # fmt: skip
    stopped(gate, *NEW, stdin=gated("Pod", team, images=(EVIL,)))


def test_subresources_carry_no_image_past_the_gate(gate, team):
    body = changed("Deployment", containers=[{"name": "c0", "image": EVIL}])
    for subresource in ("status", "scale"):
        gate.patch("mallory", "deployment", "web", team, body, f"--subresource={subresource}",
                   check=False)  # fmt: skip
    pod = first(gate, "pod", team)["metadata"]["name"]
    spec = {"spec": {"containers": [{"name": "c0", "image": EVIL}]}}
    for subresource in ("status", "resize"):
        gate.patch("mallory", "pod", pod, team, spec, f"--subresource={subresource}",
                   kind="strategic", check=False)  # fmt: skip
    found = gate.get("deployment", "web", team)["spec"]["template"]["spec"]["containers"]
    assert [c["image"] for c in found] == [GOOD_IMAGE]
    found = gate.get("pod", pod, team)["spec"]["containers"]
    assert [c["image"] for c in found] == [GOOD_IMAGE]


def test_deleting_and_creating_anew_is_a_rollout(gate, team):
    forced = gated("Deployment", team, images=(EVIL,))
    stopped(gate, "replace", "--force", "-f", "-", stdin=forced, reason="ImagesNotCovered")


def test_a_rollback_passes_to_what_is_approved_and_to_nothing_else(gate, team):
    first(gate, "replicaset", team)
    approve(gate, team, "Deployment", "web", ("good:2",))  # a newer request than that of good:1
    where = ("-n", team)
    gate.kubectl("mallory", "set", "image", "deployment/web", "c0=good:2", *where)
    gate.kubectl("mallory", "rollout", "status", "deployment/web", *where, "--watch=false")
    wait_until(lambda: len(gate.items("replicaset", team)) == 2, "the new ReplicaSet")
    gate.kubectl("mallory", "rollout", "undo", "deployment/web", *where)
    found = gate.get("deployment", "web", team)["spec"]["template"]["spec"]["containers"]
    assert [c["image"] for c in found] == [GOOD_IMAGE]
    request = next(r["metadata"]["name"] for r in gate.items("cabrequest", team)
                   if r["spec"]["targets"][0]["images"] == ["good:2"])  # fmt: skip
    gate.review("security", "cabrequest", request, team, "Revoked", rationale="leaks")
    stopped(gate, "rollout", "undo", "deployment/web", *where, reason="Revoked")
