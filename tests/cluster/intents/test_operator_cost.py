# SPDX-License-Identifier: Apache-2.0
"""What the operator costs the API server: calls to an approved request, at rest, and for one change
among many objects, as the API server itself counts them."""

import json
import re

import httpx
import pytest

from cabgate_bench.load import loadgen
from cabgate_bench.load.calls import WRITES, calls, settled
from cabgate_bench.load.objects import GOOD, intent, target
from cabgate_bench.load.world import World
from cabgate_devcluster import DevCluster, wait_until

SPACE = "many"
PAGE = 250
"""Objects in a page of the operator's own lists."""
FEW, MANY = 5, PAGE + 5
LEDGER = "cabdecisions|configmaps"
INTERVAL = 0.3
"""Seconds between two looks at the metrics, each a tenth of a second of the API server's."""
RENEWALS = 7
"""Renewals of the Lease, one each 2 s, that a time of rest lasts."""


def declare(world, numbers):
    path = f"/apis/cabgate.dev/v1alpha1/namespaces/{SPACE}/deploymentintents"
    world.write("POST", [(path, intent(SPACE, f"web-{n}", GOOD)) for n in numbers])


def states(world):
    path = f"/apis/cabgate.dev/v1alpha1/namespaces/{SPACE}/cabrequests"
    found = world.cluster.api.call("GET", path)
    return [item.get("status", {}).get("state") for item in found["items"]]


@pytest.fixture(scope="module")
def world():
    with DevCluster() as cluster:
        made = World(cluster, loadgen.build())
        made.install_bare()
        made.namespaces([SPACE])
        made.installation.start_operator()
        yield made


@pytest.fixture(scope="module")
def few(world):
    """Calls, writes among them, for a change of one intent among few."""
    declare(world, range(FEW))
    wait_until(lambda: states(world).count("AutoApproved") == FEW, "all are approved", timeout=120)
    settled(world)
    return cost_of_a_change(world, "web-0", 1)


def cost_of_a_change(world, name, count):
    """What the operator asked until a release had its request approved and recorded: all calls,
    writes, and of those the ones to the ledger."""
    approved = states(world).count("AutoApproved")
    lists = 0

    def one_more_is_approved():
        nonlocal lists
        lists += 1  # each is a list, which the API server counts as well
        return states(world).count("AutoApproved") == approved + 1

    before = settled(world)
    writes, recorded = calls(world, WRITES), calls(world, WRITES, LEDGER)
    image, report = f"registry.example.com/shop/web:{count}", f"https://ci.example.com/{count}"
    change = {
        "spec": {
            "targets": [{**target(name), "images": [image]}],
            "evidence": {
                "artifacts": [{"name": "web", "images": [image]}],
                "testResults": {"uri": f"{report}/tests"},
                "scanResults": {"uri": f"{report}/scan"},
            },
        }
    }
    arguments = ("patch", "deploymentintent", name, "-n", SPACE, "--type=merge")
    world.cluster.kubectl(*arguments, "-p", json.dumps(change))
    # kubectl reads and patches.
    wait_until(lambda: calls(world) > before + 2, "the operator has begun", interval=INTERVAL)
    wait_until(one_more_is_approved, timeout=120.0, what="the new request is approved")
    wait_until(
        lambda: calls(world, WRITES, LEDGER) > recorded,
        timeout=120.0,
        interval=INTERVAL,
        what="it is recorded",
    )
    total = settled(world) - before - 2 - lists
    ledger = calls(world, WRITES, LEDGER) - recorded
    return {"calls": total, "writes": calls(world, WRITES) - writes - 1, "ledger": ledger}


def of_lease(world, field):
    """What the operator's Lease says: `renewTime` is what it writes all the while."""
    path = "/apis/coordination.k8s.io/v1/namespaces/cabgate-system/leases/cabgate-operator"
    return world.cluster.api.call("GET", path)["spec"].get(field)


def test_at_rest_there_are_no_calls(world, few):
    for _ in range(5):
        term, before = of_lease(world, "acquireTime"), settled(world)
        for _ in range(RENEWALS):
            last = of_lease(world, "renewTime")
            wait_until(lambda last=last: of_lease(world, "renewTime") != last, "it renews")
        made = calls(world) - before
        # Who was stopped for longer than its Lease holds begins anew, and reads all.
        if of_lease(world, "acquireTime") == term:
            break
    assert made == 0


def test_a_change_takes_four_reads_beside_its_writes(few):
    """What the watches have brought is not read again. One list, and what is read again where a
    watch brings things in another order; the Event of a write counts as one."""
    assert few["calls"] - few["writes"] <= 4, few


def test_a_change_takes_at_most_four_writes_and_two_of_the_ledger(few):
    assert few["writes"] - few["ledger"] <= 4, few
    assert few["ledger"] <= 2, few


def test_one_change_among_many_costs_what_it_does_among_few(world, few):
    declare(world, range(FEW, MANY))
    wait_until(
        lambda: states(world).count("AutoApproved") > MANY,
        timeout=300,
        interval=INTERVAL,
        what="all are approved",
    )
    many = cost_of_a_change(world, "web-1", 2)
    assert many["writes"] == few["writes"]
    # A read more or less, as events happen to come together or apart.
    assert many["calls"] <= few["calls"] + 8, (few, many)


def test_a_sweep_of_many_is_a_few_lists(world, few):
    if len(states(world)) < MANY:
        declare(world, range(FEW, MANY))
    settled(world)
    world.installation.operator.stop()
    world.installation.start_operator(options=["--sweep-seconds=12", "--keep-approved=100000"])
    try:
        url = world.installation.operator_url("/metrics")
        wait_until(lambda: sweeps(url) > 0, "a sweep is done")
        settled(world, seconds=5.0)
        for _ in range(2):
            last, before = sweeps(url), calls(world)
            wait_until(lambda last=last: sweeps(url) > last, "another sweep is done")
            wait_until(lambda: queued(url) == 0, timeout=60.0, what="what it queued is looked at")
            assert calls(world) - before < 50
    finally:
        world.installation.operator.stop()
        world.installation.start_operator()


def sweeps(url):
    """When the last sweep was."""
    return metric(url, "cabgate_last_sweep_timestamp_seconds")


def queued(url):
    """What the operator has still to look at."""
    return metric(url, "cabgate_queue_depth")


def metric(url, name):
    text = httpx.get(url, timeout=60).text
    return float(re.search(rf"^{name} (\S+)", text, re.MULTILINE)[1])


def test_what_there_is_much_of_is_listed_in_pages(world, few):
    if len(states(world)) < MANY:
        declare(world, range(FEW, MANY))
    settled(world)
    before = calls(world, "LIST", "deploymentintents")
    world.installation.operator.stop()
    world.installation.start_operator()
    pages = MANY // PAGE + 1
    # kopf's list at its start, and that of the first sweep.
    wait_until(
        lambda: calls(world, "LIST", "deploymentintents") - before >= 2 * pages,
        timeout=120.0,
        interval=INTERVAL,
        what="both lists come in pages",
    )
    settled(world)
