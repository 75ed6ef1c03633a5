# SPDX-License-Identifier: Apache-2.0
"""Approvals that say what the containers do: every way to have them do something else, with the
real kubectl, by somebody who may do anything in the namespace."""

import copy
import itertools
import json

import pytest

from cabgate.rollout.workloads import template_of
from cabgate_devcluster import wait_until
from cabgate_samples.objects import MIDDLING, intent, target
from support.bound import (
    CLAIMS,
    FIELDS,
    IMAGE,
    NEW,
    REQUIRE,
    SERVER,
    SPEC,
    approve,
    approved,
    full,
    manifest,
    stopped,
)
from support.cli import cabgate, serve_rollouts
from support.gate import denial
from support.gated import KINDS, changed, gated, pod_spec
from support.namespaces import create_namespace, label_namespace

_numbers = itertools.count(1)


@pytest.fixture
def team(gate, cluster):
    """A namespace of ring 3 that asks for templates, and somebody who may do anything there."""
    name = f"bound-{next(_numbers)}"
    create_namespace(cluster, name, "3", **{"require-template": "3"})
    wait_until(lambda: cluster.api.get("serviceaccount", "default", name), "the account")
    gate.bind("mallory", "cluster-admin", name)
    return name


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_stored_has_the_template_of_its_manifest(gate, kind, make_namespace):
    if kind == "Rollout":
        serve_rollouts(gate)
    obj = full(kind, make_namespace(None))
    result = gate.create("admin", obj, SERVER, "-o", "json")
    stored = json.loads(result.stdout)
    assert pod_spec(kind, stored) != pod_spec(kind, obj) or kind == "Rollout"
    before, now = (template_of(KINDS[kind], each) for each in (obj, stored))
    assert now.forms == before.forms
    assert now.digest == before.digest


EVIL = {
    "containers[c0].command": {"command": ["sh"]},
    "containers[c0].args": {"args": ["--port", "81"]},
    "containers[c0].workingDir": {"workingDir": "/tmp"},
    "containers[c0].env": {"env": [*FIELDS["env"], {"name": "LD_PRELOAD", "value": "/data/x.so"}]},
    "containers[c0].envFrom": {"envFrom": [{"secretRef": {"name": "keys"}}]},
    "containers[c0].ports": {"ports": [{"containerPort": 8080, "hostPort": 8081}]},
    "containers[c0].volumeMounts": {"volumeMounts": [{"name": "logs", "mountPath": "/data"}]},
    "containers[c0].securityContext": {"securityContext": {"privileged": True}},
    "containers[c0].terminationMessagePath": {"terminationMessagePath": "/etc/app/denied"},
    "containers[c0].stdin": {"stdin": True},
    "containers[c0].devices": {"resources": {"limits": {"example.com/fuse": "1"}}},
    "containers[c0].lifecycle": {"lifecycle": {"preStop": {"exec": {"command": ["sh"]}}}},
    "containers[c0].livenessProbe": {"livenessProbe": {"exec": {"command": ["sh", "-c", "x"]}}},
    "containers[c0].readinessProbe": {"readinessProbe": {"exec": {"command": ["sh"]}}},
}
EVIL_PODS = {
    "volumes[data]": {"volumes": [
        {"name": "data", "hostPath": {"path": "/"}}, *SPEC["volumes"][1:]]},
    "volumes[other]": {"volumes": [*SPEC["volumes"], {"name": "other", "emptyDir": {}}]},
    "hostNetwork": {"hostNetwork": True},
    "hostPID": {"hostPID": True},
    "hostIPC": {"hostIPC": True},
    "shareProcessNamespace": {"shareProcessNamespace": True},
    "serviceAccountName": {"serviceAccountName": "other", "serviceAccount": "other"},
    "automountServiceAccountToken": {"automountServiceAccountToken": True},
    "securityContext": {"securityContext": {"fsGroup": 0}},
    "hostAliases": {"hostAliases": [{"ip": "10.6.6.6", "hostnames": ["db"]}]},
    "hostname": {"hostname": "other"},
    "enableServiceLinks": {"enableServiceLinks": False},
    "dnsConfig": {"dnsConfig": {"nameservers": ["10.6.6.6"]}},
    "initContainers[setup].command": {"initContainers": [
        {"name": "setup", "image": IMAGE, "command": ["sh"]}, SPEC["initContainers"][1]]},
    "initContainers[more]": {"initContainers": [
        *SPEC["initContainers"], {"name": "more", "image": IMAGE}]},
    "initContainers.order": {"initContainers": SPEC["initContainers"][::-1]},
    "initContainers[side].restartPolicy": {"initContainers": [
        SPEC["initContainers"][0], {"name": "side", "image": IMAGE, "args": ["run"]}]},
    "containers[more]": {"containers": [
        {"name": "c0", "image": IMAGE, **FIELDS}, {"name": "more", "image": IMAGE}]},
}  # fmt: skip


def test_nothing_else_than_what_is_approved_is_rolled_out(gate, team, tmp_path):
    obj = full("Deployment", team)
    request = approved(gate, tmp_path, team, obj)
    gate.create("mallory", obj)
    rows = dict(EVIL_PODS)
    for path, fields in EVIL.items():
        rows[path] = {"containers": [{"name": "c0", "image": IMAGE, **FIELDS, **fields}]}
    for path, fields in rows.items():
        body = changed("Deployment", **fields)
        result = gate.patch("mallory", "deployment", "web", team, body, SERVER, check=False)
        said = denial(result)
        assert said.startswith("TemplateNotCovered: Deployment web in namespace"), (path, said)
        assert f"request {request} does not cover what the containers do" in said
        assert path in said, (path, said)
        assert "LD_PRELOAD" not in said
        assert said.endswith("--live --name web --template client")
    for path in ("hostPID", "volumes[data]", "containers[more]"):
        # And so is an object of that name that is made anew.
        made = full("Deployment", team)
        pod_spec("Deployment", made).update(copy.deepcopy(rows[path]))
        assert path in stopped(gate, *NEW, SERVER, stdin=made)
    where = ("deployment/web", "-n", team)
    stopped(gate, "set", "env", *where, "LEVEL=debug")
    stopped(gate, "set", "env", *where, "LEVEL-")
    stopped(gate, "set", "serviceaccount", *where, "other")
    evil = full("Deployment", team, command=["sh"])
    stopped(gate, "apply", "-f", "-", stdin=evil)
    stopped(gate, "replace", "-f", "-", stdin=evil)
    stopped(gate, "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=evil)
    note = {"container.apparmor.security.beta.kubernetes.io/c0": "unconfined"}
    body = {"spec": {"template": {"metadata": {"annotations": note}}}}
    result = gate.patch("mallory", "deployment", "web", team, body, check=False)
    assert "containers[c0].securityContext" in denial(result)


def test_what_does_not_count_passes(gate, team, tmp_path):
    obj = full("Deployment", team)
    approved(gate, tmp_path, team, obj)
    gate.create("mallory", obj)
    where = ("deployment/web", "-n", team)
    for args in (
        ("scale", "--replicas=0", *where),
        ("rollout", "restart", *where),
        ("set", "resources", *where, "--limits=cpu=2"),
        ("annotate", *where, "note=x"),
        ("label", *where, "team=x"),
        ("rollout", "pause", *where),
        ("rollout", "resume", *where),
    ):
        gate.kubectl("mallory", *args)
    container = {"name": "c0", "image": IMAGE, **FIELDS}
    for fields in (
        {"containers": [{**container, "readinessProbe": {"httpGet": {"port": 80}}}]},
        {"containers": [{**container, "imagePullPolicy": "Always"}]},
        {"containers": [{**container, "env": FIELDS["env"][::-1]}]},
        {"containers": [{**container, "stdin": None, "volumeDevices": []}]},
        {"containers": [{**container, "securityContext": {
            **FIELDS["securityContext"], "privileged": False}}]},
        {"nodeSelector": {"disk": "ssd"}, "terminationGracePeriodSeconds": 5},
        {"hostNetwork": False, "hostPID": None, "dnsPolicy": "ClusterFirst"},
        {"volumes": [{"name": "data", "emptyDir": {}}, *SPEC["volumes"][:0:-1]]},
    ):  # fmt: skip
        body = changed("Deployment", **fields)
        gate.patch("mallory", "deployment", "web", team, body, SERVER)
    gate.kubectl("mallory", "delete", *where, "--wait=false")


@pytest.mark.parametrize("kind", KINDS)
def test_every_gated_kind_is_bound(gate, team, tmp_path, kind):
    if kind == "Rollout":
        serve_rollouts(gate)
    obj = full(kind, team)
    approved(gate, tmp_path, team, obj)
    gate.create("mallory", obj)
    for fields in ({"command": ["sh"]}, {"env": []}, {"securityContext": {}}, {"args": None}):
        evil = full(kind, team, **fields)
        evil["metadata"]["name"] = "web"
        said = stopped(gate, *NEW, SERVER, stdin=evil)
        assert f"containers[c0].{next(iter(fields))}" in said
    # What another object of the kind does is nobody's approval for this one.
    stopped(gate, *NEW, SERVER, stdin=full(kind, team, "other"), reason="NoRequest")


def test_a_profile_that_an_annotation_gives_a_pod_is_bound(gate, team, tmp_path):
    obj = full("Pod", team)
    approved(gate, tmp_path, team, obj)
    note = {"container.apparmor.security.beta.kubernetes.io/c0": "unconfined"}
    evil = {**obj, "metadata": {**obj["metadata"], "annotations": note}}
    said = stopped(gate, *NEW, SERVER, stdin=evil)
    assert "containers[c0].securityContext" in said
    gate.create("mallory", obj, SERVER)


def test_a_claim_of_a_stateful_set_takes_no_volume_s_place_unseen(gate, team, tmp_path):
    obj = full("StatefulSet", team)
    approved(gate, tmp_path, team, obj)
    gate.create("mallory", obj)
    gate.kubectl("mallory", "delete", "statefulset/web", "-n", team)
    for name in ("conf", "claim"):
        evil = full("StatefulSet", team)
        evil["spec"]["volumeClaimTemplates"] = [
            {"metadata": {"name": name}, "spec": {**CLAIMS[0]["spec"], "volumeName": "evil"}}
        ]
        said = stopped(gate, *NEW, SERVER, stdin=evil)
        assert f"volumeClaimTemplates[{name}]" in said
    gate.create("mallory", obj)


def test_a_job_by_hand_has_to_do_what_its_cron_job_does(gate, team, tmp_path):
    obj = full("CronJob", team)
    approved(gate, tmp_path, team, obj)
    gate.create("mallory", obj)
    args = ("create", "job", "now", "--from=cronjob/web", "-n", team)
    gate.kubectl("mallory", *args, SERVER)
    job = json.loads(gate.kubectl("mallory", *args, "--dry-run=client", "-o", "json").stdout)
    gate.create("mallory", job, SERVER)
    job["spec"]["template"]["spec"]["containers"][0]["command"] = ["sh"]
    said = stopped(gate, *NEW, stdin=job)
    assert "containers[c0].command" in said


def test_a_rollout_that_takes_a_template_by_reference_is_bound_to_it(gate, team, tmp_path):
    serve_rollouts(gate)
    deployment = full("Deployment", team)
    rollout = gated("Rollout", team)
    del rollout["spec"]["template"]
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    rollout["spec"]["workloadRef"] = ref
    approved(gate, tmp_path, team, deployment, rollout)
    gate.create("mallory", deployment)
    gate.create("mallory", rollout, SERVER)
    stopped(gate, "set", "env", "deployment/web", "-n", team, "LEVEL=debug")
    # One of its own beside it is another template.
    both = copy.deepcopy(rollout)
    both["spec"]["template"] = full("Rollout", team, command=["sh"])["spec"]["template"]
    stopped(gate, *NEW, stdin=both)


def test_nobody_adds_a_container_to_a_pod_that_runs(gate, team, tmp_path, make_namespace):
    obj = full("Pod", team)
    approved(gate, tmp_path, team, obj)
    gate.create("mallory", obj)
    for image in (IMAGE, "busybox:1"):
        said = stopped(gate, "debug", "web", f"--image={image}", "--attach=false", "-n", team)
        assert "spec.ephemeralContainers" in said
    # Also of a Pod that nothing tells where it came from, whatever it is labelled.
    patch = {"metadata": {"labels": None, "ownerReferences": None}}
    gate.patch("mallory", "pod", "web", team, patch)
    stopped(gate, "debug", "web", f"--image={IMAGE}", "--attach=false", "-n", team)
    # Where the label asks from a higher ring on, as ever.
    free = make_namespace("2")
    label_namespace(gate.cluster, free, REQUIRE, "3")
    gate.bind("mallory", "cluster-admin", free)
    approved(gate, tmp_path, free, full("Pod", free))
    gate.create("mallory", full("Pod", free))
    gate.kubectl("mallory", "debug", "web", f"--image={IMAGE}", "--attach=false", "-n", free)


def test_without_the_label_images_bind_alone_and_a_template_that_is_declared(
    gate, tmp_path, make_namespace
):
    namespace = make_namespace("3")
    gate.bind("mallory", "cluster-admin", namespace)
    gate.open(namespace, intent(namespace)["spec"]["evidence"], "AutoApproved")
    gate.create("mallory", full("Deployment", namespace))
    gate.kubectl("mallory", "set", "env", "deployment/web", "-n", namespace, "LEVEL=debug")
    other = full("Deployment", namespace, "other")
    approved(gate, tmp_path, namespace, other, name="other")
    gate.create("mallory", other)
    stopped(gate, "set", "env", "deployment/other", "-n", namespace, "LEVEL=debug")


def test_the_template_taken_out_of_the_intent_lifts_nothing(gate, team, tmp_path):
    obj = full("Deployment", team)
    bound = approved(gate, tmp_path, team, obj)
    gate.create("mallory", obj)
    plain = intent(team, targets=[target((IMAGE,))])
    result = gate.apply("mallory", plain)
    assert "does not say" in result.stderr, "who declares it is told at once"
    other = gate.request_of(team, "web", "AutoApproved")
    assert other["metadata"]["name"] != bound
    assert other["spec"]["requires"] == ["PodTemplate"]
    said = stopped(gate, "set", "env", "deployment/web", "-n", team, "LEVEL=debug")
    assert "does not" in said
    ready = gate.get("deploymentintent", "web", team)["status"]["conditions"]
    assert {"Ready": "TemplateNotCovered"}.items() <= {
        c["type"]: c["reason"] for c in ready
    }.items()
    # And neither does another intent for the same workload.
    gate.apply("mallory", intent(team, name="second", targets=[target((IMAGE,))]))
    gate.request_of(team, "second", "AutoApproved")
    stopped(gate, "set", "env", "deployment/web", "-n", team, "LEVEL=debug")
    # What is approved is still rolled out.
    gate.kubectl("mallory", "delete", "deployment", "web", "-n", team)
    gate.create("mallory", obj)


def test_an_approval_of_before_covers_images_until_somebody_decides_on_more(
    gate, cluster, tmp_path, make_namespace
):
    namespace = make_namespace("3")
    gate.bind("mallory", "cluster-admin", namespace)
    gate.open(namespace, intent(namespace)["spec"]["evidence"], "AutoApproved")
    gate.create("mallory", full("Deployment", namespace))
    wait_until(lambda: len(gate.items("replicasets", namespace)) == 1, "its first is there")
    label_namespace(cluster, namespace, REQUIRE, "3")
    gate.kubectl("mallory", "set", "env", "deployment/web", "-n", namespace, "LEVEL=debug")
    wait_until(lambda: len(gate.items("replicasets", namespace)) == 2, "so is its second")
    gate.kubectl("mallory", "rollout", "undo", "deployment/web", "-n", namespace)
    approved(gate, tmp_path, namespace, full("Deployment", namespace), name="more")
    stopped(gate, "set", "env", "deployment/web", "-n", namespace, "LEVEL=trace")
    # Back to what it did before, which nobody approved: no.
    stopped(gate, "rollout", "undo", "deployment/web", "-n", namespace)


def test_a_change_of_what_the_containers_do_waits_for_a_person_with_the_reports_of_before(
    gate, team, tmp_path
):
    obj = full("Deployment", team)
    first = approved(gate, tmp_path, team, obj)
    gate.create("mallory", obj)
    evil = full("Deployment", team, command=["sh"])
    approve(gate, tmp_path, team, evil)
    waiting = gate.request_of(team, "web", "Submitted")
    [floor] = waiting["spec"]["assessment"]["floors"]
    assert floor["name"] == "StaleEvidence"
    stopped(gate, "apply", "-f", "-", stdin=evil, reason="ReviewPending")
    # What is approved goes on.
    gate.kubectl("mallory", "rollout", "restart", "deployment/web", "-n", team)
    gate.bind("rita", "cabgate-cab-member", team)
    gate.review("rita", "cabrequest", waiting["metadata"]["name"], team, "Approved")
    gate.apply("mallory", evil)
    # The way back is approved as well.
    gate.kubectl("mallory", "rollout", "undo", "deployment/web", "-n", team)
    assert gate.get("cabrequest", first, team)["status"]["state"] == "AutoApproved"


def test_an_exception_covers_what_its_request_says(gate, team, tmp_path):
    obj = full("Deployment", team)
    approve(gate, tmp_path, team, obj, evidence={"artifacts": [{"name": "web"}]})
    request = gate.request_of(team, "web", "ExceptionRequired")["metadata"]["name"]
    leave = cabgate(gate, "requester", f"exception -n {team} {request} --reason x --control y")
    gate.kubectl("requester", "apply", "-f", "-", stdin=leave.stdout)
    [made] = gate.items("cabexceptions", team)
    gate.bind("sue", "cabgate-security-reviewer", team)
    gate.review("sue", "cabexception", made["metadata"]["name"], team, "Approved")
    stopped(gate, *NEW, stdin=full("Deployment", team, command=["sh"]))
    gate.create("mallory", obj)


def test_break_glass_passes_with_all_that_it_brings(gate, team, tmp_path):
    obj = full("Deployment", team)
    approved(gate, tmp_path, team, obj)
    gate.create("mallory", obj)
    gate.bind("glass", "cluster-admin", team)
    gate.bind("glass", "cabgate-break-glass", team)
    body = changed("Deployment", hostPID=True)
    body["metadata"] = {"annotations": {"cabgate.dev/break-glass": "INC-1: the disk is full"}}
    gate.patch("glass", "deployment", "web", team, body)
    assert pod_spec("Deployment", gate.get("deployment", "web", team))["hostPID"] is True


def test_the_api_server_says_what_would_be_stored(gate, team, tmp_path):
    """By a dry run before anything is approved, which any other dry run is not let through."""
    for kind in ("Deployment", "Pod", "CronJob", "Job"):
        obj = full(kind, team)
        made = approve(gate, tmp_path, team, obj, name=kind.lower(), way="server")
        own = template_of(KINDS[kind], obj)
        assert made["spec"]["targets"][0]["template"] == own.digest
        stopped_before = gate.create("mallory", full(kind, team, "other"), SERVER, check=False)
        assert "NoRequest: " in stopped_before.stderr
    manager = ("--field-manager=cabgate-intent",)
    stopped(gate, *NEW, *manager, stdin=full("Deployment", team, "other"), reason="NoRequest")
    assert gate.items("deployments", team) == []


def test_the_command_of_a_denial_brings_the_intent_up_to_date(gate, team, tmp_path):
    obj = full("Deployment", team)
    approve(gate, tmp_path, team, obj, evidence=MIDDLING)
    gate.request_of(team, "web", "Submitted")
    other = full("Deployment", team, command=["other"])
    said = stopped(gate, *NEW, stdin=other)
    path = manifest(tmp_path, other)
    _, _, command = said.strip().rpartition("cabgate ")
    result = cabgate(gate, "requester", command.replace("MANIFEST.yaml", str(path)))
    gate.kubectl("admin", "apply", "-f", "-", stdin=result.stdout)
    stopped(gate, *NEW, stdin=other, reason="ReviewPending")
    explained = cabgate(gate, "requester", f"explain -n {team} -f {path} -o json", code=1)
    assert json.loads(explained.stdout)["reason"] == "ReviewPending"


def test_an_object_too_large_to_be_compared_is_covered_by_no_template(gate, team, tmp_path):
    obj = full("Deployment", team)
    approved(gate, tmp_path, team, obj)
    large = full("Deployment", team)
    large["spec"]["template"]["metadata"]["annotations"] = {"large": "x" * 140_000}
    said = stopped(gate, *NEW, stdin=large)
    assert "does not cover what the containers do" in said
