# SPDX-License-Identifier: Apache-2.0
"""What the webhook signs: nothing that it would not record, and nothing in a dry run."""

import base64
import json

from cabgate.writes.caller_proof import ANNOTATION
from cabgate_devcluster import wait_until
from cabgate_samples.objects import BAD, MIDDLING, exception
from support.direct import mutated, review_of
from support.reviews import middling


def dry_run(gate, user, name, namespace, resource="cabrequest", **review):
    """The result of a review as a dry run, and the status that it would lead to."""
    body = {"status": {"review": {"rationale": "tried", **review}}}
    result = gate.patch_status(
        *(user, resource, name, namespace, body, "--dry-run=server", "-o", "json"), check=True
    )
    return result, json.loads(result.stdout)["status"]


def test_a_dry_run_says_what_would_be_recorded_and_signs_nothing(gate, namespace, submitted):
    result, status = dry_run(gate, "reviewer", submitted, namespace, verdict="Approved")
    (entry,) = status["decisions"]
    assert status["state"] == "Approved"
    assert entry["author"]["username"] == "reviewer"
    assert "signature" not in entry
    assert "recorded if this command succeeds: Approved by reviewer" in result.stderr
    asked = review_of(
        *(gate.get("cabrequest", submitted, namespace), "reviewer"),
        dry_run=True,
        proof=gate.installation.admission_proof,
        verdict="Approved",
    )
    _, answered = mutated(gate, asked)
    assert "signature" not in answered["decisions"][0]
    # What was said in the dry run is worth nothing without one.
    refused = gate.patch_status("reviewer", "cabrequest", submitted, namespace, {"status": status})
    assert "a decision is signed by cabgate's webhook" in refused.stderr
    gate.review("reviewer", "cabrequest", submitted, namespace, "Approved")
    stored = gate.get("cabrequest", submitted, namespace)["status"]["decisions"]
    assert ["signature" in each for each in stored] == [True]


def test_a_dry_run_of_an_exception_signs_nothing(gate, namespace):
    name = gate.open(namespace, BAD, "ExceptionRequired")
    gate.create("requester", exception(namespace, name))
    _, status = dry_run(*(gate, "security", "leave", namespace, "cabexception"), verdict="Approved")
    assert status["state"] == "Approved"
    assert "signature" not in status["decisions"][0]


def test_nothing_is_signed_that_would_not_be_recorded(gate, namespace):
    """Asked past the API server, with what proves it, in the name of who may not decide this."""
    gate.user("both")
    for role in ("cabgate-requester", "cabgate-cab-member"):
        gate.bind("both", role, namespace)
    name = gate.open(namespace, MIDDLING, "Submitted", user="both")
    request = gate.get("cabrequest", name, namespace)
    for username, reason in (
        ("mallory", "NotAuthorized"),
        ("both", "SelfApproval"),
        ("system:serviceaccount:default:robot", "MachineCannotDecide"),
    ):
        asked = review_of(
            request, username, proof=gate.installation.admission_proof, verdict="Approved"
        )
        said, status = mutated(gate, asked)
        assert said.startswith(f"{reason}: "), said
        assert status is None


def test_nothing_is_signed_for_evidence_that_is_not_current(gate, namespace, submitted):
    request = gate.get("cabrequest", submitted, namespace)
    gate.open(namespace, middling(7), "Submitted")
    proof = gate.installation.admission_proof
    said, status = mutated(gate, review_of(request, "reviewer", proof=proof, verdict="Approved"))
    assert said.startswith(("NotCurrent: ", "IllegalTransition: ")), said
    assert status is None


def test_nobody_but_the_api_server_has_anything_signed(gate, namespace, submitted):
    """Asked past the API server, in the name of somebody who may decide this."""
    request = gate.get("cabrequest", submitted, namespace)
    for dry in (False, True):
        said, status = mutated(
            gate, review_of(request, "reviewer", dry_run=dry, verdict="Approved")
        )
        assert said.startswith("CallerNotProved: "), said
        assert status is None
    wrong = {**request["metadata"].get("annotations", {}), ANNOTATION: "cGFzc3dvcmQ="}
    forged = {**request, "metadata": {**request["metadata"], "annotations": wrong}}
    said, status = mutated(gate, review_of(forged, "reviewer", verdict="Approved"))
    assert said.startswith("CallerNotProved: "), said
    assert status is None


def test_what_proves_the_api_server_is_neither_stored_nor_answered(gate, namespace, submitted):
    proof = base64.b64encode(gate.installation.admission_proof.read_bytes()).decode()
    body = {"status": {"review": {"verdict": "Approved", "rationale": "seen"}}}
    for more in (("--dry-run=server",), ()):
        result = gate.patch_status(
            *("reviewer", "cabrequest", submitted, namespace, body, "-o", "json", "-v=9", *more),
            check=True,
        )
        assert "Approved" in result.stdout
        assert proof not in result.stdout + result.stderr
        assert ANNOTATION not in result.stdout + result.stderr
    path = f"{gate.cluster.api.path('cabrequests', namespace)}/{submitted}"
    stored = json.dumps(gate.cluster.api.call("GET", path))
    assert '"Approved"' in stored
    assert proof not in stored
    assert ANNOTATION not in stored


def test_somebody_elses_value_does_not_reach_the_webhook(gate, namespace, submitted):
    """What a reviewer writes into the annotation is overwritten, and stored nowhere."""
    body = {
        "metadata": {"annotations": {ANNOTATION: "mine"}},
        "status": {"review": {"verdict": "Approved", "rationale": "seen"}},
    }
    gate.patch_status("reviewer", "cabrequest", submitted, namespace, body, check=True)
    stored = gate.get("cabrequest", submitted, namespace)
    assert stored["status"]["state"] == "Approved"
    assert ANNOTATION not in json.dumps(stored)


def test_where_the_policy_is_not_nobody_decides(gate, namespace, submitted):
    """As on a Kubernetes without MutatingAdmissionPolicy: docs/decisions/0092."""

    def tried(*more):
        body = {"status": {"review": {"verdict": "Approved", "rationale": "seen"}}}
        return gate.patch_status("reviewer", "cabrequest", submitted, namespace, body, *more)

    def dry():
        return tried("--dry-run=server")

    binding = ("mutatingadmissionpolicybinding", "admission-proof.cabgate.dev")
    gate.cluster.kubectl("delete", *binding)
    try:
        wait_until(lambda: "CallerNotProved: " in dry().stderr, "the policy is gone")
        assert "CallerNotProved: " in tried().stderr
        assert gate.get("cabrequest", submitted, namespace)["status"]["state"] == "Submitted"
    finally:
        gate.installation.apply_objects("admission-proof")
        wait_until(lambda: dry().returncode == 0, "the policy is back")
    tried().check_returncode()
    assert gate.get("cabrequest", submitted, namespace)["status"]["state"] == "Approved"
