# SPDX-License-Identifier: Apache-2.0
"""A review says which object it is about: a team may delete an exception that waits and create
another of its name for the same evidence, for longer and under no control, while somebody reads."""

import pytest

from cabgate.review.identity import SERVICE_ACCOUNTS, User
from cabgate.text.refusal import Refusal
from cabgate_samples.models import NAMESPACE, exception, intent, request
from cabgate_webhook.admission.requests import AdmissionRequest
from cabgate_webhook.handlers.reviews import stamp_review
from unit.webhook.halves import World
from unit.webhook.handlers.test_tenant_reads import KEYS

DECLARED = intent({}, submittedBy=[{"username": "ann"}])
ASKED = request("ExceptionRequired", of=DECLARED)


async def stamped(uid: object) -> str:
    """Stamp a review that names a uid; the reason code."""
    leave = exception(ASKED)
    leave = leave.model_copy(update={"metadata": leave.metadata.model_copy(update={"uid": "now"})})
    world = World([ASKED], [leave], [DECLARED])
    old = world.found("cabexceptions", "leave")
    review = {"verdict": "Approved", "rationale": "controls are fine"}
    metadata = {key: value for key, value in old["metadata"].items() if key != "uid"}
    metadata |= {} if uid is None else {"uid": uid}
    new = {**old, "metadata": metadata, "status": {**(old.get("status") or {}), "review": review}}
    asked = AdmissionRequest(
        uid="r", group="cabgate.dev", resource="cabexceptions", subresource="status",
        operation="UPDATE", namespace=NAMESPACE, name="leave", user=User("rita"),
        object=new, old_object=old,
    )  # fmt: skip
    answer = await stamp_review(asked, world, KEYS, world.now, SERVICE_ACCOUNTS)
    return answer.reason


@pytest.mark.parametrize("uid", ["now", None, ""], ids=["named", "absent", "empty"])
async def test_the_one_that_is_there_is_decided(uid):
    assert await stamped(uid) == "ReviewStamped"


async def test_another_one_of_its_name_is_not():
    with pytest.raises(Refusal, match=r"NotCurrent: metadata\.uid: .* deleted and created anew"):
        await stamped("before")
