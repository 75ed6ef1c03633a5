# SPDX-License-Identifier: Apache-2.0
"""Who approves at the moment of becoming a submitter lifts nothing by that: a revoked image is not
approved by score in the look that takes the approval back."""

from collections.abc import Iterator

import pytest

from cabgate.api.request import RequestState
from unit.operator.test_no_livelock import CONTENTS, Cluster

IMAGE = ("r/web:2",)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster()
    yield made
    made.teardown()


def look(cluster: Cluster) -> None:
    cluster.looks = True
    cluster.the_operator_tries_nothing_in_vain()


def state_of_newest(cluster: Cluster) -> str:
    intent = cluster.intent()
    assert intent is not None
    return str(intent.status.state)


def test_an_approval_that_is_taken_back_lifts_nothing_in_the_same_look(cluster: Cluster) -> None:
    cluster.write(CONTENTS["low"], IMAGE, "")
    look(cluster)
    [request] = cluster.requests()
    assert state_of_newest(cluster) == RequestState.AUTO_APPROVED
    raw = cluster.api.objects[("cabrequests", "team", request.metadata.name)]
    digest = request.spec.evidence_digest
    cluster.put_decision(raw, "Revoked", "rita", digest=digest, images=["*"])

    cluster.write({**CONTENTS["low"], "scope": {"components": 2}}, IMAGE, "")
    look(cluster)
    assert state_of_newest(cluster) == RequestState.SUBMITTED

    cluster.race("tina", moves=True, looks=False)
    look(cluster)
    assert state_of_newest(cluster) == RequestState.SUBMITTED
    states = {str(each.status.state) for each in cluster.requests()}
    assert RequestState.AUTO_APPROVED not in states
