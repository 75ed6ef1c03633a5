# SPDX-License-Identifier: Apache-2.0
"""What a rollout reads for freezes, and what becomes of it where that cannot be read."""

from datetime import timedelta

import pytest

from cabgate_samples.models import IMAGE, NAMESPACE, NOW, by_person, intent, request
from cabgate_samples.objects import MIDDLING
from cabgate_webhook.client.lookups import LookupFailed
from support.freezes import freeze
from support.policies import BRIEF, vote
from unit.webhook.handlers.rollout_api import (
    FINDS,
    FREEZES,
    NAME,
    REQUESTS,
    Api,
    judged,
    replica_set,
)

OTHER_EVIDENCE = intent({**MIDDLING, "scope": {"affectedComponents": 12}})
PAST = {"from": "2020-01-01T00:00:00Z", "until": "2020-01-02T00:00:00Z"}


def brief(*decisions):
    """A request whose approval is valid for a time."""
    return request("ManualReview", *decisions, policy=BRIEF)


async def test_without_a_policy_no_freeze_is_read():
    api = Api(freezes=[freeze()])
    assert (await judged(api, freezing=False)).allowed
    assert api.reads == [REQUESTS]


@pytest.mark.parametrize(
    "freezes", [(), (freeze("over", PAST),), (freeze("open", kind="Window"),)], ids=len
)
async def test_where_none_holds_now_the_freezes_are_all_that_is_read_beside_the_requests(freezes):
    api = Api(freezes=freezes)
    assert (await judged(api)).allowed
    assert sorted(api.reads) == [REQUESTS, FREEZES]


@pytest.mark.parametrize(
    "holds",
    [freeze(ringFrom=4), freeze("shut", PAST, kind="Window", ringFrom=4)],
    ids=["a freeze", "a window that is shut beside one that is open"],
)
async def test_where_one_holds_for_anybody_the_namespace_says_whether_it_is_meant(holds):
    api = Api(freezes=[holds, freeze("open", kind="Window")])
    assert (await judged(api)).allowed
    assert sorted(api.reads) == sorted(FINDS)


async def test_what_a_freeze_keeps_back_is_looked_for_in_what_ran_before():
    api = Api(freezes=[freeze()])
    assert (await judged(api)).reason == "Frozen"
    assert api.reads[3:] == [NAME, "replicasets"]
    again = Api(freezes=[freeze()], sets=[replica_set()])
    assert (await judged(again)).allowed
    assert again.reads[3:] == [NAME, "replicasets", REQUESTS]


@pytest.mark.parametrize(
    "created", [NOW - timedelta(days=1), NOW - timedelta(hours=1)], ids=["as it began", "in it"]
)
async def test_what_ran_since_a_freeze_began_is_no_rollback(created):
    api = Api(freezes=[freeze()], sets=[replica_set(created=created)])
    assert (await judged(api)).reason == "Frozen"


async def test_a_creation_is_no_rollback():
    api = Api(freezes=[freeze()], sets=[replica_set()])
    assert (await judged(api, old=False)).reason == "Frozen"
    assert sorted(api.reads) == sorted(FINDS)


async def test_an_override_reads_no_history():
    override = by_person("Approved", overrides=["christmas"])
    api = Api(override, freezes=[freeze()])
    assert (await judged(api)).allowed
    assert sorted(api.reads) == sorted(FINDS)


@pytest.mark.parametrize("fails", [FREEZES, NAMESPACE, "replicasets", NAME])
async def test_what_cannot_be_read_is_a_doubt(fails):
    with pytest.raises(LookupFailed):
        await judged(Api(freezes=[freeze()], fails=[fails]))


async def test_one_freeze_that_cannot_be_read_stops_no_other_time():
    strange = freeze("strange", PAST)
    strange["spec"]["moon"] = "full"
    assert (await judged(Api(freezes=[strange, freeze("other", kind="Window")]))).allowed


ENDED = vote("rita", at=NOW - timedelta(days=2))
"""An approval whose 48 hours are just over."""


async def test_an_approval_that_has_ended_is_looked_for_in_what_ran_before_freezes_or_none():
    for freezing, first in ((False, [REQUESTS, NAMESPACE]), (True, FINDS)):
        ended = Api(of=brief(ENDED))
        assert (await judged(ended, freezing=freezing)).reason == "ApprovalEnded"
        assert sorted(ended.reads) == sorted([*first, NAME, "replicasets"])
        again = Api(of=brief(ENDED), sets=[replica_set()])
        assert (await judged(again, freezing=freezing)).allowed
        late = Api(of=brief(ENDED), sets=[replica_set(created=NOW + timedelta(seconds=1))])
        assert (await judged(late, freezing=freezing)).reason == "ApprovalEnded"


async def test_an_approval_that_is_valid_reads_what_one_without_end_does():
    api = Api(of=brief(vote("rita", at=NOW - timedelta(days=1))))
    assert (await judged(api, freezing=False)).allowed
    assert api.reads == [REQUESTS]


async def test_a_rollback_passes_a_freeze_and_the_end_of_its_approval_at_once():
    api = Api(of=brief(ENDED), freezes=[freeze()], sets=[replica_set()])
    assert (await judged(api)).allowed
    assert (await judged(Api(of=brief(ENDED), freezes=[freeze()]))).reason == "ApprovalEnded"


CALM = [{"name": "calm", "description": "after the sale", "attestation": "Required"}]
NEARER = {
    "waits": request("ManualReview", name="anew", age=timedelta(), of=OTHER_EVIDENCE),
    "asks for an exception": request("ExceptionRequired", name="anew", age=timedelta()),
    "is not attested": request(
        "ManualReview",
        by_person("ConditionallyApproved", conditions=CALM),
        name="anew",
        age=timedelta(),
        of=OTHER_EVIDENCE,
    ),
}
"""Newer requests for the same images, by why they do not admit: the denial is about them."""


@pytest.mark.parametrize("kept_back", ["ended", "frozen"])
@pytest.mark.parametrize("anew", NEARER.values(), ids=NEARER)
async def test_evidence_that_was_declared_anew_stops_no_rollback(anew, kept_back):
    freezes = [freeze()] if kept_back == "frozen" else []
    approved = (
        brief(ENDED) if kept_back == "ended" else request("ManualReview", by_person("Approved"))
    )
    assert not (await judged(Api(of=approved, freezes=freezes, beside=[anew]))).allowed
    ran = Api(of=approved, freezes=freezes, beside=[anew], sets=[replica_set()])
    assert (await judged(ran)).allowed


async def test_a_denial_of_what_no_approval_is_kept_back_for_reads_no_history():
    api = Api(of=NEARER["waits"])
    assert (await judged(api)).reason == "ReviewPending"
    assert "replicasets" not in api.reads


def made_by_hand(gate, *decisions):
    name = f"{NAME}-5d4f8"
    named = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name, "images": [IMAGE]}
    return request(gate, *decisions, targets=[named])


@pytest.mark.parametrize(
    ("naming", "allowed"),
    [
        (made_by_hand("ManualReview"), True),
        (made_by_hand("ManualReview", by_person("Rejected")), True),
        (made_by_hand("ManualReview", by_person("Approved")), False),
        (made_by_hand("ManualReview", by_person("Approved"), by_person("Revoked")), False),
        (made_by_hand("ExceptionRequired"), False),
    ],
    ids=["waits", "rejected", "approved", "revoked", "excepted, maybe"],
)
async def test_a_replica_set_proves_nothing_where_a_request_may_have_admitted_it(naming, allowed):
    api = Api(freezes=[freeze()], sets=[replica_set()], naming=[naming])
    assert (await judged(api)).allowed is allowed
