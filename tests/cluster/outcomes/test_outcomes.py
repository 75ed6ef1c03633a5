# SPDX-License-Identifier: Apache-2.0
"""Outcomes on the real API server: workloads whose Pods become ready, crash and are replaced, an
operator that lies, one that is stopped, and people who report incidents."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from cabgate.api.base import rfc3339
from cabgate_devcluster import wait_until
from cabgate_kube.clock import utc_now
from cabgate_samples.objects import intent, workload
from support.cli import cabgate
from support.clients import client_of
from support.gate import denial, paused
from support.nodes import CRASHED, pods_of, set_ready

OPERATOR = "system:serviceaccount:cabgate-system:cabgate-operator"
PATH = "/apis/cabgate.dev/v1alpha1/namespaces"
IMAGES = ("web:1", "web:2")
REPORTER = "pager"
EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "outcomes"


@pytest.fixture
def shop(make_namespace):
    """A namespace of ring 1: outcomes are written where nothing is gated, too."""
    return make_namespace("1")


def deploy(gate, namespace, image="web:1", replicas=2):
    obj = workload(namespace, images=[image])
    obj["spec"]["replicas"] = replicas
    container = obj["spec"]["template"]["spec"]["containers"][0]
    container["readinessProbe"] = {"httpGet": {"port": 80}}
    gate.apply("requester", obj)


def available(gate, namespace, image="web:1", replicas=2):
    """Have all Pods of an image ready."""
    for pod in pods_of(gate, namespace, image, replicas):
        set_ready(gate, pod)


def reaches(gate, namespace, field, count):
    """Wait until the status of the Deployment counts so many."""
    wait_until(
        lambda: gate.get("deployment", "web", namespace)["status"].get(field) == count,
        f"{field} of the Deployment is {count}",
    )


def outcomes(gate, namespace):
    """By image, the latest of each."""
    found = sorted(gate.items("rolloutoutcomes", namespace), key=_age)
    return {each["spec"]["images"][0]: each for each in found}


def _age(found):
    """Two may begin in one second: the one that has not ended is the later."""
    ended = "result" in (found.get("status") or {})
    return found["metadata"]["creationTimestamp"], not ended


def outcome(gate, namespace, image="web:1", what="an outcome", when=lambda found: True):
    """The latest outcome of an image, once it is as it is waited for."""

    def there():
        found = outcomes(gate, namespace).get(image)
        return found if found is not None and when(found) else None

    return wait_until(there, f"{what} of {image} in {namespace}")


def counted(seen, failed):
    def of(found):
        pods = (found.get("status") or {}).get("pods") or {}
        return (pods.get("seen"), pods.get("failed")) == (seen, failed)

    return of


def with_result(result):
    return lambda found: (found.get("status") or {}).get("result") == result


def interruptions(found):
    return (found.get("status") or {}).get("interruptions") or []


@pytest.fixture
def running(gate, shop):
    """A Deployment of a release that runs with two Pods; its outcome."""
    gate.declare("requester", intent(shop, images=IMAGES, release="checkout"))
    deploy(gate, shop)
    available(gate, shop)
    return outcome(gate, shop, when=counted(2, 0))


def test_what_becomes_of_a_rollout(gate, shop):
    gate.declare("requester", intent(shop, images=IMAGES, release="checkout"))
    request = gate.request_of(shop)["metadata"]["name"]
    deploy(gate, shop)
    first, second = pods_of(gate, shop, "web:1", 2)
    set_ready(gate, first)
    reaches(gate, shop, "availableReplicas", 1)
    assert not gate.items("rolloutoutcomes", shop)
    set_ready(gate, second)
    begun = outcome(gate, shop, when=counted(2, 0))
    spec = begun["spec"]
    assert (spec["ring"], spec["release"], spec["intentName"]) == (1, "checkout", "web")
    assert spec["requestName"] == request
    assert spec["target"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    # One crashes, is ready again, and stays one that failed.
    set_ready(gate, second, False, **CRASHED)
    outcome(gate, shop, what="a Pod that failed", when=counted(2, 1))
    set_ready(gate, second, True, **CRASHED)
    # Another release takes its place, and is rolled back.
    deploy(gate, shop, "web:2")
    left = outcome(gate, shop, what="an interruption", when=interruptions)
    assert [each["reason"] for each in interruptions(left)] == ["ImagesLeft"]
    for image, before, result in (("web:2", "web:1", "Replaced"), ("web:1", "web:2", "RolledBack")):
        deploy(gate, shop, image)
        for _ in range(2):  # it is rolled out Pod by Pod
            wait_until(lambda image=image: _all_ready(gate, shop, image), f"{image} is ready")
        ended = outcome(gate, shop, before, what=result, when=with_result(result))
        assert ended["status"]["endedAt"]
    assert len(gate.items("rolloutoutcomes", shop)) == 3
    shown = cabgate(gate, "requester", f"outcome list -n {shop}").stdout
    assert [line.split()[6] for line in shown.splitlines()] == [
        *("STATE", "Running", "RolledBack", "Replaced"),
    ]
    # Deleted, nothing takes its place.
    gate.kubectl("requester", "delete", "deployment", "web", "-n", shop)
    outcome(gate, shop, what="the end", when=with_result("Succeeded"))


def _all_ready(gate, namespace, image):
    """Make whatever Pods of an image there are ready; whether the rollout is at its end."""
    for pod in gate.items("pods", namespace):
        if pod["status"].get("phase") == "Pending":
            set_ready(gate, pod)
    found = gate.get("deployment", "web", namespace)
    status = found["status"]
    return (
        found["spec"]["template"]["spec"]["containers"][0]["image"] == image
        and status.get("observedGeneration") == found["metadata"]["generation"]
        and status.get("updatedReplicas") == status.get("replicas") == 2
        and status.get("availableReplicas") == 2
    )


def written(gate, namespace, obj, name="", subresource=""):
    """What the API server says to a write by the operator's credentials; empty where it passes."""
    path = f"{PATH}/{namespace}/rolloutoutcomes"
    with client_of(gate.user(OPERATOR)) as client:
        if name:
            answer = client.put(f"{path}/{name}{subresource}", json=obj)
        else:
            answer = client.post(path, json=obj)
    return answer.json().get("message", "refused") if answer.is_error else ""


def test_a_rogue_operator_cannot_shorten_a_soak_or_add_pods(gate, shop, running):
    name, spec = running["metadata"]["name"], running["spec"]
    with paused(gate.installation.operator):
        # An outcome of what is not so.
        made = {key: running[key] for key in ("apiVersion", "kind", "spec")}
        labels = running["metadata"]["labels"]

        def begin(**changes):
            metadata = {"name": "rogue", "namespace": shop, "labels": labels}
            return written(gate, shop, made | {"metadata": metadata, "spec": spec | changes})

        assert "spec.images" in begin(images=["web:2"])
        assert "spec.template" in begin(template="r1:sha256:" + "0" * 64)
        assert "spec.ring" in begin(ring=2)
        assert "spec.release" in begin(release="other")
        assert "spec.target" in begin(target=spec["target"] | {"name": "absent"})
        # Of what is not available.
        for pod in pods_of(gate, shop, "web:1", 2):
            set_ready(gate, pod, False)
        reaches(gate, shop, "unavailableReplicas", 2)
        assert "not available" in begin()

        def status(**changes):
            """A write over what is stored now."""
            stored = gate.get("rolloutoutcome", name, shop)
            return written(
                gate, shop, {**stored, "status": stored["status"] | changes}, name, "/status"
            )

        pods = running["status"]["pods"]
        assert "0 of its Pods" in status(pods=pods | {"seen": 3})
        assert "falls" in status(pods=pods | {"seen": 1})
        assert status(pods=pods | {"failed": 1}) == ""
        assert "falls" in status(pods=pods | {"failed": 0})
        began = rfc3339(utc_now())
        down = {"from": began, "reason": "Unavailable"}
        assert status(interruptions=[down]) == ""
        assert "grows" in status(interruptions=[])
        assert "interruption" in status(interruptions=[down | {"reason": "ImagesLeft"}])
        # It does not run again: no end of it is taken, and none that was earlier.
        assert "does not run again" in status(interruptions=[down | {"until": began}])
        assert "result" in status(result="Replaced", endedAt=began)
        for pod in pods_of(gate, shop, "web:1", 2):
            set_ready(gate, pod)
        wait_until(lambda: _all_ready(gate, shop, "web:1"), "it runs again")
        wait_until(lambda: rfc3339(utc_now()) > began, "an end that is later than the beginning")
        assert status(interruptions=[down | {"until": began}]) == ""
        closed = gate.get("rolloutoutcome", name, shop)["status"]["interruptions"][0]
        assert closed["until"] > began, "by the clock of the webhook"
        assert "interruption" in status(interruptions=[closed | {"until": began}])
        stored = gate.get("rolloutoutcome", name, shop)
        assert "cannot update" in written(gate, shop, {**stored, "spec": spec | {"ring": 0}}, name)
        # What goes on stays, with its incidents. (What has ended goes when retention has it go.)
        with client_of(gate.user(OPERATOR)) as client:
            gone = client.delete(f"{PATH}/{shop}/rolloutoutcomes/{name}")
        assert "that has not ended is not deleted" in gone.json()["message"]
    assert gate.get("rolloutoutcome", name, shop)["metadata"]["uid"] == running["metadata"]["uid"]


def test_nobody_but_the_operator_writes_an_outcome(gate, shop, running):
    name = running["metadata"]["name"]
    made = {**running, "metadata": {"name": "mine", "namespace": shop}}
    assert "created by the operator" in gate.create("admin", made, check=False).stderr
    patch = {"status": {"pods": {"seen": 9}}}
    said = gate.patch_status("admin", "rolloutoutcome", name, shop, patch)
    assert "written by the operator" in denial(said)
    for body in ({"labels": {"a": "b"}}, {"finalizers": ["example.com/stay"]}):
        said = gate.patch("admin", "rolloutoutcome", name, shop, {"metadata": body}, check=False)
        assert "is a record" in denial(said)
    ring = {"spec": {"ring": 0}}
    said = gate.patch("admin", "rolloutoutcome", name, shop, ring, check=False).stderr
    assert "spec never changes" in said
    noted = {"metadata": {"annotations": {"seen-by": "ann"}}}
    gate.patch("admin", "rolloutoutcome", name, shop, noted)
    deletion = ("delete", "rolloutoutcome", name, "-n", shop)
    assert "so is a RolloutOutcome" in gate.kubectl("admin", *deletion, check=False).stderr
    # A namespace goes with its outcomes, whoever is away.
    with paused(gate.installation.operator), paused(gate.installation.webhook):
        gate.kubectl("admin", "delete", "namespace", shop, "--wait=false")
        wait_until(lambda: not gate.items("rolloutoutcomes", shop), "its outcomes are gone")


def test_incidents_are_reported_by_who_may(gate, shop, running):
    name = running["metadata"]["name"]
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "writes-outcomes"},
        "rules": [
            {
                "apiGroups": ["cabgate.dev"],
                "resources": ["rolloutoutcomes", "rolloutoutcomes/status"],
                "verbs": ["get", "patch"],
            }
        ],
    }
    gate.cluster.api.apply(role)
    gate.bind(REPORTER, "cabgate-outcome-reporter", shop)
    gate.bind("mallory", "writes-outcomes", shop)
    words = f"outcome report -n {shop} {name} --severity 2 --id INC-1 --source alertmanager"
    said = cabgate(gate, "mallory", words, code=1).stderr
    assert "lacks the RBAC verb 'report'" in said
    cabgate(gate, REPORTER, words)
    report = {"id": "INC-2", "severity": 4, "source": "ann", "by": "somebody else"}
    body = {"status": {"report": report}}
    patched = gate.patch_status(REPORTER, "rolloutoutcome", name, shop, body)
    assert "recorded if this succeeds: incident INC-2" in patched.stderr
    cabgate(gate, REPORTER, words)  # an alert that fires again
    found = gate.get("rolloutoutcome", name, shop)["status"]
    assert [(each["id"], each["severity"], each["by"]) for each in found["incidents"]] == [
        *(("INC-1", 2, REPORTER), ("INC-2", 4, REPORTER)),
    ]
    assert "report" not in found
    for change in (
        {"incidents": []},
        {"incidents": [{**found["incidents"][0], "severity": 4}, found["incidents"][1]]},
        {"incidents": [*found["incidents"], {**found["incidents"][0], "id": "x", "by": "ann"}]},
        {"pods": {"failed": 7}},
    ):
        said = gate.patch_status(REPORTER, "rolloutoutcome", name, shop, {"status": change})
        assert said.returncode != 0, json.dumps(change)
    assert gate.get("rolloutoutcome", name, shop)["status"]["incidents"] == found["incidents"]


def test_what_happened_while_no_operator_ran_is_written_by_the_next(gate, shop, running):
    with paused(gate.installation.operator):
        deploy(gate, shop, "web:2")
        wait_until(lambda: _all_ready(gate, shop, "web:2"), "another release runs")
    outcome(gate, shop, what="its end", when=with_result("Replaced"))
    begun = outcome(gate, shop, "web:2", when=counted(2, 0))
    assert begun["metadata"]["name"] != running["metadata"]["name"]


def sh(gate, user, *command, **env):
    """Run a shell as whoever has a kubeconfig and kubectl; its exit code."""
    binaries = gate.cluster.binaries.kubectl.parent
    home = {"HOME": str(gate.cluster.directory)}  # where kubectl keeps what it has read
    given = {"KUBECONFIG": str(gate.user(user)), "PATH": f"{binaries}:/usr/bin:/bin", **home, **env}
    return subprocess.run(command, env=given, check=False).returncode


def test_the_recipes_report_of_what_runs_now(gate, shop, running):
    gate.bind(REPORTER, "cabgate-outcome-reporter", shop)
    script = str(EXAMPLES / "report-incident.sh")
    about = (shop, "Deployment", "web")
    assert sh(gate, REPORTER, "sh", script, *about, "fingerprint", "2", "alertmanager") == 0
    # An analysis says which Rollout it measured; here the Job measures the Deployment.
    template = next(yaml.safe_load_all((EXAMPLES / "argo-rollouts.yaml").read_text()))
    (metric,) = template["spec"]["metrics"]
    (measure,) = metric["provider"]["job"]["spec"]["template"]["spec"]["containers"]
    assert {each["name"] for each in measure["env"]} == {"WORKLOAD", "RUN", "NAMESPACE", "MEASURE"}
    command = [*measure["command"], measure["args"][0].replace(" Rollout ", " Deployment ")]
    run = {"NAMESPACE": shop, "WORKLOAD": "web", "SCRIPTS": str(EXAMPLES)}
    assert sh(gate, REPORTER, *command, **run, RUN="good", MEASURE="true") == 0
    assert sh(gate, REPORTER, *command, **run, RUN="bad", MEASURE="false") == 1
    name = running["metadata"]["name"]
    found = gate.get("rolloutoutcome", name, shop)["status"]["incidents"]
    assert [(each["id"], each["source"]) for each in found] == [
        *(("fingerprint", "alertmanager"), ("bad", "argo-rollouts")),
    ]
    # What is not one of the four severities becomes no part of the patch.
    for severity in ("0", "2,", '2,"by":"ann"'):
        assert sh(gate, REPORTER, "sh", script, *about, "sly", severity, "alertmanager") == 2
    # Of what has other images now nobody is told that it is at fault.
    deploy(gate, shop, "web:2")
    outcome(gate, shop, what="an interruption", when=interruptions)
    assert sh(gate, REPORTER, "sh", script, *about, "later", "2", "alertmanager") == 1
    # What is deleted has an incident that is noticed afterwards.
    gate.kubectl("requester", "delete", "deployment", "web", "-n", shop)
    outcome(gate, shop, what="the end", when=with_result("Succeeded"))
    assert sh(gate, REPORTER, "sh", script, *about, "after", "2", "alertmanager") == 0
    found = gate.get("rolloutoutcome", name, shop)["status"]["incidents"]
    assert [each["id"] for each in found] == ["fingerprint", "bad", "after"]
