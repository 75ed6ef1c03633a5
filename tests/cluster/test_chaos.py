# SPDX-License-Identifier: Apache-2.0
"""The short form of `make chaos`: a few faults under load, and nothing is lost."""

import random

import pytest

from cabgate_devcluster import DevCluster
from chaos.campaign import Campaign, table
from chaos.faults import QUICK
from support.gate import install


@pytest.fixture(scope="module")
def gate():
    with DevCluster() as cluster:
        yield install(cluster)


def test_nothing_is_lost_and_nothing_wrongly_admitted(gate, record_property):
    seed = random.SystemRandom().randrange(10**6)
    record_property("seed", seed)
    with Campaign(gate, seed) as campaign:
        chosen = random.Random(seed).sample(QUICK, 3)  # noqa: S311 - a failure must come again
        rows = [campaign.round(fault, warm=2.0) for fault in chosen]
    told = f"seed {seed}\n{table(rows)}"
    assert all(row.good for row in rows), told
    assert sum(row.decided for row in rows) > 0, told
