# SPDX-License-Identifier: Apache-2.0
"""What several files of this folder share: a cluster of their own, and who reads its ledger."""

import pytest

from cluster.ledger.storing import gated
from support.ledger import auditing


@pytest.fixture(scope="module")
def own():
    with gated() as gate:
        yield gate


@pytest.fixture(scope="module")
def auditor(own):
    with auditing(own, "auditor") as made:
        yield made
