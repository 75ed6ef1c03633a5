# SPDX-License-Identifier: Apache-2.0
"""Stored requests, and verdicts by hand and by the webhook."""

import json
from datetime import timedelta

from cabgate.api import CABException, CABRequest
from cabgate.rollout.pods import PodTemplateError
from cabgate.rollout.rings import HIGHEST, effective_ring, ring_of
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.workloads import rollout_of
from cabgate_samples.models import NOW
from cabgate_webhook.admission.requests import (
    AdmissionAnswer,
    MalformedAdmissionError,
    answer_body,
    read_admission,
)
from cabgate_webhook.client.answers import parsed
from cabgate_webhook.client.apiserver import LiveReads
from cabgate_webhook.client.lookups import LookupFailed
from cabgate_webhook.handlers.rollouts import gated_kind, judge_rollout
from unit.core.standings import covering, decide

SHORT = timedelta(minutes=10)


OBLIGATION = {"name": "watch", "description": "someone  watches\n"}


ATTESTED = {"name": "told", "description": "sales know", "attestation": "Required"}


CHECKED = {"submittedBy": ["ann"], "intentGeneration": 3, "refusals": 2}


IMAGES = ("web:1", "web:2", "side:1")


KINDS = [
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("v1", "Pod"),
    ("v1", "PodTemplate"),
    ("batch/v1", "CronJob"),
    ("batch/v1", "Job"),
]


class StoredApi(LiveReads):
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
    review = read_admission(body)
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
        return AdmissionAnswer(
            allowed=False, reason="MalformedObject", message=f"MalformedObject: {error}"
        )
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
    return AdmissionAnswer(
        decision.allowed,
        decision.reason,
        decision.message,
        decision.warnings,
        workload=rollout.workloads[-1].argument,
    )


async def by_the_webhook(body, api):
    review = read_admission(body, rollout=True)
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
    except MalformedAdmissionError as error:
        return f"400 {error}"
    except LookupFailed as error:
        return f"lookup {error}"
    return None if answer is None else answer_body("u-1", answer)
