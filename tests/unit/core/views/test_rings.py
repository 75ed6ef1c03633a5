# SPDX-License-Identifier: Apache-2.0
"""Where a release is shown to stand in its rings: what the gate decides by."""

import pytest

from cabgate.lifecycle.limits.promotion import UNKNOWN, EarlierRings
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate.views.policies import policy_answer, promotion_in
from cabgate.views.rings import BY_IMAGES, ring_views
from cabgate.views.show import show
from cabgate_cli.output.views import request_text
from cabgate_samples.models import NOW, by_person, request, rollout
from support.promotion import DAY, IMAGE, RELEASE, outcome, policy, promoted, rings, row
from unit.core.standings import decide
from unit.core.views.builders import whole

BOTH = [row(4, 3), row(3, 2)]


def seen(*outcomes, asks=None):
    known = EarlierRings({RELEASE: list(outcomes)}, template=None)
    return ring_views(whole(asks or promoted(rows=BOTH))[0], known, NOW)


@pytest.mark.parametrize(
    ("outcomes", "states"),
    [
        ([], ["Pending", "Pending"]),
        ([outcome(DAY)], ["Pending", "Pending"]),
        ([outcome()], ["Promoted", "Pending"]),
        ([outcome(), outcome(ring=3, namespace="b")], ["Promoted", "Promoted"]),
        ([outcome(), outcome(ring=3, result="Failed")], ["Promoted", "Failed"]),
    ],
)
def test_each_ring_is_told_by_what_decides(outcomes, states):
    views = seen(*outcomes)
    assert [each.state for each in views] == states
    assert [(each.ring, each.after) for each in views] == [(3, 2), (4, 3)]
    for each in views:
        known = rings(*outcomes)
        what = decide(
            rollout(IMAGE), each.ring, [promoted(rows=BOTH)], [], NOW, earlier_rings=known
        )
        assert what.allowed is (each.state == "Promoted")
        assert what.allowed or each.says.removesuffix(BY_IMAGES) in what.message


def test_what_was_told_by_images_alone_says_so():
    """Which containers run them, and whether it runs there still, the rollout is asked."""
    assert [each.says.endswith(BY_IMAGES) for each in seen(outcome())] == [True, False]
    assert seen(outcome(result="Failed"))[0].says.endswith(BY_IMAGES)


def test_it_says_since_when_and_how_long_yet():
    (view,) = seen(outcome(DAY), asks=promoted())
    assert (view.since, view.until) == ("2026-02-28T12:00:00Z", "2026-03-03T12:00:00Z")


def test_what_is_overridden_says_so():
    over = promoted(by_person("Approved", overrides=["promotion.ring-3"]), rows=BOTH)
    assert [each.state for each in seen(asks=over)] == ["Overridden", "Pending"]


def test_what_nobody_could_read_is_not_known():
    asks = whole(promoted())[0]
    assert [each.state for each in ring_views(asks, None, NOW)] == ["NotKnown"]
    assert ring_views(whole(request("ManualReview"))[0], UNKNOWN, NOW) == ()


def test_a_request_is_shown_with_them():
    known = EarlierRings({RELEASE: [outcome(DAY)]}, template=None)
    view = show(whole(promoted())[0], [], NOW, earlier_rings=known)
    text = request_text(view)
    assert "into ring 3 after ring 2: Pending: release shop has run in ring 2 since" in text


def test_a_policy_is_told_by_the_ring_that_is_rolled_out_into():
    board = policy(row(3, 2, "72h", ["b", "a"]), row(1, 0, namespaces=["lab"]))
    after = promotion_in(board, 3)
    assert after == (
        "ring 2 for 72h without a break, in a, b: at least 2 Pods, 99.00 % of them without a "
        "failure, and at most 0 incidents"
    )
    assert promotion_in(board, 4) == after
    assert promotion_in(board, 1) == ""  # nobody is ever stopped there
    answer = policy_answer(board, DEFAULT_RISK_MODEL, DEFAULT_RISK_MODEL.spec.auto_approve_up_to, 3)
    assert answer.promotion == after
