# SPDX-License-Identifier: Apache-2.0
"""What is decided of requests of the most workloads and images does not grow with the product of
the two: nobody makes a revocation impossible by declaring much."""

import sys
from datetime import timedelta

import pytest

from cabgate.writes.revoking import images_to_revoke, warnings_of
from cabgate_samples.models import NOW, by_person, intent, request, rollout, target
from cabgate_samples.objects import MIDDLING
from unit.core.standings import Surroundings, decide

TARGETS = [target(f"app-{n}", *(f"r/{n}:{i}" for i in range(50))) for n in range(50)]


def calls(work):
    """How many functions of Python some work calls: what it costs, on whatever machine."""
    count = 0

    def counted(_frame, event, _argument):
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def large(number, *entries):
    evidence = {**MIDDLING, "scope": {"affectedComponents": 6 + number}}
    made = intent(evidence, TARGETS, named=False)
    return request("ManualReview", *entries, of=made, name=f"large-{number}")


@pytest.mark.parametrize("images", [["r/0:0"], ["*"], []])
def test_a_revocation_beside_many_large_requests_is_soon_computed(images):
    many = [large(n, by_person("Approved")) for n in range(10)]
    subject = many[0]
    many[1] = large(1, by_person("Approved"), by_person("Revoked", NOW - timedelta(minutes=5)))
    around = Surroundings(many, [], NOW)

    def work():
        warnings_of(subject, images_to_revoke(subject, images, around), around)

    assert calls(work) < 1_500_000


def test_a_rollout_beside_large_approvals_looks_at_its_own_workload():
    many = [large(n, by_person("Approved")) for n in range(30)]
    many[1] = large(1, by_person("Approved"), by_person("Revoked"))
    wanted = rollout("r/0:0", name="app-0")
    assert calls(lambda: decide(wanted, 2, many, [], NOW)) < 40_000
