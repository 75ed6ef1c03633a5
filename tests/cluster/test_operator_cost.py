# SPDX-License-Identifier: Apache-2.0
"""What the operator costs the API server: calls to an approved request, at rest, and for one change
among many objects, as the API server itself counts them."""

import json
import re
import time

import httpx
import pytest

from cabgate_bench import loadgen
from cabgate_bench.calls import WRITES, calls, settled
from cabgate_bench.objects import GOOD, intent
from cabgate_bench.world import World
from cabgate_devcluster import DevCluster, wait_until

SPACE = "many"
FEW, MANY = 5, 600
PAGE = 250
"""Objects in a page of the operator's own lists."""
LEDGER = "cabdecisions|configmaps"


def declare(world, numbers):
    path = f"/apis/cabgate.dev/v1alpha1/namespaces/{SPACE}/deploymentintents"
    world.write("POST", [(path, intent(SPACE, f"web-{n}", GOOD)) for n in numbers])


def states(world):
    path = f"/apis/cabgate.dev/v1alpha1/namespaces/{SPACE}/cabrequests"
    found = world.cluster.kubectl("get", "--raw", path).stdout
    return [item.get("status", {}).get("state") for item in json.loads(found)["items"]]


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
    wait_until(lambda: states(world).count("AutoApproved") == FEW, 120, "all are approved")
    settled(world)
    return cost_of_a_change(world, "web-0", 1)


def cost_of_a_change(world, name, count):
    """What the operator asked until the changed intent had its new request approved and recorded:
    all calls, writes, and of those the ones to the ledger."""
    approved = states(world).count("AutoApproved")
    before = settled(world)
    writes, recorded = calls(world, WRITES), calls(world, WRITES, LEDGER)
    change = {"spec": {"evidence": {"testResults": {"passed": 100 + count}}}}
    arguments = ("patch", "deploymentintent", name, "-n", SPACE, "--type=merge")
    world.cluster.kubectl(*arguments, "-p", json.dumps(change))
    # kubectl reads and patches.
    wait_until(lambda: calls(world) > before + 2, 60, "the operator has begun")
    total = settled(world) - before - 2
    ledger = calls(world, WRITES, LEDGER) - recorded
    assert states(world).count("AutoApproved") == approved + 1
    return {"calls": total, "writes": calls(world, WRITES) - writes - 1, "ledger": ledger}


def test_at_rest_there_are_no_calls(world, few):
    before = settled(world)
    time.sleep(15)
    assert calls(world) == before


def test_a_change_takes_at_most_four_writes_and_two_of_the_ledger(few):
    assert few["writes"] - few["ledger"] <= 4, few
    assert few["ledger"] <= 2, few


def test_one_change_among_many_costs_what_it_does_among_few(world, few):
    declare(world, range(FEW, MANY))
    wait_until(lambda: states(world).count("AutoApproved") > MANY, 300, "all are approved")
    many = cost_of_a_change(world, "web-1", 2)
    assert many["writes"] == few["writes"]
    # A read more or less, as events happen to come together or apart.
    assert many["calls"] <= few["calls"] + 8, (few, many)


def test_a_sweep_of_many_is_a_few_lists(world, few):
    if len(states(world)) < MANY:
        declare(world, range(FEW, MANY))
    settled(world)
    world.installation.operator.stop()
    world.installation.start_operator(options=["--sweep-seconds=6", "--keep-approved=100000"])
    try:
        url = world.installation.operator_url("/metrics")
        wait_until(lambda: sweeps(url) > 0, 60, "a sweep is done")
        settled(world, seconds=5.0)
        for _ in range(2):
            last, before = sweeps(url), calls(world)
            wait_until(lambda last=last: sweeps(url) > last, 60, "another sweep is done")
            time.sleep(2)  # what it queued is looked at
            assert calls(world) - before < 50
    finally:
        world.installation.operator.stop()
        world.installation.start_operator()


def sweeps(url):
    """When the last sweep was."""
    text = httpx.get(url).text
    return float(re.search(r"^cabgate_last_sweep_timestamp_seconds (\S+)", text, re.MULTILINE)[1])


def test_what_there_is_much_of_is_listed_in_pages(world, few):
    if len(states(world)) < MANY:
        declare(world, range(FEW, MANY))
    settled(world)
    before = calls(world, "LIST", "deploymentintents")
    world.installation.operator.stop()
    world.installation.start_operator()
    settled(world)
    pages = MANY // PAGE + 1
    # kopf's list at its start, and that of the first sweep.
    assert calls(world, "LIST", "deploymentintents") - before >= 2 * pages
