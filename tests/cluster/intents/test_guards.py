# SPDX-License-Identifier: Apache-2.0
"""What is kept from everybody: who creates, changes and deletes records; and what the operator
itself may not write, should somebody hold its credentials."""

import copy
import json

import pytest

from cabgate_devcluster import DevCluster, wait_until
from cabgate_samples.objects import BAD, GOOD, MIDDLING, exception, intent
from support.gate import denial, install, paused
from support.reviews import now

OPERATOR = "system:serviceaccount:cabgate-system:cabgate-operator"
BETTER = {**MIDDLING, "scope": {"affectedComponents": 2}}


@pytest.fixture(scope="module")
def cluster():
    """A cluster of our own: its operator is going rogue."""
    with DevCluster() as running:
        yield running


@pytest.fixture(scope="module")
def gate(cluster):
    return install(cluster)


def created_by(gate, user, obj, *args):
    return gate.create(user, obj, *args, check=False)


def template(gate, namespace, evidence=MIDDLING, state="Submitted", name="web", **spec):
    """A request as the operator would create it now: the stored one, of an intent's twin, taken
    away while the operator stands still."""
    gate.open(namespace, evidence, state, name=name, **spec)
    stored = gate.request_of(namespace, name, state)
    metadata = {key: stored["metadata"][key] for key in ("name", "namespace", "labels")}
    return {**{k: stored[k] for k in ("apiVersion", "kind", "spec")}, "metadata": metadata}


@pytest.fixture
def unopened(gate, namespace):
    """The request that an intent asks for and that the operator, standing still, has not opened."""
    body = template(gate, namespace)
    # The operator alone deletes requests, and has no need for the verb: the cluster admin lends it.
    gate.cluster.kubectl(
        *("create", "clusterrolebinding", f"lend-{namespace}", "--clusterrole=cluster-admin"),
        f"--serviceaccount={OPERATOR.split(':')[2]}:{OPERATOR.split(':')[3]}",
    )
    with paused(gate.installation.operator):
        gate.kubectl(OPERATOR, "delete", "cabrequest", body["metadata"]["name"], "-n", namespace)
        yield body
    gate.cluster.kubectl("delete", "clusterrolebinding", f"lend-{namespace}")


# Everybody


def test_nobody_but_the_operator_creates_a_request(gate, namespace, unopened):
    machine = f"system:serviceaccount:{namespace}:robot"
    gate.user(machine)
    gate.bind(machine, "cluster-admin", namespace)
    for user in ("admin", machine):
        for args in ((), ("--dry-run=server",)):
            result = created_by(gate, user, unopened, *args)
            assert denial(result).startswith("WrittenByOperatorOnly: requests are created by"), user
    result = gate.kubectl("admin", "apply", "--server-side", "-f", "-",
                          stdin=json.dumps(unopened), check=False)  # fmt: skip
    assert denial(result).startswith("WrittenByOperatorOnly: ")
    assert gate.items("cabrequests", namespace) == []


def test_nobody_deletes_a_request(gate, namespace):
    name = gate.open(namespace, MIDDLING, "Submitted")
    controller = "system:serviceaccount:kube-system:generic-garbage-collector"
    for user in ("admin", controller):
        for args in (("delete", "cabrequest", name), ("delete", "cabrequests", "--all")):
            message = gate.refused(user, *args, "-n", namespace)
            assert "only the cabgate operator deletes it" in message or user == controller, message
    message = gate.cluster.kubectl("delete", "cabrequest", name, "-n", namespace, check=False)
    assert "record" in message.stderr, "not system:masters either"
    gate.refused("admin", "delete", "--raw",
                 f"/apis/cabgate.dev/v1alpha1/namespaces/{namespace}/cabrequests")  # fmt: skip
    assert gate.get("cabrequest", name, namespace)


def test_no_owner_and_no_finalizer_ties_a_request_down(gate, namespace):
    name = gate.open(namespace, MIDDLING, "Submitted")
    owner = gate.get("deploymentintent", "web", namespace)["metadata"]
    reference = {
        "apiVersion": "cabgate.dev/v1alpha1",
        "kind": "DeploymentIntent",
        "name": "web",
        "uid": owner["uid"],
    }
    label = next(iter(gate.get("cabrequest", name, namespace)["metadata"]["labels"]))
    rows = {
        "an owner": {"ownerReferences": [reference]},
        "a dead owner": {"ownerReferences": [{**reference, "uid": "gone"}]},
        "a finalizer": {"finalizers": ["example.com/wait"]},
        "another label": {"labels": {"x": "y"}},
        "a target's label": {"labels": {"target.cabgate.dev/" + "0" * 40: ""}},
        "its label gone": {"labels": {label: None}},
        "its label changed": {"labels": {label: "x"}},
        "no labels": {"labels": None},
    }
    before = gate.get("cabrequest", name, namespace)["metadata"]
    for user in ("admin", OPERATOR):
        for what, metadata in rows.items():
            result = gate.patch(
                user, "cabrequest", name, namespace, {"metadata": metadata}, check=False
            )
            assert result.returncode != 0, (user, what)
            if user == "admin":
                assert denial(result).startswith("WrittenByOperatorOnly: metadata."), what
            result = gate.patch_status(user, "cabrequest", name, namespace, {"metadata": metadata})
    after = gate.get("cabrequest", name, namespace)["metadata"]
    for key in ("labels", "ownerReferences", "finalizers"):
        assert after.get(key) == before.get(key)
    gate.kubectl("admin", "annotate", "cabrequest", name, "ticket=42", "-n", namespace)


def test_deleting_the_intent_leaves_its_requests(gate, namespace):
    name = gate.open(namespace, GOOD, "AutoApproved")
    assert "ownerReferences" not in gate.get("cabrequest", name, namespace)["metadata"]
    gate.kubectl("requester", "delete", "deploymentintent", "web", "-n", namespace)
    assert gate.get("cabrequest", name, namespace)["status"]["state"] == "AutoApproved"


# The operator's credentials in other hands


def changed(body, path, value):
    """A copy of an object with something else at a path of keys; None takes it away."""
    made = copy.deepcopy(body)
    place = made
    for key in path[:-1]:
        place = place[key]
    if value is None:
        place.pop(path[-1], None)
    else:
        place[path[-1]] = value
    return made


FORGED_REQUESTS = [
    # path, another value, the field that the refusal names (or none of ours: the schema's)
    (("spec", "assessment", "score"), "0.00", "spec.assessment"),
    (("spec", "assessment", "gate"), "AutoApprove", "spec.assessment"),
    (("spec", "assessment", "missing"), ["scope"], "spec.assessment"),
    (("spec", "assessment", "riskModel", "version"), "0", "spec.assessment"),
    (("spec", "assessment", "floors"), [{"name": "x", "gate": "AutoApprove", "explanation": "x"}],
     "spec.assessment"),
    (("spec", "evidence"), GOOD, "spec.evidence"),
    (("spec", "evidence", "scope", "affectedComponents"), 9, "spec.evidence"),
    (("spec", "evidenceDigest"), "v1:sha256:" + "0" * 64, "spec.evidenceDigest"),
    (("spec", "submittedBy"), None, "spec.submittedBy"),
    (("spec", "submittedBy"), [{"username": "somebody"}], "spec.submittedBy"),
    (("spec", "requester"), None, "spec.requester"),
    (("spec", "requester"), "somebody", "spec.requester"),
    (("spec", "requestedBy"), None, "spec.requestedBy"),
    (("spec", "requestedBy"), ["somebody"], "spec.requestedBy"),
    (("spec", "targets", 0, "images"), ["web:1", "evil:1"], "spec.targets"),
    (("spec", "targets", 0, "name"), "other", None),
    (("spec", "correlationID"), "CAB-0", "spec.correlationID"),
    (("spec", "summary"), "harmless", "spec.summary"),
    (("spec", "intentRef", "uid"), "0", "spec.intentRef"),
    (("spec", "intentRef", "generation"), 99, "spec.intentRef"),
    (("spec", "intentRef", "name"), "other", "spec.intentRef.name"),
    (("metadata", "name"), "web-00000000", "metadata.name"),
    (("metadata", "labels"), None, "metadata.labels"),
    (("metadata", "finalizers"), ["example.com/wait"], "metadata.finalizers"),
    (
        ("metadata", "ownerReferences"),
        [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "x"}],
        "metadata.ownerReferences",
    ),
]  # fmt: skip


def test_the_operator_opens_exactly_what_the_intent_asks_for(gate, namespace, unopened):
    gate.apply("requester", intent(namespace, evidence=MIDDLING, requester="alice"))
    # The intent changed, the evidence did not: generation and requester are what is new.
    live = gate.get("deploymentintent", "web", namespace)
    unopened["spec"] |= {"requester": "alice", "requestedBy": ["alice"]}
    unopened["spec"]["intentRef"]["generation"] = live["metadata"]["generation"]
    for path, value, field in FORGED_REQUESTS:
        result = created_by(gate, OPERATOR, changed(unopened, path, value), "--dry-run=server")
        said = denial(result)
        assert said.startswith("WrongContent: "), (path, said)
        if field:
            assert said.startswith(f"WrongContent: {field}: "), (path, said)
    more = copy.deepcopy(unopened)
    more["metadata"]["labels"]["target.cabgate.dev/" + "0" * 40] = ""
    assert denial(created_by(gate, OPERATOR, more)).startswith("WrongContent: metadata.labels: ")
    other = copy.deepcopy(unopened)
    other["metadata"]["name"] = "nobody-12345678"
    other["spec"]["intentRef"]["name"] = "nobody"
    said = denial(created_by(gate, OPERATOR, other))
    assert said.startswith("WrongContent: spec.intentRef.name: no such DeploymentIntent")
    decided = {**unopened, "status": {"state": "Approved"}}
    gate.create(OPERATOR, decided, "--dry-run=server")
    gate.create(OPERATOR, decided)
    stored = gate.get("cabrequest", unopened["metadata"]["name"], namespace)
    assert "status" not in stored, "a status sent with a creation is dropped"


def entry(request, verdict, **changes):
    """An entry as the operator would write it."""
    made = {
        "sequence": len(request.get("status", {}).get("decisions", [])) + 1,
        "verdict": verdict,
        "author": {"type": "System", "username": OPERATOR},
        "at": now(),
        "rationale": "crafted",
        "evidenceDigest": request["spec"]["evidenceDigest"],
    }
    return {**made, **changes}


def status_replaced(gate, obj, change, *args):
    """The result of the operator's write of the stored status, as `change` leaves it."""
    metadata = obj["metadata"]
    return gate.replace(
        *(OPERATOR, obj["kind"].lower(), metadata["name"], metadata["namespace"]),
        *(lambda stored: change(stored["status"]), "--subresource=status", *args),
        check=False,
    )


def written(gate, obj, state, *entries, **changes):
    """The result of the operator's try at a status: this state, these entries more."""

    def change(status):
        decisions = [*status.get("decisions", []), *entries]
        status |= {"state": state, **({"decisions": decisions} if decisions else {}), **changes}

    return status_replaced(gate, obj, change, "--dry-run=server")


def test_the_operator_gives_no_verdict_that_is_not_its_own(gate, namespace):
    name = gate.open(namespace, MIDDLING, "Submitted")
    request = gate.get("cabrequest", name, namespace)
    person = {"type": "Person", "username": "reviewer"}
    rows = {
        "approves what a person must": ("AutoApproved", entry(request, "AutoApproved")),
        "approves": ("Approved", entry(request, "Approved")),
        "rejects": ("Rejected", entry(request, "Rejected")),
        "in a person's name": ("Approved", entry(request, "Approved", author=person)),
        "as a person": (
            "Approved",
            entry(request, "Approved", author={"type": "Person", "username": OPERATOR}),
        ),
        "as another system": (
            "Superseded",
            entry(request, "Superseded", author={"type": "System", "username": "kopf"}),
        ),
        "supersedes what is current": ("Superseded", entry(request, "Superseded")),
        "reopens what is open": ("Submitted", entry(request, "Reopened")),
        "backdated": ("Superseded", entry(request, "Superseded", at=now(minutes=-6))),
        "postdated": ("Superseded", entry(request, "Superseded", at=now(minutes=6))),
    }
    with paused(gate.installation.operator):
        for what, (state, made) in rows.items():
            said = denial(written(gate, request, state, made))
            assert said.startswith("WrongContent: status."), (what, said)
        for state in ("Approved", "AutoApproved", "Superseded", "Rejected", "UnderReview"):
            said = denial(written(gate, request, state))
            assert said.startswith("WrongContent: status.state: must be Submitted"), state
        said = denial(
            written(gate, request, "Submitted", review={"verdict": "Approved", "rationale": "x"})
        )
        assert said.startswith("WrongContent: status.review: belongs to the reviewer")
        assert written(gate, request, "Submitted").returncode == 0


def test_the_operator_approves_by_score_once_and_only_what_is_current(gate, namespace):
    name = gate.open(namespace, GOOD, "AutoApproved")
    request = gate.get("cabrequest", name, namespace)
    with paused(gate.installation.operator):
        said = denial(written(gate, request, "AutoApproved", entry(request, "AutoApproved")))
        assert "AutoApproved is not legal in state AutoApproved" in said
        said = denial(written(gate, request, "Superseded", entry(request, "Superseded")))
        assert "the intent still asks for this request" in said
        changes = (
            lambda status: [status.pop("decisions"), status.update(state="Submitted")],
            lambda status: status.update(state="Submitted", decisions=[]),
            lambda status: status["decisions"][0].update(rationale="other"),
        )
        for change in changes:
            assert status_replaced(gate, request, change, "--dry-run=server").returncode != 0


def test_the_operator_reopens_only_what_the_intent_asks_for_again(gate, namespace):
    first = gate.open(namespace, MIDDLING, "Submitted")
    gate.open(namespace, BETTER, "Submitted")
    request = gate.wait_state("cabrequest", first, namespace, "Superseded")
    with paused(gate.installation.operator):
        said = denial(written(gate, request, "Submitted", entry(request, "Reopened")))
        assert "the intent does not ask for this request now" in said
        gate.apply("requester", intent(namespace, evidence=MIDDLING))
        assert written(gate, request, "Submitted", entry(request, "Reopened")).returncode == 0
        twice = [entry(request, "Reopened"), entry(request, "Superseded", sequence=3)]
        said = denial(written(gate, request, "Superseded", *twice))
        assert "the intent still asks for this request" in said


def test_the_operator_ends_no_exception_early_and_moves_no_end(gate, namespace):
    name = gate.open(namespace, BAD, "ExceptionRequired")
    gate.create("requester", exception(namespace, name))
    leave = gate.wait_state("cabexception", "leave", namespace, "Pending")
    request = gate.get("cabrequest", name, namespace)
    expired = entry({**leave, "spec": request["spec"]}, "Expired")
    approved = {**expired, "verdict": "Approved"}
    person = {"type": "Person", "username": "security"}
    with paused(gate.installation.operator):
        rows = {
            "expired early": ("Expired", [expired], {}),
            "expired early, its clock ahead": ("Expired", [{**expired, "at": now(days=31)}], {}),
            "expired, the state alone": ("Expired", [], {}),
            "approved": ("Approved", [approved], {}),
            "approved as a person": ("Approved", [{**approved, "author": person}], {}),
            "approved, the state alone": ("Approved", [], {}),
            "the end moved": ("Pending", [], {"expiresAt": "2099-01-01T00:00:00Z"}),
            "the end removed": ("Pending", [], {"expiresAt": None}),
            "a review": ("Pending", [], {"review": {"verdict": "Approved", "rationale": "x"}}),
        }
        for what, (state, entries, status) in rows.items():
            said = denial(written(gate, leave, state, *entries, **status))
            assert said.startswith("WrongContent: status."), (what, said)
        assert written(gate, leave, "Pending").returncode == 0


def test_the_operator_cannot_wash_submitters_off_by_the_intents_status(gate, namespace):
    """`submittedBy` starts anew after a decided request, which the intent's status tells: so the
    status must not tell of a decision that nobody made."""
    gate.user("both")
    for role in ("cabgate-requester", "cabgate-cab-member"):
        gate.bind("both", role, namespace)
    gate.open(namespace, MIDDLING, "Submitted", user="both")
    web = gate.get("deploymentintent", "web", namespace)
    with paused(gate.installation.operator):
        for state in ("Approved", "AutoApproved", "ConditionallyApproved", "Rejected", "Revoked"):
            said = denial(
                status_replaced(gate, web, lambda status, s=state: status.update(state=s))
            )
            assert said.startswith("WrongContent: status.state: "), (state, said)
    # Nor of another request's decision.
    gate.apply("requester", intent(namespace, name="other", evidence=GOOD))
    decided = gate.request_of(namespace, "other", "AutoApproved")
    others = {
        "state": "AutoApproved",
        "requestName": decided["metadata"]["name"],
        "evidenceDigest": decided["spec"]["evidenceDigest"],
    }
    with paused(gate.installation.operator):
        said = denial(status_replaced(gate, web, lambda status: status.update(others)))
        assert said.startswith("WrongContent: status."), said
        result = status_replaced(gate, web, lambda status: status.update(state="Submitted"))
        assert result.returncode == 0, result.stderr


def test_no_status_of_an_intent_speaks_of_what_is_not_there_yet(gate, namespace):
    gate.open(namespace, GOOD, "AutoApproved")
    with paused(gate.installation.operator):
        web = gate.get("deploymentintent", "web", namespace)
        later = {"observedGeneration": web["status"]["observedGeneration"] + 1}
        said = denial(status_replaced(gate, web, lambda status: status.update(later)))
        assert said.startswith("WrongContent: status.observedGeneration: ")


def test_the_operators_rights_end_at_its_records(gate, namespace):
    """RBAC: what the operator does not need, it may not do."""
    gate.open(namespace, GOOD, "AutoApproved")
    for args in (
        ("delete", "deploymentintent", "web"),
        ("patch", "deploymentintent", "web", "--type=merge", "-p", '{"spec":{"summary":"x"}}'),
        ("annotate", "cabrequests", "--all", "x=y"),
        ("create", "deployment", "web", "--image=web:1"),
        ("get", "secrets"),
    ):
        assert "cannot" in gate.refused(OPERATOR, *args, "-n", namespace), args


def test_the_real_operator_goes_on_after_all_this(gate, namespace):
    name = gate.open(namespace, MIDDLING, "Submitted")
    gate.review("reviewer", "cabrequest", name, namespace, "Approved")
    wait_until(
        lambda: gate.request_of(namespace, state="Approved"), "the intent shows the approval"
    )
