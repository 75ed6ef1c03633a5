# SPDX-License-Identifier: Apache-2.0
"""`cabgate uncovered`: what runs although the gate would deny it now."""

import json

import httpx
import pytest

from cabgate_devcluster import wait_until
from cabgate_samples.objects import GOOD, MIDDLING, target, workload
from support.cli import CABGATE, cabgate, serve_rollouts
from support.gated import gated

LABEL = "cabgate.dev/ring"


def rows(gate, arguments, code=1, user="requester"):
    """Workload, images and reason of each row, by its argument."""
    printed = cabgate(gate, user, f"uncovered {arguments} -o json", code).stdout
    return {
        (item["namespace"], f"{item['workload']['kind']}/{item['workload']['name']}"): item
        for item in json.loads(printed)["items"]
    }


def bare_pod(namespace, name, image, **metadata):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {"containers": [{"name": "a", "image": image}]},
    }


def cron_job(namespace, image):
    pod = {"restartPolicy": "Never", "containers": [{"name": "a", "image": image}]}
    job = {"spec": {"template": {"spec": pod}}}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "report", "namespace": namespace},
        "spec": {"schedule": "0 0 1 1 *", "jobTemplate": job},
    }


@pytest.fixture(scope="module", autouse=True)
def rollouts(gate):
    serve_rollouts(gate)


@pytest.fixture
def risen(gate, make_namespace):
    """A namespace that was gated after several workloads ran in it."""
    namespace = make_namespace(None)
    gate.create("requester", workload(namespace))
    gate.create("requester", workload(namespace, name="db", kind="StatefulSet", images=["db:1"]))
    gate.create("requester", cron_job(namespace, "report:1"))
    gate.create("requester", bare_pod(namespace, "shell", "shell:1"))
    gate.create("requester", gated("Rollout", namespace, images=["canary:1"]))
    wait_until(lambda: len(gate.items("pods", namespace)) == 3, "the Pods of the workloads")
    gate.kubectl("admin", "label", "namespace", namespace, f"{LABEL}=2")
    return namespace


def test_what_ran_before_its_namespace_was_gated_is_listed_until_it_is_covered(gate, risen):
    found = rows(gate, f"-n {risen}")
    assert {name: (item["reason"], item["images"]) for (_, name), item in found.items()} == {
        "Deployment/web": ("NoRequest", ["web:1"]),
        "StatefulSet/db": ("NoRequest", ["db:1"]),
        "CronJob/report": ("NoRequest", ["report:1"]),
        "Pod/shell": ("NoRequest", ["shell:1"]),
        "Rollout/web": ("NoRequest", ["canary:1"]),
    }
    result = cabgate(gate, "requester", f"uncovered -n {risen}", 1)
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["NAMESPACE", "WORKLOAD", "REASON", "IMAGES"]
    assert [risen, "deployment/web", "NoRequest", "web:1"] in lines
    assert len(lines) == 6
    gate.open(risen, GOOD, "AutoApproved")
    assert (risen, "Deployment/web") not in rows(gate, f"-n {risen}")


def test_a_revocation_and_an_image_put_into_a_pod_are_found(gate, namespace):
    name = gate.open(namespace, MIDDLING, "Submitted")
    gate.review("reviewer", "cabrequest", name, namespace, "Approved")
    gate.create("requester", workload(namespace))
    wait_until(lambda: gate.items("pods", namespace), "the Pod of web")
    result = cabgate(gate, "requester", f"uncovered -n {namespace}")
    assert f"nothing runs uncovered in namespace {namespace}" in result.stderr

    # Past the gate: before the namespace was gated.
    [pod] = gate.items("pods", namespace)
    gate.kubectl("admin", "label", "namespace", namespace, f"{LABEL}=0", "--overwrite")
    image = {"spec": {"containers": [{"name": "c0", "image": "evil:1"}]}}

    def put():
        return not gate.patch(
            *("admin", "pod", pod["metadata"]["name"], namespace, image),
            kind="strategic",
            check=False,
        ).returncode

    wait_until(put, "the API server knows that the namespace is not gated")
    gate.kubectl("admin", "label", "namespace", namespace, f"{LABEL}=2", "--overwrite")
    [item] = rows(gate, f"-n {namespace}").values()
    assert (item["reason"], item["images"]) == ("ImagesNotCovered", ["evil:1"])
    assert item["workload"]["kind"] == "Deployment"
    assert item["objects"] == [f"pod/{pod['metadata']['name']}"]

    gate.review("security", "cabrequest", name, namespace, "Revoked")
    [item] = rows(gate, f"-n {namespace}").values()
    assert item["images"] == ["evil:1", "web:1"]
    assert item["reason"] == "Revoked"


def test_an_owner_reference_that_somebody_wrote_covers_nothing(gate, make_namespace):
    namespace = make_namespace(None)
    owner = {"apiVersion": "apps/v1", "kind": "Node", "name": "web", "uid": "11111111-0000",
             "controller": True}  # fmt: skip
    gate.create("requester", bare_pod(namespace, "forged", "web:1", ownerReferences=[owner]))
    gate.kubectl("admin", "label", "namespace", namespace, f"{LABEL}=2")
    gate.open(namespace, GOOD, "AutoApproved")
    assert [name for _, name in rows(gate, f"-n {namespace}")] == ["Pod/forged"]


def test_every_namespace_and_every_labelled_workload_is_looked_at(gate, risen, make_namespace):
    free = make_namespace(None)
    gate.create("requester", workload(free, name="plain"))
    gate.create("requester", workload(free, name="marked", images=["marked:1"]))
    gate.kubectl("admin", "label", "deployment", "marked", "-n", free, f"{LABEL}=3")
    for arguments in (f"-n {free}", "-A"):
        found = rows(gate, arguments)
        mine = {name for place, name in found if place == free}
        assert mine == {"Deployment/marked"}
    assert (risen, "StatefulSet/db") in rows(gate, "-A")
    everything = rows(gate, f"-n {free} --default-ring 2")
    assert (free, "Deployment/plain") in everything


def test_lists_are_read_in_chunks(gate, make_namespace):
    namespace = make_namespace(None)
    items = [bare_pod(namespace, f"p{n}", f"p:{n}") for n in range(510)]
    body = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    gate.cluster.kubectl("create", "-f", "-", stdin=body, timeout=600)
    gate.kubectl("admin", "label", "namespace", namespace, f"{LABEL}=2")
    assert len(rows(gate, f"-n {namespace}")) == 510


def test_a_generated_job_is_covered_by_its_prefix(gate, namespace):
    gate.open(
        *(namespace, GOOD, "AutoApproved"),
        targets=[target(["m:1"], name="migrate-*", kind="Job", api_version="batch/v1")],
    )
    job = cron_job(namespace, "m:1")["spec"]["jobTemplate"]
    body = {"apiVersion": "batch/v1", "kind": "Job", **job}
    body["metadata"] = {"generateName": "migrate-", "namespace": namespace}
    gate.create("requester", body)
    wait_until(lambda: gate.items("pods", namespace), "the Pod of the Job")
    cabgate(gate, "requester", f"uncovered -n {namespace}", 0)


@pytest.mark.parametrize(
    ("user", "arguments", "code", "said"),
    [
        ("requester", "uncovered -n {ns} -A", 2, "-A and -n: one of the two"),
        ("requester", "uncovered -n absent", 4, "namespace absent not found"),
        ("requester", "uncovered -n A", 2, "cannot be a namespace"),
        (
            "requester",
            "uncovered -n {ns} --gated-kind x.io/Y=spec",
            4,
            "this cluster has no Y",
        ),
        ("nobody", "uncovered -n {ns}", 4, "you may not read namespace {ns}"),
        ("nobody", "uncovered -A", 4, "you may not read namespaces"),
    ],
)
def test_what_cannot_be_told_has_exit_codes_of_its_own(
    gate, namespace, user, arguments, code, said
):
    result = cabgate(gate, user, arguments.format(ns=namespace), code)
    assert said.format(ns=namespace) in result.stderr


def counted(gate, namespace):
    """What the operator's metric says of a namespace; None if it says nothing."""
    text = httpx.get(gate.installation.operator_url("/metrics"), timeout=60).text
    prefix = f'cabgate_uncovered_workloads{{namespace="{namespace}"}} '
    lines = [line for line in text.splitlines() if line.startswith(prefix)]
    return float(lines[0].removeprefix(prefix)) if lines else None


def events(gate, namespace):
    found = gate.items("events", namespace)
    return [event for event in found if event["reason"] == "UncoveredWorkloads"]


def test_a_ring_that_rises_is_told_of_and_counted_and_nothing_is_stopped(gate, risen):
    wait_until(lambda: counted(gate, risen) == 5, "the metric counts the workloads")
    [event] = wait_until(lambda: events(gate, risen), "an Event on the namespace")
    assert event["involvedObject"]["name"] == risen
    for name in ("deployment/web", "statefulset/db", "cronjob/report", "pod/shell"):
        assert name in event["message"]
    listed = gate.kubectl("requester", "events", "-n", risen, "--for", f"namespace/{risen}")
    assert "UncoveredWorkloads" in listed.stdout
    command = event["message"].partition("See which and why: ")[2]
    assert gate.shell("requester", command, CABGATE).returncode == 1
    assert len(gate.items("pods", risen)) == 3

    # What is covered by now is not counted at the next look, nor is the Event repeated.
    gate.open(risen, GOOD, "AutoApproved")
    gate.installation.operator.stop()
    gate.installation.start_operator()
    wait_until(lambda: counted(gate, risen) == 4, "the metric of the operator started anew")
    assert len(events(gate, risen)) == 1

    gate.kubectl("admin", "label", "namespace", risen, f"{LABEL}=0", "--overwrite")
    wait_until(lambda: counted(gate, risen) is None, "the namespace is not counted any more")
