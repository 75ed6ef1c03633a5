# SPDX-License-Identifier: Apache-2.0
"""The list of kinds that say how changes are judged is whole, and what ranges over it has all."""

from pathlib import Path

import pytest
import yaml

from cabgate.api.crds import definitions
from cabgate.api.rules import RULES
from cabgate.ledger.kept import KINDS

ROOT = Path(__file__).resolve().parents[4]


def test_each_kind_of_the_cluster_that_admins_write_is_on_it():
    names = {
        each["spec"]["names"]["kind"]: each["spec"]["names"]["plural"]
        for each in definitions()
        if each["spec"]["scope"] == "Cluster"
    }
    assert names.pop("CABDecision")  # the ledger
    assert {each.kind: each.plural for each in RULES} == names


def test_a_relay_with_a_store_may_read_each_kind_that_is_kept():
    rules = [
        rule
        for each in yaml.safe_load_all((ROOT / "examples/relay/roles.yaml").read_text())
        for rule in each.get("rules", ())
    ]
    (kept,) = (each for each in rules if "cabrequests" in each["resources"])
    assert kept["resources"] == list(KINDS.values())
    assert kept["verbs"] == ["list", "watch"]


@pytest.mark.parametrize("plural", [each.plural for each in RULES])
def test_the_audit_policy_has_each_write_of_it(plural):
    policy = yaml.safe_load((ROOT / "examples/siem/audit-policy.yaml").read_text())
    verbs = {
        verb
        for rule in policy["rules"]
        for group in rule.get("resources", ())
        if rule["level"] == "Metadata" and plural in group.get("resources", ())
        for verb in rule["verbs"]
    }
    assert verbs == {"create", "update", "patch", "delete", "deletecollection"}
