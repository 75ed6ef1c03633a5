# SPDX-License-Identifier: Apache-2.0
"""Verdicts that hold, on the real API server: revocations, refusals, conditions."""

import json
from datetime import UTC, datetime, timedelta

from cabgate_devcluster import wait_until
from cabgate_samples.objects import BAD, GOOD, MIDDLING, exception, intent, target, workload


def rollout(gate, namespace, image, check=True):
    body = workload(namespace, images=(image,))
    return gate.apply("requester", body, check=check)


def approved(gate, namespace, image, **fields):
    """An intent of middling evidence for an image, approved by the reviewer."""
    gate.apply("requester", intent(namespace, images=(image,), evidence=MIDDLING, **fields))
    name = gate.request_of(namespace, state="Submitted")["metadata"]["name"]
    gate.review("reviewer", "cabrequest", name, namespace, "Approved")
    return name


def revisions(gate, namespace, count):
    """Return once the controller has made so many revisions of the Deployment."""
    wait_until(
        lambda: len(gate.items("replicasets", namespace)) == count,
        timeout=60.0,
        what=f"{count} revisions are there",
    )


def test_a_revocation_stops_a_rollback_until_a_person_approves_the_images_again(gate, namespace):
    first = approved(gate, namespace, "web:1")
    rollout(gate, namespace, "web:1")
    revisions(gate, namespace, 1)
    approved(gate, namespace, "web:2")
    rollout(gate, namespace, "web:2")
    revisions(gate, namespace, 2)
    undo = ("rollout", "undo", "deployment/web", "-n", namespace)
    gate.kubectl("requester", *undo, "--dry-run=server")
    gate.review("security", "cabrequest", first, namespace, "Revoked", rationale="CVE")
    assert f"Revoked: Deployment web in namespace {namespace}" in gate.refused("requester", *undo)
    # Perfect evidence for the same image: shown what was said before, and not approved by score.
    gate.apply("requester", intent(namespace, images=("web:1",), evidence=GOOD))
    request = gate.request_of(namespace, state="Submitted")
    floor = request["spec"]["assessment"]["floors"][0]
    assert floor["name"] == "EarlierVerdict"
    assert f"request {first} was revoked by security" in floor["explanation"]
    # Times are of whole seconds, and an approval of the same second counts as before.
    revoked = gate.get("cabrequest", first, namespace)["status"]["decisions"][-1]["at"]
    wait_until(lambda: f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}" > revoked, "the next second")
    gate.review("reviewer", "cabrequest", request["metadata"]["name"], namespace, "Approved")
    gate.kubectl("requester", *undo)


def test_a_submitter_may_revoke_with_the_verb_and_nobody_without(gate, namespace):
    gate.bind("requester", "cabgate-security-reviewer", namespace)
    name = approved(gate, namespace, "web:1")
    without = gate.review("reviewer", "cabrequest", name, namespace, "Revoked", check=False)
    assert "NotAuthorized" in without.stderr
    assert "'revoke'" in without.stderr
    gate.review("requester", "cabrequest", name, namespace, "Revoked")
    assert "Revoked" in rollout(gate, namespace, "web:1", check=False).stderr


def test_a_revoked_request_says_so_in_every_intent_for_its_images(gate, namespace):
    name = approved(gate, namespace, "web:1")
    gate.apply("requester", intent(namespace, name="twin", images=("web:1",), evidence=GOOD))
    gate.request_of(namespace, "twin", "AutoApproved")
    revoked = {"rationale": "CVE", "images": ["web:1"]}
    gate.review("security", "cabrequest", name, namespace, "Revoked", **revoked)

    def seen():
        conditions = gate.get("deploymentintent", "twin", namespace)["status"]["conditions"]
        ready = next(c for c in conditions if c["type"] == "Ready")
        return ready["status"] == "False" and ready["reason"] == "Revoked"

    wait_until(seen, "the other intent is not ready any more")


def test_a_rejection_stands_when_the_intent_is_made_anew_or_under_another_name(gate, namespace):
    declared = intent(namespace, evidence=MIDDLING)
    gate.apply("requester", declared)
    name = gate.request_of(namespace, state="Submitted")["metadata"]["name"]
    gate.review("reviewer", "cabrequest", name, namespace, "Rejected", rationale="no tests")
    gate.kubectl("requester", "delete", "deploymentintent", "web", "-n", namespace)
    gate.apply("requester", declared)
    assert gate.request_of(namespace, state="Rejected")["metadata"]["name"] == name
    gate.apply("requester", intent(namespace, name="shopping", evidence=MIDDLING))
    assert gate.request_of(namespace, "shopping", "Rejected")["metadata"]["name"] == name
    assert len(gate.items("cabrequest", namespace)) == 1
    denial = rollout(gate, namespace, "web:1", check=False).stderr
    assert f"Rejected: Deployment web in namespace {namespace}" in denial
    assert f"request {name} was rejected by reviewer: no tests" in denial


def test_one_verdict_for_one_content_however_many_requests_there_are(gate, namespace):
    names = []
    for name in ("web", "twin"):
        gate.apply("requester", intent(namespace, name=name, evidence=MIDDLING))
        names.append(gate.request_of(namespace, name, "Submitted")["metadata"]["name"])
    gate.review("reviewer", "cabrequest", names[0], namespace, "Rejected", rationale="no")
    second = gate.review("reviewer", "cabrequest", names[1], namespace, "Approved", check=False)
    assert "IllegalTransition" in second.stderr
    assert f"{names[0]} is Rejected" in second.stderr


def test_conditions_hold_at_each_rollout(gate, namespace):
    now = datetime.now(UTC)
    gate.apply("requester", intent(namespace, evidence=MIDDLING))
    name = gate.request_of(namespace, state="Submitted")["metadata"]["name"]
    conditions = [
        {"name": "watch", "description": "Watch the error rate"},
        {"name": "dba", "description": "The migration was tried", "attestation": "Required"},
        {
            "name": "window",
            "description": "Only tonight",
            "notBefore": f"{now - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
            "notAfter": f"{now + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
        },
    ]
    gate.review(
        "reviewer", "cabrequest", name, namespace, "ConditionallyApproved", conditions=conditions
    )
    denial = rollout(gate, namespace, "web:1", check=False).stderr
    assert "AttestationMissing" in denial
    command = denial[denial.index("kubectl patch") :].strip()
    as_printed = gate.shell("reviewer", command).stderr
    assert "status.review.rationale: '<why>' says nothing" in as_printed
    command = command.replace("<why>", "Tried the migration")
    assert "NotAuthorized" in gate.shell("security", command).stderr
    gate.bind("requester", "cabgate-cab-member", namespace)
    assert "SelfApproval" in gate.shell("requester", command).stderr
    attested = gate.shell("reviewer", command)
    assert attested.returncode == 0, attested.stderr
    assert "IllegalTransition" in gate.shell("reviewer", command).stderr
    admitted = rollout(gate, namespace, "web:1")
    assert "approval condition watch: Watch the error rate" in admitted.stderr
    assert "dba" not in admitted.stderr
    request = gate.get("cabrequest", name, namespace)
    assert [d["verdict"] for d in request["status"]["decisions"]] == [
        "ConditionallyApproved",
        "Attested",
    ]


def test_a_closed_window_denies_and_a_wrong_one_is_refused(gate, namespace):
    gate.apply("requester", intent(namespace, evidence=MIDDLING))
    name = gate.request_of(namespace, state="Submitted")["metadata"]["name"]
    wrong = {"name": "w", "description": "x", "notBefore": "2027-01-02T00:00:00Z"}
    wrong["notAfter"] = "2027-01-01T00:00:00Z"
    verdict = ("cabrequest", name, namespace, "ConditionallyApproved")
    refused = gate.review("reviewer", *verdict, conditions=[wrong], check=False)
    assert "notBefore must be earlier than notAfter" in refused.stderr
    early = {"name": "freeze", "description": "After the freeze"}
    early["notBefore"] = "2999-01-01T00:00:00Z"
    gate.review("reviewer", *verdict, conditions=[early])
    denial = rollout(gate, namespace, "web:1", check=False).stderr
    assert "OutsideWindow" in denial
    assert "admits from 2999-01-01T00:00:00Z" in denial


def opens_later(gate, namespace, name, seconds):
    """Approve an intent from some seconds on; whether it was seen to wait for that. On a slow
    machine the time may have come before anybody looked."""
    targets = [target([f"{name}:1"], name=name)]
    gate.apply("requester", intent(namespace, name=name, evidence=MIDDLING, targets=targets))
    request = gate.request_of(namespace, name, "Submitted")["metadata"]["name"]
    opens = datetime.now(UTC) + timedelta(seconds=seconds)
    condition = {"name": "soon", "description": "x", "notBefore": f"{opens:%Y-%m-%dT%H:%M:%SZ}"}
    gate.review(
        *("reviewer", "cabrequest", request, namespace, "ConditionallyApproved"),
        conditions=[condition],
    )
    expected = {("False", "OutsideWindow"), ("True", "RequestApproved")}
    found = wait_until(
        lambda: {ready(gate, namespace, name)} & expected, timeout=60.0, what="it says how it is"
    )
    return ("False", "OutsideWindow") in found


def ready(gate, namespace, name):
    """Status and reason of the condition Ready of an intent."""
    conditions = gate.get("deploymentintent", name, namespace)["status"]["conditions"]
    found = next(c for c in conditions if c["type"] == "Ready")
    return found["status"], found["reason"]


def test_an_intent_becomes_ready_when_the_window_of_its_approval_opens(gate, namespace):
    tries = {f"in-{seconds}": seconds for seconds in (8, 40, 200)}
    name = next(name for name, s in tries.items() if opens_later(gate, namespace, name, s))
    wait_until(
        lambda: ready(gate, namespace, name) == ("True", "RequestApproved"),
        timeout=tries[name] + 60.0,
        what="the intent is ready in its window",
    )


def test_a_revoked_request_ends_the_exceptions_that_were_approved_before(gate, namespace):
    gate.apply("requester", intent(namespace, evidence=BAD))
    name = gate.request_of(namespace, state="ExceptionRequired")["metadata"]["name"]
    gate.create("requester", exception(namespace, name))
    gate.review("security", "cabexception", "leave", namespace, "Approved")
    deployment = json.dumps(workload(namespace))
    gate.kubectl("requester", "create", "-f", "-", "--dry-run=server", stdin=deployment)
    gate.review("security", "cabrequest", name, namespace, "Revoked", rationale="CVE")
    assert "Revoked" in gate.refused("requester", "create", "-f", "-", stdin=deployment)


def test_the_times_of_a_review_are_recorded(gate, namespace):
    gate.apply("requester", intent(namespace, evidence=MIDDLING))
    name = gate.request_of(namespace, state="Submitted")["metadata"]["name"]
    gate.review("reviewer", "cabrequest", name, namespace, "UnderReview")
    gate.bind("second", "cabgate-cab-member", namespace)
    gate.review("second", "cabrequest", name, namespace, "Approved")

    def times():
        request = gate.get("cabrequest", name, namespace)
        status = request["status"]
        return {"takenAt", "decidedAt"} <= set(status) and (
            request["metadata"]["creationTimestamp"] <= status["takenAt"] <= status["decidedAt"]
        )

    wait_until(times, "the times are recorded")


def test_an_exception_for_a_request_that_is_not_there_is_taken_with_a_warning(gate, namespace):
    created = gate.create("requester", exception(namespace, "web-00000000"))
    assert "there is no CABRequest web-00000000" in created.stderr
    refused = gate.review("security", "cabexception", "leave", namespace, "Approved", check=False)
    assert "NotCurrent" in refused.stderr
