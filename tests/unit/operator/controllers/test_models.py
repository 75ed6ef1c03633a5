# SPDX-License-Identifier: Apache-2.0
"""The built-in risk model, and the intents that wait for one."""

from cabgate.risk.builtin_model import DEFAULT_NAME, DEFAULT_RISK_MODEL, SECOND_RISK_MODEL
from cabgate_kube.resources import INTENTS, NAMESPACES, REQUESTS, RISK_MODELS, Object
from cabgate_operator.controllers.intents import reconcile_intent
from cabgate_operator.controllers.models import reconcile_models
from cabgate_operator.runtime.manager import Manager
from cabgate_operator.work.keys import Key, Subject
from support.models import risk_model
from unit.operator.support import GOOD, World, intent_object

START = Key(Subject.MODELS, "", DEFAULT_NAME)
SEEN = Key(Subject.MODELS, "", "")
INTENT = Key(Subject.INTENT, "team", "web")
MARK = "cabgate.dev/default-risk-model"


def without_models() -> World:
    world = World()
    del world.api.objects[(RISK_MODELS.plural, "", DEFAULT_NAME)]
    return world


async def models(world: World, key: Key) -> dict[str, Object]:
    await reconcile_models(world.context, key)
    return {body["metadata"]["name"]: body for body in world.api.all(RISK_MODELS)}


async def test_the_built_in_model_is_created_once_at_the_start() -> None:
    world = without_models()
    assert await models(world, SEEN) == {}
    found = (await models(world, START))[DEFAULT_NAME]
    assert found["metadata"]["labels"] == {MARK: "true"}
    assert found["spec"] == DEFAULT_RISK_MODEL.spec.to_dict()
    await models(world, START)
    assert world.api.written == ["create riskmodels"] * 2


async def test_it_is_not_the_default_where_another_one_is() -> None:
    world = without_models()
    world.api.put(RISK_MODELS, risk_model("ours", default=True))
    assert (await models(world, START))[DEFAULT_NAME]["metadata"]["labels"] == {}


async def test_another_operator_may_be_first() -> None:
    world = without_models()
    built_in = DEFAULT_RISK_MODEL.to_dict()
    world.api.before_write = lambda what: world.api.put(RISK_MODELS, built_in) and None
    assert list(await models(world, START)) == [DEFAULT_NAME, SECOND_RISK_MODEL.name]
    assert world.api.written == ["create riskmodels"], "the second alone"


async def test_a_new_version_of_the_built_in_model_stands_beside_the_old_and_holds_for_nobody() -> (
    None
):
    world = World()
    found = await models(world, START)
    assert found[DEFAULT_NAME]["spec"] == DEFAULT_RISK_MODEL.spec.to_dict()
    assert found["default-2"]["spec"] == SECOND_RISK_MODEL.spec.to_dict()
    assert found["default-2"]["metadata"]["labels"] == {}
    world.api.put(INTENTS, intent_object(GOOD))
    await reconcile_intent(world.context, INTENT)
    [opened] = world.api.all(REQUESTS)
    assert opened["spec"]["assessment"]["riskModel"]["name"] == DEFAULT_NAME


async def test_an_intent_without_a_model_says_so_and_is_looked_at_again() -> None:
    world = without_models()
    world.api.put(INTENTS, intent_object(GOOD))
    await reconcile_intent(world.context, INTENT)
    assert (world.ready(), world.stalled()) == (("False", "RiskModelMissing"), True)
    assert world.notes() == ["RiskModelMissing"]
    assert world.api.all(REQUESTS) == []
    assert world.context.without_model == {INTENT}
    await models(world, START)
    await world.queue.process_one()
    assert world.seen == [INTENT]
    await reconcile_intent(world.context, INTENT)
    assert world.ready() == ("True", "RequestApproved")
    assert world.context.without_model == set()


async def test_what_is_open_needs_no_model() -> None:
    world = World()
    world.api.put(INTENTS, intent_object(GOOD))
    await reconcile_intent(world.context, INTENT)
    del world.api.objects[(RISK_MODELS.plural, "", DEFAULT_NAME)]
    await reconcile_intent(world.context, INTENT)
    assert world.ready() == ("True", "RequestApproved")


def test_models_and_the_choice_of_a_namespace_are_watched() -> None:
    manager = Manager()
    assert manager.keys_of(RISK_MODELS, risk_model("ours")) == [SEEN]

    def saw(labels: dict[str, str]) -> int:
        body = {"metadata": {"name": "team", "labels": labels}}
        manager.saw(NAMESPACES, {"type": "MODIFIED", "object": body})
        return len(manager.queue)

    assert [
        saw({}),
        saw({"team": "shop"}),
        saw({"cabgate.dev/risk-model": "strict"}),
    ] == [0, 0, 1]
