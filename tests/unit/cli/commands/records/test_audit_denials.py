# SPDX-License-Identifier: Apache-2.0
"""`cabgate audit denials` on a file; tests/cluster/gate/test_modes.py has an API server's."""

import json
from pathlib import Path
from typing import Any

import pytest

from unit.cli.support import run
from unit.core.reports.test_denials import event, noted


@pytest.fixture
def log(tmp_path: Path) -> Path:
    events = [event(), event(requestReceivedTimestamp="2026-11-29T00:00:00Z")]
    denied = noted(workload="job/x\u202e")
    events.append(event(annotations=denied, user={"username": "tom"}, responseStatus={"code": 403}))
    other = {"stage": "ResponseComplete", "verb": "get"}
    path = tmp_path / "audit.log"
    path.write_text("".join(json.dumps(each) + "\n" for each in [*events, other]))
    return path


def rows(*args: str | Path, code: int = 1) -> list[dict[str, Any]]:
    found: list[dict[str, Any]]
    found = json.loads(run("audit", "denials", *args, "-o", "json", code=code).stdout)
    return found


def test_the_most_frequent_come_first_and_what_enforce_adds_is_summed(log: Path) -> None:
    text = run("audit", "denials", "-f", log, code=1).stdout
    lines = [line.split() for line in text.splitlines()]
    assert lines[1] == [
        *("shop", "deployment/web", "NoRequest", "Audit", "2"),
        *("2026-11-29T00:00:00Z", "tess"),
    ]
    assert lines[2][3:5] == ["Enforce", "1"]
    assert "\u202e" not in text, "what nobody would see is not printed"
    assert text.endswith("\nEnforce would have denied 2 more rollouts of 1 workload.\n")


@pytest.mark.parametrize(
    ("options", "times"),
    [
        (["--since", "2026-11-29"], {"deployment/web": 1}),
        (["--until", "2026-11-28"], {}),
        (["-n", "pay"], {}),
        (["-n", "shop"], {"deployment/web": 2, "job/x\u202e": 1}),
    ],
)
def test_filters(log: Path, options: list[str], times: dict[str, int]) -> None:
    found = rows("-f", log, *options, code=1 if times else 0)
    assert {row["workload"]: row["times"] for row in found} == times


def test_a_log_that_is_being_written_is_read_to_its_last_whole_line(log: Path) -> None:
    before = rows("-f", log)
    whole = log.read_text()
    log.write_text(whole + json.dumps(event())[:-20])
    assert rows("-f", log) == before


def test_a_line_in_the_middle_that_is_none_is_an_error(log: Path) -> None:
    whole = log.read_text()
    log.write_text(json.dumps(event())[:-20] + "\n" + whole)
    found = run("audit", "denials", "-f", log, code=2)
    assert "line 1: no event: not a JSON object" in found.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("apiVersion: v1\n", "no audit log of an API server"),
        (json.dumps(event(user={})) + "\n", "no event of an audit log"),
    ],
)
def test_what_is_no_audit_log_is_said(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "other"
    path.write_text(text)
    assert said in run("audit", "denials", "-f", path, code=2).stderr


def test_where_nothing_was_denied_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_text("")
    said = run("audit", "denials", "-f", path).stdout
    assert said == "No rollout was denied, and Enforce would have denied none.\n"
