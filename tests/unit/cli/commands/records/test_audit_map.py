# SPDX-License-Identifier: Apache-2.0
"""`cabgate audit map` on a file; tests/cluster/ledger/test_siem.py has an API server's."""

import json
from pathlib import Path

import pytest

from support.siem import checked
from unit.cli.support import run
from unit.core.siem.test_actions import DONE, OTHERS


@pytest.fixture
def log(tmp_path: Path) -> str:
    events = [
        {**raw, "auditID": f"id-{number}"}
        for number, raw in enumerate([*OTHERS, *(raw for *_, raw in DONE), *OTHERS])
    ]
    file = tmp_path / "audit.log"
    file.write_text("".join(json.dumps(each) + "\n" for each in events) + '{"half": ')
    return str(file)


@pytest.mark.parametrize("form", ["cloudevents", "ocsf"])
def test_each_privileged_action_is_a_line(log: str, form: str) -> None:
    printed = run("audit", "map", "-f", log, "--cluster", "prod", "--format", form).stdout
    first = len(OTHERS)
    assert [checked(json.loads(line)) for line in printed.splitlines()] == [
        f"prod/audit/id-{number}" for number in range(first, first + len(DONE))
    ]
    again = run("audit", "map", "-f", log, "--cluster", "prod", "--format", form).stdout
    assert again == printed, "the same bytes each time"


def test_what_is_no_audit_log_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text("none\n")
    found = run("audit", "map", "-f", str(file), "--cluster", "prod", code=2)
    assert "no audit log" in found.stderr


def test_the_name_of_the_cluster_is_needed(log: str) -> None:
    assert "--cluster" in run("audit", "map", "-f", log, code=2).stderr
