# SPDX-License-Identifier: Apache-2.0
"""Who approves at the moment of becoming a submitter lifts nothing by that: a revoked image is not
approved by score in the look that takes the approval back."""

from collections.abc import Iterator

import pytest

from cabgate.api.request import RequestState
from cabgate_kube.resources import INTENTS
from cabgate_operator.controllers.intents import reconcile_intent
from cabgate_operator.work.keys import Key, Subject
from unit.operator.controllers.test_no_livelock import CONTENTS, Cluster
from unit.operator.support import intent_object

IMAGE = ("r/web:2",)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster()
    yield made
    made.teardown()


def look(cluster: Cluster) -> None:
    cluster.acts = True
    cluster.the_operator_tries_nothing_in_vain()


def state_of_newest(cluster: Cluster) -> str:
    intent = cluster.intent()
    assert intent is not None
    return str(intent.status.state)


def other_intent(cluster: Cluster) -> str:
    """What becomes of another intent's low risk with that image, once the operator looked at it."""
    body = intent_object({**CONTENTS["low"], "scope": {"affectedComponents": 3}}, images=IMAGE)
    body["metadata"] |= {"name": "other", "uid": "other-uid"}
    if (INTENTS.plural, "team", "other") not in cluster.api.objects:
        cluster.api.put(INTENTS, body)
    cluster.loop.run_until_complete(
        reconcile_intent(cluster.world.context, Key(Subject.INTENT, "team", "other"))
    )
    return str(cluster.api.objects[(INTENTS.plural, "team", "other")]["status"]["state"])


def revoked(cluster: Cluster) -> None:
    """An image was revoked, and waits for a person on other evidence."""
    cluster.write(CONTENTS["low"], IMAGE, "")
    look(cluster)
    [request] = cluster.requests()
    raw = cluster.api.objects[("cabrequests", "team", request.metadata.name)]
    digest = request.spec.evidence_digest
    cluster.put_decision(raw, "Revoked", "rita", digest=digest, images=["*"])
    cluster.write({**CONTENTS["low"], "scope": {"affectedComponents": 2}}, IMAGE, "")
    look(cluster)
    assert state_of_newest(cluster) == RequestState.SUBMITTED


def test_an_approval_that_is_taken_back_lifts_nothing_in_the_same_look(cluster: Cluster) -> None:
    revoked(cluster)
    cluster.race("tina", moves=True, acts=False)
    look(cluster)
    assert state_of_newest(cluster) == RequestState.SUBMITTED
    states = {str(each.status.state) for each in cluster.requests()}
    assert RequestState.AUTO_APPROVED not in states


def test_it_lifts_nothing_for_another_intent_that_is_looked_at_first(cluster: Cluster) -> None:
    revoked(cluster)
    cluster.race("tina", moves=False, acts=False)
    assert other_intent(cluster) == RequestState.SUBMITTED
    look(cluster)
    assert state_of_newest(cluster) == RequestState.SUBMITTED
    assert other_intent(cluster) == RequestState.SUBMITTED
    assert cluster.api.refusals == []


def test_somebody_else_s_lifts_it_for_every_intent_once_it_was_noticed(cluster: Cluster) -> None:
    revoked(cluster)
    waits = next(r for r in cluster.requests() if r.status.state is RequestState.SUBMITTED)
    raw = cluster.api.objects[("cabrequests", "team", waits.metadata.name)]
    cluster.put_decision(raw, "Approved", "rita", digest=waits.spec.evidence_digest)
    look(cluster)
    assert other_intent(cluster) == RequestState.AUTO_APPROVED
    assert cluster.api.refusals == []


def test_what_an_intent_moved_on_from_is_noticed_before_the_next_is_opened(
    cluster: Cluster,
) -> None:
    revoked(cluster)
    waits = next(r for r in cluster.requests() if r.status.state is RequestState.SUBMITTED)
    raw = cluster.api.objects[("cabrequests", "team", waits.metadata.name)]
    cluster.put_decision(raw, "Approved", "rita", digest=waits.spec.evidence_digest)
    cluster.write({**CONTENTS["low"], "scope": {"affectedComponents": 4}}, IMAGE, "")
    look(cluster)
    assert state_of_newest(cluster) == RequestState.AUTO_APPROVED
