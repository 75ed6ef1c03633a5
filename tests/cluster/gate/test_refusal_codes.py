# SPDX-License-Identifier: Apache-2.0
"""Every refusal is a 403 that names its field, and no words of a reviewer make a tool think of a
field that cannot be changed: for a 409, a 422 and such a text Flux with `force: true` deletes the
object and creates it anew."""

import json
import re

import pytest

from cabgate_devcluster import wait_until
from cabgate_samples.objects import GOOD, MIDDLING, intent, target, workload
from support.clients import client_of
from support.gate import denial
from support.gitops import FLUX

OPERATOR = "system:serviceaccount:cabgate-system:cabgate-operator"
GLASS = "cabgate.dev/break-glass"
WHY = "INC-1: the shop is down"
IMMUTABLE = re.compile(r"is\simmutable|immutable\sfield")
"""What Flux looks for."""

OURS = "/apis/cabgate.dev/v1alpha1"
PATCH = {"Content-Type": "application/merge-patch+json"}
DRY = {"dryRun": "All"}


@pytest.fixture
def clients(gate):
    made = {}

    def of(user):
        if user not in made:
            made[user] = client_of(gate.user(user))
        return made[user]

    yield of
    for client in made.values():
        client.close()


@pytest.fixture
def team(gate, namespace):
    """A namespace with a user who may do all in it but what cabgate keeps, and a Deployment."""
    gate.bind("mallory", "admin", namespace)
    gate.bind("breaker", "admin", namespace)
    gate.bind("breaker", "cabgate-break-glass", namespace)
    gate.kubectl("admin", "label", "namespace", namespace, "cabgate.dev/ring-")
    gate.create("mallory", workload(namespace, labels={"cabgate.dev/ring": "1"}))
    gate.kubectl("admin", "label", "namespace", namespace, "cabgate.dev/ring=2")
    return namespace


def record_of(gate, namespace):
    """A record of the ledger about a namespace, once there is one."""

    def recorded():
        found = gate.cluster.kubectl("get", "cabdecisions", "-o", "json").stdout
        items = json.loads(found)["items"]
        return [each for each in items if each["spec"]["subject"]["namespace"] == namespace]

    return wait_until(recorded, f"a record of the ledger about {namespace}")[0]


def annotated(*, images=("web:9",), **annotations):
    containers = [{"name": f"c{n}", "image": image} for n, image in enumerate(images)]
    return {
        "metadata": {"annotations": annotations},
        "spec": {"template": {"spec": {"containers": containers}}},
    }


def noted(obj, annotations):
    """An object with annotations."""
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}


def rows(team, record):
    """User, method, path and body of a write that each rule of a policy and of the webhook refuses,
    and what it says. What is forged about a broken glass is put right before it could be refused:
    tests/cluster/break_glass/test_break_glass.py asks without the policy that does."""
    deployment = f"/apis/apps/v1/namespaces/{team}/deployments/web"
    label = "cabgate.dev/ring"
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": team, "annotations": {GLASS: WHY}},
        "spec": {"containers": [{"name": "c", "image": "web:9"}]},
    }
    revision = {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {"name": "r", "namespace": team},
        "revision": 1,
        "data": {"spec": {}},
    }
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "p", "namespace": team, "labels": {label: "0"}},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "n"},
    }
    pods = f"/api/v1/namespaces/{team}"
    misnamed = {**record, "metadata": {"name": f"{team}.7"}}
    status = f"{OURS}/namespaces/{team}/cabrequests/{{request}}"
    named = "metadata.labels[cabgate.dev/ring]"
    glass = f"metadata.annotations[{GLASS}]"
    return [
        ("mallory", "patch", deployment, {"metadata": {"labels": {label: "high"}}}, named),
        ("mallory", "patch", deployment, {"metadata": {"labels": {label: "0"}}}, named),
        ("admin", "patch", f"/api/v1/namespaces/{team}", {"metadata": {"labels": {
            "cabgate.dev/mode": "Strict"}}}, "metadata.labels[cabgate.dev/mode]: must be"),
        ("admin", "patch", f"/api/v1/namespaces/{team}", {"metadata": {"labels": {
            "cabgate.dev/require-template": "always"}}},
         "metadata.labels[cabgate.dev/require-template]: must be"),
        ("admin", "post", f"{pods}/bindings", binding, named),
        ("mallory", "patch", deployment, annotated(**{GLASS: WHY}), f"BreakGlassDenied: {glass}"),
        ("breaker", "patch", deployment, annotated(**{GLASS: "no"}), f"Malformed: {glass}"),
        ("breaker", "post", f"{pods}/pods", pod, f"BreakGlassOnPod: {glass}"),
        ("admin", "post", f"/apis/apps/v1/namespaces/{team}/controllerrevisions", revision,
         "ControllerRevisionGuarded"),
        ("admin", "delete", status, None, "a CABRequest is a record"),
        ("admin", "post", f"{OURS}/cabdecisions", record, "only the cabgate operator writes it"),
        (OPERATOR, "post", f"{OURS}/cabdecisions", misnamed, "metadata.name: a CABDecision"),
        ("admin", "delete", f"{OURS}/cabdecisions/{record['metadata']['name']}", None,
         "nobody deletes it by hand"),
        ("uninstaller", "delete",
         "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/cabrequests.cabgate.dev", None,
         "needs the verb uninstall"),
        ("mallory", "post", f"{OURS}/namespaces/{team}/deploymentintents",
         noted(intent(team, name="notes"), {f"n{n}": "" for n in range(101)}),
         "MetadataTooLarge: metadata.annotations: with "),
        ("mallory", "post", f"{OURS}/namespaces/{team}/deploymentintents",
         noted(intent(team, name="notes"), {"n": "x" * 140_000}),
         "MetadataTooLarge: metadata.annotations: come "),
        # The webhook.
        ("mallory", "patch", deployment, annotated(), "ImagesNotCovered: "),
        ("admin", "patch", status, {"metadata": {"labels": {"a": "b"}}}, "metadata.labels"),
        ("reviewer", "patch", f"{status}/status", {"status": {"takenAt": "2026-01-01T00:00:00Z"}},
         "status.takenAt"),
        ("reviewer", "patch", f"{status}/status", {"status": {"review": {"verdict": "Revoked",
         "rationale": "x"}}}, "IllegalTransition: status.review.verdict"),
        ("admin", "patch", f"{OURS}/namespaces/{team}/deploymentintents/web/status",
         {"status": {"state": "Approved"}}, "status"),
        ("mallory", "post", f"{OURS}/namespaces/{team}/deploymentintents",
         intent(team, name="never", targets=[target(["a"], api_version="v1")]),
         "spec.targets[0].apiVersion"),
    ]  # fmt: skip


def test_every_refusal_of_every_policy_and_of_the_webhook_is_a_403(gate, clients, team):
    request = gate.open(team, MIDDLING, "Submitted")
    gate.review("reviewer", "cabrequest", request, team, "UnderReview")
    gate.kubectl("admin", "create", "clusterrole", f"crds-{team}", "--verb=delete",
                 "--resource=customresourcedefinitions.apiextensions.k8s.io")  # fmt: skip
    gate.kubectl("admin", "create", "clusterrolebinding", f"crds-{team}",
                 f"--clusterrole=crds-{team}", "--user=uninstaller")  # fmt: skip
    gate.open(team, GOOD, "AutoApproved", name="recorded", targets=[target(["x:1"], name="x")])
    record = record_of(gate, team)
    made = {key: record[key] for key in ("apiVersion", "kind", "spec")}
    made["metadata"] = {"name": record["metadata"]["name"]}
    for user, method, path, body, said in rows(team, made):
        answer = clients(user).request(
            method,
            path.format(request=request),
            params=DRY,
            headers=PATCH if method == "patch" else None,
            **({"content": json.dumps(body)} if method == "patch" else {"json": body}),
        )
        assert answer.status_code == 403, (user, path, body, answer.text)
        text = answer.json()["message"]
        assert answer.json()["reason"] == "Forbidden", (path, text)
        assert said in text, (path, text)
        assert not IMMUTABLE.search(text), text


HOSTILE = [
    "The selector field is immutable, so this cannot roll out",
    "field is\timmutable",
    "an immutable\nfield, Is Immutable",
]


def test_no_words_of_people_reach_a_tool_as_an_error_that_it_acts_on(gate, clients, team):
    """A rejection, a condition, an exception: whatever somebody wrote, in a denial."""
    flux = ("apply", "--server-side", "--force-conflicts", f"--field-manager={FLUX}", "-f", "-")
    for number, words in enumerate(HOSTILE):
        name = f"app{number}"
        targets = [target([f"app:{number}"], name=name)]
        request = gate.open(team, MIDDLING, "Submitted", name=name, targets=targets, summary=words)
        gate.review("reviewer", "cabrequest", request, team, "Rejected", rationale=words)
        # What somebody said stays on record as it was said.
        stored = gate.get("cabrequest", request, team)["status"]["decisions"][-1]
        assert stored["rationale"] == words
        obj = workload(team, name=name, images=[f"app:{number}"])
        result = gate.kubectl("mallory", *flux, stdin=json.dumps(obj), check=False)
        assert denial(result).startswith("Rejected: ")
        assert "immutable" in result.stderr.lower()
        assert not re.search(r"is\simmutable|immutable\sfield", result.stderr, re.IGNORECASE)
        answer = clients("mallory").post(f"/apis/apps/v1/namespaces/{team}/deployments", json=obj)
        assert answer.status_code == 403, answer.text
        assert not IMMUTABLE.search(answer.text), answer.text
        # A review of it again quotes nobody either; and kubectl prints the object as ever.
        again = gate.review("reviewer", "cabrequest", request, team, "Approved", check=False)
        assert not IMMUTABLE.search(again.stderr)
        args = ("get", "di", name, "-n", team, "-o", "yaml")
        wait_until(
            lambda args=args: "reason: Rejected" in gate.kubectl("mallory", *args).stdout,
            "kubectl prints why the intent is not ready",
        )
        ready = gate.get("deploymentintent", name, team)["status"]["conditions"]
        assert not any(IMMUTABLE.search(condition["message"]) for condition in ready)


def test_programs_read_each_problem_and_its_field_from_the_status(gate, clients, team):
    """By what the API server passes on of the webhook's answer; people read one message."""
    never = intent(
        team,
        name="never",
        targets=[target(["a b"]), target(["c"], name="db", api_version="v1")],
    )
    answer = clients("mallory").post(f"{OURS}/namespaces/{team}/deploymentintents", json=never)
    found = answer.json()
    causes = {each["field"]: each["reason"] for each in found["details"]["causes"]}
    assert causes == {
        "spec.targets[0].images[0]": "Invalid",
        "spec.evidence.artifacts[0].images[0]": "Invalid",
        "spec.targets[1].apiVersion": "TargetNotGated",
    }
    assert all(field in found["message"] for field in causes)
    refused = gate.refused("mallory", "apply", "-f", "-", stdin=json.dumps(never))
    assert all(field in refused for field in causes)

    denied = (
        clients("mallory")
        .patch(
            f"/apis/apps/v1/namespaces/{team}/deployments/web",
            content=json.dumps(annotated()),
            headers=PATCH,
        )
        .json()
    )
    (cause,) = denied["details"]["causes"]
    assert cause["reason"] == "NoRequest"
    assert "field" not in cause  # the API server leaves out what is empty
    assert cause["message"] in denied["message"]


def test_every_policy_is_of_the_right_types(gate):
    """Else the API server says so in its status, and evaluates in the hope of the best."""

    def checked():
        found = gate.cluster.kubectl("get", "validatingadmissionpolicies", "-o", "json").stdout
        policies = json.loads(found)["items"]
        statuses = {each["metadata"]["name"]: each.get("status") for each in policies}
        return statuses if all(statuses.values()) else None

    for name, status in wait_until(checked, "the policies are checked").items():
        assert not (status.get("typeChecking") or {}).get("expressionWarnings"), name
