# SPDX-License-Identifier: Apache-2.0
"""`cabgate audit map` on a file; tests/cluster/ledger/test_siem.py has an API server's."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cabgate_cli.main import main
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
    events = [json.loads(line) for line in printed.splitlines()]
    sources = [each["data"] if "data" in each else each["entity"]["data"] for each in events]
    first = len(OTHERS)
    assert [each["auditID"] for each in sources] == [
        f"id-{number}" for number in range(first, first + len(DONE))
    ]
    ids = {checked(each) for each in events}
    assert len(ids) == len(DONE)
    assert all(each.startswith("prod/_audit/") for each in ids)
    again = run("audit", "map", "-f", log, "--cluster", "prod", "--format", form).stdout
    assert again == printed, "the same bytes each time"


GOOD = json.dumps(DONE[0][2])


def nested(depth: int) -> str:
    raw = json.dumps({**DONE[0][2], "requestObject": 0})
    return raw.replace('"requestObject": 0', '"requestObject": ' + "[" * depth + "]" * depth)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "none",
        '{"half": ',
        "[]",
        '"text"',
        GOOD[:-1] + ', "requestObject": ' + "7" * 5000 + "}",
        GOOD[:-1] + ', "requestObject": 1e999}',
        GOOD[:-1] + ', "requestObject": NaN}',
        nested(200_000),
        '{"kind": "EventList", "items": 7}',
        '{"kind": "EventList", "items": [7]}',
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_a_line_that_cannot_be_read_is_named_and_ends_nothing(
    tmp_path: Path, line: str, place: int
) -> None:
    file = tmp_path / "audit.log"
    lines = [GOOD, GOOD]
    lines.insert(place, line)
    file.write_text("".join(each + "\n" for each in lines))
    found = run("audit", "map", "-f", str(file), "--cluster", "prod", code=2)
    assert len(found.stdout.splitlines()) == 2
    assert f"line {place + 1}: skipped" in found.stderr


@pytest.mark.parametrize("depth", [*range(900, 1000, 7), *range(1000, 12000, 1000)])
def test_no_depth_of_nesting_ends_it(tmp_path: Path, depth: int) -> None:
    """What can be read and yet not be written is skipped as well."""
    file = tmp_path / "audit.log"
    file.write_text(nested(depth) + "\n" + GOOD + "\n")
    command = ("audit", "map", "-f", str(file), "--cluster", "prod")
    found = CliRunner().invoke(main, command)
    printed = found.stdout.splitlines()
    assert any("requestObject" not in line for line in printed), "the line behind it"
    mapped = len(printed) == 2
    assert found.exit_code == (0 if mapped else 2), found.stderr


def test_the_events_of_a_list_are_mapped_each(tmp_path: Path) -> None:
    file = tmp_path / "audit.log"
    listed = {"kind": "EventList", "items": [DONE[0][2], OTHERS[0], DONE[2][2]]}
    file.write_text(json.dumps(listed) + "\n")
    printed = run("audit", "map", "-f", str(file), "--cluster", "prod").stdout
    assert len(printed.splitlines()) == 2


def test_the_name_of_the_cluster_is_needed(log: str) -> None:
    assert "--cluster" in run("audit", "map", "-f", log, code=2).stderr
