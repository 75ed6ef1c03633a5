# SPDX-License-Identifier: Apache-2.0
"""The table of docs/roles.md, tried cell by cell, and where and how long a verb holds."""

import itertools
import json
from pathlib import Path

import pytest

from cabgate.api import ChangePolicy, DeploymentIntent
from cabgate.api.changefreeze import POLICY_LABEL
from cabgate.lifecycle.requests.opening import request_for
from cabgate_devcluster import wait_until
from cabgate_samples.objects import BAD, GOOD, MIDDLING, exception, intent, workload
from cluster.portal import role_calls
from cluster.reviews.role_actions import (
    ACTIONS,
    API,
    CLUSTER_WIDE,
    CONDITIONS,
    FREEZE,
    READING,
    Call,
    Stage,
)
from support.clients import client_of, decided_answer
from support.freezes import freeze_of
from support.gate import paused
from support.policies import change_policy
from support.reviews import RISKIER
from support.roles import AUTHORS, NAMESPACE, ROLES, USERS

TABLE = Path(__file__).resolve().parents[3] / "docs" / "roles.md"
POLICY = change_policy(
    NAMESPACE, {"when": {"scoreFrom": "70.00"}, "count": 1, "verb": "approve-senior"}
)
"""Nobody but a senior approves what is riskier than the rest of the table."""
OWN_VERBS = {
    "approve",
    "revoke",
    "lower-ring",
    "break-glass",
    "uninstall",
    "prune",
    "override",
    "report",
}
READING_VERBS = {"get", "list", "watch"}


def table():
    """Row by row: the action, and for each column what its cell says."""
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith("| ")]
    first = next(number for number, line in enumerate(lines) if line.startswith("| action |"))
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[first:]]
    columns, width = cells[0][1:], len(cells[0])
    rows = list(itertools.takewhile(lambda row: len(row) == width, cells[1:]))
    assert len({row[0] for row in rows}) == len(rows), "a row stands twice"
    return {row[0]: dict(zip(columns, row[1:], strict=True)) for row in rows}


def rule_verbs(cluster, role):
    """The verbs of a ClusterRole on cabgate's kinds."""
    found = json.loads(cluster.kubectl("get", "clusterrole", role, "-o", "json").stdout)
    return [
        (resource, verb)
        for rule in found.get("rules") or []
        if "cabgate.dev" in rule.get("apiGroups", [])
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ]


@pytest.fixture(scope="module")
def clients(gate):
    """A client for each column, bound as the table says."""
    cluster = gate.cluster
    cluster.kubectl("create", "namespace", NAMESPACE)
    # While the namespace is not gated yet: nobody approves this one.
    ringed = workload(NAMESPACE, name="ringed", labels={"cabgate.dev/ring": "1"})
    ringed["spec"]["replicas"] = 0
    gate.create("admin", ringed)
    gate.create("admin", POLICY)
    gate.create("admin", freeze_of("nowhere", FREEZE))
    labels = ("cabgate.dev/ring=2", "cabgate.dev/mode=Warn", f"{POLICY_LABEL}={NAMESPACE}")
    cluster.kubectl("label", "namespace", NAMESPACE, *labels)
    for column, role in ROLES.items():
        gate.user(USERS[column], *([AUTHORS] if role else []))
        if role and column != "auditor":
            gate.bind(USERS[column], role, NAMESPACE)
    everywhere = {
        "roles-person": ("cluster-admin", f"--user={USERS['cluster admin']}"),
        "roles-robot": ("cluster-admin", f"--serviceaccount={NAMESPACE}:robot"),
        "roles-auditor": ("cabgate-auditor", f"--user={USERS['auditor']}"),
    }
    for name, (role, subject) in everywhere.items():
        args = ("create", "clusterrolebinding", name, f"--clusterrole={role}", subject)
        cluster.kubectl(*args)
    wait_until(
        lambda: {"view", "edit", "admin"} == {r for r in ("view", "edit", "admin")
                                             if rule_verbs(cluster, r)},
        "the roles are aggregated",
    )  # fmt: skip
    with_clients = {column: client_of(gate.user(USERS[column])) for column in ROLES}
    yield with_clients
    for client in with_clients.values():
        client.close()
    cluster.kubectl("delete", "clusterrolebinding", *everywhere)
    cluster.kubectl("delete", "changefreeze", FREEZE)
    cluster.kubectl("delete", "changepolicy", NAMESPACE)
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def send(client, call, *, dry_run=True):
    """The answer to a call, which is made anew while the API server's cache of a kind fills: that
    is a 429."""
    params = {"dryRun": "All"} if dry_run and call.method != "GET" else {}
    content = None if call.body is None else json.dumps(call.body)
    headers = {"Content-Type": call.kind}
    about = {"params": params, "content": content, "headers": headers}

    def answer():
        found = client.request(call.method, call.path, **about)
        return found if found.status_code != 429 else None

    return wait_until(answer, f"{call.method} {call.path} is answered")


def authored(gate, clients, whose, name, evidence):
    """An intent: another's, or one that whoever is in the table has a part in."""
    obj = intent(NAMESPACE, name=name, images=(f"{name}:1",), evidence=evidence)
    gate.create("requester", obj)
    if whose == "own":
        path = f"{Stage(NAMESPACE).path('deploymentintents')}/{name}"
        for column, client in clients.items():
            if column != "operator":
                body = {"spec": {"summary": f"changed by {column}"}}
                answer = send(client, Call("PATCH", path, body, "application/merge-patch+json"),
                              dry_run=False)  # fmt: skip
                assert answer.status_code == 200, (column, answer.text)


PARTS = {
    "submitted": (MIDDLING, "Submitted"),
    "approved": (MIDDLING, "Submitted"),
    "conditional": (MIDDLING, "Submitted"),
    "senior": (RISKIER, "Submitted"),
    "bad": (BAD, "ExceptionRequired"),
}


@pytest.fixture
def stage(gate, clients):
    """The objects of the table, in the states that its actions need; the operator is paused, so
    that they stay there."""
    gate.user("judge")
    gate.bind("judge", "cabgate-cab-member", NAMESPACE)
    gate.bind("judge", "cabgate-security-reviewer", NAMESPACE)
    cluster = gate.cluster
    args = ("--clusterrole=cabgate-requester", f"--group={AUTHORS}", "-n", NAMESPACE)
    cluster.kubectl("create", "rolebinding", AUTHORS, *args)
    made = Stage(NAMESPACE)
    for whose, (part, (evidence, _)) in itertools.product(("own", "another"), PARTS.items()):
        authored(gate, clients, whose, f"{whose}-{part}", evidence)
    cluster.kubectl("delete", "rolebinding", AUTHORS, "-n", NAMESPACE)
    for whose, (part, (_, state)) in itertools.product(("own", "another"), PARTS.items()):
        request = gate.request_of(NAMESPACE, f"{whose}-{part}", state)["metadata"]["name"]
        if part == "approved":
            gate.review("judge", "cabrequest", request, NAMESPACE, "Approved")
        elif part == "conditional":
            verdict = "ConditionallyApproved"
            gate.review("judge", "cabrequest", request, NAMESPACE, verdict, conditions=CONDITIONS)
        elif part == "bad":
            for name in (f"{whose}-pending", f"{whose}-leave"):
                gate.create("requester", exception(NAMESPACE, request, name=name))
                gate.wait_state("cabexception", name, NAMESPACE, "Pending")
            gate.review("judge", "cabexception", f"{whose}-leave", NAMESPACE, "Approved")
        made.objects[whose, part] = {"kind": "CABRequest", "metadata": {"name": request}}
    with paused(gate.installation.operator):
        for whose, part in made.objects:
            name = made.objects[whose, part]["metadata"]["name"]
            made.objects[whose, part] = gate.get("cabrequest", name, NAMESPACE)
        for whose in ("own", "another"):
            made.objects[whose, "intent"] = gate.get(
                "deploymentintent", f"{whose}-submitted", NAMESPACE
            )
            for kind in ("pending", "leave"):
                made.objects[whose, kind] = gate.get("cabexception", f"{whose}-{kind}", NAMESPACE)
        for kind in ("unopened", "by score"):
            name = kind.replace(" ", "-")
            gate.create("requester", intent(NAMESPACE, name=name, images=(f"{name}:1",)))
            made.objects["another", kind] = opened(gate, name)
        answer = send(
            clients["operator"],
            Call("POST", made.path("cabrequests"), made.objects["another", "by score"]),
            dry_run=False,
        )
        assert answer.status_code == 201, answer.text
        made.objects["another", "by score"] = answer.json()
        made.objects["another", "namespace"] = read(gate, "namespace", NAMESPACE)
        made.objects["another", "ringed"] = wait_until(
            lambda: settled(gate.get("deployment", "ringed", NAMESPACE)), "a Deployment rests"
        )
        made.objects["another", "freeze"] = read(gate, "changefreeze", FREEZE)
        made.objects["another", "model"] = read(gate, "riskmodel", "default")
        record = wait_until(lambda: records(gate)[-1], "a record of the ledger")
        made.objects["another", "record"] = record
        made.objects["another", "new record"] = after(record)
        yield made


def read(gate, kind, name):
    return json.loads(gate.cluster.kubectl("get", kind, name, "-o", "json").stdout)


def settled(deployment):
    """A Deployment that no controller is about to write; None until then."""
    conditions = deployment.get("status", {}).get("conditions", [])
    return deployment if len(conditions) == 2 else None


def records(gate):
    """The ledger of the namespace."""
    selector = f"--field-selector=spec.subject.namespace={NAMESPACE}"
    items = json.loads(gate.cluster.kubectl("get", "cabdec", selector, "-o", "json").stdout)
    return sorted(items["items"], key=lambda item: item["spec"]["sequence"])


def after(record):
    """A record for the next place in a chain."""
    spec = {**record["spec"], "sequence": record["spec"]["sequence"] + 1}
    spec["previousDigest"] = record["spec"]["digest"]
    name = f"{NAMESPACE}.{spec['sequence']:08}"
    return {**record, "metadata": {"name": name}, "spec": spec}


def opened(gate, name):
    """The request that an intent asks for, which the operator, paused, has not made."""
    raw = gate.get("deploymentintent", name, NAMESPACE)
    policy = ChangePolicy.model_validate(POLICY)
    request = request_for(DeploymentIntent.model_validate(raw), 2, policy=policy)
    body = {"apiVersion": raw["apiVersion"], "kind": "CABRequest", **request.to_dict()}
    body["metadata"]["labels"] = dict(request.metadata.labels)
    return body


def tried(client, calls):
    """Whether one of some calls passes, and what was said to those that did not."""
    said = []
    for call in calls:
        answer = decided_answer(lambda call=call: send(client, call))
        if answer.is_success:
            return True, ""
        assert answer.status_code in (403, 422), (call.path, answer.status_code, answer.text)
        said.append(answer.json()["message"])
    return False, " / ".join(said)


def outcome(client, stage, action):
    """What a cell should say, and what was said to who was refused."""
    results = {whose: tried(client, action.tries(stage, whose)) for whose in action.whose}
    passed = [whose for whose, (good, _) in results.items() if good]
    said = " / ".join(message for _, message in results.values())
    if passed == list(action.whose):
        return "yes", said
    return ("not on own" if passed == ["another"] else "no" if not passed else "own alone"), said


def read_outcome(client, plurals):
    paths = [f"{API}/{p}" if p in CLUSTER_WIDE else Stage(NAMESPACE).path(p) for p in plurals]
    answers = [send(client, Call("GET", path)).status_code for path in paths]
    assert set(answers) <= {200, 403}
    return "yes" if set(answers) == {200} else "no" if set(answers) == {403} else "some"


@pytest.fixture(scope="module")
def tokens(gate, people_tokens):
    """A token for each column."""
    made = {}
    for column, user in USERS.items():
        made[column] = people_tokens.get(user)
        if user.startswith("system:serviceaccount:"):
            made[column] = gate.cluster.service_account_token(*user.split(":")[2:])
    return made


def test_the_table_of_the_docs_says_what_is(clients, stage, portal, tokens):
    """By the API server, and by the REST API as far as that has an operation for a row."""
    rows = table()
    assert set(rows) == {*READING, *ACTIONS}
    assert all(list(row) == list(ROLES) for row in rows.values())
    wrong = []
    for (name, row), (column, client) in itertools.product(rows.items(), clients.items()):
        if name in READING:
            found, said = read_outcome(client, READING[name]), ""
        else:
            found, said = outcome(client, stage, ACTIONS[name])
        if found != row[column]:
            wrong.append(f"{column}: {name}: docs say {row[column]}, but: {found} {said}")
        elif column == "cluster admin" and found != "yes" and ACTIONS[name].because not in said:
            wrong.append(f"{column}: {name}: refused for another reason: {said}")
    for column, token in tokens.items():
        with portal.client(token) as client:
            for name in (*role_calls.READING, *role_calls.CALLS):
                whose = ACTIONS[name].whose if name in ACTIONS else ()
                found, said = role_calls.outcome(client, stage, name, whose)
                if found != rows[name][column]:
                    wrong.append(f"{column} by REST: {name}: docs say {rows[name][column]}, "
                                 f"but: {found} {said}")  # fmt: skip
    assert not wrong, "\n".join(wrong)


def test_the_stock_roles_get_reading_and_writing_and_no_verb_of_ours(gate, clients):
    cluster = gate.cluster
    assert {verb for _, verb in rule_verbs(cluster, "view")} == READING_VERBS
    writing = {(kind, verb) for kind, verb in rule_verbs(cluster, "edit")
               if verb not in READING_VERBS}  # fmt: skip
    kinds, verbs = ("deploymentintents", "cabexceptions"), ("create", "update", "patch", "delete")
    assert writing == set(itertools.product(kinds, verbs))
    for role in ("view", "edit", "admin", "cabgate-requester", "cabgate-auditor"):
        given = {verb for _, verb in rule_verbs(cluster, role)}
        assert not given & {*OWN_VERBS, "*"}, role


def verdict(gate, client, request, namespace):
    """What is said to an approval; empty where it passes."""
    body = {"status": {"review": {"verdict": "Approved", "rationale": "tried"}}}
    path = Stage(namespace).path("cabrequests", request, "status")
    good, said = tried(client, [Call("PATCH", path, body, "application/merge-patch+json")])
    return "" if good else said


def test_a_verb_counts_where_and_as_long_as_it_is_bound(gate, make_namespace):
    """In its own namespace alone, through a group too, and no longer than the binding stands: the
    status of requests may be written throughout, so that only the verb is asked for."""
    here, elsewhere = make_namespace(), make_namespace()
    cluster = gate.cluster
    requests = {}
    for namespace in (here, elsewhere):
        gate.apply("requester", intent(namespace, evidence=MIDDLING))
        cluster.kubectl(
            *("create", "role", "writer", "--verb=get,update,patch", "-n", namespace),
            "--resource=cabrequests.cabgate.dev/status",
        )
        args = ("rolebinding", "writer", "--role=writer", "--group=roles-cab", "-n", namespace)
        cluster.kubectl("create", *args)
    for namespace in (here, elsewhere):
        requests[namespace] = gate.request_of(namespace, state="Submitted")["metadata"]["name"]
    with client_of(gate.user("roles-member", "roles-cab")) as client:

        def said(namespace):
            return verdict(gate, client, requests[namespace], namespace)

        refusal = "NotAuthorized: roles-member lacks the RBAC verb 'approve'"
        assert refusal in said(here)
        for _ in range(2):  # given, taken away, given again: no answer is remembered
            args = ("cab", "--clusterrole=cabgate-cab-member", "--group=roles-cab", "-n", here)
            cluster.kubectl("create", "rolebinding", *args)
            wait_until(lambda: said(here) == "", "the verb counts")
            assert refusal in said(elsewhere)
            cluster.kubectl("delete", "rolebinding", "cab", "-n", here)
            wait_until(lambda: refusal in said(here), "the verb counts no more")


def test_good_evidence_is_still_approved_once_the_operator_goes_on(gate, namespace):
    """The table pauses the operator: it is left as it was found."""
    gate.open(namespace, GOOD, "AutoApproved")


def test_our_definitions_are_deleted_by_who_may_uninstall_alone(gate):
    role = ("create", "clusterrole")
    bind = ("create", "clusterrolebinding")
    gate.cluster.kubectl(*role, "crds", "--verb=*", "--resource=customresourcedefinitions")
    gate.cluster.kubectl(*bind, "crds", "--clusterrole=crds", "--user=crds", "--user=leaver")
    manifest = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "leaver"},
        "rules": [
            {"apiGroups": ["cabgate.dev"], "resources": ["installations"], "verbs": ["uninstall"]}
        ],
    }
    gate.cluster.kubectl("create", "-f", "-", stdin=json.dumps(manifest))
    gate.cluster.kubectl(*bind, "leaver", "--clusterrole=leaver", "--user=leaver")
    for plural in ("cabdecisions", "cabrequests", "cabexceptions", "deploymentintents"):
        args = ("delete", "crd", f"{plural}.cabgate.dev", "--dry-run=server")
        wait_until(
            lambda args=args: "verb uninstall" in gate.refused("crds", *args), "its right counts"
        )
        wait_until(
            lambda args=args: not gate.kubectl("leaver", *args, check=False).returncode,
            "its verb counts",
        )
