# SPDX-License-Identifier: Apache-2.0
"""Exceptions that are limited, by who asks for them and by who approves them."""

import datetime

import pytest

from cabgate_devcluster import wait_until
from cabgate_samples.objects import BAD, GOOD, exception, intent, workload
from cluster.reviews.test_exceptions import rollout, verdict_on
from support.cli import CABGATE


def days_ahead(days):
    """A moment, as an exception writes it."""
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def bad(gate, namespace):
    """Name of a request that only an exception helps."""
    return gate.open(namespace, BAD, "ExceptionRequired")


def test_a_limited_one_admits_no_more_than_it_says(gate, namespace, bad):
    gate.create("requester", exception(namespace, bad, constraints={"maxReplicas": 2}))
    gate.review("security", "cabexception", "leave", namespace, "Approved")
    assert rollout(gate, namespace, replicas=2) == ""
    message = rollout(gate, namespace, replicas=3)
    assert message.startswith("ConstraintViolated: "), message
    assert "under exception leave, which admits at most 2 replicas, and this has 3" in message
    printed = gate.shell("requester", message[message.index("cabgate exception") :], CABGATE)
    assert printed.returncode == 0, printed.stderr
    gate.create("requester", workload(namespace))
    # Scaling is in nobody's way, and what is then beyond the exception is found.
    gate.kubectl("requester", "scale", "deployment", "web", "--replicas=5", "-n", namespace)
    found = gate.shell("admin", f"cabgate uncovered -n {namespace}", CABGATE)
    assert "ConstraintViolated" in found.stdout, found
    # A ring that rises is looked at at once; without that, the operator comes at its next sweep.
    gate.kubectl("admin", "label", "namespace", namespace, "cabgate.dev/ring=3", "--overwrite")

    def condition():
        status = gate.get("cabexception", "leave", namespace)["status"]
        found = [each for each in status["conditions"] if each["type"] == "ConstraintViolated"]
        return found[0] if found and found[0]["status"] == "True" else None

    said = wait_until(condition, "the exception says so")["message"]
    assert "which admits at most 2 replicas, and this has 5 (maxReplicas)" in said
    events = gate.items("events", namespace)
    messages = [each for each in events if each["reason"] == "ConstraintViolated"]
    assert [each["involvedObject"]["kind"] for each in messages] == ["CABException"]
    assert gate.get("deployment", "web", namespace)["spec"]["replicas"] == 5


def test_beyond_it_what_was_approved_before_rolls_back(gate, namespace):
    to = ("deployment/web", "-n", namespace)
    gate.open(namespace, GOOD, "AutoApproved")
    gate.create("requester", workload(namespace))
    wait_until(lambda: len(gate.items("replicasets", namespace)) == 1, "the first is kept")
    gate.apply("requester", intent(namespace, evidence=BAD, images=["web:2"]))
    risky = gate.request_of(namespace, state="ExceptionRequired")["metadata"]["name"]
    gate.create("requester", exception(namespace, risky, constraints={"maxReplicas": 1}))
    gate.review("security", "cabexception", "leave", namespace, "Approved")
    gate.kubectl("requester", "scale", *to, "--replicas=1")
    gate.kubectl("requester", "set", "image", *to, "*=web:2")
    wait_until(lambda: len(gate.items("replicasets", namespace)) == 2, "the second is kept")
    gate.kubectl("requester", "scale", *to, "--replicas=5")
    gate.kubectl("requester", "rollout", "restart", *to)
    gate.kubectl("requester", "rollout", "undo", *to, "--to-revision=1")
    running = gate.get("deployment", "web", namespace)["spec"]
    assert running["replicas"] == 5
    assert running["template"]["spec"]["containers"][0]["image"] == "web:1"
    again = gate.refused("requester", "set", "image", *to, "*=web:2")
    assert "ConstraintViolated: " in again


def test_its_reviewer_tightens_it(gate, namespace, bad):
    opens, closes = days_ahead(1), days_ahead(2)
    limits = {"maxReplicas": 5, "until": days_ahead(9)}
    gate.create("requester", exception(namespace, bad, constraints=limits))
    uid = gate.get("cabexception", "leave", namespace)["metadata"]["uid"]
    digest = gate.get("cabrequest", bad, namespace)["spec"]["evidenceDigest"]
    command = (
        f"cabgate approve -n {namespace} cabex/leave --because 'one Pod, tonight' --max-replicas 1"
        f" --window {opens}/{closes} --digest {digest} --uid {uid}"
    )
    result = gate.shell("security", command, CABGATE)
    assert result.returncode == 0, result.stderr
    message = rollout(gate, namespace, replicas=2)
    assert "at most 1 replica, and this has 2" in message
    message = rollout(gate, namespace, replicas=1)
    assert f"within its windows alone, the next of which opens at {opens}" in message
    [entry] = gate.get("cabexception", "leave", namespace)["status"]["decisions"]
    assert entry["constraints"] == {
        "maxReplicas": 1,
        "windows": [{"from": opens, "until": closes}],
    }

    def recorded():
        specs = [each["spec"] for each in gate.cluster.api.items("cabdecisions")]
        of_here = [each for each in specs if each["subject"].get("namespace") == namespace]
        return [each for each in of_here if each["verdict"] == "Approved"]

    [record] = wait_until(recorded, "the approval is recorded")
    assert record["constraints"] == entry["constraints"]
    assert record["exception"]["constraints"] == limits
    for review in ({"constraints": {"maxReplicas": 9}}, {"constraints": None}):
        message = verdict_on(gate, "security", namespace, **review)
        assert message.startswith("IllegalTransition: ")


def test_its_end_comes_with_its_until(gate, namespace, bad):
    soon = days_ahead(1)
    gate.create("requester", exception(namespace, bad, constraints={"until": soon}))
    found = gate.wait_state("cabexception", "leave", namespace, "Pending")
    assert found["status"]["expiresAt"] == soon
    for verdict, limits in [
        ("Rejected", {"maxReplicas": 1}),
        ("Approved", {"until": "2020-01-01T00:00:00Z"}),
    ]:
        message = verdict_on(gate, "security", namespace, verdict, constraints=limits)
        assert message.startswith("Invalid: status.review.constraints"), message
    gate.review("security", "cabexception", "leave", namespace, "Approved")
