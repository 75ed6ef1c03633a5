# SPDX-License-Identifier: Apache-2.0
"""The threat model names tests that there are."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "operations" / "threat-model.md"


def test_each_threat_is_proved_by_a_test_that_exists():
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text()))
    there = {
        name
        for folder in ("cluster", "unit")
        for path in (ROOT / "tests" / folder).rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)\(", path.read_text(), re.MULTILINE)
    }
    assert named
    assert named - there == set()


def test_each_letter_of_stride_has_threats():
    letters = set(re.findall(r"^\| ([A-Z]) \|", PAGE.read_text(), re.MULTILINE))
    assert letters == set("STRIDE")
