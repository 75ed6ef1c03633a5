# SPDX-License-Identifier: Apache-2.0
"""Reviews through the real kubectl: what they do, on which request, and many at once."""

import concurrent.futures
import datetime
import json

import pytest

from cabgate_devcluster import wait_until
from cabgate_samples.objects import BAD, GOOD, MIDDLING, intent
from support.gate import denial, paused
from support.reviews import BETTER, CONDITIONS, OPERATOR, VERDICTS, decisions, middling, refused

# What a reviewer may do


PATHS = [
    (("Approved",), "Approved"),
    (("UnderReview", "Approved"), "Approved"),
    (("ConditionallyApproved",), "ConditionallyApproved"),
    (("UnderReview", "ConditionallyApproved"), "ConditionallyApproved"),
    (("Rejected",), "Rejected"),
    (("UnderReview", "Rejected"), "Rejected"),
    (("Approved", "Revoked"), "Revoked"),
    (("ConditionallyApproved", "Revoked"), "Revoked"),
]


def test_the_ways_of_a_request_through_its_states(gate, namespace):
    for number, (verdicts, last) in enumerate(PATHS):
        name = gate.open(namespace, middling(number), "Submitted", name=f"way{number}")
        digest = gate.get("cabrequest", name, namespace)["spec"]["evidenceDigest"]
        for verdict in verdicts:
            user = "security" if verdict == "Revoked" else "reviewer"
            more = {"conditions": CONDITIONS} if verdict.startswith("Cond") else {}
            if verdict == "Revoked":  # the others are about the same image
                more = {"images": ["web:1"]}
            result = gate.review(user, "cabrequest", name, namespace, verdict, **more)
            warning = (
                f"Warning: recorded if this command succeeds: {verdict} by {user} on "
                f"CABRequest {name}, evidence {digest}"
            )
            assert warning in result.stderr, verdicts
        found = gate.get("cabrequest", name, namespace)["status"]
        assert found["state"] == last
        assert "review" not in found
        assert [entry["verdict"] for entry in found["decisions"]] == list(verdicts)
        entry = found["decisions"][0]
        assert entry["author"]["type"] == "Person"
        assert entry["rationale"] == "reviewed"
        assert entry["evidenceDigest"] == digest
        assert abs(
            datetime.datetime.fromisoformat(entry["at"]) - datetime.datetime.now(datetime.UTC)
        ) < datetime.timedelta(minutes=1)


ILLEGAL = [
    # decided by, then tried
    ("Approved", ["Approved", "Rejected", "UnderReview", "ConditionallyApproved"]),
    ("Rejected", ["Approved", "Rejected", "UnderReview", "Revoked"]),
    ("UnderReview", ["UnderReview", "Revoked"]),
    ("Revoked", ["Approved", "Rejected", "Revoked", "UnderReview"]),
    (None, ["Revoked"]),
]


def test_a_decision_is_made_once(gate, namespace):
    """Illegal transitions, each told what was decided by whom."""
    for number, (first, then) in enumerate(ILLEGAL):
        name = gate.open(namespace, middling(number), "Submitted", name=f"way{number}")
        gate.bind("reviewer", "cabgate-security-reviewer", namespace) if number == 0 else None
        if first == "Revoked":
            gate.review("reviewer", "cabrequest", name, namespace, "Approved")
        if first:
            more = {"images": ["web:1"]} if first == "Revoked" else {}
            gate.review("reviewer", "cabrequest", name, namespace, first, **more)
        before = decisions(gate, name, namespace)
        for verdict in then:
            more = {"conditions": CONDITIONS} if verdict.startswith("Cond") else {}
            message = refused(gate, "reviewer", name, namespace, verdict, **more)
            state = first or "Submitted"
            assert message.startswith("IllegalTransition: status.review.verdict: "), verdict
            assert f"{name} is {state} and cannot become {verdict}" in message
            if first == "UnderReview" and verdict == "Revoked":
                assert "nothing was ever approved by it: reject it" in message
            elif first:
                assert f"last decision: {first} by reviewer at 20" in message
        assert decisions(gate, name, namespace) == before


@pytest.mark.parametrize(
    ("evidence", "state"), [(GOOD, "AutoApproved"), (BAD, "ExceptionRequired")]
)
def test_what_is_not_for_a_person_cannot_be_decided_by_one(gate, namespace, evidence, state):
    name = gate.open(namespace, evidence, state)
    for verdict in ("Approved", "ConditionallyApproved", "Rejected", "UnderReview"):
        message = refused(gate, "reviewer", name, namespace, verdict, conditions=CONDITIONS)
        assert message.startswith("IllegalTransition: "), verdict
        assert "its score asks for" in message
    gate.review("security", "cabrequest", name, namespace, "Revoked")


BAD_REVIEWS = [
    ({"verdict": "Fine"}, "status.review.verdict", "one of UnderReview, Approved"),
    ({"verdict": "AutoApproved"}, "status.review.verdict", "one of"),
    ({"verdict": "Superseded"}, "status.review.verdict", "one of"),
    ({"verdict": ""}, "verdict", ""),
    ({"rationale": "x"}, "verdict", ""),
    ({"verdict": "Rejected"}, "decisions", "this verdict needs a rationale"),
    ({"verdict": "Rejected", "rationale": "  "}, "status.review.rationale", "says nothing"),
    ({"verdict": "ConditionallyApproved", "rationale": "x"}, "decisions", "needs conditions"),
    (
        {"verdict": "ConditionallyApproved", "rationale": "x", "conditions": [{"name": "a"}]},
        "conditions",
        "description",
    ),
    (
        {
            "verdict": "ConditionallyApproved",
            "rationale": "x",
            "conditions": [{"name": " ", "description": "x"}],
        },
        "conditions.0.name",
        "",
    ),
    ({"verdict": "Approved", "evidenceDigest": "abc"}, "evidenceDigest", ""),
    ({"verdict": "Approved", "rationale": "x" * 5000}, "rationale", "4096"),
    (
        {"verdict": "Approved", "evidenceDigest": "v1:sha256:" + "0" * 64},
        "status.review.evidenceDigest",
        "look again",
    ),
]


def test_a_review_that_cannot_be_read_names_the_field(gate, namespace, submitted):
    for review, field, said in BAD_REVIEWS:
        body = {"status": {"review": review}}
        result = gate.patch_status("reviewer", "cabrequest", submitted, namespace, body)
        assert result.returncode != 0, review
        assert field in result.stderr, (review, result.stderr)
        assert said in result.stderr, (review, result.stderr)
    assert decisions(gate, submitted, namespace) == []


def test_the_state_itself_is_taken_for_the_review(gate, namespace, submitted):
    body = {"status": {"state": "Approved"}}
    result = gate.patch_status("requester", "cabrequest", submitted, namespace, body)
    assert result.returncode != 0
    result = gate.patch_status("reviewer", "cabrequest", submitted, namespace, body, check=True)
    assert "recorded if this command succeeds: Approved by reviewer" in result.stderr
    assert decisions(gate, submitted, namespace) == [("Approved", "reviewer")]


@pytest.mark.parametrize("state", ["AutoApproved", "Superseded", "ExceptionRequired"])
def test_a_state_that_no_person_gives_is_refused(gate, namespace, submitted, state):
    body = {"status": {"state": state}}
    result = gate.patch_status("reviewer", "cabrequest", submitted, namespace, body)
    assert denial(result).startswith("WrittenByOperatorOnly: status.state: ")


def test_a_review_goes_by_every_kind_of_write(gate, namespace):
    review = {"verdict": "UnderReview", "rationale": "looking"}

    def opened(name):
        return gate.open(namespace, middling(len(name)), "Submitted", name=name)

    name = opened("json")
    ops = [{"op": "add", "path": "/status/review", "value": review}]
    gate.patch_status("reviewer", "cabrequest", name, namespace, ops, kind="json", check=True)
    assert decisions(gate, name, namespace) == [("UnderReview", "reviewer")]

    name = opened("replace")

    def with_review(stored):
        stored["status"]["review"] = review

    gate.replace("reviewer", "cabrequest", name, namespace, with_review, "--subresource=status")
    assert decisions(gate, name, namespace) == [("UnderReview", "reviewer")]

    name = opened("apply")
    obj = {
        "apiVersion": "cabgate.dev/v1alpha1",
        "kind": "CABRequest",
        "metadata": {"name": name, "namespace": namespace},
        "status": {"review": review},
    }
    args = ("apply", "--server-side", "--subresource=status", "-f", "-")
    gate.kubectl("reviewer", *args, stdin=json.dumps(obj))
    obj["status"]["review"] = {"verdict": "Approved", "rationale": "good"}
    gate.kubectl("reviewer", *args, stdin=json.dumps(obj))
    assert decisions(gate, name, namespace) == [
        ("UnderReview", "reviewer"),
        ("Approved", "reviewer"),
    ]

    name = opened("edit")
    command = f"kubectl edit cabrequest {name} -n {namespace} --subresource=status"
    program = "sed -i 's/^  state: Submitted/  state: Approved/'"
    result = gate.shell("reviewer", command, env={"EDITOR": program})
    assert "edited" in result.stdout, result.stderr
    assert decisions(gate, name, namespace) == [("Approved", "reviewer")]


def test_a_dry_run_of_a_review_says_the_same_and_stores_nothing(gate, namespace, submitted):
    body = {"status": {"review": {"verdict": "Approved", "rationale": "x"}}}
    result = gate.patch_status(
        "reviewer", "cabrequest", submitted, namespace, body, "--dry-run=server", check=True
    )
    assert "recorded if this command succeeds: Approved by reviewer" in result.stderr
    result = gate.patch_status(
        "requester", "cabrequest", submitted, namespace, body, "--dry-run=server"
    )
    assert result.returncode != 0
    assert decisions(gate, submitted, namespace) == []
    assert gate.get("cabrequest", submitted, namespace)["status"]["state"] == "Submitted"


# Which request


def test_a_stale_digest_is_refused_and_the_right_one_accepted(gate, namespace, submitted):
    digest = gate.get("cabrequest", submitted, namespace)["spec"]["evidenceDigest"]
    other = digest[:-1] + ("0" if digest[-1] != "0" else "1")
    message = refused(gate, "reviewer", submitted, namespace, evidenceDigest=other)
    assert message.startswith("DigestMismatch: status.review.evidenceDigest: you reviewed")
    gate.review("reviewer", "cabrequest", submitted, namespace, "Approved", evidenceDigest=digest)


def test_a_superseded_request_cannot_be_decided_also_before_the_operator_knows(gate, namespace):
    first = gate.open(namespace, MIDDLING, "Submitted")
    with paused(gate.installation.operator):
        gate.apply("requester", intent(namespace, evidence=BETTER))
        assert gate.get("cabrequest", first, namespace)["status"]["state"] == "Submitted"
        for verdict in VERDICTS:
            message = refused(gate, "reviewer", first, namespace, verdict, conditions=CONDITIONS)
            assert message.startswith("NotCurrent: the intent was deleted or says otherwise")
    gate.wait_state("cabrequest", first, namespace, "Superseded")
    assert refused(gate, "reviewer", first, namespace).startswith("IllegalTransition: ")
    gate.apply("requester", intent(namespace, evidence=MIDDLING))
    gate.request_of(namespace, state="Submitted")
    gate.review("reviewer", "cabrequest", first, namespace, "Approved")


def test_a_request_whose_intent_is_deleted_cannot_be_decided(gate, namespace, submitted):
    with paused(gate.installation.operator):
        gate.kubectl("requester", "delete", "deploymentintent", "web", "-n", namespace)
        assert refused(gate, "reviewer", submitted, namespace).startswith("NotCurrent: ")
    gate.wait_state("cabrequest", submitted, namespace, "Superseded")
    assert refused(gate, "reviewer", submitted, namespace).startswith("IllegalTransition: ")


def test_an_intent_that_is_being_deleted_asks_for_nothing(gate, namespace, submitted):
    body = {"metadata": {"finalizers": ["example.com/wait"]}}
    gate.patch("requester", "deploymentintent", "web", namespace, body)
    with paused(gate.installation.operator):
        gate.kubectl(
            "requester", "delete", "deploymentintent", "web", "-n", namespace, "--wait=false"
        )
        assert refused(gate, "reviewer", submitted, namespace).startswith("NotCurrent: ")
    body = {"metadata": {"finalizers": None}}
    gate.patch("requester", "deploymentintent", "web", namespace, body)


def test_a_decision_outlives_a_change_of_the_intent(gate, namespace, submitted):
    gate.review("reviewer", "cabrequest", submitted, namespace, "Approved")
    gate.open(namespace, BETTER, "Submitted")
    gate.kubectl("requester", "delete", "deploymentintent", "web", "-n", namespace)
    found = gate.get("cabrequest", submitted, namespace)
    assert found["status"]["state"] == "Approved"


# At the same time


def at_once(*calls):
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def test_of_many_reviewers_at_once_one_decides(gate, namespace, submitted):
    users = [f"member{number}" for number in range(10)]
    for user in users:
        gate.user(user)
    gate.cluster.kubectl(
        *("create", "rolebinding", "members", "--clusterrole=cabgate-cab-member"),
        *("-n", namespace, *(f"--user={user}" for user in users)),
    )
    wait_until(lambda: gate.may(users[-1], "cabgate-cab-member", namespace), "they are bound")
    verdicts = ["Approved", "Rejected"] * 5
    results = at_once(
        *(
            lambda user=user, verdict=verdict: gate.review(
                user, "cabrequest", submitted, namespace, verdict, check=False
            )
            for user, verdict in zip(users, verdicts, strict=True)
        )
    )
    won = [
        (verdict, user)
        for user, verdict, result in zip(users, verdicts, results, strict=True)
        if result.returncode == 0
    ]
    assert len(won) == 1, results
    assert decisions(gate, submitted, namespace) == won
    for result in results:
        if result.returncode != 0:
            assert f"last decision: {won[0][0]} by {won[0][1]}" in denial(result)
    assert gate.get("cabrequest", submitted, namespace)["status"]["state"] == won[0][0]


def test_a_decision_and_the_operator_at_once_lose_nothing(gate, namespace):
    """The intent goes back and forth, which makes the operator write, while people review."""
    names = [gate.open(namespace, MIDDLING, "Submitted", name=f"i{n}") for n in range(3)]

    def flip(number):
        obj = intent(namespace, name=f"i{number}", evidence=BETTER)
        gate.apply("requester", obj)
        gate.apply("requester", intent(namespace, name=f"i{number}", evidence=MIDDLING))

    def review(number):
        return [
            gate.review("reviewer", "cabrequest", names[number], namespace, verdict, check=False)
            for verdict in ("UnderReview", "Approved")
        ]

    outcomes = at_once(*(lambda n=n: (flip(n), review(n))[1] for n in range(3)))
    for number, results in enumerate(outcomes):
        wanted = [
            verdict
            for verdict, result in zip(("UnderReview", "Approved"), results, strict=True)
            if result.returncode == 0
        ]
        gate.request_of(namespace, f"i{number}")
        found = [v for v, who in decisions(gate, names[number], namespace) if who == "reviewer"]
        assert found == wanted, [result.stderr for result in results]
        sequence = [
            entry["sequence"]
            for entry in gate.get("cabrequest", names[number], namespace)["status"].get(
                "decisions", []
            )
        ]
        assert sequence == list(range(1, len(sequence) + 1))


def test_a_write_that_read_before_a_decision_is_a_conflict(gate, namespace, submitted):
    """As the operator writes: with the resourceVersion that it read."""
    stale = gate.get("cabrequest", submitted, namespace)
    gate.review("reviewer", "cabrequest", submitted, namespace, "Approved")
    with paused(gate.installation.operator):
        args = ("replace", "--subresource=status", "-f", "-")
        result = gate.kubectl(OPERATOR, *args, stdin=json.dumps(stale), check=False)
        assert "Conflict" in result.stderr
        stale["metadata"].pop("resourceVersion")
        result = gate.kubectl(OPERATOR, *args, stdin=json.dumps(stale), check=False)
        assert result.returncode != 0
    assert decisions(gate, submitted, namespace) == [("Approved", "reviewer")]
