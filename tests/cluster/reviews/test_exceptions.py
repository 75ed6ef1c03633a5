# SPDX-License-Identifier: Apache-2.0
"""Exceptions: bounds, who decides, what they bind to, and that they end."""

import datetime
import json
import sys

import pytest

from cabgate_devcluster import DevCluster
from cabgate_samples.objects import BAD, MIDDLING, exception, intent, workload
from support.cli import CABGATE
from support.gate import denial, install, paused
from support.namespaces import create_namespace

WORSE = {"scope": {"affectedComponents": 50}}


@pytest.fixture
def bad(gate, namespace):
    """Name of a request that only an exception helps."""
    return gate.open(namespace, BAD, "ExceptionRequired")


@pytest.fixture
def leave(gate, namespace, bad):
    """Name of an exception of the requester's for it."""
    gate.create("requester", exception(namespace, bad))
    return "leave"


def verdict_on(gate, user, namespace, verdict="Approved", name="leave", **review):
    """What the webhook said to a verdict that it refused."""
    result = gate.review(user, "cabexception", name, namespace, verdict, check=False, **review)
    return denial(result)


def status_of(gate, namespace, name="leave"):
    return gate.get("cabexception", name, namespace).get("status", {})


def rollout(gate, namespace, *images, **fields):
    """What the gate says to a dry run of a rollout; empty where it passes."""
    obj = workload(namespace, images=images or ("web:1",))
    obj["spec"] |= fields
    args = ("create", "--dry-run=server", "-f", "-")
    result = gate.kubectl("requester", *args, stdin=json.dumps(obj), check=False)
    return denial(result) if result.returncode else ""


SOONER, LATER = "2099-01-01T20:00:00Z", "2099-01-01T22:00:00Z"

REFUSED = [
    ({"durationDays": 0}, "spec.durationDays", "greater than or equal to 1"),
    ({"durationDays": 91}, "spec.durationDays", "less than or equal to 90"),
    ({"durationDays": -1}, "spec.durationDays", "greater than or equal to 1"),
    ({"durationDays": 1.5}, "spec.durationDays", ""),
    ({"compensatingControls": []}, "spec.compensatingControls", "at least 1 items"),
    ({"compensatingControls": None}, "spec.compensatingControls", ""),
    ({"compensatingControls": ["  "]}, "spec.compensatingControls[0]", "must not be blank"),
    ({"compensatingControls": ["a", ""]}, "spec.compensatingControls[1]", "at least 1 chars"),
    ({"reason": "\t "}, "spec.reason", "must not be blank"),
    ({"reason": None}, "spec.reason", ""),
    ({"reason": "x" * 5000}, "spec.reason", "4096"),
    ({"requestRef": None}, "spec.requestRef", ""),
    ({"requestRef": {}}, "spec.requestRef.name", ""),
    ({"requestRef": {"name": ""}}, "spec.requestRef.name", ""),
    ({"constraints": {"maxReplicas": 0}}, "spec.constraints.maxReplicas", "greater than"),
    ({"constraints": {"maxRing": 1}}, "spec.constraints.maxRing", "greater than"),
    ({"constraints": {"maxRing": 5}}, "spec.constraints.maxRing", "less than"),
    ({"constraints": {"until": "2020-01-01T00:00:00Z"}}, "spec.constraints.until", "is over"),
    ({"constraints": {"until": "2099-01-01t00:00:00z"}}, "spec.constraints.until", "should match"),
    ({"constraints": {"until": "2099-02-31T00:00:00Z"}}, "spec.constraints.until", ""),
    (
        {"constraints": {"windows": [{"from": LATER, "until": SOONER}]}},
        "spec.constraints.windows[0].from",
        "from must be earlier than until",
    ),
    (
        {"constraints": {"windows": [{"from": SOONER, "until": LATER}] * 6}},
        "spec.constraints.windows",
        "at most 5 items",
    ),
]


def test_what_an_exception_may_not_be_names_the_field(gate, namespace):
    for spec, field, said in REFUSED:
        obj = exception(namespace, "some-request")
        obj["spec"] |= spec
        obj["spec"] = {key: value for key, value in obj["spec"].items() if value is not None}
        result = gate.create("requester", obj, check=False)
        assert result.returncode != 0, spec
        assert field in result.stderr, (spec, result.stderr)
        assert said in result.stderr, (spec, result.stderr)
    for days in (1, 90):
        gate.create("requester", exception(namespace, "r", name=f"d{days}", durationDays=days))


def test_one_that_says_nothing_lasts_thirty_days(gate, namespace, leave):
    found = gate.wait_state("cabexception", leave, namespace, "Pending")
    assert found["spec"]["durationDays"] == 30
    created = datetime.datetime.fromisoformat(found["metadata"]["creationTimestamp"])
    ends = datetime.datetime.fromisoformat(found["status"]["expiresAt"])
    assert ends - created == datetime.timedelta(days=30)


def test_its_spec_never_changes(gate, namespace, leave):
    before = gate.get("cabexception", leave, namespace)
    for user in ("requester", "admin"):
        for spec in (
            None,
            {"durationDays": 90},
            {"durationDays": None},
            {"reason": "other"},
            {"requestRef": {"name": "other"}},
            {"compensatingControls": ["other"]},
            {"submittedBy": [{"username": "other"}], "durationDays": 90},
        ):
            body = {"spec": spec}
            result = gate.patch(user, "cabexception", leave, namespace, body, check=False)
            if spec != {"durationDays": None}:  # which the default puts back
                assert result.returncode != 0, (user, spec)
    replaced = {**before, "spec": {**before["spec"], "durationDays": 31}}
    del replaced["metadata"]["resourceVersion"]  # the operator may have written its status since
    message = gate.refused("admin", "replace", "-f", "-", stdin=json.dumps(replaced))
    assert "spec never changes: create another object instead" in message
    assert gate.get("cabexception", leave, namespace)["spec"] == before["spec"]


def test_a_status_sent_along_with_it_counts_for_nothing(gate, namespace, bad):
    digest = gate.get("cabrequest", bad, namespace)["spec"]["evidenceDigest"]
    entry = {
        "sequence": 1,
        "verdict": "Approved",
        "author": {"type": "Person", "username": "security"},
        "at": "2026-01-01T00:00:00Z",
        "rationale": "x",
        "evidenceDigest": digest,
    }
    status = {"state": "Approved", "decisions": [entry], "expiresAt": "2099-01-01T00:00:00Z"}
    obj = {**exception(namespace, bad), "status": status}
    obj["metadata"]["creationTimestamp"] = "2099-01-01T00:00:00Z"
    gate.create("admin", obj)
    assert rollout(gate, namespace).startswith("ExceptionPending: ")
    assert (
        "decisions" not in gate.wait_state("cabexception", "leave", namespace, "Pending")["status"]
    )


def test_who_decides_it(gate, namespace, leave):
    gate.bind("security", "cabgate-requester", namespace)
    for user in ("reviewer", "requester"):  # neither may write its status at all
        result = gate.review(user, "cabexception", leave, namespace, "Approved", check=False)
        assert 'resource "cabexceptions/status"' in result.stderr
    gate.user("writer")
    gate.cluster.kubectl(
        *("create", "role", "writer", "--verb=get,patch", "-n", namespace),
        "--resource=cabexceptions.cabgate.dev/status",
    )
    args = ("create", "rolebinding", "writer", "--role=writer", "--user=writer", "-n")
    gate.cluster.kubectl(*args, namespace)
    gate.bind("writer", "cabgate-cab-member", namespace)
    assert verdict_on(gate, "writer", namespace).startswith("NotAuthorized: writer lacks")
    result = gate.review("security", "cabexception", leave, namespace, "Approved")
    assert "recorded if this command succeeds: Approved by security on CABException leave" in (
        result.stderr
    )
    assert rollout(gate, namespace) == ""


def test_neither_its_author_nor_that_of_the_intent_approves_it(gate, namespace):
    for user in ("ann", "ben"):
        gate.user(user)
        for role in ("cabgate-requester", "cabgate-security-reviewer"):
            gate.bind(user, role, namespace)
    name = gate.open(namespace, BAD, "ExceptionRequired", user="ann", requester="security")
    gate.create("ben", exception(namespace, name))
    for verdict in ("Approved", "Rejected"):
        for user in ("ann", "ben", "security"):
            message = verdict_on(gate, user, namespace, verdict)
            assert message.startswith("SelfApproval: "), (user, verdict)
    machine = f"system:serviceaccount:{namespace}:robot"
    gate.user(machine)
    gate.bind(machine, "cluster-admin", namespace)
    assert verdict_on(gate, machine, namespace).startswith("MachineCannotDecide: ")
    gate.review("admin", "cabexception", "leave", namespace, "Approved")
    gate.review("ben", "cabexception", "leave", namespace, "Revoked")


def test_a_verdict_on_it_needs_a_rationale(gate, namespace, leave):
    for review in ({}, {"rationale": ""}):
        body = {"status": {"review": {"verdict": "Approved", **review}}}
        result = gate.patch_status("security", "cabexception", leave, namespace, body)
        assert "needs a rationale: status.review.rationale" in result.stderr, review
    blank = {"status": {"review": {"verdict": "Approved", "rationale": " \n"}}}
    result = gate.patch_status("security", "cabexception", leave, namespace, blank)
    assert "says nothing: write why you decide so" in result.stderr
    body = {"status": {"state": "Approved"}}
    result = gate.patch_status("security", "cabexception", leave, namespace, body)
    assert "needs a rationale" in result.stderr
    for verdict in ("UnderReview", "ConditionallyApproved", "Expired"):
        message = verdict_on(gate, "security", namespace, verdict)
        assert "one of Approved, Rejected, Revoked" in message


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("Approved", ["Approved", "Rejected"]),
        ("Rejected", ["Approved", "Rejected", "Revoked"]),
        ("Revoked", ["Approved", "Rejected", "Revoked"]),
        (None, ["Revoked"]),
    ],
)
def test_it_is_decided_once(gate, namespace, leave, first, then):
    if first == "Revoked":
        gate.review("security", "cabexception", leave, namespace, "Approved")
    if first:
        gate.review("security", "cabexception", leave, namespace, first)
    for verdict in then:
        message = verdict_on(gate, "security", namespace, verdict)
        assert message.startswith("IllegalTransition: "), verdict
        assert f"leave is {first or 'Pending'} and cannot become {verdict}" in message
    admitted = rollout(gate, namespace) == ""
    assert admitted == (first == "Approved")


def test_forged_statuses_are_refused(gate, namespace, leave):
    before = gate.wait_state("cabexception", leave, namespace, "Pending")["status"]
    gate.review("security", "cabexception", leave, namespace, "Approved")
    for status in (
        None,
        {"decisions": None},
        {"decisions": []},
        {"expiresAt": "2099-01-01T00:00:00Z"},
        {"expiresAt": None},
        {"conditions": []},
        {"state": None},
        {"state": "Pending"},
        {"state": "Expired"},
        {"expiresAt": "2099-01-01T00:00:00Z", "review": {"verdict": "Revoked", "rationale": "x"}},
    ):
        for user in ("security", "admin"):
            result = gate.patch_status(user, "cabexception", leave, namespace, {"status": status})
            assert result.returncode != 0, (user, status)
    assert status_of(gate, namespace)["expiresAt"] == before["expiresAt"]


def test_one_for_a_request_that_is_not_there_waits_for_it(gate, namespace):
    gate.create("requester", exception(namespace, "web-00000000"))
    message = verdict_on(gate, "security", namespace)
    assert message.startswith("NotCurrent: spec.requestRef.name: there is no CABRequest")


def test_another_digest_needs_another_exception(gate, namespace, bad, leave):
    gate.review("security", "cabexception", leave, namespace, "Approved")
    assert rollout(gate, namespace) == ""
    gate.open(namespace, BAD, "ExceptionRequired", images=["web:2"])
    assert rollout(gate, namespace, "web:2").startswith("ExceptionRequired: ")
    assert rollout(gate, namespace) == ""  # what was excepted stays so
    gate.open(namespace, WORSE, "ExceptionRequired", images=["web:2"])
    assert rollout(gate, namespace, "web:2").startswith("ExceptionRequired: ")


def test_one_for_a_request_that_the_intent_has_left_is_not_approved(gate, namespace, bad, leave):
    with paused(gate.installation.operator):
        gate.apply("requester", intent(namespace, evidence=MIDDLING))
        assert verdict_on(gate, "security", namespace).startswith("NotCurrent: ")
    gate.wait_state("cabrequest", bad, namespace, "Superseded")
    assert verdict_on(gate, "security", namespace).startswith("NotCurrent: ")
    gate.review("security", "cabexception", leave, namespace, "Rejected")


def test_a_stale_digest_is_refused(gate, namespace, bad, leave):
    digest = gate.get("cabrequest", bad, namespace)["spec"]["evidenceDigest"]
    message = verdict_on(gate, "security", namespace, evidenceDigest="v1:sha256:" + "0" * 64)
    assert message.startswith("DigestMismatch: ")
    gate.review("security", "cabexception", leave, namespace, "Approved", evidenceDigest=digest)


def test_a_revoked_request_ends_the_exceptions_approved_before_it(gate, namespace, bad, leave):
    gate.review("security", "cabexception", leave, namespace, "Approved")
    assert rollout(gate, namespace) == ""
    gate.review("security", "cabrequest", bad, namespace, "Revoked", rationale="a breach")
    message = rollout(gate, namespace)
    assert message.startswith("Revoked: ")
    assert "by security: a breach" in message


@pytest.fixture(scope="module")
def later():
    """cabgate on a cluster of its own, for a webhook on another clock."""
    with DevCluster() as cluster:
        yield install(cluster)


def test_it_ends_by_the_clock_of_the_webhook_with_the_operator_stopped(later, monkeypatch):
    gate, namespace = later, "later"
    create_namespace(gate.cluster, namespace)
    name = gate.open(namespace, BAD, "ExceptionRequired")
    for leave, days in (("leave", 30), ("waiting", 30), ("longer", 40)):
        gate.create("requester", exception(namespace, name, name=leave, durationDays=days))
    gate.review("security", "cabexception", "leave", namespace, "Approved")
    end = {}
    for leave in ("leave", "waiting"):
        found = gate.get("cabexception", leave, namespace)
        created = datetime.datetime.fromisoformat(found["metadata"]["creationTimestamp"])
        moment = created + datetime.timedelta(days=30)
        end[leave] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert rollout(gate, namespace) == ""
    gate.installation.operator.stop()

    def restart(days):
        gate.installation.webhook.stop()
        monkeypatch.setenv("DEMO_DAYS_AHEAD", str(days))
        gate.installation.start_webhook([sys.executable, "-m", "cabgate_demo.later"])

    restart(29)
    assert rollout(gate, namespace) == ""
    restart(30)
    gate.kubectl("requester", "delete", "cabexception", "longer", "-n", namespace)
    message = rollout(gate, namespace)
    assert message.startswith("ExceptionEnded: "), message
    assert any(f"{leave} ended at {end[leave]}" in message for leave in end), message
    printed = gate.shell("requester", message[message.index("cabgate exception") :], CABGATE)
    assert printed.returncode == 0, printed.stderr
    asked = printed.stdout.replace("TODO:", "Done:")
    gate.kubectl("requester", "create", "-f", "-", stdin=asked)  # under a name that is free
    assert status_of(gate, namespace, "leave")["state"] == "Approved", "nobody has written it yet"
    message = verdict_on(gate, "security", namespace, name="waiting")
    assert message.startswith("IllegalTransition: ")
    assert "waiting is Expired and cannot become Approved" in message
    assert f"it ends at {end['waiting']}" in message
    message = verdict_on(gate, "security", namespace, "Revoked", name="leave")
    assert message.startswith("IllegalTransition: ")
