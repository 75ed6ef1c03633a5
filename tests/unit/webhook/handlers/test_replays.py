# SPDX-License-Identifier: Apache-2.0
"""A review of a rollout goes through the decisions of each request once, however many questions it
asks, and whichever type held the request."""

import json
from datetime import timedelta

import pytest

from cabgate.api import CABRequest
from cabgate.gate.candidates import describe
from cabgate.gate.decide import candidates, decide
from cabgate.lifecycle.state.standing import RequestStanding, standings_of
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.targets import Workload
from cabgate_samples.models import NOW, by_person, request, target
from cabgate_webhook.client.answers import requests_of
from support.replays import count_replays
from unit.webhook.stored_reviews import StoredApi, by_the_webhook

WATCHED = {"name": "watch", "description": "someone watches"}
VERDICTS = [
    by_person("Approved"),
    by_person("ConditionallyApproved", conditions=[WATCHED]),
    by_person("Rejected"),
    by_person("Revoked"),
]
SHOP = Rollout("shop", Workload("apps", "Deployment", "web"), ("web:1",))
REVIEW = {
    "apiVersion": "admission.k8s.io/v1",
    "kind": "AdmissionReview",
    "request": {
        "uid": "u-1",
        "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
        "operation": "CREATE",
        "namespace": "shop",
        "name": "web",
        "userInfo": {"username": "alice"},
        "object": {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "web:1"}]}}},
        },
    },
}


def held(number, *entries, image="web:1"):
    """As many requests with these decisions as the API server stores them."""
    return [
        request(
            "ManualReview",
            *entries,
            targets=[target("web", image, f"web:own-{n}")],
            name=f"r-{n}",
            age=timedelta(hours=1 + n),
        ).model_dump(mode="json", by_alias=True, exclude_none=True)
        for n in range(number)
    ]


@pytest.mark.parametrize("verdict", VERDICTS, ids=lambda entry: entry["verdict"])
@pytest.mark.parametrize("number", [1, 10])
async def test_one_rollout_replays_each_history_once(number, verdict, monkeypatch):
    stored = held(number, by_person("UnderReview"), verdict)
    api = StoredApi(stored, [], {"cabgate.dev/ring": "3"})
    counted = count_replays(monkeypatch)
    answer = await by_the_webhook(json.dumps(REVIEW).encode(), api)
    assert answer.allowed == verdict["verdict"].endswith("pproved")
    assert counted == {item["metadata"]["name"]: 1 for item in stored}


@pytest.mark.parametrize("number", [1, 10])
def test_a_decision_and_its_explanation_replay_none_that_stands(number, monkeypatch):
    models = [CABRequest.model_validate(each) for each in held(number, by_person("Approved"))]
    standings = standings_of(models)
    counted = count_replays(monkeypatch)
    assert decide(SHOP, 3, standings, [], NOW).allowed
    for look in candidates(SHOP, standings, [], NOW):
        assert describe(look, SHOP, [], NOW)
    assert not counted


def test_what_is_read_narrowly_stands_as_the_models_do():
    """Whoever is given a standing cannot tell which of the two it came from."""
    entries = (by_person("UnderReview"), *VERDICTS[:2])
    stored = held(1, *entries)
    [narrow] = requests_of("list", json.dumps({"items": stored}).encode())
    [whole] = standings_of([CABRequest.model_validate(stored[0])])
    assert type(narrow) is type(whole) is RequestStanding
    for name in ("state", "is_approved", "is_refused", "was_approved", "taken_at", "decided_at"):
        assert getattr(narrow, name) == getattr(whole, name), name
    for name in ("verdict", "revocation", "person_approval", "taken_by"):
        found = [getattr(each, name) for each in (narrow, whole)]
        assert {None if each is None else each.sequence for each in found} == {
            None if found[0] is None else found[0].sequence
        }, name
    assert not isinstance(narrow, CABRequest)
