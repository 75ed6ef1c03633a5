# SPDX-License-Identifier: Apache-2.0
"""Who may not decide: submitters, machines, and those who may act as one."""

import json
from functools import partial

import pytest

from cabgate_devcluster import wait_until
from cabgate_samples.objects import BAD, GOOD, MIDDLING, exception, intent
from support.gate import denial, paused
from support.reviews import CONDITIONS, VERDICTS, entry_of, refused

# Who may not decide: whoever submitted


def test_nobody_decides_without_the_verb(gate, namespace, make_namespace, submitted):
    """Who may write the status is not who may decide."""
    elsewhere = make_namespace()
    cluster = gate.cluster
    cluster.kubectl(
        *("create", "role", "status-writer", "--verb=get,update,patch", "-n", namespace),
        "--resource=cabrequests.cabgate.dev/status",
    )
    for user in ("visitor", "neighbour", "security-only"):
        gate.user(user)
        cluster.kubectl(
            *("create", "rolebinding", f"{user}-writes", "--role=status-writer"),
            *(f"--user={user}", "-n", namespace),
        )
    gate.bind("neighbour", "cabgate-cab-member", elsewhere)
    gate.bind("security-only", "cabgate-security-reviewer", namespace)
    for user in ("visitor", "neighbour", "security-only"):
        message = refused(gate, user, submitted, namespace)
        assert message.startswith(f"NotAuthorized: {user} lacks the RBAC verb 'approve'"), user
    gate.review("reviewer", "cabrequest", submitted, namespace, "Approved")
    for user in ("visitor", "reviewer"):
        message = refused(gate, user, submitted, namespace, "Revoked")
        assert message.startswith(f"NotAuthorized: {user} lacks the RBAC verb 'revoke'"), user


def test_the_verb_may_be_granted_for_one_request_by_name(gate, namespace, submitted):
    cluster = gate.cluster
    other = gate.open(namespace, MIDDLING, "Submitted", name="other")
    manifest = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "one", "namespace": namespace},
        "rules": [
            {
                "apiGroups": ["cabgate.dev"],
                "resources": ["cabrequests"],
                "verbs": ["approve"],
                "resourceNames": [submitted],
            },
            {
                "apiGroups": ["cabgate.dev"],
                "resources": ["cabrequests/status"],
                "verbs": ["get", "patch"],
            },
        ],
    }
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    gate.user("guest")
    cluster.kubectl("create", "rolebinding", "one", "--role=one", "--user=guest", "-n", namespace)
    right = ("cabgate.dev", "cabrequests/status", "patch")
    wait_until(lambda: gate.allowed("guest", right, namespace), "the binding counts")
    assert refused(gate, "guest", other, namespace).startswith("NotAuthorized: ")
    gate.review("guest", "cabrequest", submitted, namespace, "Approved")


@pytest.mark.parametrize("author", ["admin", "team-lead"])
def test_a_submitter_with_every_right_cannot_decide(gate, namespace, author):
    gate.user(author)
    gate.bind(author, "cluster-admin", namespace)
    name = gate.open(namespace, MIDDLING, "Submitted", user=author)
    for verdict in VERDICTS:
        message = refused(gate, author, name, namespace, verdict, conditions=CONDITIONS)
        assert message.startswith(f"SelfApproval: {author} submitted this"), verdict
    gate.review("reviewer", "cabrequest", name, namespace, "Approved")
    # To take a right back is never too early.
    gate.review(author, "cabrequest", name, namespace, "Revoked")


def test_a_co_author_cannot_decide_however_little_was_changed(gate, namespace):
    """Also where the request was opened before the co-author came."""
    gate.user("both")
    for role in ("cabgate-requester", "cabgate-cab-member"):
        gate.bind("both", role, namespace)

    def patch(intent_name, kind, body):
        gate.patch("both", "deploymentintent", intent_name, namespace, body, kind=kind)

    def apply(name, *args):
        obj = intent(namespace, name=name, evidence=MIDDLING, summary="more")
        gate.apply("both", obj, *args)

    def replace(name):
        def change(stored):
            stored["spec"]["summary"] = "more"

        gate.replace("both", "deploymentintent", name, namespace, change)

    def edit(name):
        command = f"kubectl edit deploymentintent {name} -n {namespace}"
        program = "sed -i 's/^  targets:$/  summary: more\\n  targets:/'"
        result = gate.shell("both", command, env={"EDITOR": program})
        assert "edited" in result.stdout, result.stderr

    ways = {
        "apply": apply,
        "ssa": lambda name: apply(name, "--server-side", "--force-conflicts"),
        "replace": replace,
        "edit": edit,
        "merge": lambda name: patch(name, "merge", {"spec": {"summary": "more"}}),
        "json": lambda name: patch(
            name, "json", [{"op": "add", "path": "/spec/summary", "value": "more"}]
        ),
    }
    for name in ways:
        gate.apply("requester", intent(namespace, name=name, evidence=MIDDLING))
    for name, way in ways.items():
        request = gate.request_of(namespace, name, "Submitted")["metadata"]["name"]
        way(name)
        message = refused(gate, "both", request, namespace)
        assert message.startswith("SelfApproval: both submitted this"), name


def test_whoever_is_named_as_requester_cannot_decide(gate, namespace):
    name = gate.open(namespace, MIDDLING, "Submitted", requester="reviewer")
    message = refused(gate, "reviewer", name, namespace)
    assert message.startswith("SelfApproval: reviewer is named as the requester")
    # It was frozen: taking it out of the intent helps nobody.
    gate.patch(
        "requester", "deploymentintent", "web", namespace, {"spec": {"requester": "another"}}
    )
    assert refused(gate, "reviewer", name, namespace).startswith("SelfApproval: ")


def test_a_requester_named_after_the_request_was_opened_cannot_decide(gate, namespace, submitted):
    body = {"spec": {"requester": "reviewer"}}
    gate.patch("requester", "deploymentintent", "web", namespace, body)
    with paused(gate.installation.operator):
        assert refused(gate, "reviewer", submitted, namespace).startswith("SelfApproval: ")


def test_the_author_of_undecided_content_stays_its_author_when_it_returns(gate, namespace):
    """A writes content X, B takes it back, C declares X again: A still cannot decide on X."""
    for user in ("ann", "ben", "cleo"):
        gate.user(user)
        gate.bind(user, "cabgate-requester", namespace)
        gate.bind(user, "cabgate-cab-member", namespace)
    gate.open(namespace, GOOD, "AutoApproved", user="ben")
    first = gate.open(namespace, MIDDLING, "Submitted", user="ann")
    gate.open(namespace, GOOD, "AutoApproved", user="ben")
    again = gate.open(namespace, MIDDLING, "Submitted", user="cleo")
    assert again == first
    for user in ("ann", "cleo"):
        assert refused(gate, user, first, namespace).startswith("SelfApproval: "), user
    gate.review("ben", "cabrequest", first, namespace, "Approved")


def test_deleting_an_intent_and_declaring_it_anew_washes_nobody_clean(gate, namespace):
    gate.user("ann")
    for role in ("cabgate-requester", "cabgate-cab-member"):
        gate.bind("ann", role, namespace)
    name = gate.open(namespace, MIDDLING, "Submitted", user="ann")
    gate.kubectl("ann", "delete", "deploymentintent", "web", "-n", namespace)
    gate.wait_state("cabrequest", name, namespace, "Superseded")
    assert gate.open(namespace, MIDDLING, "Submitted", user="requester") == name
    assert refused(gate, "ann", name, namespace).startswith("SelfApproval: ")
    gate.review("reviewer", "cabrequest", name, namespace, "Approved")


# Machines


def test_a_service_account_never_decides(gate, namespace, submitted):
    machine = f"system:serviceaccount:{namespace}:robot"
    gate.user(machine)
    gate.bind(machine, "cluster-admin", namespace)
    request = gate.get("cabrequest", submitted, namespace)
    entry = entry_of(request, machine)
    for body in (
        {"status": {"review": {"verdict": "Approved", "rationale": "x"}}},
        {"status": {"state": "Approved"}},
        {"status": {"state": "Approved", "decisions": [entry]}},
        {"status": {"state": "UnderReview"}},
        {"status": {"conditions": []}},
    ):
        result = gate.patch_status(machine, "cabrequest", submitted, namespace, body)
        assert denial(result).startswith(f"MachineCannotDecide: {machine} is"), body
    gate.review("reviewer", "cabrequest", submitted, namespace, "Approved")
    message = refused(gate, machine, submitted, namespace, "Revoked")
    assert message.startswith("MachineCannotDecide: ")


@pytest.fixture
def by_machine(gate, namespace):
    """Name and submitter of a request that a service account alone submitted."""
    machine = f"system:serviceaccount:{namespace}:gitops"
    gate.user(machine)
    gate.bind(machine, "cabgate-requester", namespace)
    return gate.open(namespace, MIDDLING, "Submitted", user=machine), machine


def test_what_machines_alone_submitted_needs_a_requester(gate, namespace, by_machine):
    name, machine = by_machine
    for verdict in ("Approved", "ConditionallyApproved"):
        message = refused(gate, "reviewer", name, namespace, verdict, conditions=CONDITIONS)
        assert message.startswith("RequesterNeeded: spec.requester: only machines")
    gate.review("reviewer", "cabrequest", name, namespace, "UnderReview")
    obj = intent(namespace, evidence=MIDDLING, requester="alice")
    gate.apply(machine, obj)
    gate.request_of(namespace)  # once the operator has looked
    gate.review("reviewer", "cabrequest", name, namespace, "Approved")


def test_to_reject_what_machines_submitted_no_requester_is_needed(gate, namespace, by_machine):
    gate.review("reviewer", "cabrequest", by_machine[0], namespace, "Rejected")


ACTING_AS = {
    "impersonation": ([""], ["serviceaccounts"], "impersonate"),
    "constrained impersonation": (
        ["authentication.k8s.io"],
        ["serviceaccounts"],
        "impersonate:serviceaccount",
    ),
    "a token": ([""], ["serviceaccounts/token"], "create"),
    "everything": (["*"], ["*"], "*"),
}


def test_whoever_may_act_as_the_submitting_machine_counts_as_it(
    gate, namespace, make_namespace, by_machine
):
    name, machine = by_machine
    elsewhere = make_namespace()
    gate.apply(machine, intent(namespace, evidence=MIDDLING, requester="alice"))
    gate.request_of(namespace)
    for number, (how, (groups, resources, verb)) in enumerate(ACTING_AS.items()):
        user = f"actor{number}"
        gate.user(user)
        gate.bind(user, "cabgate-cab-member", namespace)
        where = elsewhere if how == "impersonation" else namespace
        role = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": user, "namespace": where},
            "rules": [{"apiGroups": groups, "resources": resources, "verbs": [verb]}],
        }
        gate.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(role))
        args = ("create", "rolebinding", user, f"--role={user}", f"--user={user}", "-n")
        bound = partial(gate.allowed, user, (groups[0], resources[0], verb))
        gate.cluster.kubectl(*args, where)
        wait_until(partial(bound, where), "it is bound")
        if where == elsewhere:  # the same right over another namespace's accounts is no matter
            body = {"status": {"review": {"verdict": "Approved", "rationale": "x"}}}
            gate.patch_status(
                user, "cabrequest", name, namespace, body, "--dry-run=server", check=True
            )
            role["metadata"]["namespace"] = namespace
            gate.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(role))
            gate.cluster.kubectl(*args, namespace)
            wait_until(partial(bound, namespace), "it is bound here")
        message = refused(gate, user, name, namespace)
        assert message.startswith(f"SelfApproval: {user} may impersonate or mint"), how
        assert machine in message
    # The stock edit role holds the first and the last of these.
    gate.user("editor")
    for role in ("edit", "cabgate-cab-member"):
        gate.bind("editor", role, namespace)
    assert refused(gate, "editor", name, namespace).startswith("SelfApproval: ")
    assert refused(gate, "admin", name, namespace).startswith("SelfApproval: ")
    gate.review("reviewer", "cabrequest", name, namespace, "Approved")


def test_whoever_may_act_as_the_author_of_an_exception_counts_as_it(gate, namespace, by_machine):
    machine = by_machine[1]
    bad = gate.open(namespace, BAD, "ExceptionRequired", name="bad")
    gate.create(machine, exception(namespace, bad))
    gate.user("editor-too")
    for role in ("edit", "cabgate-security-reviewer"):
        gate.bind("editor-too", role, namespace)
    message = refused(gate, "editor-too", "leave", namespace, resource="cabexception")
    assert message.startswith("SelfApproval: editor-too may impersonate")
    gate.review("security", "cabexception", "leave", namespace, "Approved")
