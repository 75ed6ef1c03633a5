# SPDX-License-Identifier: Apache-2.0
"""An approved request whose rollout is frozen is told of, once for each freeze, until that ends."""

from datetime import timedelta
from typing import Any

import pytest

from cabgate.api.intent import DeploymentIntentStatus
from cabgate.lifecycle.state.standing import standing_of
from cabgate.notifications.notices import Asked, Event, KeptBack, Notice, is_current, notices
from cabgate.text.moments import rfc3339
from cabgate_samples.models import NOW, by_person, by_system
from unit.core.notifications.subjects import asked

DAY = timedelta(days=1)
APPROVED = asked("ManualReview", by_person("Approved"), name="web")


def said(name: str = "christmas", reason: str = "Frozen", **more: Any) -> KeptBack | None:
    """What an intent says by its status."""
    frozen = {"name": name, "since": rfc3339(NOW - DAY), "until": rfc3339(NOW + DAY), **more}
    ready = {"type": "Ready", "status": "False", "reason": reason, "message": "holds"}
    status = {
        "requestName": "web",
        "frozen": {key: value for key, value in frozen.items() if value},
        "conditions": [{**ready, "lastTransitionTime": rfc3339(NOW)}],
    }
    return KeptBack.of("shop", DeploymentIntentStatus.model_validate(status))


def frozen(*kept_back: KeptBack | None, at: timedelta = 0 * DAY) -> list[Notice]:
    found = notices([APPROVED], [], NOW + at, {}, [each for each in kept_back if each])
    return [each for each in found if each.event is Event.FROZEN]


def test_what_is_approved_and_frozen_says_by_what_and_until_when() -> None:
    [found] = frozen(said())
    assert found.detail == (
        f"approved, frozen by ChangeFreeze christmas until {rfc3339(NOW + DAY)}"
    )
    decided = next(e for e in notices([APPROVED], [], NOW) if e.event is Event.DECIDED)
    assert (found.uid, found.ring, found.score) == (decided.uid, decided.ring, decided.score)
    assert found.since == decided.since, "approved after the freeze had begun"
    [open_end] = frozen(said(until=None))
    assert open_end.detail.endswith("christmas with no end that is known")


def test_each_freeze_is_news_and_the_same_one_is_not() -> None:
    [first], [again] = frozen(said()), frozen(said(), at=DAY / 2)
    assert first.key == again.key
    [other] = frozen(said("sale"))
    [later] = frozen(said(since=rfc3339(NOW - DAY / 2)))
    assert len({first.key, other.key, later.key}) == 3


def test_nothing_is_told_of_what_is_over_or_is_kept_back_by_nothing() -> None:
    assert frozen(said(), at=DAY) == [], "it has ended, and no operator says so"
    assert said(reason="RequestApproved") is None, "left by an operator of before"
    assert KeptBack.of("shop", DeploymentIntentStatus(request_name="web")) is None
    gone = KeptBack.of("shop", DeploymentIntentStatus())
    assert gone is None
    assert notices([], [], NOW, {}, [found] if (found := said()) else []) == []


@pytest.mark.parametrize(
    ("tier", "entry"),
    [
        ("ManualReview", by_person("Approved", at=NOW - 20 * DAY)),
        ("AutoApprove", by_system("AutoApproved", at=NOW - 20 * DAY)),
    ],
)
def test_an_approval_of_long_ago_is_told_of_as_well(tier: str, entry: dict[str, Any]) -> None:
    old = asked(tier, entry, name="web", age=30 * DAY)
    assert not is_current(old, NOW)
    others = {("shop", "web"): Asked.of(old, standing_of(old))}
    kept_back = said()
    assert kept_back is not None
    [found] = notices([], [], NOW, others, [kept_back])
    assert (found.uid, found.since) == (old.metadata.uid, NOW - DAY)
