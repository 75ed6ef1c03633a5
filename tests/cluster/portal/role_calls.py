# SPDX-License-Identifier: Apache-2.0
"""Rows of the table of docs/roles.md as calls of the REST API: those that it has an operation for.

Every write is a dry run.
"""

from cabgate_samples.objects import MIDDLING, exception, intent
from cluster.reviews.role_actions import CONDITIONS


def _id(obj):
    return f"{obj['metadata']['namespace']}.{obj['metadata']['name']}"


def _decision(part, verb, **more):
    """A reviewer's answer to a request."""

    def call(stage, whose):
        obj = stage.objects[whose, part]
        body = {"evidenceDigest": obj["spec"]["evidenceDigest"], "rationale": "tried", **more}
        return "POST", f"/{_id(obj)}/{verb}", body

    return call


def _exception(part, verb):
    """A security reviewer's answer to an exception."""

    def call(stage, whose):
        obj, request = stage.objects[whose, part], stage.objects[whose, "bad"]
        body = {
            "evidenceDigest": request["spec"]["evidenceDigest"],
            "rationale": "tried",
            "uid": obj["metadata"]["uid"],
        }
        return "POST", f"/exceptions/{_id(obj)}/{verb}", body

    return call


def _changed_intent(stage, whose):
    stored = stage.objects[whose, "intent"]
    names = {key: stored["metadata"][key] for key in ("namespace", "name")}
    body = {
        "apiVersion": stored["apiVersion"],
        "kind": stored["kind"],
        "metadata": names,
        "spec": {"correlationID": "tried"},
    }
    return "POST", "/submit", body


CALLS = {
    "create an intent": lambda stage, _: (
        *("POST", "/submit"),
        intent(stage.namespace, name="new", evidence=MIDDLING),
    ),
    "change an intent": _changed_intent,
    "create an exception": lambda stage, _: (
        *("POST", "/exceptions"),
        exception(stage.namespace, "web-1f2e3d4c", name="new"),
    ),
    "take a request": _decision("submitted", "take"),
    "approve a request": _decision("submitted", "approve"),
    "approve a request with conditions": _decision("submitted", "approve", conditions=CONDITIONS),
    "attest a condition": _decision("conditional", "attest", condition="watch"),
    "reject a request": _decision("submitted", "reject"),
    "revoke a request": _decision("approved", "revoke"),
    "approve an exception": _exception("pending", "approve"),
    "reject an exception": _exception("pending", "reject"),
    "revoke an exception": _exception("leave", "revoke"),
}
"""What is sent for a row, by the stage and whose object it is about: method, path and body."""

READING = {
    "read intents, requests and exceptions": (
        "/requests?namespace={namespace}",
        "/requests?namespace={namespace}&intent={intent}&state=Submitted&limit=1",
        "/requests?namespace={namespace}&correlationID=tried",
        "/exceptions?namespace={namespace}",
        "/exceptions?namespace={namespace}&intent={intent}&state=Pending",
        "/pending?namespace={namespace}",
        "/my-requests?namespace={namespace}&correlationID=tried",
        "/check?namespace={namespace}&workload=deployment/web&image=web:1",
        "/status?namespace={namespace}&intent={intent}",
        "/{id}",
        "/{id}/decisions",
        "/exceptions/{exception}",
    ),
    "read the ledger": ("/ledger", "/ledger?namespace={namespace}&correlationID=tried"),
}
"""Rows of reading: all of these answer, or none does."""


def outcome(client, stage, name, whose):
    """What a cell should say by the portal, and what was answered."""
    if name in READING:
        stored = stage.objects["another", "submitted"]
        names = {
            "namespace": stage.namespace,
            "intent": stage.objects["another", "intent"]["metadata"]["name"],
            "id": _id(stored),
            "exception": _id(stage.objects["another", "pending"]),
        }
        answers = [client.get(path.format(**names)) for path in READING[name]]
        codes = {answer.status_code for answer in answers}
        assert codes <= {200, 403}, [answer.text for answer in answers]
        return {frozenset({200}): "yes", frozenset({403}): "no"}.get(frozenset(codes), "some"), ""
    passed, texts = [], []
    for each in whose:
        method, path, body = CALLS[name](stage, each)
        answer = client.request(method, f"{path}?dryRun=true", json=body)
        texts.append(answer.text)
        if answer.is_success:
            passed.append(each)
        else:
            assert answer.status_code in (403, 422), (path, answer.text)
    cells = {("another",): "not on own", (): "no", tuple(whose): "yes"}
    return cells.get(tuple(passed), "own alone"), " / ".join(texts)
