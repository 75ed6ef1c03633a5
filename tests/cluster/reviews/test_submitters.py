# SPDX-License-Identifier: Apache-2.0
"""Who submitted: kept from the authenticated user, whatever the client says and however it
writes."""

import json

import pytest

from cabgate_samples.objects import BAD, GOOD, MIDDLING, exception, intent
from support.gate import denial, paused

FORGED = [{"username": "somebody-else"}]


@pytest.fixture
def team(gate, namespace):
    """A second and a third member of the team, bound in the namespace."""
    for user in ("alice", "bob"):
        gate.user(user)
        gate.bind(user, "cabgate-requester", namespace)
    return namespace


def submitters(gate, namespace, name="web", resource="deploymentintent"):
    spec = gate.get(resource, name, namespace)["spec"]
    return [submitter["username"] for submitter in spec.get("submittedBy", [])]


def generation(gate, namespace):
    return gate.get("deploymentintent", "web", namespace)["metadata"]["generation"]


def summary(text):
    return {"spec": {"summary": text}}


def changed(namespace, text, **spec):
    return intent(namespace, evidence=MIDDLING, summary=text, **spec)


def ways(gate, namespace, user):
    """Each way of kubectl to change an intent's summary, as a function of the new text."""
    where = ("web", "-n", namespace)

    def replace(text):
        def change(stored):
            stored["spec"]["summary"] = text
            stored["spec"]["submittedBy"] = FORGED

        gate.replace(user, "deploymentintent", "web", namespace, change)

    def edit(text):
        command = f"kubectl edit deploymentintent web -n {namespace}"
        program = f"sed -i 's/^  summary:.*/  summary: {text}/'"
        result = gate.shell(user, command, env={"EDITOR": program})
        assert "edited" in result.stdout, result.stderr

    def patch(kind, body):
        args = (f"--type={kind}", "-p", json.dumps(body))
        gate.kubectl(user, "patch", "deploymentintent", *where, *args)

    def server_side(text):
        args = ("--server-side", "--force-conflicts", f"--field-manager={user}")
        gate.apply(user, changed(namespace, text), *args)

    return {
        "apply": lambda text: gate.apply(user, changed(namespace, text)),
        "server-side apply": server_side,
        "replace": replace,
        "edit": edit,
        "merge patch": lambda text: patch("merge", summary(text)),
        "json patch": lambda text: patch(
            "json", [{"op": "replace", "path": "/spec/summary", "value": text}]
        ),
    }


@pytest.mark.parametrize(
    "way", ["apply", "server-side apply", "replace", "edit", "merge patch", "json patch"]
)
def test_whoever_changes_an_undecided_intent_is_added(gate, team, way):
    gate.apply("requester", changed(team, "first"))
    ways(gate, team, "alice")[way]("second")
    assert gate.get("deploymentintent", "web", team)["spec"]["summary"] == "second"
    assert submitters(gate, team) == ["requester", "alice"]


def test_whoever_creates_it_is_its_submitter_alone(gate, team):
    for name, args in {
        "apply": ("apply", "-f", "-"),
        "create": ("create", "-f", "-"),
        "server": ("apply", "--server-side", "-f", "-"),
    }.items():
        obj = intent(team, name=name, submittedBy=FORGED)
        gate.kubectl("alice", *args, stdin=json.dumps(obj))
        assert submitters(gate, team, name) == ["alice"], name


def test_a_list_of_the_clients_own_is_corrected(gate, team):
    gate.apply("requester", changed(team, "first"))
    gate.patch("alice", "deploymentintent", "web", team, summary("second"))
    both = ["requester", "alice"]
    before = generation(gate, team)
    path = "/spec/submittedBy"
    for body, kind in (
        ({"spec": {"submittedBy": FORGED}}, "merge"),
        ({"spec": {"submittedBy": None}}, "merge"),
        ({"spec": {"submittedBy": []}}, "merge"),
        ([{"op": "remove", "path": path}], "json"),
        ([{"op": "remove", "path": f"{path}/0"}], "json"),
        ([{"op": "replace", "path": f"{path}/0/username", "value": "x"}], "json"),
        ([{"op": "add", "path": f"{path}/-", "value": {"username": "x"}}], "json"),
        ([{"op": "add", "path": f"{path}/0/uid", "value": "x"}], "json"),
    ):
        gate.patch("bob", "deploymentintent", "web", team, body, kind=kind)
        assert submitters(gate, team) == both, body
    assert generation(gate, team) == before
    body = {"spec": {"submittedBy": None, "summary": "third"}}
    gate.patch("bob", "deploymentintent", "web", team, body)
    assert submitters(gate, team) == [*both, "bob"]


def test_what_changes_nothing_adds_nobody_and_bumps_no_generation(gate, team):
    obj = changed(team, "first")
    gate.apply("requester", obj)
    before = generation(gate, team)
    gate.apply("alice", obj)
    gate.patch("alice", "deploymentintent", "web", team, summary("first"))
    gate.kubectl("alice", "annotate", "deploymentintent", "web", "note=x", "-n", team)
    gate.kubectl("alice", "label", "deploymentintent", "web", "team=x", "-n", team)
    gate.replace("alice", "deploymentintent", "web", team, lambda stored: None)
    assert submitters(gate, team) == ["requester"]
    assert generation(gate, team) == before
    # Another writing of the same number is a change to the API server, not to us.
    body = {"spec": {"evidence": {"testResults": {"coveragePercent": 85.0}}}}
    gate.patch("alice", "deploymentintent", "web", team, body)
    assert submitters(gate, team) == ["requester"]


def test_server_side_apply_of_gitops_neither_drifts_nor_conflicts(gate, team):
    obj = changed(team, "first")
    flux = ("--server-side", "--field-manager=kustomize-controller")
    other = ("--server-side", "--field-manager=argocd-controller")
    gate.apply("requester", obj, *flux)
    before = gate.get("deploymentintent", "web", team)
    gate.request_of(team, state="Submitted")
    for _ in range(3):
        gate.apply("requester", obj, *flux)
        gate.apply("requester", {**obj, "spec": {**obj["spec"], "submittedBy": FORGED}}, *flux)
        gate.apply("alice", obj, *other)
    found = gate.get("deploymentintent", "web", team)
    assert found["metadata"]["generation"] == before["metadata"]["generation"]
    assert found["spec"] == before["spec"]
    # A change by one manager alone: the list grows under both, and neither owns it.
    gate.apply("alice", changed(team, "second"), *other, "--force-conflicts")
    gate.apply("alice", changed(team, "second"), *flux)
    assert submitters(gate, team) == ["requester", "alice"]
    diff = gate.kubectl(
        "alice", "diff", "-f", "-", *flux, stdin=json.dumps(changed(team, "second")), check=False
    )
    assert diff.returncode == 0, diff.stdout + diff.stderr


def test_the_list_starts_anew_with_the_first_change_after_a_decision(gate, team):
    gate.apply("requester", changed(team, "first"))
    gate.patch("alice", "deploymentintent", "web", team, summary("second"))
    name = gate.request_of(team, state="Submitted")["metadata"]["name"]
    gate.review("reviewer", "cabrequest", name, team, "Approved")
    gate.request_of(team, state="Approved")
    # What changes nothing starts nothing anew.
    gate.kubectl("bob", "annotate", "deploymentintent", "web", "note=x", "-n", team)
    gate.patch("bob", "deploymentintent", "web", team, {"spec": {"submittedBy": None}})
    assert submitters(gate, team) == ["requester", "alice"]
    body = {"spec": {"evidence": {"scope": {"affectedComponents": 2}}}}
    gate.patch("bob", "deploymentintent", "web", team, body)
    assert submitters(gate, team) == ["bob"]
    request = gate.request_of(team, state="Submitted")
    assert [s["username"] for s in request["spec"]["submittedBy"]] == ["bob"]
    gate.patch("alice", "deploymentintent", "web", team, summary("third"))
    assert submitters(gate, team) == ["bob", "alice"]


@pytest.mark.parametrize("verdict", ["Rejected", "Revoked"])
def test_a_verdict_against_it_is_a_decision_too(gate, team, verdict):
    evidence = MIDDLING if verdict == "Rejected" else GOOD
    gate.apply("requester", intent(team, evidence=evidence))
    name = gate.request_of(team)["metadata"]["name"]
    user = "reviewer" if verdict == "Rejected" else "security"
    gate.review(user, "cabrequest", name, team, verdict)
    gate.request_of(team, state=verdict)
    gate.patch("bob", "deploymentintent", "web", team, summary("second"))
    assert submitters(gate, team) == ["bob"]


def test_undecided_and_superseded_requests_let_it_grow(gate, team):
    gate.open(team, MIDDLING, "Submitted")
    for count, user in enumerate(("alice", "bob"), start=2):
        body = {"spec": {"evidence": {"scope": {"affectedComponents": count}}}}
        gate.patch(user, "deploymentintent", "web", team, body)
        request = gate.request_of(team, state="Submitted")
        assert len(request["spec"]["submittedBy"]) == count
    gate.patch("alice", "deploymentintent", "web", team, {"spec": {"evidence": None}})
    gate.request_of(team, state="ExceptionRequired")
    assert submitters(gate, team) == ["requester", "alice", "bob"]


def test_a_status_that_speaks_of_older_content_starts_nothing_anew(gate, team):
    gate.open(team, GOOD, "AutoApproved")
    with paused(gate.installation.operator):
        gate.patch("alice", "deploymentintent", "web", team, {"spec": {"evidence": MIDDLING}})
        assert submitters(gate, team) == ["alice"]
        gate.patch("bob", "deploymentintent", "web", team, summary("second"))
        assert submitters(gate, team) == ["alice", "bob"]
    request = gate.request_of(team)
    assert [s["username"] for s in request["spec"]["submittedBy"]] == ["alice", "bob"]


STATUS = {"state": "Approved", "observedGeneration": 1}


@pytest.mark.parametrize("user", ["admin", "writer"])
def test_nobody_but_the_operator_writes_the_status_of_an_intent(gate, team, user):
    gate.cluster.kubectl(
        *("create", "role", "writer", "--verb=get,update,patch", "-n", team),
        "--resource=deploymentintents.cabgate.dev/status,deploymentintents.cabgate.dev",
    )
    gate.user("writer")
    gate.cluster.kubectl("create", "rolebinding", "writer", "--role=writer", "--user=writer",
                         "-n", team)  # fmt: skip
    gate.open(team, MIDDLING, "Submitted")
    before = gate.get("deploymentintent", "web", team)["status"]
    for body in (
        {"status": STATUS},
        {"status": None},
        {"status": {"state": None}},
        {"status": {"conditions": []}},
    ):
        result = gate.patch_status(user, "deploymentintent", "web", team, body)
        assert denial(result).startswith("WrittenByOperatorOnly: status: "), body

    def forge(stored):
        stored["status"]["state"] = "Approved"

    where = ("deploymentintent", "web", team)
    result = gate.replace(user, *where, forge, "--subresource=status", check=False)
    assert denial(result).startswith("WrittenByOperatorOnly: ")
    # Through the main resource it is dropped, on creation too.
    gate.patch(user, "deploymentintent", "web", team, {"status": STATUS})
    assert gate.get("deploymentintent", "web", team)["status"] == before
    with paused(gate.installation.operator):
        gate.create("requester", {**intent(team, name="new"), "status": STATUS})
        created = gate.get("deploymentintent", "new", team)
        assert created["status"] == {"observedGeneration": 0}


def test_a_status_sent_with_a_change_of_the_spec_starts_nothing_anew(gate, team):
    gate.open(team, MIDDLING, "Submitted")
    body = {"spec": {"summary": "second"}, "status": {"state": "Approved"}}
    gate.patch("alice", "deploymentintent", "web", team, body)
    assert submitters(gate, team) == ["requester", "alice"]


def test_exceptions_have_the_author_that_wrote_them(gate, team):
    name = gate.open(team, BAD, "ExceptionRequired")
    gate.create("alice", exception(team, name, submittedBy=FORGED))
    assert submitters(gate, team, "leave", "cabexception") == ["alice"]
    gate.apply("bob", exception(team, name, name="two", submittedBy=FORGED), "--server-side")
    assert submitters(gate, team, "two", "cabexception") == ["bob"]
    before = gate.get("cabexception", "leave", team)["metadata"]["generation"]
    for body in (
        {"spec": {"submittedBy": FORGED}},
        {"spec": {"submittedBy": None}},
        {"spec": {"submittedBy": []}},
    ):
        gate.patch("bob", "cabexception", "leave", team, body, check=False)
        assert submitters(gate, team, "leave", "cabexception") == ["alice"]
    after = gate.get("cabexception", "leave", team)["metadata"]["generation"]
    assert after == before
