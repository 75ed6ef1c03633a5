# SPDX-License-Identifier: Apache-2.0
"""The figures of a calibration against a reference that knows their definitions alone."""

import csv
import io
import math
import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api.types import Tier
from cabgate.calibration.calibrate import Agreement, Calibration, TooFewError, calibrate
from cabgate.calibration.changes import Approval
from cabgate.calibration.curve import as_svg
from cabgate.calibration.outcomes import Matched, Observed
from cabgate.calibration.page import as_html
from cabgate.calibration.statistics import Case, Rate, decomposition
from cabgate.calibration.texts import as_csv, as_data, as_text
from unit.core.calibration.planted import BEGIN, FACTORS, RISKS, change, planted

SEEDS = range(200)
CASES = st.lists(st.builds(Case, st.integers(0, 10_000), st.booleans()), min_size=1, max_size=60)


def close(one: object, other: float) -> bool:
    return math.isclose(float(one), other, rel_tol=1e-9, abs_tol=1e-9)  # type: ignore[arg-type]


def reference_terms(pairs: Sequence[tuple[float, int]]) -> dict[str, float]:
    """Murphy's terms by their definitions, in floats, by going through all bins for each term."""
    n = len(pairs)
    base = sum(o for _, o in pairs) / n
    bins = [[p for p in pairs if min(int(p[0] * 10 + 1e-9), 9) == k] for k in range(10)]
    bins = [b for b in bins if b]
    mean = [sum(f for f, _ in b) / len(b) for b in bins]
    rate = [sum(o for _, o in b) / len(b) for b in bins]
    every = list(zip(bins, mean, rate, strict=True))
    return {
        "brier": sum((f - o) ** 2 for f, o in pairs) / n,
        "reliability": sum(len(b) * (m - r) ** 2 for b, m, r in every) / n,
        "resolution": sum(len(b) * (r - base) ** 2 for b, _, r in every) / n,
        "uncertainty": base * (1 - base),
        "within_variance": sum((f - m) ** 2 for b, m, _ in every for f, _ in b) / n,
        "within_covariance": 2
        * sum((f - m) * (o - r) for b, m, r in every for f, o in b)
        / n,
        "skill": 1 - sum((f - o) ** 2 for f, o in pairs) / sum((base - o) ** 2 for _, o in pairs),
    }  # fmt: skip


def reference_interval(failures: int, n: int) -> tuple[float, float]:
    """Wilson's interval as the roots of (p - rate)^2 = z^2 p (1 - p) / n."""
    z, rate = NormalDist().inv_cdf(0.975), failures / n
    a, b, c = 1 + z * z / n, -(2 * rate + z * z / n), rate * rate
    root = math.sqrt(max(0.0, b * b - 4 * a * c))
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


def same_rate(found: Rate, some: Sequence[Observed]) -> bool:
    failures = len([each for each in some if each.failed])
    low, high = reference_interval(failures, len(some))
    return (
        (found.changes, found.failures) == (len(some), failures)
        and close(found.interval.low, low)
        and close(found.interval.high, high)
    )


@pytest.mark.parametrize("block", range(0, 200, 25))
def test_the_figures_are_those_of_the_reference_on_200_seeds(block: int) -> None:
    for seed in SEEDS[block : block + 25]:
        changes, outcomes = planted(seed)
        found = calibrate(changes, outcomes)
        some = outcomes.observed
        right = reference_terms([(o.change.score / 10_000, int(o.failed)) for o in some])
        for name, value in right.items():
            assert close(getattr(found.total.brier, name), value), (seed, name)
        assert same_rate(found.total.rate, some)
        for each in found.total.brier.bins:
            within = [o for o in some if min(o.change.score // 1000, 9) == each.number]
            assert same_rate(each.rate, within), (seed, each.number)
        check_groups(found, some)
        assert found.selection.requests == len(changes)
        assert (
            found.selection.rejected + found.selection.not_approved + found.selection.approved
            == len(changes) - len(some)
        )


def check_groups(found: Calibration, some: Sequence[Observed]) -> None:
    of: dict[str, Callable[[Observed], str]] = {
        "tiers": lambda o: o.change.tier,
        "approvals": lambda o: o.change.approval,
        "models": lambda o: o.change.model,
    }
    for table, key in of.items():
        groups = getattr(found, table)
        assert {group.name for group in groups} == {key(o) for o in some}
        for group in groups:
            assert same_rate(group.rate, [o for o in some if key(o) == group.name])
    assert [factor.name for factor in found.factors] == list(FACTORS)
    for factor in found.factors:
        by_risk = {
            risk: [o for o in some if (factor.name, risk) in o.change.risks] for risk in RISKS
        }
        assert [each.risk for each in factor.risks] == [r for r in RISKS if by_risk[r]]
        assert all(same_rate(each.rate, by_risk[each.risk]) for each in factor.risks)


def of_numbers(changes: int, failures: int) -> Calibration:
    observed = [Observed(change(n), n < failures, BEGIN) for n in range(changes)]
    return calibrate([each.change for each in observed], Matched(observed, []))


@pytest.mark.parametrize(
    ("changes", "failures", "enough"),
    [
        (300, 30, True),
        (300, 29, False),
        (299, 30, False),
        (299, 299, False),
        (300, 300, True),
        (5000, 29, False),
        (300, 0, False),
        (0, 0, False),
    ],
)
def test_below_300_changes_or_30_failures_nothing_is_said(
    changes: int, failures: int, enough: bool
) -> None:
    if enough:
        assert of_numbers(changes, failures).total.rate == Rate(changes, failures)
    else:
        with pytest.raises(TooFewError, match=f"{changes} changes .* {failures} of which failed"):
            of_numbers(changes, failures)


def test_a_broken_glass_does_not_help_over_the_limit() -> None:
    observed = [Observed(change(n), n < 30, BEGIN) for n in range(299)]
    broken = [Observed(change(n, for_break=True), True, BEGIN) for n in range(299, 350)]
    with pytest.raises(TooFewError, match="299 changes"):
        calibrate([], Matched([*observed, *broken], []))


@given(CASES)
def test_the_terms_are_the_brier_score_exactly(cases: list[Case]) -> None:
    of = decomposition(cases)
    assert of.brier == (
        of.reliability - of.resolution + of.uncertainty + of.within_variance - of.within_covariance
    )
    assert of.reliability >= 0
    assert 0 <= of.resolution <= of.uncertainty <= Fraction(1, 4)
    assert (of.skill is None) == (len({case.failed for case in cases}) == 1)


@given(CASES, st.randoms(use_true_random=False))
def test_the_order_of_the_cases_changes_nothing(cases: list[Case], numbers: random.Random) -> None:
    other = numbers.sample(cases, len(cases))
    assert decomposition(other) == decomposition(cases)


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_is_within_0_and_1_and_holds_the_rate(pair: tuple[int, int]) -> None:
    rate = Rate(pair[1], pair[0])
    low, high = rate.interval
    assert rate.value is not None
    assert 0 <= low <= rate.value <= high <= 1
    assert low < high


def test_the_order_of_the_input_changes_no_byte() -> None:
    changes, outcomes = planted(7)
    other = sorted(outcomes.observed, key=lambda each: each.change.score)
    one, two = calibrate(changes, outcomes), calibrate(changes[::-1], Matched(other, []))
    assert as_text(one) == as_text(two)
    assert as_data(one) == as_data(two)


@pytest.mark.parametrize(
    ("failed", "agreement", "clear"),
    [
        ({"0": 20, "1": 80}, Agreement.AGREES, []),
        ({"0": 50, "1": 50}, Agreement.UNCLEAR, []),
        ({"0": 52, "1": 50}, Agreement.UNCLEAR, [False]),
        ({"0": 80, "1": 20}, Agreement.DISAGREES, [True]),
        ({"0": 5, "0.5": 80, "1": 40}, Agreement.DISAGREES, [True]),
        ({"0.5": 80}, Agreement.UNCLEAR, []),
    ],
)
def test_a_factor_that_disagrees_with_the_failures_is_named(
    failed: dict[str, int], agreement: Agreement, clear: list[bool]
) -> None:
    observed = [
        Observed(change(number + 1000 * place, risks=(("rollback", risk),)), number < many, BEGIN)
        for place, (risk, many) in enumerate(failed.items())
        for number in range(300)
    ]
    [factor] = calibrate([], Matched(observed, [])).factors
    assert factor.agreement is agreement
    assert [each.clear for each in factor.reversals] == clear


def test_the_selection_says_what_never_ran() -> None:
    observed = [Observed(change(n), n < 30, BEGIN) for n in range(300)]
    others = [
        change(1000, approval=Approval.NOBODY, rejected=True),
        change(1001, approval=Approval.NOBODY, rejected=True),
        change(1002, approval=Approval.NOBODY),
        change(1003, approval=Approval.PERSON, tier=Tier.MANUAL_REVIEW),
        change(1004, for_break=True),
    ]
    found = calibrate([*(o.change for o in observed), *others], Matched(observed, []))
    of = found.selection
    assert (of.requests, of.rejected, of.not_approved, of.approved) == (304, 2, 1, 1)
    assert "never ran" in as_text(found)
    assert "never ran" in as_html(found)
    assert "never ran" in as_data(found)["selection"]["meaning"]


def test_what_is_printed_says_when_a_change_failed_and_has_each_figure() -> None:
    changes, outcomes = planted(3)
    found = calibrate(changes, outcomes)
    for printed in (as_text(found), as_html(found), as_data(found)["failure"]):
        assert "incident of severity 1 or 2" in printed
    rows = list(csv.DictReader(io.StringIO(as_csv(found))))
    assert [row["name"] for row in rows[:7]] == list(as_data(found)["terms"])
    assert {row["table"] for row in rows} >= {"all", "score", "tier", "approval", "model"}
    total = as_data(found)
    assert close(total["rate"], total["failures"] / total["changes"]) or total["changes"]


def test_the_curve_has_a_point_for_each_bin_and_loads_nothing() -> None:
    changes, outcomes = planted(3)
    bins = calibrate(changes, outcomes).total.brier.bins
    assert as_svg(bins).count("<circle") == len(bins)
    assert "<script" not in as_html(calibrate(changes, outcomes))
    assert as_html(calibrate(changes, outcomes)).count("http") == 0


def test_a_hostile_name_of_a_model_is_text() -> None:
    name = "<script>x</script>\x1b[2J =1+1 (sha256:a)"
    observed = [Observed(change(n, model=name), n < 30, BEGIN) for n in range(300)]
    found = calibrate([], Matched(observed, []))
    assert "<script" not in as_html(found)
    assert all(line.isprintable() for line in as_text(found).splitlines())
