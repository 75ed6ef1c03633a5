# SPDX-License-Identifier: Apache-2.0
"""Exceptions of a request whose change policy says what they need: stamped, and checked, as they
are asked for and as they are approved."""

from dataclasses import replace

import pytest

from cabgate.review.identity import SERVICE_ACCOUNTS, User
from cabgate.review.review import EXCEPTION_REVIEW, stamped_status
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_samples.models import NOW, exception, request
from cabgate_webhook.handlers.exceptions import judge_exception, stamp_exception
from support.policies import EXCEPTING
from unit.webhook.handlers.test_tenant_reads import CountingApi, review_of, targets

PLAIN = request("ExceptionRequired", targets=targets(1))
WATCHED = request("ExceptionRequired", targets=targets(1), policy=EXCEPTING)
FEW = {"maxReplicas": 2}


def asked(of=WATCHED, needed=None, constraints=FEW, **more):
    new = exception(of, needed=needed, constraints=constraints, **more).to_dict()
    new["spec"]["submittedBy"] = [{"username": "rita", "type": "Person"}]
    return replace(review_of(new, "cabexceptions"), operation="CREATE", old_object={})


async def stamped(admission, *requests):
    answer = await stamp_exception(admission, CountingApi(requests), SERVICE_ACCOUNTS)
    return [each for each in answer.patch or [] if each["path"] == "/spec/approvalsNeeded"]


NEEDED = {"op": "add", "path": "/spec/approvalsNeeded", "value": 2}
NONE = {"op": "remove", "path": "/spec/approvalsNeeded"}


@pytest.mark.parametrize("said", [None, 3])
async def test_how_many_have_to_approve_it_the_webhook_says_and_nobody_else(said):
    assert await stamped(asked(needed=said), WATCHED) == [NEEDED]
    assert await stamped(asked(needed=2), WATCHED) == []
    assert await stamped(asked(PLAIN, needed=said), PLAIN) == ([] if said is None else [NONE])


async def test_one_that_is_as_the_policy_says_is_let_in():
    admission = asked(needed=2)
    assert (await judge_exception(admission, CountingApi([WATCHED]), SERVICE_ACCOUNTS, NOW)).allowed


@pytest.mark.parametrize(
    ("admission", "field"),
    [
        (asked(needed=2, days=31), "spec.durationDays"),
        (asked(needed=2, constraints=None), "spec.constraints.maxReplicas"),
        (asked(needed=2, constraints={"maxRing": 2}), "spec.constraints.maxReplicas"),
        (asked(needed=None), "spec.approvalsNeeded"),
        (asked(needed=3), "spec.approvalsNeeded"),
    ],
)
async def test_one_that_is_not_is_refused_with_its_field(admission, field):
    with pytest.raises(Refusal) as refused:
        await judge_exception(admission, CountingApi([WATCHED]), SERVICE_ACCOUNTS, NOW)
    assert refused.value.reason is RefusalReason.EXCEPTION_NOT_ALLOWED
    assert [each.field for each in refused.value.causes] == [field]


def test_the_first_of_two_approvals_leaves_it_pending_and_the_second_approves():
    leave, digest = exception(WATCHED, needed=2).to_dict(), WATCHED.spec.evidence_digest
    review = {"verdict": "Approved", "rationale": "we watch it"}

    def reviewed(old, who):
        new = {**old, "status": {**old.get("status", {}), "review": review}}
        return stamped_status(EXCEPTION_REVIEW, old, new, digest, User(who), NOW)

    once = {**leave, "status": reviewed(leave, "sec")}
    assert once["status"]["state"] == "Pending"
    assert reviewed(once, "max")["state"] == "Approved"
    with pytest.raises(Refusal, match="has approved leave already"):
        reviewed(once, "SEC ")
