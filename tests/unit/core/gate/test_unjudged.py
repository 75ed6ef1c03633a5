# SPDX-License-Identifier: Apache-2.0
"""Which intent a denied rollout is held for: one just written that declares all of it, and no
other."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api.base import rfc3339
from cabgate.gate.unjudged import ListedIntent, Unopened, intent_to_await, unopened
from cabgate.gate.verdict import Reason
from cabgate_samples.models import IMAGE, NOW, rollout, target

OTHER = "registry.example.com/shop/other:1"


def ago(seconds):
    return rfc3339(NOW - timedelta(seconds=seconds))


def written(
    seconds=0, *, name="checkout", generation=1, observed=0, targets=None, entries=(), **meta
):
    """An intent that was created so many seconds ago, as the API server stores it."""
    return ListedIntent.model_validate(
        {
            "metadata": {
                "name": name,
                "generation": generation,
                "creationTimestamp": ago(seconds),
                "managedFields": list(entries),
                **meta,
            },
            "spec": {"targets": targets or [target()]},
            "status": {"observedGeneration": observed} if observed else {},
        }
    )


def entry(seconds, **more):
    return {"manager": "kubectl", "operation": "Update", "time": ago(seconds), **more}


def awaited(*intents, of=None, reason=Reason.NO_REQUEST):
    found = intent_to_await(of or rollout(), reason, intents, NOW)
    return None if found is None else found.metadata.name


@pytest.mark.parametrize(
    ("intent", "waits"),
    [
        (written(0), True),
        (written(5), True),
        (written(6), False),
        # By a clock a little ahead; and as nobody's clock is.
        (written(-5), True),
        (written(-6), False),
        # Changed now, made long ago.
        (written(9000, generation=2, observed=1, entries=[entry(1)]), True),
        (written(9000, generation=2, observed=1, entries=[entry(600), entry(6)]), False),
        # A stamp that somebody wrote by hand.
        (written(9000, generation=2, observed=1, entries=[entry(-9000)]), False),
        (written(9000, generation=2, observed=1, entries=[entry(-9000), entry(1)]), True),
        # That the operator wrote its status says nothing of when the content was written.
        (written(9000, generation=2, observed=1, entries=[entry(1, subresource="status")]), False),
        (written(9000, generation=2, observed=1), False),
        (written(0, creationTimestamp=None), False),
        (written(0, deletionTimestamp=ago(0)), False),
        # Of another workload: by name, kind or group; of another version of the API it is the same.
        (written(0, targets=[target(name="other")]), False),
        (written(0, targets=[target(kind="StatefulSet")]), False),
        (written(0, targets=[{**target(), "apiVersion": "example.com/v1"}]), False),
        (written(0, targets=[{**target(), "apiVersion": "apps/v1beta1"}]), True),
        # Of other images, or not of all.
        (written(0, targets=[{**target(), "images": [OTHER]}]), False),
        (written(0, targets=[{**target(), "images": [OTHER, IMAGE]}]), True),
        (written(0, targets=[target(name="other"), target()]), True),
    ],
)
def test_which_intents_are_waited_for(intent, waits):
    assert awaited(intent) == ("checkout" if waits else None)


def test_every_image_is_declared_by_one_intent():
    one, other = (
        written(0, name=name, targets=[{**target(), "images": [image]}])
        for name, image in (("one", IMAGE), ("other", OTHER))
    )
    assert awaited(one, other, of=rollout(IMAGE, OTHER)) is None


@pytest.mark.parametrize("reason", Reason)
def test_only_what_a_new_request_can_end_is_held(reason):
    wanting = (Reason.NO_REQUEST, Reason.IMAGES_NOT_COVERED, Reason.TEMPLATE_NOT_COVERED)
    held = reason in wanting
    assert awaited(written(0), reason=reason) == ("checkout" if held else None)


def test_of_several_it_is_one_that_is_not_judged_the_last_one_written():
    judged = written(0, name="judged", observed=1)
    older, newer = written(3, name="older"), written(1, name="newer")
    assert awaited(judged, older, newer) == "newer"
    assert awaited(judged) == "judged"


_INTENTS = st.builds(
    written,
    st.integers(-20, 20),
    name=st.sampled_from("abc"),
    observed=st.integers(0, 1),
    targets=st.lists(
        st.builds(
            lambda name, images: {**target(name=name), "images": images},
            st.sampled_from(["checkout", "other"]),
            st.lists(st.sampled_from([IMAGE, OTHER]), min_size=1, unique=True),
        ),
        min_size=1,
        max_size=3,
    ),
)


@given(st.lists(_INTENTS, max_size=6), st.sets(st.sampled_from([IMAGE, OTHER]), min_size=1))
def test_whatever_there_is_it_waits_for_one_that_is_fresh_and_declares_all_or_for_none(
    intents, images
):
    asked = rollout(*sorted(images))

    def may_be(intent):
        named = {
            image
            for each in intent.spec.targets
            if each.name == "checkout"
            for image in each.images
        }
        return images <= named and abs(NOW - intent.metadata.creation_timestamp) <= timedelta(
            seconds=5
        )

    found = intent_to_await(asked, Reason.IMAGES_NOT_COVERED, intents, NOW)
    assert (found is None) == (not any(map(may_be, intents)))
    assert found is None or may_be(found)
    if found is not None and found.is_judged:
        assert all(each.is_judged for each in intents if may_be(each))


def unready(reason="ChangePolicyInvalid", *, status="False", observed=1, **more):
    """An intent that was judged, and what is said of it."""
    made = written(99, observed=observed, **more)
    said = {"type": "Ready", "status": status, "reason": reason, "message": "upgrade cabgate"}
    return made.model_validate({**made.model_dump(by_alias=True), "status": {
        "observedGeneration": observed, "conditions": [said]}})  # fmt: skip


@pytest.mark.parametrize(
    ("intent", "found_out"),
    [
        (unready(), True),
        (unready("RequestRefused"), True),
        # Which has a request, or had one when that was written.
        (unready("ReviewNeeded"), False),
        (unready("ReviewPending"), False),
        (unready(status="True"), False),
        # Of another content, or for something else.
        (unready(generation=2), False),
        (unready(targets=[target("checkout", OTHER)]), False),
        (unready(deletionTimestamp=ago(1)), False),
        (written(99, observed=1), False),
    ],
)
def test_the_intent_that_has_no_request_says_why(intent, found_out):
    found = unopened(rollout(), Reason.NO_REQUEST, [intent])
    said = intent.status.conditions
    assert found == (Unopened("checkout", said[0].reason, said[0].message) if found_out else None)
    assert unopened(rollout(), Reason.REVIEW_PENDING, [intent]) is None
