# SPDX-License-Identifier: Apache-2.0
"""`cabgate freeze plan`: freezes that the API server takes, of calendars and weekly times."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cabgate.api import ChangeFreeze
from unit.cli.support import run

WEEKENDS = ("--weekly", "Fri 16:00-Mon 08:00 Europe/Berlin")
NAMED = ("--name", "weekends", "--title", "Weekends", "--reason", "Nobody is there.")
SPAN = ("--from", "2026-12-01", "--until", "2027-01-01")

ICS = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//example//EN
BEGIN:VEVENT
UID:1
DTSTAMP:20260101T000000Z
SUMMARY:Christmas
DTSTART;VALUE=DATE:20261224
DTEND;VALUE=DATE:20261227
END:VEVENT
END:VCALENDAR
"""


def planned(*words: str, code: int = 0, stdin: str | None = None) -> Any:
    return json.loads(run("freeze", "plan", *words, "-o", "json", stdin=stdin, code=code).stdout)


def intervals(content: Any) -> list[Any]:
    found: list[Any] = content["spec"]["intervals"]
    return found


def test_weekends_become_a_freeze_in_utc() -> None:
    found = planned(*WEEKENDS, *SPAN, *NAMED, "--ring-from", "3")
    assert ChangeFreeze.model_validate(found).to_dict()["spec"] == found["spec"]
    assert found["metadata"] == {"name": "weekends"}
    assert found["spec"] | {"intervals": 0} == {
        "kind": "Freeze",
        "title": "Weekends",
        "reason": "Nobody is there.",
        "ringFrom": 3,
        "intervals": 0,
    }
    assert intervals(found)[0] == {"from": "2026-12-04T15:00:00Z", "until": "2026-12-07T07:00:00Z"}
    assert len(intervals(found)) == 4


def test_what_overlaps_is_one_interval_with_the_titles_of_both() -> None:
    zone = ("--time-zone", "Europe/Berlin")
    found = planned("--ics", "-", *WEEKENDS, *SPAN, *NAMED, *zone, stdin=ICS)
    assert intervals(found)[-1] == {
        "from": "2026-12-23T23:00:00Z",
        "until": "2026-12-28T07:00:00Z",
        "title": "Christmas",
    }


def test_more_than_four_hundred_are_several_freezes_and_it_says_so() -> None:
    words = ("freeze", "plan", *WEEKENDS, *SPAN[:2], "--until", "2035-12-31", *NAMED)
    result = run(*words)
    found = list(yaml.safe_load_all(result.stdout))
    assert [each["metadata"]["name"] for each in found] == ["weekends-1", "weekends-2"]
    assert [len(intervals(each)) for each in found] == [400, 74]
    assert "474 intervals are more than one freeze may have: they are 2 freezes" in result.stderr
    assert json.loads(run(*words, "-o", "json").stdout) == {
        "apiVersion": "v1",
        "kind": "List",
        "items": found,
    }


def test_a_window_says_when_it_is_open_for_the_last_time() -> None:
    words = ("freeze", "plan", *WEEKENDS, *SPAN, *NAMED)
    said = run(*words, "--kind", "Window").stderr
    assert "after 2026-12-28T07:00:00Z no window is open any more" in said
    assert run(*words).stderr == ""


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("kubernetes.io/metadata.name=shop", ("In", ["shop"])),
        ("kubernetes.io/metadata.name!=shop", ("NotIn", ["shop"])),
        ("kubernetes.io/metadata.name in (shop, pay)", ("In", ["shop", "pay"])),
        ("kubernetes.io/metadata.name  notin(shop)", ("NotIn", ["shop"])),
    ],
)
def test_namespaces_are_selected_as_kubectl_does(term: str, expected: Any) -> None:
    found = planned(*WEEKENDS, *SPAN, *NAMED, "--namespace-selector", term)
    [made] = found["spec"]["namespaceSelector"]["matchExpressions"]
    assert made["key"] == "kubernetes.io/metadata.name"
    assert (made["operator"], made["values"]) == expected


@pytest.mark.parametrize("text", ["fri 16:00 - MON 08:00 Europe/Berlin",
                                  "  Fri 16:00-Mon  08:00 Europe/Berlin "])  # fmt: skip
def test_days_are_read_however_they_are_written(text: str) -> None:
    assert planned("--weekly", text, *SPAN, *NAMED) == planned(*WEEKENDS, *SPAN, *NAMED)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*SPAN, *NAMED), "--ics, --weekly: absent"),
        ((*WEEKENDS, *NAMED), "'--until'"),
        (("--weekly", "weekends", *SPAN, *NAMED), "not two times of a week and a time zone"),
        (("--weekly", "Fri 16:00-Mon 08:00", *SPAN, *NAMED), "not two times of a week"),
        (("--weekly", "Fri 24:00-Mon 08:00 UTC", *SPAN, *NAMED), "not two times of a week"),
        (("--weekly", "Fri 16:00-Fri 16:00 UTC", *SPAN, *NAMED), "ends when it begins"),
        (("--weekly", "Fri 16:00-Mon 08:00 Middle/Earth", *SPAN, *NAMED), "no time zone"),
        (("--weekly", "Fri 16:00-Mon 08:00 ../../etc", *SPAN, *NAMED), "no time zone"),
        ((*WEEKENDS, *SPAN, *NAMED, "--time-zone", "Europe"), "no time zone"),
        ((*WEEKENDS, "--until", "2000-01-01", *NAMED), "--until: 2000-01-01T00:00:00Z; allowed: l"),
        ((*WEEKENDS, "--until", "2999-01-01", *NAMED), "by at most ten years"),
        (
            (*WEEKENDS, "--from", "2026-12-01", "--until", "2026-12-02", *NAMED),
            "nothing lies between 2026-12-01T00:00:00Z and 2026-12-02T00:00:00Z",
        ),
        (
            (*WEEKENDS, *SPAN, *NAMED, "--namespace-selector", "team=shop"),
            "'team': teams may be able to change that label",
        ),
        (
            (*WEEKENDS, *SPAN, *NAMED, "--namespace-selector", "kubernetes.io/metadata.name in ()"),
            "a value is empty",
        ),
        ((*WEEKENDS, *SPAN, *NAMED, "--namespace-selector", "x in shop"), "not a term"),
        ((*WEEKENDS, *SPAN, *NAMED, "--ring-from", "1"), "--ring-from"),
        ((*WEEKENDS, *SPAN, *NAMED, "--name", "Week Ends"), "metadata.name: 'Week Ends'"),
        ((*WEEKENDS, *SPAN, *NAMED, "--name", "w" * 64), "metadata.name: has 64 characters"),
        (
            (*WEEKENDS, *SPAN[:2], "--until", "2035-12-31", *NAMED, "--name", "w" * 62),
            "metadata.name: has 64 characters",
        ),
        ((*WEEKENDS, *SPAN, *NAMED, "--title", " "), "spec.title: blank"),
        ((*WEEKENDS, *SPAN, *NAMED, "--reason", "x" * 4097), "spec.reason: has 4097 characters"),
        ((*WEEKENDS, *SPAN, *NAMED, "--title", "a\u202eb"), "spec.title: holds U+202E"),
        (("--ics", "/none.ics", *SPAN, *NAMED), "/none.ics: cannot be read"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(words: tuple[str, ...], said: str) -> None:
    result = run("freeze", "plan", *words, code=2)
    assert said in result.stderr
    assert result.stdout == ""


def test_what_is_over_is_left_out_unless_it_is_asked_for() -> None:
    past = ("--until", "2035-01-01", *NAMED)
    assert intervals(planned(*WEEKENDS, *SPAN, *NAMED))[0]["from"] == "2026-12-04T15:00:00Z"
    assert intervals(planned(*WEEKENDS, "--from", "2025-06-01", *past)["items"][0])[0] == {
        "from": "2025-05-30T14:00:00Z",
        "until": "2025-06-02T06:00:00Z",
    }


@pytest.mark.slow
def test_help_loads_no_calendar(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom cabgate_cli.main import main\n"
        "try: main(['freeze', 'plan', '--help'])\nexcept SystemExit: pass\n"
        "print('icalendar' in sys.modules, 'kubernetes' in sys.modules)"
    )
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "False False"
