# SPDX-License-Identifier: Apache-2.0
"""`cabgate adopt`: from what runs to intents that can be applied, and the path of docs/adopting."""

import json
import re
from pathlib import Path

import pytest
import yaml

from cabgate_devcluster import wait_until
from cabgate_samples.objects import GOOD, about, intent, workload
from support.cli import CABGATE, cabgate, serve_rollouts
from support.gated import gated

DOCS = Path(__file__).resolve().parents[3] / "docs" / "adopting.md"


def pod_of(image):
    return {"restartPolicy": "Never", "containers": [{"name": "a", "image": image}]}


def objects(namespace):
    """One workload of each kind that teams write."""

    def made(api_version, kind, spec, name="web"):
        metadata = {"name": name, "namespace": namespace}
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}

    template = {"template": {"spec": pod_of("run:1")}}
    job = made("batch/v1", "Job", {"suspend": True, **template})
    job["metadata"] = {"generateName": "migrate-", "namespace": namespace}
    labelled = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [
        {"name": "a", "image": "x:1"}]}}  # fmt: skip
    return [
        workload(namespace),
        workload(namespace, kind="StatefulSet", images=["db:1"]),
        workload(namespace, kind="DaemonSet", name="agent", images=["agent:1"]),
        made("batch/v1", "CronJob", {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": template}}),
        job,
        made("v1", "Pod", pod_of("shell:1"), "shell"),
        gated("Rollout", namespace, "canary"),
        made("v1", "ReplicationController", {"selector": {"app": "x"}, "template": labelled}, "rc"),
    ]


@pytest.fixture(scope="module", autouse=True)
def rollouts(gate):
    serve_rollouts(gate)


@pytest.fixture
def running(gate, make_namespace):
    """A namespace, not gated, where one workload of each kind runs."""
    namespace = make_namespace(None)
    for obj in objects(namespace):
        gate.create("requester", obj)
    wait_until(lambda: len(gate.items("pods", namespace)) >= 4, "the Pods of the workloads")
    return namespace


def printed(gate, namespace, options=""):
    text = cabgate(gate, "requester", f"adopt -n {namespace} {options}").stdout
    return [doc for doc in yaml.safe_load_all(text) if doc]


def test_what_is_printed_is_applied_as_it_is_and_a_second_run_prints_nothing(gate, running):
    result = cabgate(gate, "requester", f"adopt -n {running}")
    gate.kubectl("requester", "apply", "-f", "-", stdin=result.stdout)
    targets = {}
    for item in gate.items("deploymentintents", running):
        [found] = item["spec"]["targets"]
        targets[(found["kind"], found["name"])] = (item["metadata"]["name"], found["images"])
    assert targets == {
        ("CronJob", "web"): ("web-cronjob", ["run:1"]),
        ("DaemonSet", "agent"): ("agent", ["agent:1"]),
        ("Deployment", "web"): ("web", ["web:1"]),
        ("Job", "migrate-*"): ("migrate", ["run:1"]),
        ("Pod", "shell"): ("shell", ["shell:1"]),
        ("Rollout", "canary"): ("canary", ["web:1"]),
        ("ReplicationController", "rc"): ("rc", ["x:1"]),
        ("StatefulSet", "web"): ("web-statefulset", ["db:1"]),
    }
    again = cabgate(gate, "requester", f"adopt -n {running}")
    assert again.stdout == ""
    assert f"every workload of namespace {running} has an intent" in again.stderr


def test_an_intent_is_never_written_over(gate, running):
    """Its evidence would be lost: the printed one takes another name, or none is printed."""
    other = intent(running, name="shell", targets=[
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "images": ["other:1"]}
    ])  # fmt: skip
    gate.apply("requester", other)
    result = cabgate(gate, "requester", f"adopt -n {running}")
    names = {doc["metadata"]["name"] for doc in yaml.safe_load_all(result.stdout)}
    assert "shell-pod" in names
    assert "shell" not in names
    assert "Deployment web has an intent, which does not name what it runs: web:1" in result.stderr
    as_json = cabgate(gate, "requester", f"adopt -n {running} -o json").stdout
    assert {item["metadata"]["name"] for item in json.loads(as_json)["items"]} == names


def test_an_image_that_was_put_into_a_pod_is_adopted_with_its_workload(gate, make_namespace):
    namespace = make_namespace(None)
    gate.create("requester", workload(namespace))
    [pod] = wait_until(lambda: gate.items("pods", namespace), "the Pod of web")
    image = {"spec": {"containers": [{"name": "c0", "image": "mesh:1"}]}}
    gate.patch("admin", "pod", pod["metadata"]["name"], namespace, image, kind="strategic")
    [doc] = printed(gate, namespace)
    assert doc["spec"]["targets"][0]["images"] == ["mesh:1", "web:1"]


def test_nothing_runs(gate, make_namespace):
    namespace = make_namespace(None)
    result = cabgate(gate, "requester", f"adopt -n {namespace}")
    assert (result.stdout, "nothing runs in" in result.stderr) == ("", True)


@pytest.mark.parametrize(
    ("user", "arguments", "code", "said"),
    [
        ("requester", "adopt -n A", 2, "cannot be a namespace"),
        ("nobody", "adopt -n {ns}", 4, "you may not read deploymentintents in namespace {ns}"),
    ],
)
def test_what_cannot_be_read_is_told(gate, namespace, user, arguments, code, said):
    result = cabgate(gate, user, arguments.format(ns=namespace), code)
    assert said.format(ns=namespace) in result.stderr


def test_the_path_of_the_docs_leads_from_what_runs_to_a_gated_namespace(
    gate, make_namespace, tmp_path
):
    """The commands of docs/adopting.md, in their order, in a namespace instead of `shop`."""
    namespace = make_namespace(None)
    gate.create("requester", workload(namespace))
    lines = re.findall(r"^(?:kubectl|cabgate) [^#\n]*", DOCS.read_text(), re.MULTILINE)
    intents, log = tmp_path / "intents.yaml", tmp_path / "audit.log"
    log.write_text("")  # `test_modes.py` has an API server that writes one
    codes = []
    for line in lines:
        command, _, target = line.replace("shop", namespace).partition(" > ")
        user = "admin" if " label " in command else "requester"
        command = command.replace("intents.yaml", str(intents))
        command = command.replace("/var/log/kubernetes/audit.log", str(log))
        result = gate.shell(user, command, CABGATE)
        codes.append((command.split()[:2], result.returncode))
        assert result.returncode in (0, 1), (command, result.stderr)
        assert "Traceback" not in result.stderr
        if target:
            documents = list(yaml.safe_load_all(result.stdout))
            for document in documents:
                spec = document["spec"]  # the team fills in the rest
                spec["evidence"] = {**about(GOOD, spec["targets"]), **spec["evidence"]}
            intents.write_text(yaml.safe_dump_all(documents))
        if command.startswith("kubectl apply"):
            for item in gate.items("deploymentintents", namespace):
                gate.request_of(namespace, item["metadata"]["name"], "AutoApproved")
    assert codes[-1] == (["cabgate", "uncovered"], 0)
    assert (["kubectl", "apply"], 0) in codes
    labels = gate.get("namespace", namespace, "default")["metadata"]["labels"]
    assert labels["cabgate.dev/ring"] == "2"
