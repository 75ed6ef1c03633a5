# SPDX-License-Identifier: Apache-2.0
"""Evidence is about the images that it names: old reports approve no new release, and an approval
by score lasts no longer than the evidence that it rests on."""

import copy
import json

from cabgate_devcluster import wait_until
from cabgate_samples.objects import GOOD, MIDDLING, about, intent, target, workload

WEB, DB = "registry.example.com/shop/web", "registry.example.com/shop/db:16"


BAD = {"artifacts": [{"name": "web"}]}
"""For the images that it is declared with, and of score 100."""


def pair(namespace, version, evidence=GOOD, name="web", **spec):
    """An intent for a Deployment that is released often, and a StatefulSet that is not."""
    targets = [target([f"{WEB}:{version}"]), target([DB], name="db", kind="StatefulSet")]
    return intent(namespace, name=name, targets=targets, evidence=evidence, **spec)


def admitted(gate, namespace, image, **fields):
    """Whether the rollout of a workload would be admitted now, and what is said where not."""
    body = workload(namespace, images=(image,), **fields)
    answer = gate.create("requester", body, "--dry-run=server", check=False)
    return "" if answer.returncode == 0 else answer.stderr


def request_of(gate, namespace, state, name="web"):
    """The current request of an intent, once it is in a state."""
    return gate.request_of(namespace, name, state, timeout=60)


def opened(gate, namespace, evidence, state, *, name="web", **spec):
    """Name of the request that an intent leads to, once it is in a state."""
    gate.apply("requester", intent(namespace, name=name, evidence=evidence, **spec))
    return request_of(gate, namespace, state, name)["metadata"]["name"]


def ready(gate, namespace, name="web"):
    conditions = gate.get("deploymentintent", name, namespace)["status"]["conditions"]
    return next(each for each in conditions if each["type"] == "Ready")


def floors(request):
    return [floor["name"] for floor in request["spec"]["assessment"].get("floors", [])]


def test_a_new_image_on_the_evidence_of_the_last_release_waits_for_a_person(gate, namespace):
    gate.apply("requester", pair(namespace, "2.3.0"))
    last = request_of(gate, namespace, "AutoApproved")["metadata"]["name"]
    # As a robot does it: the image, and nothing else.
    bumped = pair(namespace, "2.3.0")
    bumped["spec"]["targets"][0]["images"] = [f"{WEB}:2.4.0"]
    gate.apply("requester", bumped)
    request = request_of(gate, namespace, "Submitted")
    assert floors(request) == ["ImagesWithoutEvidence", "StaleEvidence"]
    assert request["spec"]["assessment"]["missing"] == [f"artifacts[].images: {WEB}:2.4.0"]
    denial = admitted(gate, namespace, f"{WEB}:2.4.0")
    assert f"no artifact names image {WEB}:2.4.0" in denial
    assert f"of request {last}, which was for other images" in denial
    # What was approved stays so; the database beside it has its evidence.
    assert admitted(gate, namespace, f"{WEB}:2.3.0") == ""
    # A template that fills the field in from the image: the reports are still the old ones.
    named = copy.deepcopy(bumped)
    named["spec"]["evidence"]["artifacts"][0]["images"] = [f"{WEB}:2.4.0", DB]
    gate.apply("requester", named)
    request = request_of(gate, namespace, "Submitted")
    assert floors(request) == ["StaleEvidence"]
    gate.review("reviewer", "cabrequest", request["metadata"]["name"], namespace, "Approved")
    assert admitted(gate, namespace, f"{WEB}:2.4.0") == ""
    # The next release comes with reports of its own.
    gate.apply("requester", pair(namespace, "2.5.0"))
    assert floors(request_of(gate, namespace, "AutoApproved")) == []


def test_another_risk_model_lowers_neither_floor(gate, cluster, make_namespace):
    namespace = make_namespace()
    made = json.loads(cluster.kubectl("get", "riskmodel", "default", "-o", "json").stdout)
    spec = {**made["spec"], "floors": [], "version": "lenient", "autoApproveUpTo": "100.00"}
    model = {
        "apiVersion": made["apiVersion"],
        "kind": "RiskModel",
        "metadata": {"name": f"lenient-{namespace}"},
        "spec": {**spec, "manualReviewUpTo": "100.00"},
    }
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(model))
    label = f"cabgate.dev/risk-model=lenient-{namespace}"
    cluster.kubectl("label", "namespace", namespace, label)
    opened(gate, namespace, {}, "Submitted", images=(f"{WEB}:1",))
    evidence = {"artifacts": [{"name": "web"}], "testResults": {"passed": 3}}
    opened(gate, namespace, evidence, "AutoApproved", images=(f"{WEB}:1",))
    old = about(evidence, [target([f"{WEB}:1"])])
    named = {**old, "artifacts": [{"name": "web", "images": [f"{WEB}:2"]}]}
    opened(gate, namespace, named, "Submitted", images=(f"{WEB}:2",))


def test_worse_evidence_for_the_same_images_ends_an_approval_by_score(gate, namespace):
    image = f"{WEB}:1"
    good = opened(gate, namespace, GOOD, "AutoApproved", images=(image,))
    assert admitted(gate, namespace, image) == ""
    worse = opened(gate, namespace, BAD, "ExceptionRequired", images=(image,))
    gate.wait_state("cabrequest", good, namespace, "Superseded", timeout=60)
    ended = gate.get("cabrequest", good, namespace)["status"]["decisions"][-1]
    assert (ended["verdict"], ended["author"]["type"]) == ("Superseded", "System")
    assert f"in request {worse}" in ended["rationale"]
    denial = admitted(gate, namespace, image)
    assert "ExceptionRequired: " in denial
    # What the intent says is what the gate does.
    found = wait_until(
        lambda: (c := ready(gate, namespace))["reason"] == "ExceptionRequired" and c,
        "the intent says that it would be denied",
    )
    assert found["status"] == "False"
    # Back to the evidence of before: opened again, and scored anew.
    again = opened(gate, namespace, GOOD, "AutoApproved", images=(image,))
    assert again == good
    said = [d["verdict"] for d in gate.get("cabrequest", good, namespace)["status"]["decisions"]]
    assert said == ["AutoApproved", "Superseded", "Reopened", "AutoApproved"]
    assert admitted(gate, namespace, image) == ""
    assert gate.get("cabrequest", worse, namespace)["status"]["state"] == "Superseded"


def test_an_ended_approval_is_revoked_like_any_other(gate, namespace):
    image = f"{WEB}:1"
    good = opened(gate, namespace, GOOD, "AutoApproved", images=(image,))
    opened(gate, namespace, MIDDLING, "Submitted", images=(image,))
    gate.wait_state("cabrequest", good, namespace, "Superseded", timeout=60)
    result = gate.review("security", "cabrequest", good, namespace, "Revoked", rationale="CVE-1")
    assert f"denied from then on: Deployment web: {image}" in result.stderr
    assert gate.get("cabrequest", good, namespace)["status"]["state"] == "Revoked"
    assert admitted(gate, namespace, image) != ""
    # The evidence of before brings nothing back, nor does new evidence by its score.
    again = opened(gate, namespace, GOOD, "Revoked", images=(image,))
    assert again == good
    fresh = {**GOOD, "testResults": {**GOOD["testResults"], "passed": 99}}
    opened(gate, namespace, fresh, "Submitted", images=(image,))
    # What never was approved is not to be revoked.
    never = opened(gate, namespace, {**MIDDLING, "scope": {"affectedComponents": 2}}, "Submitted",
                   images=(f"{WEB}:2",))  # fmt: skip
    opened(gate, namespace, GOOD, "AutoApproved", images=(f"{WEB}:3",))
    gate.wait_state("cabrequest", never, namespace, "Superseded", timeout=60)
    result = gate.review("security", "cabrequest", never, namespace, "Revoked", check=False)
    assert "IllegalTransition: " in result.stderr


def test_an_approval_whose_model_is_gone_comes_back_by_a_person(gate, cluster, make_namespace):
    """Its score cannot be recomputed: nothing is tried in vain, and the intent says so."""
    ns = make_namespace()
    made = json.loads(cluster.kubectl("get", "riskmodel", "default", "-o", "json").stdout)
    model = {**made, "metadata": {"name": f"vanishing-{ns}"}}
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(model))
    cluster.kubectl("label", "namespace", ns, "cabgate.dev/risk-model=vanishing-" + ns)
    image = f"{WEB}:1"
    good = opened(gate, ns, GOOD, "AutoApproved", images=(image,))
    opened(gate, ns, BAD, "ExceptionRequired", images=(image,))
    gate.wait_state("cabrequest", good, ns, "Superseded", timeout=60)
    cluster.kubectl("delete", "riskmodel", f"vanishing-{ns}")
    assert opened(gate, ns, GOOD, "Submitted", images=(image,)) == good
    found = wait_until(
        lambda: "is gone or was replaced" in (c := ready(gate, ns))["message"] and c,
        "the intent says why a person decides",
    )
    assert found["reason"] == "ReviewPending"
    gate.review("reviewer", "cabrequest", good, ns, "Approved")
    assert admitted(gate, ns, image) == ""


def test_evidence_that_was_refused_meanwhile_brings_no_approval_back(gate, namespace):
    image = f"{WEB}:1"
    good = opened(gate, namespace, GOOD, "AutoApproved", images=(image,))
    worse = opened(gate, namespace, MIDDLING, "Submitted", images=(image,))
    gate.review("reviewer", "cabrequest", worse, namespace, "Rejected", rationale="it leaks")
    request_of(gate, namespace, "Rejected")
    assert opened(gate, namespace, GOOD, "Submitted", images=(image,)) == good
    found = wait_until(
        lambda: "it leaks" in (c := ready(gate, namespace))["message"] and c,
        "the intent says why a person decides",
    )
    assert found["reason"] == "ReviewPending"
    [decided] = gate.get("cabrequest", good, namespace)["status"]["conditions"]
    assert "it leaks" in decided["message"]
    assert admitted(gate, namespace, image) != ""
    gate.review("reviewer", "cabrequest", good, namespace, "Approved")
    assert admitted(gate, namespace, image) == ""


def test_the_next_release_leaves_the_way_back_open(gate, namespace):
    first = opened(gate, namespace, GOOD, "AutoApproved", images=(f"{WEB}:1",), name="web")
    opened(gate, namespace, BAD, "ExceptionRequired", images=(f"{WEB}:2",))
    assert gate.get("cabrequest", first, namespace)["status"]["state"] == "AutoApproved"
    assert admitted(gate, namespace, f"{WEB}:1") == ""
    assert "ExceptionRequired" in admitted(gate, namespace, f"{WEB}:2")


def test_a_set_of_which_a_part_moved_on_is_still_a_way_back(gate, namespace):
    gate.apply("requester", pair(namespace, "1"))
    first = request_of(gate, namespace, "AutoApproved")["metadata"]["name"]
    gate.apply("requester", pair(namespace, "2", BAD))
    request_of(gate, namespace, "ExceptionRequired")
    assert gate.get("cabrequest", first, namespace)["status"]["state"] == "AutoApproved"
    assert admitted(gate, namespace, f"{WEB}:1") == ""
    assert admitted(gate, namespace, DB, name="db", kind="StatefulSet") == ""
    # All of it under other evidence: judged by that.
    gate.apply("requester", pair(namespace, "1", BAD))
    gate.wait_state("cabrequest", first, namespace, "Superseded", timeout=60)
    assert admitted(gate, namespace, f"{WEB}:1") != ""


def test_a_person_s_approval_stands_and_its_reviewer_is_told(gate, namespace):
    image = f"{WEB}:1"
    approved = opened(gate, namespace, MIDDLING, "Submitted", images=(image,))
    gate.review("reviewer", "cabrequest", approved, namespace, "Approved")
    request_of(gate, namespace, "Approved")
    worse = opened(gate, namespace, BAD, "ExceptionRequired", images=(image,))
    assert gate.get("cabrequest", approved, namespace)["status"]["state"] == "Approved"
    assert admitted(gate, namespace, image) == ""
    found = ready(gate, namespace)
    assert found["status"] == "True"
    assert f"approval of other evidence than is declared now ({approved}" in found["message"]
    [event] = [
        each
        for each in gate.items("events", namespace)
        if each["reason"] == "OtherEvidenceDeclared"
    ]
    assert event["involvedObject"]["name"] == approved
    assert event["message"].startswith(f"Request {approved} was approved by reviewer")
    assert worse in event["message"]


def test_two_intents_for_one_workload_leave_each_other_alone(gate, namespace):
    image = f"{WEB}:1"
    own = {"images": (image,), "name": "mine"}
    mine = opened(gate, namespace, GOOD, "AutoApproved", **own)
    opened(gate, namespace, BAD, "ExceptionRequired", images=(image,), name="yours")
    assert opened(gate, namespace, GOOD, "AutoApproved", summary="x", **own) == mine
    said = gate.get("cabrequest", mine, namespace)["status"]["decisions"]
    assert [entry["verdict"] for entry in said] == ["AutoApproved"]
    assert admitted(gate, namespace, image) == ""
