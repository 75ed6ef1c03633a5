# SPDX-License-Identifier: Apache-2.0
"""Whatever a break of the glass runs, a request is opened that reviews it."""

import pytest

from cabgate.lifecycle.requests.break_glass import check_opened_for_glass
from cabgate_samples.models import broken_workload, opened_for

MANY = [f"web:{n:03}" for n in range(51)]


@pytest.mark.parametrize("images", [MANY, ["w" * 2000], [*MANY, "w" * 2000], MANY[:50]])
def test_a_break_of_many_or_long_images_is_reviewed(images):
    broken = broken_workload(images=images)
    made = opened_for(broken)
    [target] = made.spec.targets
    assert len(target.images) <= 50
    check_opened_for_glass(made, broken)
    other = opened_for(broken_workload(images=[*images[:-1], "w" * 1999]))
    assert other.spec.evidence_digest != made.spec.evidence_digest, "each is told from the others"
