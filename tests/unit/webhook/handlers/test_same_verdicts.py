# SPDX-License-Identifier: Apache-2.0
"""The narrow decoding of reviews and of stored objects changes no verdict: whatever the webhook is
sent and whatever the API server holds, it answers byte for byte as it does by `json`, the models
and `decide` alone."""

import copy
import json
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from cabgate_samples.models import NOW, by_person, by_system, exception, request, target
from support.examples import examples
from unit.webhook.stored_reviews import (
    ATTESTED,
    CHECKED,
    IMAGES,
    KINDS,
    OBLIGATION,
    SHORT,
    StoredApi,
    by_hand,
    by_the_webhook,
    said,
    without_unread,
)

CONTAINERS = st.lists(
    st.fixed_dictionaries(
        {"name": st.just("c"), "image": st.sampled_from(IMAGES)},
        optional={"env": st.just([{"name": "A", "value": 'b"\\\u00e9\n'}])},
    ),
    min_size=1,
    max_size=3,
)


def wrapped(kind, containers, volumes, labels):
    pod = {"containers": containers, "volumes": volumes, "nodeName": "n"}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod}
    obj = {
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "labels": labels,
            "annotations": {"x": "y"},
        },
        "spec": {"template": template, "replicas": 3},
    }
    if kind == "CronJob":
        obj["spec"] = {"jobTemplate": {"spec": {"template": template}}, "schedule": "* * * * *"}
    elif kind == "Pod":
        obj["spec"] = pod
    elif kind == "PodTemplate":
        obj["template"] = template
        del obj["spec"]
    return obj


JUNK = st.sampled_from([None, [], {}, "", 0, 1.5, True, "web", [None], [1], {"spec": None}])


def paths(value, prefix=()):
    """Every path in a JSON value."""
    yield prefix
    found = value.items() if isinstance(value, dict) else []
    found = enumerate(value) if isinstance(value, list) else found
    for key, item in found:
        yield from paths(item, (*prefix, key))


def spoilt(draw, value, junk=JUNK):
    """A copy of a JSON value with something in it replaced or gone."""
    value = copy.deepcopy(value)
    path = draw(st.sampled_from([found for found in paths(value) if found]))
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    if draw(st.booleans()):
        parent[path[-1]] = draw(junk)
    else:
        del parent[path[-1]]
    return value


@st.composite
def reviews(draw):
    api_version, kind = draw(st.sampled_from(KINDS))
    volumes = draw(st.sampled_from([[], [{"name": "v", "image": {"reference": "side:1"}}]]))
    labels = draw(st.sampled_from([{}, {"cabgate.dev/ring": "3"}, {"cabgate.dev/ring": "x"}]))
    obj = wrapped(kind, draw(CONTAINERS), volumes, labels)
    obj |= {"apiVersion": api_version, "kind": kind}
    old = draw(st.sampled_from([None, obj, {**obj, "metadata": {"name": "web"}}]))
    review = {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u-1",
            "resource": {"group": "apps", "version": "v1", "resource": "things"},
            "operation": "UPDATE" if old else "CREATE",
            "namespace": "shop",
            "name": draw(st.sampled_from(["web", ""])),
            "userInfo": {"username": "alice", "groups": ["a"], "extra": {"k": ["v"]}},
            "object": obj,
            "oldObject": old,
            "options": {"dryRun": ["All"]},
        },
    }
    if draw(st.integers(0, 3)) == 0:
        # The API server stores no half of a surrogate pair, but anything may be sent.
        review = spoilt(draw, review, JUNK | st.just("\ud800"))
    body = json.dumps(review, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")
    if draw(st.integers(0, 5)) == 0:
        at = draw(st.integers(0, len(body)))
        new = draw(st.sampled_from([b"", b"\xff", b"\x00", b"{", b'"', b",", b"NaN", b"\\ud800"]))
        body = body[:at] + new + body[at + draw(st.integers(0, 2)) :]
    return body


WINDOW = {
    "name": "night",
    "description": "at night",
    "notBefore": "2026-03-01T11:00:00Z",
    "notAfter": "2026-03-01T11:30:00.5Z",
}


ENTRIES = st.lists(
    st.sampled_from(
        [
            by_system("AutoApproved"),
            by_system("Superseded"),
            by_system("Reopened"),
            by_person("UnderReview"),
            by_person("Approved"),
            by_person("Approved", NOW - SHORT),
            by_person("Approved", NOW - SHORT, checked=CHECKED),
            by_person("Approved", NOW - SHORT, checked={**CHECKED, "lifts": ["r-0", "r-1"]}),
            by_person("Rejected", rationale="no\u202eeno"),
            by_person("Revoked"),
            by_person("Revoked", images=["*"]),
            by_person("Revoked", images=["web:1"]),
            by_person("Revoked", images=["side:1", " \u3000"]),
            by_person("ConditionallyApproved", conditions=[OBLIGATION]),
            by_person("ConditionallyApproved", conditions=[WINDOW]),
            by_person("ConditionallyApproved", conditions=[ATTESTED]),
            by_person("Attested", condition="told"),
            by_person("Suspended"),
        ]
    ),
    max_size=3,
)


@st.composite
def holdings(draw):
    """Requests and exceptions as the API server might hold them."""
    requests, exceptions = [], []
    for number in range(draw(st.integers(0, 3))):
        gate = draw(st.sampled_from(["AutoApprove", "ManualReview", "ExceptionRequired"]))
        images = draw(st.sampled_from([IMAGES, IMAGES[:1], IMAGES[1:]]))
        targets = [target("web", *images, apiVersion=a, kind=k) for a, k in KINDS]
        age = timedelta(hours=draw(st.integers(1, 3)))
        made = request(gate, targets=targets, name=f"r-{number}", age=age)
        stored = made.model_dump(mode="json", by_alias=True, exclude_none=True)
        entries = [
            {"sequence": n, "evidenceDigest": made.spec.evidence_digest, **entry}
            for n, entry in enumerate(draw(ENTRIES), 1)
        ]
        stored["status"] = {"decisions": entries}
        if draw(st.booleans()):
            leave = exception(made, name=f"e-{number}")
            held = leave.model_dump(mode="json", by_alias=True, exclude_none=True)
            verdict = draw(st.sampled_from(["Approved", "Rejected", "Suspended", None]))
            if verdict:
                held["status"] = (
                    {"decisions": [{**entries[0], **by_person(verdict)}]} if entries else {}
                )
            exceptions.append(held)
        if draw(st.integers(0, 7)) == 0:
            stored = spoilt(draw, stored)
        requests.append(stored)
    labels = draw(st.sampled_from([{"cabgate.dev/ring": "2"}, {"cabgate.dev/ring": "1"}, {}]))
    return {"requests": requests, "exceptions": exceptions, "labels": labels}


@settings(max_examples=examples(300))
@given(body=reviews(), stored=holdings())
async def test_reviews_are_answered_as_they_are_by_hand(body, stored):
    api = StoredApi(**stored)
    # Where what nothing is decided by is malformed, the one answer is right, and so is the other.
    read = {**stored, "requests": [without_unread(item) for item in stored["requests"]]}
    plain = {await said(by_hand(body, each)) for each in (stored, read)}
    if None in plain:
        return
    found = await said(by_the_webhook(body, api))
    if found in plain:
        return
    # The one difference: the ring is not read where no ring would deny, so the reason for the log
    # is the request's, and not that the ring is not gated.
    assert found in {await said(by_hand(body, each, ring_read=False)) for each in (stored, read)}
    assert without_reason(found) in {without_reason(each) for each in plain}


def without_reason(body):
    """An answer without the reason that it gives the audit log; an error as it is."""
    if isinstance(body, str):
        return body
    answer = json.loads(body)
    del answer["response"]["auditAnnotations"]["reason"]
    return json.dumps(answer)
