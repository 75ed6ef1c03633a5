# SPDX-License-Identifier: Apache-2.0
"""What the docs show of the command line is what it prints."""

import re
import shlex
from pathlib import Path

import pytest

from unit.cli.support import ROOT, run

MODEL = (ROOT / "docs" / "risk-model.md").read_text()
INTENTS = (ROOT / "docs" / "intents.md").read_text()
FREEZES = (ROOT / "docs" / "change-freezes.md").read_text()


def test_the_output_of_the_example_is_real() -> None:
    [(command, shown)] = re.findall(r"```console\n\$ cabgate (.+)\n([\s\S]*?)```", MODEL)
    words = shlex.split(command)
    assert run(*words[:-1], ROOT / words[-1]).stdout == shown


@pytest.mark.parametrize("shown", re.findall(r"^cabgate exception (?:.*\\\n)*.*", INTENTS, re.M))
def test_the_exceptions_that_the_docs_ask_for_are_ready(shown: str) -> None:
    words = shlex.split(shown.partition(" > ")[0].replace("\\\n", " "))
    assert run(*words[1:]).stderr == ""


def test_the_freezes_that_the_docs_make_hold_when_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("holidays.ics").write_text(HOLIDAYS)
    shown = re.findall(r"^cabgate freeze (?:.*\\\n)*.*", FREEZES, re.M)
    planned = [each.split(" > ") for each in shown if " > " in each]
    assert len(planned) == 2
    for command, file in planned:
        words = shlex.split(command.replace("\\\n", " "))
        Path(file).write_text(run(*words[1:], "--from", "2026-12-01").stdout)
    [listed] = [each for each in shown if " -f " in each and each.startswith("cabgate freeze list")]
    assert "weekends " in run(*shlex.split(listed)[1:], code=1).stdout


HOLIDAYS = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//example//EN
BEGIN:VEVENT
UID:1
DTSTAMP:20260101T000000Z
DTSTART;VALUE=DATE:20270101
RRULE:FREQ=YEARLY
END:VEVENT
END:VCALENDAR
"""
