# SPDX-License-Identifier: Apache-2.0
"""One control plane with cabgate on it for the whole run; a namespace for each test."""

import itertools

import pytest

from cabgate_devcluster import DevCluster
from support.gate import install
from support.objects import MIDDLING

_numbers = itertools.count(1)

NEVER_TWICE = {
    "test_chaos",
    "test_chart",
    "test_replicas",
    "test_rolling_restart",
    "test_rotation",
    "test_shared_reads",
}
"""Tests whose failure is a lost admission or decision: a second try would hide one in two."""


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.stem in NEVER_TWICE:
            item.add_marker(pytest.mark.flaky(reruns=0))


@pytest.fixture(scope="session")
def cluster():
    with DevCluster() as running:
        yield running


@pytest.fixture(scope="session")
def gate(cluster):
    return install(cluster)


@pytest.fixture
def make_namespace(cluster):
    made = []

    def make(ring="2"):
        name = f"test-{next(_numbers)}"
        cluster.kubectl("create", "namespace", name)
        if ring is not None:
            cluster.kubectl("label", "namespace", name, f"cabgate.dev/ring={ring}")
        made.append(name)
        return name

    yield make
    if made:
        cluster.kubectl("delete", "namespace", *made, "--wait=false", "--ignore-not-found")


@pytest.fixture
def namespace(make_namespace):
    """A namespace of ring 2."""
    return make_namespace()


@pytest.fixture
def submitted(gate, namespace):
    """Name of a request that waits for a person."""
    return gate.open(namespace, MIDDLING, "Submitted")
