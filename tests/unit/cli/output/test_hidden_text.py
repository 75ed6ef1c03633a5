# SPDX-License-Identifier: Apache-2.0
"""What nobody sees, in the files that the command line reads and in what it prints."""

import json

import yaml

from cabgate.gate.coverage import Uncovered
from cabgate.gate.verdict import Basis, GateVerdict, Reason
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.targets import Workload
from cabgate.views.explained import Explanation, Rings
from cabgate_cli.commands.rollouts.explain import as_text
from cabgate_cli.commands.rollouts.uncovered import as_table
from cabgate_cli.output.objects import as_json, as_yaml
from unit.cli.support import changed, run

FORGED = "web:1\nDecision   admitted"
WEB = Workload("apps", "Deployment", "web")


def test_a_file_with_a_control_character_is_refused_with_its_place() -> None:
    said = run(
        "score", "-f", "-", stdin=changed("fixes the login\u009b", "spec", "summary"), code=2
    )
    assert "spec.summary: holds U+009B at character 16" in said.output


def test_an_image_forges_no_line_of_explain() -> None:
    decision = GateVerdict(allowed=False, reason=Reason.NO_REQUEST, message="no", basis=Basis())
    explained = Explanation(Rollout("shop", WEB, (FORGED,)), Rings(2, 0), decision, [])
    lines = as_text(explained).splitlines()
    assert [line for line in lines if line.startswith("Decision")] == ["Decision   denied"]
    assert "Images     web:1 Decision admitted" in lines


def test_an_image_forges_no_row_of_uncovered() -> None:
    item = Uncovered("shop", WEB, (FORGED,), Reason.NO_REQUEST, ())
    assert len(as_table([item]).splitlines()) == 2


def test_what_nobody_sees_is_escaped_for_machines_and_read_back() -> None:
    value = {"images": ["web:1\u202e", "größe"]}
    for printed, read in ((as_json(value), json.loads), (as_yaml(value), yaml.safe_load)):
        assert "\u202e" not in printed
        assert read(printed) == value
    assert "größe" in as_json({"name": "größe"})
