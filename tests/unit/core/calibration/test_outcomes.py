# SPDX-License-Identifier: Apache-2.0
"""Outcomes as CSV: what is read, and what is refused with its line."""

from datetime import UTC, datetime

import pytest

from cabgate.calibration.changes import RequestKey
from cabgate.calibration.outcomes import (
    MOST_PROBLEMS,
    OutcomesError,
    matched,
    other_columns,
    outcomes_in,
)
from unit.core.calibration.planted import BEGIN, change

HEADER = "change,failed,at\n"
GOOD = "shop/web-1,true,2026-03-01"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1: is empty; needed: a header with change, failed, at"),
        ("\n\n", "line 1: is empty"),
        ("change,failed\nweb-1,true\n", "line 1: no column at; needed: change, failed, at"),
        ("change;failed;at\n", "line 1: no column change; needed: change, failed, at, separated"),
        ("change,failed,at,failed\n", "line 1: 2 columns failed; allowed: one"),
        (HEADER, "line 2: is empty; needed: a line for each change"),
        (f"{HEADER}web-1,true\n", "line 2: 2 cells; the header has 3"),
        (f"{HEADER}{GOOD},more\n", "line 2: 4 cells; the header has 3"),
        (f"{HEADER},true,2026-03-01\n", "line 2: change: '' names no request"),
        (f"{HEADER}a/b/c,true,2026-03-01\n", "line 2: change: 'a/b/c' names no request"),
        (f"{HEADER}Web_1,true,2026-03-01\n", "line 2: change: 'Web_1' names no request"),
        (f"{HEADER}web-1,maybe,2026-03-01\n", "line 2: failed: 'maybe'; allowed: true, yes, 1"),
        (f"{HEADER}web-1,,2026-03-01\n", "line 2: failed: ''; allowed"),
        (f"{HEADER}web-1,true,\n", "line 2: at: '' is no moment; allowed: such as"),
        (f"{HEADER}web-1,true,2026-02-30\n", "line 2: at: '2026-02-30' is no moment"),
        (f"{HEADER}web-1,true,01.03.2026\n", "line 2: at: '01.03.2026' is no moment"),
        (f"{HEADER}web-1,true,2026-03-01T12:00:00\n", "line 2: at: '2026-03-01T12:00:00' is no"),
        (f"{HEADER}web-1,true,9999-12-31\n", None),
        (f"{HEADER}web-1,true,0001-01-01T00:00:00+09:00\n", "line 2: at: '0001-01-01T00:00"),
        (f"{HEADER}{GOOD}\n\n{GOOD},\n", "line 4: 4 cells"),
        (f'{HEADER}{GOOD}\n"web-2,true,2026-03-01\n', "line 3: not CSV: unexpected end of data"),
        (f'{HEADER}"web-2"x,true,2026-03-01\n', "line 2: not CSV: ',' expected after '\"'"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(text: str, problem: str | None) -> None:
    if problem is None:
        assert outcomes_in(text)
        return
    with pytest.raises(OutcomesError) as refused:
        outcomes_in(text)
    assert refused.value.problems[0].startswith(problem)


def test_all_bad_rows_are_told_up_to_a_number() -> None:
    with pytest.raises(OutcomesError) as refused:
        outcomes_in(HEADER + "web-1,maybe,never\n" * MOST_PROBLEMS)
    assert len(refused.value.problems) == MOST_PROBLEMS + 1
    assert refused.value.problems[-1] == f"and {MOST_PROBLEMS} more problems"


@pytest.mark.parametrize(
    ("failed", "means"),
    [("true", True), ("Yes", True), ("1", True), ("FALSE", False), ("no", False), ("0", False)],
)
def test_how_a_failure_may_be_written(failed: str, means: bool) -> None:
    [found] = outcomes_in(
        f"at,x,failed,change\r\n2026-03-01T14:00:00.5+02:00,,{failed}, web-1 \r\n"
    )
    assert (found.failed, found.change, found.line) == (means, "web-1", 2)
    assert found.at == datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_columns_that_are_not_read_are_named() -> None:
    assert other_columns("change,severity,failed,at\n") == ["severity"]


def problems_of(text: str, *keys: str) -> list[str]:
    changes = [change(0, key=RequestKey(*key.split("/"))) for key in keys]
    with pytest.raises(OutcomesError) as refused:
        matched(outcomes_in(HEADER + text), changes)
    return refused.value.problems


def test_two_outcomes_of_one_change_are_refused_however_it_is_named() -> None:
    [problem] = problems_of("shop/a,true,2026-03-01\na,true,2026-03-01\n", "shop/a", "shop/b")
    assert problem == (
        "line 3: change: shop/a has an outcome in line 2 already; allowed: one line for each change"
    )


def test_a_name_that_may_be_two_requests_is_refused() -> None:
    [problem] = problems_of("a,true,2026-03-01\n", "shop/a", "play/a")
    assert problem == "line 2: change: a may be play/a, shop/a; name one"


def test_an_outcome_before_its_request_is_refused_but_not_of_the_same_day() -> None:
    opened = change(0, opened=BEGIN.replace(hour=15))
    for at in ("2025-12-31", "2026-01-01T14:59:59Z"):
        with pytest.raises(OutcomesError, match=r"line 2: at: .* is before the request shop/web"):
            matched(outcomes_in(f"{HEADER}web-00000,true,{at}\n"), [opened])
    for at in ("2026-01-01", "2026-01-01T15:00:00Z"):
        assert matched(outcomes_in(f"{HEADER}web-00000,true,{at}\n"), [opened]).observed


def test_unknown_changes_are_named_and_not_counted() -> None:
    text = f"{HEADER}shop/web-00000,true,2026-03-01\nplay/web-00000,true,2026-03-01\n"
    found = matched(outcomes_in(text), [change(0)])
    assert [each.change for each in found.unknown] == ["play/web-00000"]
    assert len(found.observed) == 1
