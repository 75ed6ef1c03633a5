# SPDX-License-Identifier: Apache-2.0
"""Crafted writes of a status: each is refused."""

import copy
import json

from cabgate_devcluster import wait_until
from cabgate_samples.objects import MIDDLING
from support.gate import denial
from support.reviews import OPERATOR, decisions, entry_of, now

# Crafted writes


def test_forged_entries_are_refused(gate, namespace, submitted):
    request = gate.get("cabrequest", submitted, namespace)
    person = {"type": "Person", "username": "reviewer"}
    good = entry_of(request, "reviewer")
    rows = {
        "of another person": {**good, "author": {"type": "Person", "username": "admin"}},
        "of the system": {**good, "author": {"type": "System", "username": "reviewer"}},
        "of the operator": {**good, "author": {"type": "System", "username": OPERATOR}},
        "approved by score": {**good, "verdict": "AutoApproved"},
        "superseded": {**good, "verdict": "Superseded"},
        "with a uid": {**good, "author": {**person, "uid": "1234"}},
        "in the past": {**good, "at": now(minutes=-1)},
        "in the future": {**good, "at": now(minutes=1)},
        "on other evidence": {**good, "evidenceDigest": "v1:sha256:" + "0" * 64},
        "with a gap": {**good, "sequence": 2},
        "far away": {**good, "sequence": 200},
        "as the webhook would make it, but not signed by it": good,
        "without an author": {k: v for k, v in good.items() if k != "author"},
    }
    for what, entry in rows.items():
        body = {"status": {"state": "Approved", "decisions": [entry]}}
        result = gate.patch_status("reviewer", "cabrequest", submitted, namespace, body)
        assert result.returncode != 0, what
    for what, status in {
        "two at once": {
            "state": "Approved",
            "decisions": [entry_of(request, "reviewer", "UnderReview"), {**good, "sequence": 2}],
        },
        "another state": {"state": "ConditionallyApproved", "decisions": [good]},
        "no state": {"state": None, "decisions": [good]},
        "the old state": {"decisions": [good]},
        "a condition beside it": {"state": "Approved", "decisions": [good], "conditions": []},
        "a review beside it": {
            "state": "Approved",
            "decisions": [good],
            "review": {"verdict": "Rejected", "rationale": "x"},
        },
    }.items():
        result = gate.patch_status(
            "reviewer", "cabrequest", submitted, namespace, {"status": status}
        )
        assert result.returncode != 0, what
    assert decisions(gate, submitted, namespace) == []


def test_a_crafted_entry_gives_no_right(gate, namespace):
    gate.user("both")
    for role in ("cabgate-requester", "cabgate-cab-member"):
        gate.bind("both", role, namespace)
    name = gate.open(namespace, MIDDLING, "Submitted", user="both")
    request = gate.get("cabrequest", name, namespace)
    body = {"status": {"state": "Approved", "decisions": [entry_of(request, "both")]}}
    assert denial(gate.patch_status("both", "cabrequest", name, namespace, body))
    assert decisions(gate, name, namespace) == []


def test_the_past_cannot_be_changed(gate, namespace, submitted):
    gate.review("reviewer", "cabrequest", submitted, namespace, "UnderReview")
    gate.review("reviewer", "cabrequest", submitted, namespace, "Approved")
    wait_until(
        lambda: (
            gate.get("cabrequest", submitted, namespace)["status"]["conditions"][0]["status"]
            == "True"
        ),
        "the operator has said so",
    )
    before = gate.get("cabrequest", submitted, namespace)
    first, second = before["status"]["decisions"]
    review = {"verdict": "Revoked", "rationale": "x"}
    changed = {**second, "verdict": "Rejected", "rationale": "no"}
    statuses = {
        "status gone": None,
        "decisions gone": {"decisions": None},
        "decisions empty": {"decisions": []},
        "one removed": {"decisions": [first]},
        "the other removed": {"decisions": [second]},
        "reordered": {"decisions": [second, first]},
        "edited": {"decisions": [first, changed]},
        "rationale edited": {"decisions": [first, {**second, "rationale": "other"}]},
        "replaced under a review": {"decisions": [first], "review": review},
        "removed under a review": {"decisions": None, "review": review},
        "edited under a review": {"decisions": [first, changed], "review": review},
        "conditions gone": {"conditions": None},
        "a condition": {"conditions": [{**before["status"]["conditions"][0], "message": "x"}]},
        "state gone": {"state": None},
    }
    for user in ("security", "admin"):
        for what, status in statuses.items():
            body = {"status": status}
            result = gate.patch_status(user, "cabrequest", submitted, namespace, body)
            assert result.returncode != 0, (user, what)
    for ops in (
        [{"op": "remove", "path": "/status/decisions/0"}],
        [{"op": "remove", "path": "/status"}],
        [{"op": "replace", "path": "/status/decisions/1/verdict", "value": "Rejected"}],
    ):
        result = gate.patch_status("admin", "cabrequest", submitted, namespace, ops, kind="json")
        assert result.returncode != 0, ops
    replaced = copy.deepcopy(before)
    replaced["status"]["decisions"] = []
    args = ("replace", "--subresource=status", "-f", "-")
    gate.refused("admin", *args, stdin=json.dumps(replaced))
    after = gate.get("cabrequest", submitted, namespace)
    assert after["status"] == before["status"]


def test_server_side_apply_of_a_status_is_no_way_around(gate, namespace, submitted):
    request = gate.get("cabrequest", submitted, namespace)

    def send(user, status):
        obj = {
            "apiVersion": "cabgate.dev/v1alpha1",
            "kind": "CABRequest",
            "metadata": {"name": submitted, "namespace": namespace},
            "status": status,
        }
        args = ("apply", "--server-side", "--subresource=status", "--force-conflicts", "-f", "-")
        return gate.kubectl(user, *args, stdin=json.dumps(obj), check=False)

    forged = entry_of(request, OPERATOR, "AutoApproved")
    forged["author"]["type"] = "System"
    for status in (
        {"state": "Approved", "decisions": [forged]},
        {"state": "AutoApproved"},
        {"conditions": []},
    ):
        result = send("admin", status)
        if status.get("conditions") == []:
            assert result.returncode == 0  # an empty list of one's own changes nothing
        else:
            assert result.returncode != 0, status
    assert send("reviewer", {"state": "Approved"}).returncode == 0
    # The reviewer's manager owns the state now; letting go of it must not remove it.
    result = send("reviewer", {})
    found = gate.get("cabrequest", submitted, namespace)["status"]
    assert found["state"] == "Approved", result
    assert decisions(gate, submitted, namespace) == [("Approved", "reviewer")]


def test_the_main_resource_is_no_way_to_the_status_or_the_spec(gate, namespace, submitted):
    before = gate.get("cabrequest", submitted, namespace)
    entry = entry_of(before, "admin")
    for body in (
        {"status": {"state": "Approved", "decisions": [entry]}},
        {"status": {"review": {"verdict": "Approved", "rationale": "x"}}},
    ):
        gate.patch("admin", "cabrequest", submitted, namespace, body, check=False)
    message = gate.patch(
        "admin", "cabrequest", submitted, namespace, {"spec": {"ring": 0}}, check=False
    ).stderr
    assert "spec never changes" in message
    assert gate.patch(
        "admin", "cabrequest", submitted, namespace, {"spec": None}, check=False
    ).returncode
    after = gate.get("cabrequest", submitted, namespace)
    assert (after["spec"], after["status"]) == (before["spec"], before["status"])
