# SPDX-License-Identifier: Apache-2.0
"""What is generated and checked in is current."""

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_of_the_states_is_what_the_tables_say():
    tool = runpy.run_path(str(ROOT / "tools" / "states.py"))
    assert (ROOT / "docs" / "states.md").read_text() == tool["rendered"]()


def test_the_page_of_the_figures_of_reports_is_what_they_say():
    tool = runpy.run_path(str(ROOT / "tools" / "reports.py"))
    assert (ROOT / "docs" / "reports.md").read_text() == tool["rendered"]()


def test_the_page_of_the_calibration_is_what_the_commands_print():
    tool = runpy.run_path(str(ROOT / "tools" / "calibration.py"))
    for path, content in tool["rendered"]().items():
        assert path.read_text() == content, path


def test_what_the_docs_have_of_reasons_is_what_their_records_say():
    tool = runpy.run_path(str(ROOT / "tools" / "reasons.py"))
    for path, content in tool["rendered"]().items():
        assert (ROOT / path).read_text() == content, path


def test_the_tables_of_what_is_covered_are_what_the_tests_send():
    tool = runpy.run_path(str(ROOT / "tools" / "coverage.py"))
    page = (ROOT / "docs" / "coverage.md").read_text()
    assert tool["render"](page) == page


def test_the_page_of_the_commands_is_what_the_program_has():
    tool = runpy.run_path(str(ROOT / "tools" / "commands.py"))
    assert (ROOT / "docs" / "commands.md").read_text() == tool["rendered"]()


def test_the_page_of_the_settings_is_what_the_models_say():
    tool = runpy.run_path(str(ROOT / "tools" / "configuration.py"))
    assert (ROOT / "docs" / "configuration.md").read_text() == tool["rendered"]()


def test_the_messages_of_the_page_are_those_that_are_sent():
    tool = runpy.run_path(str(ROOT / "tools" / "notifications.py"))
    assert (ROOT / "docs" / "notifications.md").read_text() == tool["rendered"]()
    assert {group.event for group in tool["GROUPS"]} == set(tool["Event"])


def test_the_reference_of_the_api_is_what_the_models_say():
    tool = runpy.run_path(str(ROOT / "tools" / "reference.py"))
    assert (ROOT / "docs" / "reference" / "api.md").read_text() == tool["rendered"]()


def test_the_reference_has_each_field_with_a_description():
    rows = re.findall(
        r"^\| `([^`]+)` \|(.*)\|$", (ROOT / "docs/reference/api.md").read_text(), re.M
    )
    assert {path for path, _ in rows} >= {"spec.targets[].images", "status.review.verdict"}
    assert [path for path, cells in rows if not cells.rpartition("|")[2].strip()] == []
