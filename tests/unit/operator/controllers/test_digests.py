# SPDX-License-Identifier: Apache-2.0
"""A reconcile of an intent computes the digest of what it declares once, however many requests it
is compared with."""

import pytest

from cabgate.risk import evidence as evidence_module
from cabgate_kube.resources import INTENTS
from cabgate_operator.controllers.intents import reconcile_intent
from cabgate_operator.work.keys import Key, Subject
from unit.operator.support import GOOD, MIDDLING, World, evidence, intent_object

KEY = Key(Subject.INTENT, "team", "web")


@pytest.fixture
def computed(monkeypatch):
    """What digests were computed of, one entry each."""
    found = []
    digest = evidence_module.sha256_hex

    def counting(content):
        found.append(content["evidence"])
        return digest(content)

    monkeypatch.setattr(evidence_module, "sha256_hex", counting)
    return found


@pytest.mark.parametrize("content", [GOOD, MIDDLING], ids=["approved by score", "for a person"])
@pytest.mark.parametrize("number", [1, 10])
async def test_a_reconcile_computes_one_digest(number, content, computed):
    world = World()
    for each in range(number):
        world.api.put(INTENTS, intent_object(evidence(content, f"n{each}")))
        await reconcile_intent(world.context, KEY)
    computed.clear()
    await reconcile_intent(world.context, KEY)
    assert len(world.requests()) == number
    assert len(computed) == 1


async def test_one_that_opens_a_request_computes_that_of_the_request_besides(computed):
    """What the API server stored is what is scored: its own digest is not believed."""
    world = World()
    world.api.put(INTENTS, intent_object(GOOD))
    await reconcile_intent(world.context, KEY)
    assert set(world.requests().values()) == {"AutoApproved"}
    assert len(computed) == 2
