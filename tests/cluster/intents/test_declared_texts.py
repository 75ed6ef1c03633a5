# SPDX-License-Identifier: Apache-2.0
"""Texts of an intent that look right and are not: refused on the way in, and what an older release
took in can be decided all the same. For that the schema goes back to that release's and the webhook
away, for a moment; both are put back whatever happens."""

import json
from functools import partial

import pytest
import yaml

from cabgate_devcluster import wait_until
from cabgate_samples.objects import BAD, GOOD, MIDDLING, intent, target
from support.gate import denial

SMALL = "2026-02-27t15:30:00z"
WEBHOOKS = ("mutatingwebhookconfigurations/cabgate", "validatingwebhookconfigurations/cabgate")


def manual(at, evidence):
    return {**evidence, "manualTesting": {"status": "NotStarted", "at": at}}


def test_an_image_that_nothing_can_run_is_refused(gate, namespace):
    first = "Invalid: spec.targets[0].images[0]: 'web:1 ' is the name of no image: it holds U+0020"
    for args in ((), ("--server-side",)):
        made = intent(namespace, name="blank", images=["web:1 "])
        refused = gate.apply("requester", made, *args, check=False)
        assert denial(refused).startswith(first), refused.stderr
        assert denial(refused).endswith("; write web:1")
        assert "(Forbidden)" in refused.stderr
    evidence = {**GOOD, "artifacts": [{"name": "web", "images": ["web:1", "web:\t1"]}]}
    refused = gate.create("requester", intent(namespace, evidence=evidence), check=False)
    assert denial(refused).startswith("Invalid: spec.evidence.artifacts[0].images[1]: 'web: 1' is ")
    gate.apply("requester", intent(namespace, name="blank"))
    body = {"spec": {"targets": [target(["web:2\n"])]}}
    refused = gate.patch("requester", "deploymentintent", "blank", namespace, body, check=False)
    assert "U+000A at character 6" in denial(refused)


def test_a_requester_in_other_letters_approves_nothing(gate, namespace):
    asked = {"name": "cased", "images": ["cased:1"], "evidence": MIDDLING, "requester": "Reviewer"}
    gate.apply("requester", intent(namespace, **asked))
    name = gate.request_of(namespace, "cased", "Submitted")["metadata"]["name"]
    refused = gate.review("reviewer", "cabrequest", name, namespace, "Approved", check=False)
    assert denial(refused).startswith(
        "SelfApproval: reviewer is named, as Reviewer, as the requester"
    )


def test_times_of_a_review_leave_the_request_to_be_revoked(gate, namespace):
    gate.apply("requester", intent(namespace, name="times", images=["times:1"], evidence=MIDDLING))
    name = gate.request_of(namespace, "times", "Submitted")["metadata"]["name"]
    window = {"notBefore": "0001-01-01t00:00:00z", "notAfter": "2099-02-27 15:30:00z"}
    conditions = [{"name": "a", "description": "b", **window}]
    gate.review("reviewer", "cabrequest", name, namespace, "ConditionallyApproved",
                conditions=conditions)  # fmt: skip
    gate.review("security", "cabrequest", name, namespace, "Revoked")
    status = gate.get("cabrequest", name, namespace)["status"]
    found = status["decisions"][0]["conditions"][0]
    assert (found["notBefore"], found["notAfter"]) == (
        "0001-01-01T00:00:00Z",
        "2099-02-27T15:30:00Z",
    )
    assert status["state"] == "Revoked"


def of_before(text):
    """A definition as the release before had it: times are dates, and an intent may name what it
    likes."""
    found = yaml.safe_load(text)
    [version] = found["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    testing = spec["evidence"]["properties"]["manualTesting"]["properties"]
    testing["at"] = {"type": "string", "maxLength": 64, "format": "date-time"}
    spec["evidence"].pop("x-kubernetes-validations", None)
    spec["targets"].pop("x-kubernetes-validations")
    return found


@pytest.fixture
def older(gate):
    """Writes objects as the release before let them in: a function that does."""
    kubectl = gate.cluster.kubectl
    now = {
        plural: json.loads(kubectl("get", "crd", f"{plural}.cabgate.dev", "-o", "json").stdout)
        for plural in ("deploymentintents", "cabrequests")
    }
    hooks = [json.loads(kubectl("get", each, "-o", "json").stdout) for each in WEBHOOKS]

    def defined(made):
        body = {"spec": {"versions": made["spec"]["versions"]}}
        name = made["metadata"]["name"]
        kubectl("patch", "crd", name, "--type=merge", "-p", json.dumps(body))

    def restore():
        for made in now.values():
            defined(made)
        for hook in hooks:
            metadata = {k: hook["metadata"][k] for k in ("name", "labels")}
            kubectl("create", "-f", "-", stdin=json.dumps({**hook, "metadata": metadata}))
        gate.installation.wait_until_gating()

    def stored(obj):
        created = kubectl("create", "-f", "-", stdin=json.dumps(obj), check=False)
        return created.returncode == 0

    def write(*objects):
        kubectl("delete", *WEBHOOKS)
        try:
            for made in now.values():
                defined(of_before(json.dumps(made)))
            for obj in objects:
                wait_until(partial(stored, obj), "an intent of before")
            for obj in objects:
                where = obj["metadata"]["namespace"], obj["metadata"]["name"]
                wait_until(partial(opened, gate, *where), "its request is opened")
        finally:
            restore()

    return write


def opened(gate, namespace, name):
    found = gate.items("cabrequests", namespace)
    return [r for r in found if r["spec"]["intentRef"]["name"] == name]


def test_what_an_older_release_took_in_can_be_rejected_superseded_and_revoked(
    gate, older, namespace
):
    names = {"rejected": MIDDLING, "moves-on": MIDDLING, "excepted": BAD}
    older(*(
        intent(namespace, name=n, evidence=manual(SMALL, evidence), images=[f"{n}:1 "])
        for n, evidence in names.items()
    ))  # fmt: skip
    made = {
        n: gate.request_of(namespace, n, "ExceptionRequired" if e is BAD else "Submitted")
        for n, e in names.items()
    }
    assert {r["spec"]["evidence"]["manualTesting"]["at"] for r in made.values()} == {SMALL}
    name = made["rejected"]["metadata"]["name"]
    gate.review("reviewer", "cabrequest", name, namespace, "Rejected")
    name = made["excepted"]["metadata"]["name"]
    gate.review("security", "cabrequest", name, namespace, "Revoked")
    # What stands is left alone; what is written anew is told, with the path.
    summary = {"spec": {"summary": "web"}}
    gate.patch("requester", "deploymentintent", "moves-on", namespace, summary)
    worse = {"spec": {"evidence": {**manual(SMALL, MIDDLING), "artifacts": [{"name": "web"}]}}}
    refused = gate.patch("requester", "deploymentintent", "moves-on", namespace, worse, check=False)
    assert denial(refused).startswith("Invalid: spec.")
    assert "(Forbidden)" in refused.stderr
    before = made["moves-on"]["metadata"]["name"]
    moved = {"spec": {"targets": [target(["moves-on:2"])]}}
    named = manual(SMALL.upper(), MIDDLING) | {
        "artifacts": [{"name": "web", "images": ["moves-on:2"]}]
    }
    gate.patch("requester", "deploymentintent", "moves-on", namespace,
               {"spec": {**moved["spec"], "evidence": named}})  # fmt: skip
    wait_until(
        lambda: gate.get("cabrequest", before, namespace)["status"]["state"] == "Superseded",
        "the request of before is superseded",
    )


def test_an_intent_of_before_goes_on_with_the_time_that_stands_in_it(gate, older, namespace):
    kept = intent(namespace, name="goes-on", evidence=manual(SMALL, MIDDLING), images=["goes-on:1"])
    older(kept)
    gate.request_of(namespace, "goes-on", "Submitted")
    moved = {"spec": {"targets": [target(["goes-on:2"])]}}
    gate.patch("requester", "deploymentintent", "goes-on", namespace, moved)

    def second():
        found = opened(gate, namespace, "goes-on")
        return [r for r in found if r["spec"]["targets"][0]["images"] == ["goes-on:2"]]

    name = wait_until(second, "the request of the new image")[0]["metadata"]["name"]
    wait_until(
        lambda: gate.get("deploymentintent", "goes-on", namespace)["status"]["requestName"] == name,
        "the intent tells of it",
    )
    gate.review("reviewer", "cabrequest", name, namespace, "Rejected")
