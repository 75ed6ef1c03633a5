# SPDX-License-Identifier: Apache-2.0
"""An approval by score that ended: it comes back, or a person decides and the intent says why; what
no request can name is told of, and never tried."""

import copy

import pytest

from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate_kube.resources import INTENTS, REQUESTS, RISK_MODELS
from cabgate_operator.controllers.intents import reconcile_intent
from cabgate_operator.controllers.models import reconcile_models
from cabgate_operator.work.keys import Key, Subject
from unit.operator.support import GOOD, World, evidence, intent_object, request

KEY = Key(Subject.INTENT, "team", "web")
WORSE = {**GOOD, "scanResults": {"critical": 0, "high": 9}}
MODEL = (RISK_MODELS.plural, "", DEFAULT_RISK_MODEL.name)


async def declared(world, content, **meta):
    stored = world.api.objects.get((INTENTS.plural, "team", "web"))
    body = intent_object(content, **meta)
    if stored is not None:
        body["status"] = copy.deepcopy(stored.get("status", {}))
        body["metadata"]["generation"] = stored["metadata"]["generation"] + 1
    world.api.put(INTENTS, body)
    await reconcile_intent(world.context, KEY)


def name_of(content):
    return request(content).metadata.name


async def ended():
    world = World()
    await declared(world, GOOD)
    assert world.requests() == {name_of(GOOD): "AutoApproved"}
    await declared(world, WORSE)
    assert world.requests()[name_of(GOOD)] == "Superseded"
    return world


@pytest.mark.parametrize("how", ["deleted", "replaced"])
async def test_where_its_model_is_gone_a_person_decides_and_the_intent_says_why(how):
    world = await ended()
    model = copy.deepcopy(world.api.objects[MODEL])
    if how == "deleted":
        del world.api.objects[MODEL]
    else:
        changed = copy.deepcopy(model)
        changed["spec"]["version"] = "2"
        world.api.put(RISK_MODELS, changed)
    await declared(world, GOOD)
    assert world.requests()[name_of(GOOD)] == "Submitted"
    assert world.ready() == ("False", "ReviewPending")
    message = world.intent_status()["conditions"][0]["message"]
    assert "which the request was scored with, is gone or was replaced" in message
    assert "kubectl patch cabrequest" in message
    written = list(world.api.written)
    await reconcile_intent(world.context, KEY)
    assert world.api.written == written, "nothing is tried again and again"
    # Once the model is back, the operator looks again, and approves.
    world.api.put(RISK_MODELS, model)
    assert KEY in world.context.without_model
    await reconcile_models(world.context, Key(Subject.MODELS, "", ""))
    assert KEY not in world.context.without_model
    await reconcile_intent(world.context, KEY)
    assert world.requests()[name_of(GOOD)] == "AutoApproved"
    assert world.ready() == ("True", "RequestApproved")


async def test_with_its_model_there_it_comes_back():
    world = await ended()
    await declared(world, GOOD)
    assert world.requests()[name_of(GOOD)] == "AutoApproved"
    assert KEY not in world.context.without_model


async def test_the_reason_names_the_request_that_stands_for_the_content():
    """Refused under another intent: that one stands, and none of this intent's is there."""
    world = World()
    await declared(world, GOOD)
    other = request(WORSE).model_dump(mode="json", by_alias=True, exclude_none=True)
    other["metadata"]["name"] = "elsewhere-1"
    other["spec"]["intentRef"]["name"] = "elsewhere"
    other["status"]["decisions"] = [
        {
            "sequence": 1,
            "author": {"type": "Person", "username": "rita"},
            "at": "2030-01-01T11:00:00Z",
            "verdict": "Rejected",
            "rationale": "no",
            "evidenceDigest": other["spec"]["evidenceDigest"],
        }
    ]
    world.api.put(REQUESTS, {**other, "apiVersion": REQUESTS.api_version, "kind": REQUESTS.kind})
    await declared(world, WORSE)
    stored = world.api.objects[(REQUESTS.plural, "team", name_of(GOOD))]
    last = stored["status"]["decisions"][-1]
    assert last["verdict"] == "Superseded"
    assert "in request elsewhere-1." in last["rationale"]
    assert name_of(WORSE) not in last["rationale"]


async def test_without_a_request_for_the_new_content_none_is_named():
    world = World()
    medium = {**GOOD, "scanResults": {"critical": 3, "high": 0}}
    await declared(world, medium)
    del world.api.objects[MODEL]
    await declared(world, evidence(GOOD, "next"))
    stored = world.api.objects[(REQUESTS.plural, "team", name_of(medium))]
    last = stored["status"]["decisions"][-1]
    assert last["rationale"] == "The intent was changed before this request was decided."


async def test_an_old_intent_with_an_impossible_name_is_told_of_and_nothing_is_tried():
    """An older release let it in, and what does not change is not judged anew."""
    world = World()
    body = intent_object(GOOD)
    body["spec"]["targets"][0]["name"] = "Web_App"
    world.api.put(INTENTS, body)
    tried = []
    world.api.before_write = tried.append
    await reconcile_intent(world.context, KEY)
    await reconcile_intent(world.context, KEY)
    assert "create cabrequests" not in tried
    assert world.ready() == ("False", "TargetNotGated")
    assert world.stalled()
    assert "such as web-app" in world.intent_status()["conditions"][0]["message"]
