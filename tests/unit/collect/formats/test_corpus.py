# SPDX-License-Identifier: Apache-2.0
"""Every report of the corpus says what was counted by hand."""

import pytest

from cabgate_collect.facts import Format
from cabgate_collect.reading import looks_like
from unit.collect.described import CORPUS, ROWS, described, format_of

REPORTS = {
    str(path.relative_to(CORPUS)) for path in CORPUS.rglob("*") if path.is_file()
} - {"README.md"}  # fmt: skip


@pytest.mark.parametrize("name", sorted(REPORTS))
def test_a_report_says_what_was_counted_by_hand(name: str) -> None:
    assert described((CORPUS / name).read_bytes(), format_of(name)) == ROWS[name]


def test_the_table_has_each_report_once_and_there_are_enough() -> None:
    assert set(ROWS) == REPORTS
    assert len(REPORTS) >= 60
    assert {format_of(name) for name in REPORTS} == set(Format)


@pytest.mark.parametrize("name", sorted(n for n in REPORTS if "/bad-" not in n))
def test_a_report_is_known_by_its_looks(name: str) -> None:
    data = (CORPUS / name).read_bytes()
    expected = None if name == "junit/schema-utf-16.xml" else format_of(name)
    assert looks_like(data) is expected
