# SPDX-License-Identifier: Apache-2.0
"""Which Pods of a workload are seen, and which have failed."""

import pytest

from cabgate.api.outcome import MAX_FAILED_UIDS, PodCounts
from cabgate.outcomes.pods import PodsNow, counted, pods_now
from unit.core.outcomes.outcomes import IMAGE, LATER_IMAGE, at
from unit.core.outcomes.workloads import UID, crashed, pod, running

SIDECAR = {"name": "proxy", "image": "mesh/proxy:1", "readinessProbe": {"httpGet": {"port": 1}}}


def seen(*pods, now=10):
    return pods_now(running(), pods, at(now))


@pytest.mark.parametrize(
    ("one", "ready"),
    [
        (pod("a"), 1),
        (pod("a", ready=False), 0),
        (pod("a", probe=False), 0),  # ready says nothing there
        (pod("a", probe=False, beside=[SIDECAR]), 0),  # of somebody else's container
        (pod("a", beside=[SIDECAR]), 1),
        (pod("a", image=LATER_IMAGE), 0),
        (pod("a", deleting=True), 0),
        (pod("a", owner={"kind": "ReplicaSet", "name": "api-7d4b9c6f5d"}), 0),
        (pod("a", owner={"kind": "ReplicaSet", "name": "web-by-hand"}), 0),
        (pod("a", owner={"kind": "ReplicaSet", "controller": False}), 0),
        (pod("a", owner={"kind": "StatefulSet", "name": "web", "uid": UID}), 1),
    ],
)
def test_who_is_seen(one, ready):
    assert seen(one).ready == ready


@pytest.mark.parametrize(
    ("one", "failed"),
    [
        (pod("a"), False),
        (pod("a", containerStatuses=crashed()), True),  # ready again
        (pod("a", containerStatuses=crashed(0)), False),
        (pod("a", phase="Failed", ready=False), True),
        (pod("a", containerStatuses=[{"state": {"terminated": {"exitCode": 137}}}]), True),
        *(
            (pod("a", ready=False, containerStatuses=[{"state": {"waiting": {"reason": r}}}]), f)
            for r, f in {"CrashLoopBackOff": True, "ImagePullBackOff": True,
                         "ContainerCreating": False}.items()
        ),
        (pod("a", probe=False, containerStatuses=crashed()), False),
    ],
)  # fmt: skip
def test_who_has_failed(one, failed):
    assert seen(one).failed == ({"uid-a"} if failed else set())


def test_a_pod_that_is_not_ready_fails_after_five_minutes():
    one = pod("a", ready=False, since=100)
    early = seen(one, now=399)
    assert (early.failed, early.may_fail_at) == (frozenset(), at(400))
    assert seen(one, now=400).failed == {"uid-a"}


def test_a_pod_that_no_node_has_room_for_says_nothing_of_the_release():
    one = pod("a", ready=False, since=0)
    one["status"]["conditions"].append({"type": "PodScheduled", "status": "False"})
    assert seen(one, now=9999).failed == frozenset()


def test_since_when_none_is_ready():
    down = pod("a", ready=False, since=20), pod("b", ready=False, since=50, probe=False)
    assert seen(*down).unready_since == at(50)
    assert seen(*down, pod("c")).unready_since is None
    assert seen().unready_since is None


def test_counts_only_grow_and_each_pod_fails_once():
    first = counted(PodCounts(), PodsNow(3, frozenset({"a"})))
    assert (first.seen, first.failed, first.failed_uids) == (3, 1, ["a"])
    again = counted(first, PodsNow(2, frozenset({"a"})))
    assert again == first
    # One after the other is replaced and fails: who deletes those that failed hides nothing.
    later = counted(again, PodsNow(3, frozenset({"b"})))
    assert (later.seen, later.failed) == (3, 2)


def test_beyond_the_bound_those_count_that_fail_at_one_time():
    many = frozenset(f"pod-{number:04}" for number in range(MAX_FAILED_UIDS + 50))
    full = counted(PodCounts(), PodsNow(0, many))
    assert (full.failed, len(full.failed_uids)) == (len(many), MAX_FAILED_UIDS)
    assert counted(full, PodsNow(0, frozenset({"another"}))).failed == full.failed


def test_pages_of_a_list_come_together():
    pages = [PodsNow(2, frozenset({"a"}), at(5)), PodsNow(1, frozenset({"b"}), at(3))]
    assert pages[0].beside(pages[1]) == PodsNow(3, frozenset({"a", "b"}), at(3))
    down, up = PodsNow(unready_since=at(9)), PodsNow(any_ready=True)
    assert PodsNow(unready_since=at(4)).beside(down).unready_since == at(9)
    assert down.beside(up).unready_since is None


def test_every_image_of_the_workload_has_to_be_there():
    two = running()
    volume = {"name": "data", "image": {"reference": "shop/data:1"}}
    with_volume = pod("a")
    with_volume["spec"]["volumes"] = [volume]
    assert pods_now(two, [with_volume], at(1)).ready == 1
    assert two.images == (IMAGE,)
