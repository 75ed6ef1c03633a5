# SPDX-License-Identifier: Apache-2.0
"""The short form of `make chaos`: one fault of each kind under load, and nothing is lost."""

import os
import random

import pytest

from cabgate_devcluster import DevCluster
from chaos.campaign import Campaign, table
from chaos.faults import BRIEF
from chaos.fleet import ETCD_ARGS


@pytest.mark.etcd
def test_nothing_is_lost_and_nothing_wrongly_admitted(record_property):
    # In CI the same each time, so that it judges the change and not the luck of the draw.
    seed = 1 if os.environ.get("CI") else random.SystemRandom().randrange(10**6)
    record_property("seed", seed)
    order = random.Random(seed).sample(BRIEF, len(BRIEF))  # noqa: S311 - a failure must come again
    with (
        DevCluster(etcd_args=ETCD_ARGS) as cluster,
        Campaign(cluster, seed, brief=True) as campaign,
    ):
        rows = [campaign.round(*order, warm=0.7)]
        rows.append(campaign.ends())
    seen = f"seed {seed}\n{table(rows)}"
    assert all(row.good for row in rows), seen
    assert rows[0].decided > 0, seen
