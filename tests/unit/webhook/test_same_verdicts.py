# SPDX-License-Identifier: Apache-2.0
"""The narrow decoding of reviews and of stored objects changes no verdict: whatever the webhook is
sent and whatever the API server holds, it answers byte for byte as it does by `json`, the models
and `decide` alone."""

import copy
import json
from datetime import timedelta
from typing import Annotated

import pytest
from annotated_types import MultipleOf
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import StringConstraints

from cabgate.api import CABException, CABRequest
from cabgate.api.base import Model
from cabgate.rollout.pods import PodTemplateError
from cabgate.rollout.rings import HIGHEST, effective_ring, ring_of
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.targets import Workload
from cabgate.rollout.workloads import rollout_of
from cabgate_samples.models import NOW, by_person, by_system, exception, request, target
from cabgate_webhook.admission.narrow import decode_rollout
from cabgate_webhook.admission.requests import (
    Answer,
    MalformedReviewError,
    answer_body,
    read_review,
)
from cabgate_webhook.client.answers import parsed
from cabgate_webhook.client.apiserver import ApiServer
from cabgate_webhook.client.lookups import LookupFailed
from cabgate_webhook.client.stored import UnknownRuleError, decode_requests, struct_of
from cabgate_webhook.handlers.rollouts import gated_kind, judge_rollout
from support.examples import examples
from unit.core.standings import covering, decide

IMAGES = ("web:1", "web:2", "side:1")
KINDS = [
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("v1", "Pod"),
    ("v1", "PodTemplate"),
    ("batch/v1", "CronJob"),
    ("batch/v1", "Job"),
]


class StoredApi(ApiServer):
    """An API server that holds what the test says, and answers in bytes."""

    def __init__(self, requests, exceptions, labels):
        super().__init__(None)
        self._answers = {
            "cabrequests": {"items": requests},
            "cabexceptions": {"items": exceptions},
        }
        self._namespace = {"metadata": {"name": "shop", "labels": labels}}

    async def _read(self, path, query=None, **_):
        found = self._answers.get(path.rsplit("/", 1)[1], self._namespace)
        return json.dumps(found).encode()


async def by_hand(body, stored, ring_read=True):
    """The answer without anything that was made for speed. Without `ring_read` in the highest
    ring, as the webhook asks first: what is admitted there is admitted everywhere."""
    review = read_review(body)
    kind = gated_kind(review)
    if kind is None:
        return None  # not taken for a rollout at all
    obj = review.object
    metadata = obj.get("metadata") or {}
    if not metadata.get("name") and review.name:
        obj = {**obj, "metadata": {**metadata, "name": review.name}}
    try:
        rollout: Rollout = rollout_of(kind, review.namespace, obj, review.old_object or None)
    except PodTemplateError as error:
        return Answer(allowed=False, reason="MalformedObject", message=f"MalformedObject: {error}")
    requests = [parsed(CABRequest, item) for item in json.loads(json.dumps(stored["requests"]))]
    before = ring_of((review.old_object.get("metadata") or {}).get("labels"), 0)
    ring = max(before, effective_ring(stored["labels"], metadata.get("labels"), 0))
    if not ring_read:
        ring = HIGHEST
    names = {found.metadata.name for found in covering(rollout, requests)}
    found = []
    for item in stored["exceptions"]:
        try:
            found.append(parsed(CABException, item))
        except LookupFailed:
            continue
    named = [item for item in found if item.spec.request_ref.name in names]
    decision = decide(rollout, ring, requests, named, NOW)
    return Answer(decision.allowed, decision.reason, decision.message, decision.warnings)


async def by_the_webhook(body, api):
    review = read_review(body, rollout=True)
    return await judge_rollout(review, gated_kind(review), api, 0, NOW)


def without_unread(item):
    """A stored request without what nothing is decided by."""
    item = json.loads(json.dumps(item))
    unread = {
        "metadata": ("annotations", "deletionTimestamp", "generation", "labels", "resourceVersion"),
        "spec": ("summary",),
    }
    for part, names in unread.items():
        if isinstance(item, dict) and isinstance(item.get(part), dict):
            item[part] = {key: value for key, value in item[part].items() if key not in names}
    status = item.get("status") if isinstance(item, dict) else None
    entries = status.get("decisions") if isinstance(status, dict) else None
    for entry in entries if isinstance(entries, list) else []:
        checked = entry.get("checked") if isinstance(entry, dict) else None
        if isinstance(checked, dict):
            entry["checked"] = {key: checked[key] for key in READ_CHECKED if key in checked}
    evidence = item["spec"].get("evidence") if has_spec(item) else None
    if isinstance(evidence, dict):
        item["spec"]["evidence"] = {key: evidence[key] for key in READ_EVIDENCE if key in evidence}
    return item


READ_CHECKED = ("refusals", "lifts")
READ_EVIDENCE = ("testResults", "scanResults")


def has_spec(item):
    return isinstance(item, dict) and isinstance(item.get("spec"), dict)


async def said(call):
    try:
        answer = await call
    except MalformedReviewError as error:
        return f"400 {error}"
    except LookupFailed as error:
        return f"lookup {error}"
    return None if answer is None else answer_body("u-1", answer)


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


SHORT = timedelta(minutes=10)
WINDOW = {
    "name": "night",
    "description": "at night",
    "notBefore": "2026-03-01T11:00:00Z",
    "notAfter": "2026-03-01T11:30:00.5Z",
}
OBLIGATION = {"name": "watch", "description": "someone  watches\n"}
ATTESTED = {"name": "told", "description": "sales know", "attestation": "Required"}
CHECKED = {"submittedBy": ["ann"], "intentGeneration": 3, "refusals": 2}
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


def listed(*requests, **changes):
    dumped = [
        r.model_dump(mode="json", by_alias=True, exclude_none=True) | changes for r in requests
    ]
    return json.dumps({"items": dumped}).encode()


def test_what_is_usual_is_decoded_narrowly():
    conditional = by_person("ConditionallyApproved", conditions=[OBLIGATION, ATTESTED])
    found = decode_requests(
        listed(
            request("AutoApprove", by_system("AutoApproved")), request("ManualReview", conditional)
        )
    )
    assert not any(isinstance(item, CABRequest) for item in found)
    assert [item.metadata.namespace for item in found] == ["shop", "shop"]
    assert found[1].conditions[1].needs_attestation
    assert decode_requests(b'{"items": []}') == []


@pytest.mark.parametrize("lifts", [[], ["r-0"], ["no"]])
async def test_what_an_approval_lifts_is_read_narrowly_as_well(lifts):
    targets = [target("web", "web:1")]
    no = request("ManualReview", by_person("Approved", NOW - 4 * SHORT), by_person("Revoked"),
                 targets=targets, name="r-0")  # fmt: skip
    entry = by_person("Approved", NOW - SHORT, checked={**CHECKED, "lifts": lifts})
    again = request("ManualReview", entry, targets=[*targets, target("api")], name="r-1")
    narrow, whole = decode_requests(listed(no, again)), [no, again]
    assert not any(isinstance(item, CABRequest) for item in narrow)
    rollout = Rollout("shop", Workload("apps", "Deployment", "web"), ("web:1",))
    found = {decide(rollout, 2, each, [], NOW).allowed for each in (narrow, whole)}
    assert found == {"r-0" in lifts}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b'{"items": null}',
        b'{"items": [{}]}',
        listed(request(), status={"decisions": None}),
        listed(request(), metadata={"name": "x", "creationTimestamp": "2026-03-01T11:00:00.5Z"}),
        listed(request(), metadata={"name": "x", "creationTimestamp": "2026-03-01T11:00:00+01:00"}),
        listed(request())[:-2] + b', {"metadata": {"annotations": {"a": "\xff"}}}]}',
    ],
)
def test_what_is_not_usual_is_left_to_the_models(data):
    assert decode_requests(data) is None


@pytest.mark.parametrize("junk", [b'"\xff"', b'"\\ud800"', b"NaN", b"[" * 2000 + b"]" * 2000])
def test_what_is_skipped_in_a_review_is_left_to_json_if_it_is_not_plain(junk):
    obj = json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "x": "X"}).encode()
    body = b'{"request": {"object": ' + obj + b"}}"
    assert decode_rollout(body) is not None
    assert decode_rollout(body.replace(b'"X"', junk)) is None


def test_every_rule_of_a_model_is_kept_or_refused_to_be():
    class Even(Model):
        number: Annotated[int, MultipleOf(2)]

    class Ending(Model):
        text: Annotated[str, StringConstraints(pattern="x$")]

    for model in (Even, Ending):
        with pytest.raises(UnknownRuleError):
            struct_of(model)
