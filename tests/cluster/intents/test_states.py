# SPDX-License-Identifier: Apache-2.0
"""The state tables, tried row by row on the real API server: what is not in them is refused."""

import json

import pytest

from cabgate.api.exception import CABException, ExceptionReviewVerdict, ExceptionVerdict
from cabgate.api.request import CABRequest, RequestReviewVerdict, RequestVerdict
from cabgate.api.types import AuthorType
from cabgate.lifecycle.state.states import next_exception_state, next_request_state, state_of
from cabgate.review.review import EXCEPTION_REVIEW, REQUEST_REVIEW
from cabgate_kube.clock import utc_now
from cabgate_samples.objects import BAD, GOOD, MIDDLING, exception, intent

CONDITION = {"name": "watch", "description": "Watch it", "attestation": "Required"}
EVIDENCE = {"AutoApproved": GOOD, "ExceptionRequired": BAD}
SAID = {
    "UnderReview": ["UnderReview"],
    "Approved": ["Approved"],
    "ConditionallyApproved": ["ConditionallyApproved"],
    "Rejected": ["Rejected"],
    "Revoked": ["Approved", "Revoked"],
}
FIELDS = {
    "ConditionallyApproved": {"conditions": [CONDITION]},
    "Attested": {"condition": "watch"},
}


@pytest.fixture
def board(gate, namespace):
    """A user with every verb of a reviewer, who submits nothing."""
    for role in ("cabgate-cab-member", "cabgate-security-reviewer"):
        gate.bind("board", role, namespace)
    return "board"


def refusals(gate, board, namespace, resource, found, expected):
    """Verdicts whose answer is not the table's, with it; by dry-run, so that none changes state."""
    wrong = {}
    for verdict, legal in expected.items():
        answer = gate.kubectl(
            board,
            *("patch", resource, found, "-n", namespace, "--dry-run=server"),
            *("--subresource=status", "--type=merge", "-p", patch(verdict)),
            check=False,
        )
        if (answer.returncode == 0) != legal:
            wrong[verdict] = answer.stderr or "was let through"
    return wrong


def patch(verdict):
    review = {"verdict": verdict, "rationale": "x", **FIELDS.get(verdict, {})}
    return json.dumps({"status": {"review": review}})


@pytest.mark.parametrize(
    "state",
    ["Submitted", "AutoApproved", "ExceptionRequired", "Superseded", *SAID],
)
def test_a_person_may_say_of_a_request_what_its_state_allows(gate, namespace, board, state):
    evidence = EVIDENCE.get(state, MIDDLING)
    opened = state if state in EVIDENCE else "Submitted"
    gate.apply("requester", intent(namespace, evidence=evidence))
    name = gate.request_of(namespace, state=opened)["metadata"]["name"]
    for verdict in SAID.get(state, ()):
        fields = FIELDS.get(verdict, {})
        gate.review(board, "cabrequest", name, namespace, verdict, **fields)
    if state == "Superseded":
        gate.apply("requester", intent(namespace, images=("web:2",), evidence=evidence))
    raw = gate.wait_state("cabrequest", name, namespace, state)
    request = CABRequest.model_validate(raw)
    expected = {
        verdict.value: next_request_state(
            request, state_of(request), RequestVerdict(verdict.value), AuthorType.PERSON
        )
        is not None
        for verdict in RequestReviewVerdict
    }
    assert set(expected) == set(REQUEST_REVIEW.verdicts)
    assert refusals(gate, board, namespace, "cabrequest", name, expected) == {}


@pytest.mark.parametrize("state", ["Pending", "Approved", "Rejected", "Revoked"])
def test_a_person_may_say_of_an_exception_what_its_state_allows(gate, namespace, board, state):
    gate.apply("requester", intent(namespace, evidence=BAD))
    name = gate.request_of(namespace, state="ExceptionRequired")["metadata"]["name"]
    gate.create("requester", exception(namespace, name))
    gate.wait_state("cabexception", "leave", namespace, "Pending")
    for verdict in SAID.get(state, ()):
        gate.review(board, "cabexception", "leave", namespace, verdict)
    raw = gate.wait_state("cabexception", "leave", namespace, state)
    leave, now = CABException.model_validate(raw), utc_now()
    expected = {
        verdict.value: next_exception_state(
            leave, state_of(leave, now), ExceptionVerdict(verdict.value), AuthorType.PERSON, now
        )
        is not None
        for verdict in ExceptionReviewVerdict
    }
    assert set(expected) == set(EXCEPTION_REVIEW.verdicts)
    assert refusals(gate, board, namespace, "cabexception", "leave", expected) == {}
