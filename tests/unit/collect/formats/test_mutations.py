# SPDX-License-Identifier: Apache-2.0
"""Damaged and restated reports; `make mutations` tries 100,000 of them."""

import os

from unit.collect.described import read
from unit.collect.mutations import READABLE, better, facts_of, mutants

NUMBER = int(os.environ.get("MUTATIONS", "1500"))
"""How many are tried, in a process of the test."""

SEED = int(os.environ.get("MUTATIONS_SEED", "7"))


def test_a_damaged_report_is_read_or_refused_and_a_restated_one_is_never_better() -> None:
    originals = {name: read(name) for name in READABLE}
    refused = 0
    for mutant in mutants(NUMBER, SEED):
        facts = facts_of(mutant)
        refused += facts is None
        if mutant.restated:
            assert facts is not None, mutant
            assert better(facts, originals[mutant.name]) is None, mutant
    assert 0 < refused < NUMBER / 2
