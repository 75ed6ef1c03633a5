# SPDX-License-Identifier: Apache-2.0
"""The gate, on the real API server, for real users."""

import json
import sys
from pathlib import Path

import pytest
import yaml

from cabgate_devcluster import wait_until
from cabgate_samples.objects import BAD, GOOD, MIDDLING, exception, intent, target, workload
from cluster.gate.situations import COMMAND, KINDS, LONG, container, denied, situations, template_of
from support.gate import denial
from support.namespaces import set_ring

CABGATE = Path(sys.executable).with_name("cabgate")


@pytest.fixture
def running(gate, namespace):
    """A namespace where image web:1 is approved and rolled out for each kind."""
    gate.apply(
        "requester", intent(namespace, targets=[target(["web:1"], kind=kind) for kind in KINDS])
    )
    gate.request_of(namespace, state="AutoApproved")
    for kind in KINDS:
        gate.create("requester", workload(namespace, kind=kind))
    return namespace


@pytest.mark.parametrize("kind", KINDS)
def test_a_rollout_without_a_request_is_denied_and_told_what_to_do(gate, namespace, kind):
    message = gate.refused(
        "requester", "create", "-f", "-", stdin=json.dumps(workload(namespace, kind=kind))
    )
    assert f"NoRequest: {kind} web in namespace {namespace} (ring 2)" in message
    assert f"cabgate intent -n {namespace} {kind.lower()}/web" in message


@pytest.mark.parametrize("kind", KINDS)
def test_an_approved_rollout_is_admitted(gate, namespace, kind):
    gate.apply("requester", intent(namespace, targets=[target(["web:1"], kind=kind)]))
    gate.request_of(namespace, state="AutoApproved")
    gate.create("requester", workload(namespace, kind=kind))


def test_an_exception_admits_until_it_is_revoked(gate, namespace):
    gate.apply("requester", intent(namespace, evidence=BAD))
    name = gate.request_of(namespace, state="ExceptionRequired")["metadata"]["name"]
    gate.create("requester", exception(namespace, name))
    deployment = json.dumps(workload(namespace))
    assert "ExceptionPending" in gate.refused("requester", "create", "-f", "-", stdin=deployment)
    gate.review("security", "cabexception", "leave", namespace, "Approved")
    gate.kubectl("requester", "create", "-f", "-", "--dry-run=server", stdin=deployment)
    gate.review("security", "cabexception", "leave", namespace, "Revoked")
    assert "ExceptionRequired" in gate.refused("requester", "create", "-f", "-", stdin=deployment)


def test_evidence_decides_the_way(gate, namespace):
    for name, evidence, state in (
        ("good", GOOD, "AutoApproved"),
        ("middling", MIDDLING, "Submitted"),
        ("bad", BAD, "ExceptionRequired"),
    ):
        gate.apply("requester", intent(namespace, name=name, evidence=evidence))
        gate.request_of(namespace, name, state)


IMAGE_PATH = "/spec/template/spec/containers/0/image"
OTHER_IMAGE = {"spec": {"template": {"spec": {"containers": [container("web:2")]}}}}


@pytest.mark.parametrize("kind", KINDS)
def test_another_image_is_denied_however_it_is_written(gate, running, kind):
    """Every verb of kubectl that can change a workload, with an image that nobody approved."""
    changed = workload(running, kind=kind, images=["web:2"])
    where = (kind.lower(), "web", "-n", running)

    def with_other_image(stored):
        stored["spec"]["template"]["spec"]["containers"][0]["image"] = "web:2"

    patches = {
        "json": [{"op": "replace", "path": IMAGE_PATH, "value": "web:2"}],
        "merge": OTHER_IMAGE,
        "strategic": OTHER_IMAGE,
    }
    ways = {
        "apply": (("apply", "-f", "-"), changed),
        "server-side apply": (("apply", "--server-side", "--force-conflicts", "-f", "-"), changed),
        "replace": ((), None),
        "set image": (("set", "image", f"{kind.lower()}/web", "c0=web:2", "-n", running), None),
        "edit": (("edit", *where), None),
    } | {
        f"patch, {name}": (("patch", *where, f"--type={name}", "-p", json.dumps(body)), None)
        for name, body in patches.items()
    }
    for way, (args, body) in ways.items():
        if way == "edit":
            result = gate.shell(
                "requester",
                f"kubectl edit {kind.lower()} web -n {running}",
                env={"EDITOR": "sed -i s/web:1/web:2/"},
            )
            message = denial(result)
        elif way == "replace":
            where_ = (kind.lower(), "web", running)
            message = denial(gate.replace("requester", *where_, with_other_image, check=False))
        else:
            message = denial(
                gate.refused("requester", *args, stdin=json.dumps(body) if body else None)
            )
        assert message.startswith(f"ImagesNotCovered: {kind} web in namespace"), way
        assert "does not name image web:2." in message, way
    assert gate.get(kind.lower(), "web", running)["spec"]["template"]["spec"]["containers"][0][
        "image"
    ] == ("web:1")


EXTRA = {
    "an init container": {"initContainers": [container("tool:9", "init")]},
    "a sidecar": {
        "initContainers": [{**container("tool:9", "sidecar"), "restartPolicy": "Always"}]
    },
    "a second container": {"containers": [container("web:1"), container("tool:9", "c1")]},
    "an image volume": {"volumes": [{"name": "v", "image": {"reference": "tool:9"}}]},
    "a digest instead of the tag": {"containers": [container("web:1@sha256:" + "a" * 64)]},
    "the same image with its default registry": {
        "containers": [container("docker.io/library/web:1")]
    },
    "another case of letters in the tag": {"containers": [container("web:1A")]},
}


def test_every_image_of_the_pod_template_counts(gate, running):
    for what, pod in EXTRA.items():
        obj = template_of(workload(running), **pod)
        message = denied(gate, "requester", obj, "--dry-run=server", verb="apply")
        assert message.startswith("ImagesNotCovered: "), what
    covered = intent(running, name="tools", targets=[target(["web:1", "tool:9"])])
    gate.apply("requester", covered)
    gate.request_of(running, "tools", "AutoApproved")
    for what in ("an init container", "a sidecar", "a second container", "an image volume"):
        obj = template_of(workload(running), **EXTRA[what])
        gate.apply("requester", obj, "--dry-run=server")


def test_an_approval_is_for_one_workload_of_one_kind_in_one_namespace(
    gate, namespace, make_namespace
):
    elsewhere = make_namespace()
    gate.open(namespace, GOOD, "AutoApproved")
    for obj in (
        workload(namespace, kind="StatefulSet"),
        workload(namespace, kind="DaemonSet"),
        workload(namespace, name="web2"),
        workload(elsewhere),
    ):
        assert denied(gate, "requester", obj).startswith("NoRequest: ")
    unnamed = workload(namespace)
    del unnamed["metadata"]["name"]
    unnamed["metadata"]["generateName"] = "web"
    assert denied(gate, "requester", unnamed).startswith("NoRequest: Deployment web")
    gate.create("requester", workload(namespace), "--dry-run=server")


@pytest.mark.parametrize("covering", [["web:1"], ["side:1"], ["web:1", "other:1"]])
def test_images_covered_in_part_are_not_covered(gate, namespace, covering):
    gate.open(namespace, GOOD, "AutoApproved", images=covering)
    both = workload(namespace, images=["web:1", "side:1"])
    message = denied(gate, "requester", both)
    assert message.startswith("ImagesNotCovered: ")
    for image in {"web:1", "side:1"} - set(covering):
        assert image in message


def test_two_requests_do_not_add_up(gate, namespace):
    gate.open(namespace, GOOD, "AutoApproved", name="one", images=["web:1"])
    gate.open(namespace, GOOD, "AutoApproved", name="two", images=["side:1"])
    both = workload(namespace, images=["web:1", "side:1"])
    assert denied(gate, "requester", both).startswith("ImagesNotCovered: ")


RINGS = [
    # namespace label, workload label, ring of the denial or None where it passes
    (None, None, None),
    ("0", None, None),
    ("1", None, None),
    ("2", None, 2),
    ("3", None, 3),
    ("4", None, 4),
    (None, "2", 2),
    (None, "1", None),
    ("0", "3", 3),
    ("3", "0", 3),
    ("2", "4", 4),
    ("4", "2", 4),
]


def test_the_larger_ring_of_namespace_and_workload_counts(gate, make_namespace):
    namespaces = {}
    for of_namespace, of_workload, ring in RINGS:
        if of_namespace not in namespaces:
            namespaces[of_namespace] = make_namespace(of_namespace)
        labels = {} if of_workload is None else {"cabgate.dev/ring": of_workload}
        obj = json.dumps(workload(namespaces[of_namespace], labels=labels))
        args = ("create", "--dry-run=server", "-f", "-")
        result = gate.kubectl("requester", *args, stdin=obj, check=False)
        row = (of_namespace, of_workload)
        if ring is None:
            assert result.returncode == 0, (row, result.stderr)
        else:
            assert f"(ring {ring}) has no CABRequest" in denial(result), row


def test_an_update_that_takes_its_own_ring_away_is_still_judged_by_it(gate, make_namespace):
    namespace = make_namespace(None)
    gate.open(namespace, GOOD, "AutoApproved")
    obj = workload(namespace, labels={"cabgate.dev/ring": "2"})
    gate.create("requester", obj)
    # The admin may lower rings.
    for labels in ({"cabgate.dev/ring": None}, {"cabgate.dev/ring": "0"}):
        body = {"metadata": {"labels": labels}, **OTHER_IMAGE}
        result = gate.patch("admin", "deployment", "web", namespace, body, check=False)
        assert denial(result).startswith("ImagesNotCovered: "), labels
    # And the one that puts the ring on.
    gate.create("requester", workload(namespace, name="free"))
    body = {"metadata": {"labels": {"cabgate.dev/ring": "2"}}, **OTHER_IMAGE}
    result = gate.patch("requester", "deployment", "free", namespace, body, check=False)
    assert denial(result).startswith("NoRequest: ")


def test_the_namespaces_of_the_system_are_never_gated(gate, cluster):
    for name in ("kube-system", "cabgate-system"):
        cluster.kubectl("label", "namespace", name, "cabgate.dev/ring=4", "--overwrite")
        try:
            obj = workload(name, labels={"cabgate.dev/ring": "4"})
            gate.create("admin", obj, "--dry-run=server")
        finally:
            cluster.kubectl("label", "namespace", name, "cabgate.dev/ring-")


def test_a_dry_run_gets_the_real_verdict_and_stores_nothing(gate, namespace):
    assert denied(gate, "requester", workload(namespace), "--dry-run=server")
    gate.open(namespace, GOOD, "AutoApproved")
    gate.create("requester", workload(namespace), "--dry-run=server")
    assert denied(gate, "requester", workload(namespace, images=["web:2"]), "--dry-run=server")
    assert gate.items("deployments", namespace) == []


def test_everybody_is_gated_alike(gate, namespace):
    machine = f"system:serviceaccount:{namespace}:deployer"
    gate.user(machine)
    gate.bind(machine, "edit", namespace)
    messages = set()
    for user in ("requester", "admin", machine):
        messages.add(denied(gate, user, workload(namespace)))
    anybody = gate.cluster.kubectl(
        *("create", "-f", "-"), stdin=json.dumps(workload(namespace)), check=False
    )
    messages.add(denial(anybody))
    assert len(messages) == 1, messages
    gate.open(namespace, GOOD, "AutoApproved")
    for user in ("requester", "admin", machine):
        gate.create(user, workload(namespace), "--dry-run=server")


@pytest.mark.parametrize("kind", KINDS)
def test_the_controllers_roll_out_what_was_admitted(gate, namespace, kind):
    gate.open(namespace, GOOD, "AutoApproved", targets=[target(["web:1"], kind=kind)])
    gate.create("requester", workload(namespace, kind=kind))
    if kind == "DaemonSet":
        return  # there are no nodes, so there are no Pods
    pods = wait_until(lambda: gate.items("pods", namespace), f"the {kind} makes a Pod")
    assert pods[0]["spec"]["containers"][0]["image"] == "web:1"


def test_a_rollback_passes_while_the_newest_request_waits(gate, namespace):
    gate.open(namespace, GOOD, "AutoApproved")
    gate.create("requester", workload(namespace))
    wait_until(lambda: gate.items("replicasets", namespace), timeout=60.0, what="a ReplicaSet")
    second = gate.open(namespace, {**GOOD, "scope": {"affectedComponents": 2}}, "AutoApproved",
                       images=["web:2"])  # fmt: skip
    gate.apply("requester", workload(namespace, images=["web:2"]))
    wait_until(lambda: len(gate.items("replicasets", namespace)) == 2, "both revisions are there")
    third = gate.open(namespace, MIDDLING, "Submitted", images=["web:3"])
    assert third != second
    assert denied(gate, "requester", workload(namespace, images=["web:3"]), verb="apply")
    gate.kubectl("requester", "rollout", "undo", "deployment/web", "-n", namespace)
    found = gate.get("deployment", "web", namespace)
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "web:1"


def test_a_rollback_to_what_was_revoked_is_denied(gate, namespace):
    first = gate.open(namespace, GOOD, "AutoApproved")
    gate.create("requester", workload(namespace))
    wait_until(lambda: gate.items("replicasets", namespace), timeout=60.0, what="a ReplicaSet")
    gate.open(namespace, GOOD, "AutoApproved", images=["web:2"])
    gate.apply("requester", workload(namespace, images=["web:2"]))
    wait_until(lambda: len(gate.items("replicasets", namespace)) == 2, "both revisions are there")
    gate.review("security", "cabrequest", first, namespace, "Revoked", rationale="it leaks")
    undo = gate.kubectl(
        "requester", *("rollout", "undo", "deployment/web", "-n", namespace), check=False
    )
    message = denial(undo)
    assert message.startswith("Revoked: ")
    assert "by security: it leaks" in message


def test_an_approval_counts_from_the_moment_that_kubectl_returns(gate, namespace):
    name = gate.open(namespace, MIDDLING, "Submitted")
    assert denied(gate, "requester", workload(namespace)).startswith("ReviewPending: ")
    gate.review("reviewer", "cabrequest", name, namespace, "Approved")
    gate.create("requester", workload(namespace), "--dry-run=server")
    gate.review("security", "cabrequest", name, namespace, "Revoked")
    assert denied(gate, "requester", workload(namespace)).startswith("Revoked: ")


def test_a_conditional_approval_admits_with_its_conditions_as_warnings(gate, namespace):
    name = gate.open(namespace, MIDDLING, "Submitted")
    conditions = [
        {"name": "watch", "description": "someone watches\nthe error rate"},
        {"name": "hours", "description": "only in working hours"},
    ]
    gate.review(
        "reviewer", "cabrequest", name, namespace, "ConditionallyApproved", conditions=conditions
    )
    result = gate.create("requester", workload(namespace))
    assert "condition watch: someone watches the error rate" in result.stderr
    assert "condition hours: only in working hours" in result.stderr


def test_every_denial_is_short_the_same_each_time_and_ends_in_a_command_that_runs(
    gate, namespace, tmp_path
):
    manifest = tmp_path / "web.json"
    for name, reason in situations(gate, namespace).items():
        images = [f"{LONG}:{n}" for n in range(6 if name == "other" else 5)]
        obj = workload(namespace, name=name, images=images)
        first = denied(gate, "requester", obj)
        assert first == denied(gate, "requester", obj), name
        assert first.startswith(f"{reason}: Deployment {name} in namespace {namespace}")
        assert len(first.encode()) < 1024, name
        assert "\n" not in first, name
        command = COMMAND.search(first)
        assert command, first
        manifest.write_text(json.dumps(obj))
        line = command[0].replace("MANIFEST.yaml", str(manifest))
        line = line.replace("<why>", "the release is needed")  # left as it is, it is refused
        user = {"ReviewPending": "reviewer", "ExceptionPending": "security"}.get(
            reason, "requester"
        )
        result = gate.shell(user, line, cabgate=CABGATE)
        assert result.returncode == 0, (line, result.stderr)
        kind = {"ExceptionRequired": "CABException", "NoRequest": "DeploymentIntent"}.get(reason)
        if kind:
            assert yaml.safe_load(result.stdout)["kind"] == kind
    # What was approved with the commands of the denials is admitted.
    for name in ("pending", "asked"):
        obj = workload(namespace, name=name, images=[f"{LONG}:0"])
        gate.create("requester", obj, "--dry-run=server")


def test_the_command_of_a_missing_intent_writes_one_for_what_runs(gate, make_namespace):
    namespace = make_namespace("1")
    gate.create("requester", workload(namespace))
    set_ring(gate.cluster, namespace, "2")
    message = denial(
        gate.patch("requester", "deployment", "web", namespace, OTHER_IMAGE, check=False)
    )
    result = gate.shell("requester", COMMAND.search(message)[0], cabgate=CABGATE)
    assert result.returncode == 0, result.stderr
    gate.kubectl("requester", "apply", "-f", "-", stdin=result.stdout)
    gate.request_of(namespace, state="ExceptionRequired")


def test_a_denial_is_the_same_where_namespace_and_workload_are_labelled(gate, make_namespace):
    """Both webhook entries match, and answer in either order."""
    namespace = make_namespace("2")
    obj = workload(namespace, labels={"cabgate.dev/ring": "3"})
    said = {gate.refused("requester", "create", "-f", "-", stdin=json.dumps(obj)) for _ in range(8)}
    assert len(said) == 1, said
