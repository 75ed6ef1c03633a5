# SPDX-License-Identifier: Apache-2.0
"""`cabgate explain` says what the gate says, and why each request did not count."""

import json

import pytest

from cabgate_devcluster import wait_until
from cabgate_samples.objects import BAD, GOOD, MIDDLING, exception, intent, target, workload
from support.cli import cabgate
from support.gate import denial as denial_of
from support.reviews import middling


@pytest.fixture
def explained(gate, tmp_path):
    """What `cabgate explain -f` prints of an object."""

    def explain(obj, code, *options, user="requester"):
        path = tmp_path / "workload.json"
        path.write_text(json.dumps(obj))
        return cabgate(gate, user, f"explain -f {path} {' '.join(options)}", code).stdout

    return explain


def denial(gate, obj):
    return denial_of(gate.refused("requester", "create", "-f", "-", stdin=json.dumps(obj)))


def pod(namespace, image, name="shell", **metadata):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {"containers": [{"name": "a", "image": image}]},
    }


def second(gate, namespace):
    """The time in whole seconds, by the clock that objects get theirs from."""
    made = gate.kubectl(
        *("admin", "create", "configmap", "clock", "-n", namespace),
        *("--dry-run=server", "-o", "jsonpath={.metadata.creationTimestamp}"),
    )
    return made.stdout


def test_it_gives_the_denial_of_the_gate_and_a_line_for_each_request(gate, namespace, explained):
    """Every reason that a request can be passed over for, in one namespace."""

    def opened(name, evidence, state, images=("web:2",)):
        targets = [target(images)]
        return gate.open(namespace, evidence, state, name=name, targets=targets)

    other = opened("other", GOOD, "AutoApproved", ("web:1",))
    made = gate.get("cabrequest", other, namespace)["metadata"]["creationTimestamp"]
    wait_until(lambda: second(gate, namespace) > made, timeout=60.0, what="a second goes by")
    waiting = opened("waiting", MIDDLING, "Submitted")
    rejected = opened("rejected", middling(1), "Submitted")
    gate.review("reviewer", "cabrequest", rejected, namespace, "Rejected", rationale="no plan")
    risky = opened("risky", BAD, "ExceptionRequired")
    gate.create("requester", exception(namespace, risky))
    later = opened("later", middling(2), "Submitted")
    gate.review(
        *("reviewer", "cabrequest", later, namespace, "ConditionallyApproved"),
        conditions=[
            {"name": "night", "description": "at night", "notBefore": "2099-01-01T00:00:00Z"}
        ],
    )
    attested = opened("attested", middling(3), "Submitted")
    gate.review(
        *("reviewer", "cabrequest", attested, namespace, "ConditionallyApproved"),
        conditions=[{"name": "watch", "description": "watched", "attestation": "Required"}],
    )
    obj = workload(namespace, images=["web:2"])
    text = explained(obj, 1)
    assert text.rstrip().endswith(denial(gate, obj))
    assert "Ring       2, gated: namespace 2, workload 0" in text
    for name, line in {
        other: "(AutoApproved): does not name web:2; it names web:1",
        waiting: "(Submitted): waits for a CAB member (score 52.50, ManualReview)",
        rejected: "(Rejected): was rejected by reviewer: no plan",
        risky: "exception leave is Pending",
        later: "(ConditionallyApproved): approved with approval condition night, which admits from "
        "2099-",
        attested: "approved with approval conditions that nobody has attested: watch",
    }.items():
        assert line in " ".join(text.split()), (name, text)
        assert f"  - {name} " in text

    found = json.loads(explained(obj, 1, "-o", "json"))
    assert (found["allowed"], found["message"]) == (False, denial(gate, obj))
    assert {item["name"] for item in found["requests"]} == {
        *(other, waiting, rejected, risky, later, attested)
    }
    # The newest first, as far as times in whole seconds can tell.
    created = {
        item["metadata"]["name"]: item["metadata"]["creationTimestamp"]
        for item in gate.items("cabrequests", namespace)
    }
    listed = [created[item["name"]] for item in found["requests"]]
    assert listed == sorted(listed, reverse=True)
    assert listed[-1] == created[other], "the oldest of them, by a second at least"


def test_it_admits_what_the_gate_admits_and_denies_after_a_revocation(gate, namespace, explained):
    obj = workload(namespace)
    assert "NoRequest: Deployment web" in explained(obj, 1)
    name = gate.open(namespace, MIDDLING, "Submitted")
    gate.review("reviewer", "cabrequest", name, namespace, "Approved")
    assert "Decision   admitted" in explained(obj, 0)
    gate.create("requester", obj)
    for argument in (f"-n {namespace} deploy/web", f"{namespace}/deployment/web"):
        assert "RequestApproved: " in cabgate(gate, "requester", f"explain {argument}").stdout
    gate.review("security", "cabrequest", name, namespace, "Revoked", rationale="bad news")
    revoked = cabgate(gate, "requester", f"explain {namespace}/deployment/web", 1).stdout
    assert f"{name} (Revoked): is revoked by security: bad news" in " ".join(revoked.split())
    assert denial(gate, workload(namespace, name="web")) in revoked


def test_rings_of_namespace_and_workload_count_as_at_the_gate(gate, make_namespace, explained):
    free = make_namespace(None)
    assert "RingNotGated: " in explained(workload(free), 0)
    assert "(ring 2)" in explained(workload(free), 1, "--default-ring", "2")
    labelled = workload(free, labels={"cabgate.dev/ring": "3"})
    assert denial(gate, labelled) in explained(labelled, 1)
    gate.create("requester", workload(free))
    gate.kubectl("admin", "label", "deployment", "web", "-n", free, "cabgate.dev/ring=4")
    # The label that stands counts, also for a manifest without it.
    assert "(ring 4)" in explained(workload(free), 1)


def test_of_a_pod_that_exists_only_new_images_count(gate, make_namespace, explained):
    namespace = make_namespace(None)
    gate.create("requester", pod(namespace, "a:1"))
    gate.kubectl("admin", "label", "namespace", namespace, "cabgate.dev/ring=2")
    assert "NoNewImage: " in explained(pod(namespace, "a:1"), 0)
    assert "--image a:2" in explained(pod(namespace, "a:2"), 1)
    # Made anew it would be denied.
    assert "NoRequest: " in cabgate(gate, "requester", f"explain {namespace}/pod/shell", 1).stdout


def test_a_generated_name_is_covered_by_its_prefix(gate, namespace, explained):
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"generateName": "migrate-", "namespace": namespace},
        "spec": {
            "suspend": True,
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [{"name": "a", "image": "migrate:1"}],
                }
            },
        },
    }
    assert denial(gate, job) in explained(job, 1)
    gate.apply(
        "requester",
        intent(
            namespace,
            targets=[target(["migrate:1"], name="migrate-*", kind="Job", api_version="batch/v1")],
        ),
    )
    gate.request_of(namespace, state="AutoApproved")
    assert "admitted" in explained(job, 0)
    name = gate.create("requester", job, "-o", "name").stdout.strip().partition("/")[2]
    assert "admitted" in cabgate(gate, "requester", f"explain {namespace}/job/{name}").stdout


def test_what_belongs_to_another_workload_says_so(gate, make_namespace):
    namespace = make_namespace("2")
    gate.open(namespace, GOOD, "AutoApproved")
    gate.create("requester", workload(namespace))
    [made] = wait_until(lambda: gate.items("rs", namespace), "the ReplicaSet of web")
    name = made["metadata"]["name"]
    result = cabgate(gate, "requester", f"explain {namespace}/rs/{name}", 1)
    assert f"replicaset/{name} belongs to Deployment web" in result.stderr


def test_a_mode_that_does_not_count_is_told(gate, namespace, explained):
    label = ("label", "namespace", namespace, "cabgate.dev/mode=Audit")
    said = "cabgate.dev/mode=Audit does not count: the cluster's mode is Enforce"
    assert "Warning: Validation failed for ValidatingAdmissionPolicy 'modes.cabgate.dev'" in (
        done := gate.kubectl("admin", *label).stderr
    )
    assert said in done
    text = explained(workload(namespace), 1)
    assert "Decision   denied\n" in text
    assert f"Mode       Enforce: {said}" in text
    text = explained(workload(namespace), 0, "--mode", "Audit")
    assert "Decision   admitted, since the mode is Audit; Enforce would deny it\n" in text


@pytest.mark.parametrize(
    ("user", "arguments", "code", "said"),
    [
        (
            "requester",
            "explain -n {ns} deployment/absent",
            4,
            "deployment/absent in namespace {ns}",
        ),
        ("requester", "explain -n {ns} service/web", 2, "not a kind that is gated"),
        ("requester", "explain -n other {ns}/deployment/web", 2, "--namespace: other, but"),
        ("requester", "explain -n {ns} 'job/x-*'", 2, "give its manifest"),
        ("requester", "explain", 2, "name a workload"),
        ("requester", "explain -f /dev/null", 2, "holds no object"),
        ("requester", "explain -n {ns} deployment/web --kubeconfig /nowhere", 4, "/nowhere"),
        ("nobody", "explain -n {ns} deployment/web", 4, "you may not read deployment/web"),
    ],
)
def test_what_cannot_be_told_has_exit_codes_of_its_own(
    gate, namespace, user, arguments, code, said
):
    result = cabgate(gate, user, arguments.format(ns=namespace), code)
    assert said.format(ns=namespace) in result.stderr


def test_a_pipeline_waits_by_exit_code(gate, namespace):
    """As docs/intents.md says it, by cabgate and by kubectl alone."""

    def by_kubectl(name, condition, timeout="60s"):
        return gate.kubectl(
            *("requester", "wait", "deploymentintent", name, "-n", namespace),
            *(f"--for=condition={condition}", f"--timeout={timeout}"),
            check=False,
        ).returncode

    def conditions(name):
        found = gate.get("deploymentintent", name, namespace)["status"]["conditions"]
        return {each["type"]: each["status"] for each in found}

    def ends(name, code, timeout="60s"):
        line = f"wait -n {namespace} {name} --timeout {timeout}"
        return cabgate(gate, "requester", line, code).stdout

    gate.apply("requester", intent(namespace, name="good", evidence=GOOD))
    assert "good in namespace" in ends("good", 0)
    assert by_kubectl("good", "Reconciling=False") == 0
    assert by_kubectl("good", "Ready") == 0

    held = [target(["other:1"], "other")]
    gate.apply("requester", intent(namespace, name="held", evidence=MIDDLING, targets=held))
    request = gate.request_of(namespace, "held", "Submitted")["metadata"]["name"]
    assert "waits still" in ends("held", 3, "1s")
    assert by_kubectl("held", "Reconciling=False", "1s") != 0
    assert conditions("held")["Reconciling"] == "True"
    gate.review("reviewer", "cabrequest", request, namespace, "Rejected")
    assert "refused: " in ends("held", 1)
    assert by_kubectl("held", "Reconciling=False") == 0
    assert by_kubectl("held", "Ready", "1s") != 0
    assert conditions("held")["Ready"] == "False"
