# SPDX-License-Identifier: Apache-2.0
"""What explain says of a denial that no mode enforces."""

import pytest

from cabgate.gate.verdict import Basis, GateVerdict, Reason
from cabgate.rollout.modes import Mode, too_loose
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.targets import Workload
from cabgate.views.explained import Explanation, Rings
from cabgate_cli.commands.rollouts.explain import as_text
from unit.cli.support import run

WEB = Rollout("shop", Workload("apps", "Deployment", "web"), ("web:1",))
DENIED = GateVerdict(allowed=False, reason=Reason.NO_REQUEST, message="no", basis=Basis())


@pytest.mark.parametrize("mode", [Mode.WARN, Mode.AUDIT])
def test_what_is_let_through_is_not_called_denied(mode: Mode) -> None:
    item = Explanation(WEB, Rings(2, 0), DENIED, [], mode)
    said = f"Decision   admitted, since the mode is {mode}; Enforce would deny it"
    assert said in as_text(item).splitlines()
    assert item.admitted


def test_what_is_enforced_is_denied_whatever_the_namespace_asks_for() -> None:
    loose = too_loose(Mode.ENFORCE, {"cabgate.dev/mode": "Audit"})
    item = Explanation(WEB, Rings(2, 0), DENIED, [], Mode.ENFORCE, loose)
    lines = as_text(item).splitlines()
    assert "Decision   denied" in lines
    assert any(
        line.startswith("Mode       Enforce: cabgate.dev/mode=Audit does not") for line in lines
    )
    assert not item.admitted


def test_the_mode_is_given_as_the_chart_names_it() -> None:
    for mode in Mode:
        said = run("explain", "-n", "shop", "deployment/web", "--mode", mode.value, code=4).stderr
        assert "--mode" not in said
    said = run("explain", "-n", "shop", "deployment/web", "--mode", "audit", code=2).stderr
    assert "is not one of 'Enforce', 'Warn', 'Audit'" in said
