# SPDX-License-Identifier: Apache-2.0
"""The real portal beside a real API server, with tokens of people and of service accounts: what
each may do is what kubectl lets them, and the ledger names whose token it was."""

import hashlib
import itertools
import socket

import httpx
import pytest

from cabgate_devcluster import wait_until
from cabgate_samples.objects import BAD, MIDDLING, exception, intent, target, workload
from support.clients import client_of
from support.namespaces import create_namespace
from support.portal import PEOPLE, ROBOT, ROBOTS, People


@pytest.fixture(scope="module")
def people(gate, portal, people_tokens):
    create_namespace(gate.cluster, ROBOTS)
    tokens = {
        **{who: people_tokens[who] for who in PEOPLE},
        ROBOT: gate.cluster.service_account_token(ROBOTS, ROBOT),
        "forged": "aaaa.bbbb.cccc",
        "long": "x" * 9000,
    }
    made = People(gate, portal, tokens)
    yield made
    made.close()


@pytest.fixture
def shop(people):
    """A namespace in which everybody has their roles."""
    return people.shop()


def test_a_pipeline_submits_a_reviewer_decides_and_the_ledger_names_them(people, shop):
    which, digest = people.submitted(shop)
    body = intent(shop, evidence=MIDDLING, images=("web:1",))
    assert people("tess", "POST", "/submit", body).status_code == 200
    shown = people("rita", "GET", f"/{which}")
    assert shown.json()["view"]["evidenceDigest"] == digest
    tag = shown.headers["etag"]
    again = people("rita", "GET", f"/{which}", headers={"If-None-Match": tag})
    assert again.status_code == 304
    rows = people("rita", "GET", f"/pending?namespace={shop}").json()["items"]
    assert [row["id"] for row in rows] == [which]
    mine = people("tess", "GET", f"/my-requests?namespace={shop}").json()["items"]
    assert [row["id"] for row in mine] == [which]

    stale = {"evidenceDigest": f"v1:sha256:{'0' * 64}", "rationale": "As agreed"}
    refused = people("rita", "POST", f"/{which}/approve", stale)
    assert (refused.status_code, refused.json()["code"]) == (403, "DigestMismatch")
    assert refused.json()["auditId"]
    elsewhere = {"evidenceDigest": digest, "rationale": "As agreed", "uid": "another"}
    assert people("rita", "POST", f"/{which}/approve", elsewhere).status_code == 403
    decision = {"evidenceDigest": digest, "rationale": "As agreed"}
    own = people("tess", "POST", f"/{which}/approve", decision)
    assert own.status_code == 403
    dry = people("rita", "POST", f"/{which}/approve?dryRun=true", decision)
    assert (dry.status_code, dry.json()["state"]) == (200, "Approved")
    assert people("rita", "GET", f"/{which}").json()["outcome"] == "open"
    taken = people("rita", "POST", f"/{which}/take", {"evidenceDigest": digest})
    assert (taken.status_code, taken.json()["state"]) == (200, "UnderReview"), taken.text
    approved = people("rita", "POST", f"/{which}/approve", decision)
    assert (approved.status_code, approved.json()["state"]) == (200, "Approved")

    waited = people("tess", "POST", "/submit?wait=60", body)
    assert (waited.status_code, waited.json()["outcome"]) == (200, "approved")
    decisions = people("tess", "GET", f"/{which}/decisions").json()["items"]
    assert [(each["verdict"], each["by"]) for each in decisions] == [
        ("UnderReview", "rita"),
        ("Approved", "rita"),
    ]

    def recorded():
        selector = {"fieldSelector": f"spec.subject.namespace={shop}"}
        path = "/apis/cabgate.dev/v1alpha1/cabdecisions"
        items = client.get(path, params=selector).json()["items"]
        return [each for each in items if each["spec"]["verdict"] == "Approved"]

    with client_of(people.gate.user("admin")) as client:
        (record,) = wait_until(recorded, "the ledger has the approval")
    assert record["spec"]["author"]["username"] == "rita"
    assert people("rita", "GET", f"/ledger?namespace={shop}").status_code == 403


def test_a_hundred_of_a_hundred_stale_digests_are_refused(people, shop):
    which, digest = people.submitted(shop)
    _, of_another = people.submitted(shop, name="other")
    made_up = (hashlib.sha256(str(number).encode()).hexdigest() for number in range(99))
    stale = [of_another, *(f"v1:sha256:{each}" for each in made_up)]
    path = f"/{which}/approve"
    answers = [
        people("rita", "POST", path, {"evidenceDigest": each, "rationale": "As agreed"})
        for each in stale
    ]
    refused = [(each.status_code, each.json()["code"]) for each in answers]
    assert refused == [(403, "DigestMismatch")] * 100
    assert people("rita", "GET", f"/{which}/decisions").json()["items"] == []
    good = people("rita", "POST", path, {"evidenceDigest": digest, "rationale": "As agreed"})
    assert (good.status_code, good.json()["state"]) == (200, "Approved")


def test_an_exception_is_requested_and_decided(people, shop):
    which, digest = people.submitted(shop, BAD, "bad", "ExceptionRequired")
    body = exception(shop, which.partition(".")[2], name="leave")
    made = people("tess", "POST", "/exceptions", body)
    assert made.status_code == 201, made.text
    assert people("tess", "POST", "/exceptions", body).status_code == 200
    changed = {**body, "spec": {**body["spec"], "reason": "Another"}}
    assert people("tess", "POST", "/exceptions", changed).status_code == 422
    people.gate.wait_state("cabexception", "leave", shop, "Pending")
    decision = {"evidenceDigest": digest, "rationale": "For a day", "uid": made.json()["uid"]}
    path = f"/exceptions/{shop}.leave"
    assert people("rita", "POST", f"{path}/approve", decision).status_code == 403
    other = {**decision, "uid": "another"}
    assert people("sam", "POST", f"{path}/approve", other).status_code == 403
    approved = people("sam", "POST", f"{path}/approve", decision)
    assert (approved.status_code, approved.json()["outcome"]) == (200, "approved"), approved.text
    assert people("tess", "GET", f"{path}?wait=30").json()["outcome"] == "approved"
    for query in ("", "&state=Approved", "&intent=bad"):
        found = people("tess", "GET", f"/exceptions?namespace={shop}{query}").json()["items"]
        assert [each["id"] for each in found] == [f"{shop}.leave"]
    assert (
        people("tess", "GET", f"/exceptions?namespace={shop}&state=Pending").json()["items"] == []
    )
    revoked = people("sam", "POST", f"{path}/revoke", decision)
    assert (revoked.status_code, revoked.json()["outcome"]) == (200, "refused")


API = "/apis/cabgate.dev/v1alpha1/namespaces"


def test_each_may_by_the_portal_what_they_may_by_the_api_server(people, shop):
    which, digest = people.submitted(shop)
    bad, bad_digest = people.submitted(shop, BAD, "bad", "ExceptionRequired")
    body = exception(shop, bad.partition(".")[2], name="leave")
    uid = people("tess", "POST", "/exceptions", body).json()["uid"]
    people.gate.wait_state("cabexception", "leave", shop, "Pending")
    on_terms, terms_digest = people.submitted(shop, name="terms")
    watched = [{"name": "watch", "description": "Watch it", "attestation": "Required"}]
    of_terms = {"evidenceDigest": terms_digest, "rationale": "As agreed"}
    approved = people("rita", "POST", f"/{on_terms}/approve", {**of_terms, "conditions": watched})
    assert approved.status_code == 200, approved.text
    old, old_digest = people.submitted(shop, BAD, "old", "ExceptionRequired")
    made = people("tess", "POST", "/exceptions",
                  exception(shop, old.partition(".")[2], name="granted"))  # fmt: skip
    of_granted = {"evidenceDigest": old_digest, "rationale": "tried", "uid": made.json()["uid"]}
    people.gate.wait_state("cabexception", "granted", shop, "Pending")
    granted = people("sam", "POST", f"/exceptions/{shop}.granted/approve", of_granted)
    assert granted.status_code == 200, granted.text
    request = f"{API}/{shop}/cabrequests/{which.partition('.')[2]}"
    leave = f"{API}/{shop}/cabexceptions/leave"
    new = intent(shop, name="new", evidence=MIDDLING, images=("new:1",))
    asked = exception(shop, bad.partition(".")[2], name="asked")
    apply = "application/apply-patch+yaml"

    def review(verdict, of, **more):
        return {
            "metadata": more.pop("metadata", {}),
            "status": {
                "review": {
                    "verdict": verdict, "rationale": "tried", "evidenceDigest": of, **more
                }
            },
        }  # fmt: skip

    said = {"evidenceDigest": digest, "rationale": "tried"}
    of_leave = {"evidenceDigest": bad_digest, "rationale": "tried", "uid": uid}
    cells = {
        "submit": (
            ("POST", "/submit", new),
            ("PATCH", f"{API}/{shop}/deploymentintents/new", new, apply),
        ),
        "request an exception": (
            ("POST", "/exceptions", asked),
            ("PATCH", f"{API}/{shop}/cabexceptions/asked", asked, apply),
        ),
        "read a request": (("GET", f"/{which}", None), ("GET", request, None)),
        "read exceptions": (
            ("GET", f"/exceptions?namespace={shop}", None),
            ("GET", f"{API}/{shop}/cabexceptions", None),
        ),
        "read the ledger": (
            ("GET", "/ledger", None),
            ("GET", "/apis/cabgate.dev/v1alpha1/cabdecisions", None),
        ),
        **{
            verb: (
                ("POST", f"/{which}/{verb}", said),
                ("PATCH", f"{request}/status", review(verdict, digest)),
            )
            for verb, verdict in (
                ("take", "UnderReview"), ("approve", "Approved"), ("reject", "Rejected"),
                ("revoke", "Revoked"),
            )
        },
        **{
            f"{verb} an exception": (
                ("POST", f"/exceptions/{shop}.leave/{verb}", of_leave),
                ("PATCH", f"{leave}/status", review(verdict, bad_digest)),
            )
            for verb, verdict in (("approve", "Approved"), ("reject", "Rejected"))
        },
        "approve on conditions": (
            ("POST", f"/{which}/approve", {**said, "conditions": watched}),
            ("PATCH", f"{request}/status",
             review("ConditionallyApproved", digest, conditions=watched)),
        ),
        "attest": (
            ("POST", f"/{on_terms}/attest", {**of_terms, "condition": "watch"}),
            ("PATCH", f"{API}/{shop}/cabrequests/{on_terms.partition('.')[2]}/status",
             review("Attested", terms_digest, condition="watch")),
        ),
        "attest what nobody asked for": (
            ("POST", f"/{on_terms}/attest", {**of_terms, "condition": "another"}),
            ("PATCH", f"{API}/{shop}/cabrequests/{on_terms.partition('.')[2]}/status",
             review("Attested", terms_digest, condition="another")),
        ),
        "revoke an exception": (
            ("POST", f"/exceptions/{shop}.granted/revoke", of_granted),
            ("PATCH", f"{API}/{shop}/cabexceptions/granted/status",
             review("Revoked", old_digest)),
        ),
    }  # fmt: skip
    wrong, passed = [], set()
    for (name, (ours, theirs)), who in itertools.product(cells.items(), people.tokens):
        method, path, content = ours
        writes = "?dryRun=true" if method == "POST" else ""
        found = people(who, method, path + writes, content)
        params = {"dryRun": "All"} if method == "POST" else {}
        if len(theirs) == 4:
            params["fieldManager"] = "tried"
        direct = people.direct(who, *theirs, **params)
        codes = {201: 200}
        pair = [codes.get(each.status_code, each.status_code) for each in (found, direct)]
        if pair[0] != pair[1]:
            wrong.append(f"{who}: {name}: {pair}: {found.text} / {direct.text}")
        if pair[0] == 200:
            passed.add((name, who))
        elif pair[0] == 403:
            assert found.json()["detail"] == direct.json()["message"], (name, who)
    assert not wrong, "\n".join(wrong)
    assert {("submit", "tess"), ("approve", "rita"), ("approve an exception", "sam")} <= passed
    assert {("approve on conditions", "rita"), ("attest", "rita")} <= passed
    assert {("revoke an exception", "sam"), ("read a request", "vera")} <= passed
    assert "attest what nobody asked for" not in {name for name, _ in passed}
    decides = {who for name, who in passed if "approve" in name}
    assert decides == {"rita", "sam"}
    assert not {name for name, who in passed if who in ("nobody", "forged", "long")}


def test_what_belongs_to_a_change_is_found_by_its_id(people, shop, people_tokens):
    change, longer, ids = "CHG0012345", "CHG00123456", []
    for name, belongs in (("web", change), ("other", longer)):
        body = intent(shop, name=name, evidence=MIDDLING, targets=[target([f"{name}:1"], name)],
                      correlationID=belongs)  # fmt: skip
        assert people("tess", "POST", "/submit", body).status_code == 201
        ids.append(people.gate.request_of(shop, name, "Submitted")["metadata"]["name"])

    def found(path, belongs):
        answer = people("tess", "GET", f"{path}?namespace={shop}&correlationID={belongs}")
        assert answer.status_code == 200, answer.text
        return [each["id"] for each in answer.json()["items"]]

    for path in ("/requests", "/pending", "/my-requests"):
        for belongs, name in zip((change, longer), ids, strict=True):
            assert found(path, belongs) == [f"{shop}.{name}"]
        assert found(path, "CHG001234") == []

    digest = people("rita", "GET", f"/{shop}.{ids[0]}").json()["view"]["evidenceDigest"]
    said = {"evidenceDigest": digest, "rationale": "As agreed"}
    assert people("rita", "POST", f"/{shop}.{ids[0]}/approve", said).status_code == 200
    auditor = ("--clusterrole=cabgate-auditor", "--user=role-auditor")
    people.gate.cluster.kubectl("create", "clusterrolebinding", f"auditor-{shop}", *auditor)
    with people.portal.client(people_tokens["role-auditor"]) as client:

        def records(belongs):
            where = f"namespace={shop}&verdict=Approved&correlationID={belongs}"
            answer = client.get(f"/ledger?{where}")
            return answer.json()["items"] if answer.status_code == 200 else []

        (record,) = wait_until(lambda: records(change), "the ledger has the approval")
        assert record["spec"]["subject"]["name"] == ids[0]
        assert records(longer) == records("CHG001234") == []
    people.gate.cluster.kubectl("delete", "clusterrolebinding", f"auditor-{shop}")


def test_a_field_of_another_manager_is_not_taken_over(people, shop):
    body = intent(shop, evidence=MIDDLING, images=("web:1",), summary="theirs")
    people.gate.apply("requester", body)
    ours = {**body, "spec": {**body["spec"], "summary": "ours"}}
    refused = people("tess", "POST", "/submit", ours)
    assert refused.status_code == 409, refused.text
    assert refused.json()["code"] == "FieldManagerConflict"
    assert refused.json()["field"] == ".spec.summary"
    assert "kubectl" in refused.json()["detail"]
    unknown = {**body, "spec": {**body["spec"], "sumary": "misspelt"}}
    refused = people("tess", "POST", "/submit", unknown)
    assert (refused.status_code, refused.json()["field"]) == (422, ".spec.sumary"), refused.text
    wrong = {**body, "spec": {**body["spec"], "summary": ["no text"]}}
    assert people("tess", "POST", "/submit", wrong).status_code == 422


def test_what_is_no_token_or_too_much_is_refused_and_told_nowhere(people, shop):
    anonymous = httpx.get(f"{people.portal.url}/api/cab/v1/pending", timeout=60)
    assert (anonymous.status_code, anonymous.headers["www-authenticate"]) == (401, "Bearer")
    for who in ("forged", "long"):
        answer = people(who, "GET", "/pending")
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
    large = intent(shop, evidence=MIDDLING, summary="x" * 300_000)
    assert people("tess", "POST", "/submit", large).status_code == 413
    assert people("tess", "GET", f"/{shop}.missing").status_code == 404
    smuggled = (
        f"GET /api/cab/v1/pending HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {people.tokens['tess']}\r\n"
        f"Authorization: Bearer {people.tokens['rita']}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", people.portal.port)) as connection:
        connection.sendall(smuggled.encode())
        assert connection.recv(64).startswith(b"HTTP/1.1 400 ")
    calls = [people("vera", "GET", "/nothing", headers={"X": "1"}) for _ in range(3)]
    assert {each.status_code for each in calls} == {404}
    assert people("tess", "GET", f"/pending?namespace={shop}").status_code == 200
    output = people.portal.output
    assert 'cabgate_portal_calls_total{code="200",operation="pending"}' in output
    assert not [who for who, token in people.tokens.items() if token in output]


def test_a_check_says_what_the_gate_would(people, shop):
    which, digest = people.submitted(shop)
    obj = workload(shop, name="web", images=("web:1",))
    path = f"/apis/apps/v1/namespaces/{shop}/deployments"
    where = f"/check?namespace={shop}&workload=deployment/web"

    def gate(images):
        made = workload(shop, name="web", images=images)
        answer = people.gate.client("requester").post(path, json=made, params={"dryRun": "All"})
        assert answer.status_code in (201, 403), answer.text
        return answer.status_code == 201, answer.json().get("message", "")

    def agrees(images):
        chosen = "".join(f"&image={image}" for image in images)
        found = people("vera", "GET", where + chosen).json()
        allowed, message = gate(images)
        assert found["allowed"] is allowed or found["allowed"] is None, found
        assert allowed or found["message"] in message, (found["message"], message)
        return found["allowed"]

    assert agrees(("web:1",)) is not True
    assert people("vera", "GET", where).status_code == 404
    # Whoever may not read the namespace is told no yes, nor a no.
    unknown = people("tess", "GET", f"{where}&image=web:1").json()
    assert unknown["allowed"] is unknown["admitted"] is None
    assert "namespace" in unknown["notes"][0]
    assert people("nobody", "GET", f"{where}&image=web:1").status_code == 403
    decision = {"evidenceDigest": digest, "rationale": "As agreed"}
    assert people("rita", "POST", f"/{which}/approve", decision).status_code == 200
    assert people("vera", "GET", f"{where}&image=web:1").json()["allowed"] is True
    assert people.gate.client("requester").post(path, json=obj).status_code == 201
    found = people("vera", "GET", where).json()
    assert (found["allowed"], found["notes"], found["images"]) == (True, [], ["web:1"])
    assert agrees(("web:2",)) is False
