# SPDX-License-Identifier: Apache-2.0
"""What to do about what runs uncovered."""

from cabgate.gate.coverage import Uncovered
from cabgate.gate.verdict import Reason
from cabgate.rollout.targets import Workload
from cabgate_cli.commands.rollouts.uncovered import advice_on


def item(namespace: str, reason: Reason) -> Uncovered:
    return Uncovered(namespace, Workload("apps", "Deployment", "web"), ("web:1",), reason)


def test_intents_are_offered_only_where_some_are_missing() -> None:
    revoked, bare = item("a", Reason.REVOKED), item("b", Reason.NO_REQUEST)
    assert advice_on([revoked]) == ["cabgate explain -n a deployment/web says why"]
    assert advice_on([revoked, bare]) == [
        "cabgate explain -n a deployment/web says why",
        "cabgate adopt -n b prints the intents that are missing",
    ]
