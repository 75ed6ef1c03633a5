# SPDX-License-Identifier: Apache-2.0
"""Whether a risk model makes sense: what its schema cannot say."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from cabgate.api.riskmodel import NOT_APPLICABLE, Band, FactorModel, RiskModel
from cabgate.api.selectable import SpecProblem, default_label_problems
from cabgate.risk.facts import FACTOR_WORDS, MAY_NOT_APPLY

HUNDRED = Decimal(100)


def model_problems(model: RiskModel) -> list[SpecProblem]:
    """What is wrong with a model; empty if it may be used."""
    spec = model.spec
    return [
        *default_label_problems(model),
        *_repeated("spec.factors", [factor.name for factor in spec.factors]),
        *_weight_problems(spec.factors),
        *(
            problem
            for index, factor in enumerate(spec.factors)
            for problem in _rubric_problems(f"spec.factors[{index}].bands", factor)
        ),
        *_threshold_problems(model),
        *_repeated("spec.floors", [floor.name for floor in spec.floors]),
    ]


def _repeated(path: str, names: Sequence[str]) -> Iterator[SpecProblem]:
    for name, count in Counter(names).items():
        if count > 1:
            yield SpecProblem(path, f"duplicate value {name} ({count} times); allowed: once")


def _weight_problems(factors: Iterable[FactorModel]) -> Iterator[SpecProblem]:
    total = sum((factor.weight for factor in factors), Decimal(0))
    if total != 1:
        yield SpecProblem("spec.factors", f"the weights sum to {total}; allowed: exactly 1")


def _rubric_problems(path: str, factor: FactorModel) -> Iterator[SpecProblem]:
    yield from _not_applicable_problems(path, factor)
    for index, band in enumerate(factor.bands):
        if not 0 <= band.risk <= 1:
            yield SpecProblem(f"{path}[{index}].risk", f"is {band.risk}; allowed: 0 to 1")
        if band.up_to is None and not band.inclusive:
            yield SpecProblem(f"{path}[{index}].inclusive", "is about upTo, which is absent")
    words = FACTOR_WORDS.get(factor.name)
    if words is None:
        yield from _number_problems(path, factor)
    else:
        yield from _word_problems(path, factor, words)


def _not_applicable_problems(path: str, factor: FactorModel) -> Iterator[SpecProblem]:
    """The band of what cannot be said: of two factors alone, once, and no number."""
    found = [index for index, band in enumerate(factor.bands) if band.is_not_applicable]
    if found and factor.name not in MAY_NOT_APPLY:
        names = " and ".join(sorted(MAY_NOT_APPLY))
        yield SpecProblem(
            f"{path}[{found[0]}].value", f"{NOT_APPLICABLE} can be said of {names} alone"
        )
    if len(found) > 1:
        yield SpecProblem(f"{path}[{found[1]}].value", f"{NOT_APPLICABLE} stands in a band before")
    if found and not factor.applicable:
        yield SpecProblem(path, f"has no band beside {NOT_APPLICABLE}")
    for index in found:
        if factor.bands[index].up_to is not None:
            yield SpecProblem(f"{path}[{index}].upTo", f"{NOT_APPLICABLE} is no number")


def _number_problems(path: str, factor: FactorModel) -> Iterator[SpecProblem]:
    """Bands of numbers: ascending, the last alone without a limit."""
    last = max((n for n, b in enumerate(factor.bands) if not b.is_not_applicable), default=-1)
    before: Band | None = None
    for index, band in enumerate(factor.bands):
        if band.is_not_applicable:
            continue
        field = f"{path}[{index}].upTo"
        if band.value is not None:
            yield SpecProblem(
                f"{path}[{index}].value", f"{factor.name} is a number: give upTo instead"
            )
        if index == last:
            if band.up_to is not None:
                yield SpecProblem(
                    field, f"nothing holds what is above {band.up_to}: the last band has no limit"
                )
        elif band.up_to is None:
            yield SpecProblem(field, "absent: only the last band has no limit")
        else:
            if _is_empty(band.up_to, band.inclusive, before):
                least = f"above that of the band before, {before.up_to}" if before else "above 0"
                yield SpecProblem(field, f"is {band.up_to}, so that the band holds no number; "
                                          f"allowed: a limit {least}")  # fmt: skip
            before = band


def _is_empty(limit: Decimal, inclusive: bool, before: Band | None) -> bool:
    """Whether a band of numbers up to a limit holds nothing, given the one before it."""
    floor = Decimal(0) if before is None or before.up_to is None else before.up_to
    floor_is_held = before is not None and before.inclusive
    if limit == floor:
        return floor_is_held or not inclusive
    return limit < floor


def _word_problems(path: str, factor: FactorModel, words: Sequence[str]) -> Iterator[SpecProblem]:
    """Bands of words: each value of the fact once."""
    allowed = ", ".join(words)
    seen: set[str] = set()
    for index, band in enumerate(factor.bands):
        if band.up_to is not None:
            yield SpecProblem(
                f"{path}[{index}].upTo", f"{factor.name} is a word: give value instead"
            )
        if band.is_not_applicable:
            continue
        if band.value is None or band.value not in words:
            said = "absent" if band.value is None else f"unknown value {band.value}"
            yield SpecProblem(f"{path}[{index}].value", f"{said}; allowed: {allowed}")
        elif band.value in seen:
            yield SpecProblem(f"{path}[{index}].value", f"{band.value} stands in a band before")
        else:
            seen.add(band.value)
    missing = [word for word in words if word not in seen]
    if missing:
        yield SpecProblem(path, f"no band holds {', '.join(missing)}; needed: {allowed}")


def _threshold_problems(model: RiskModel) -> Iterator[SpecProblem]:
    auto, manual = model.spec.auto_approve_up_to, model.spec.manual_review_up_to
    for field, value in (("autoApproveUpTo", auto), ("manualReviewUpTo", manual)):
        if not 0 <= value <= HUNDRED:
            yield SpecProblem(f"spec.{field}", f"is {value}; allowed: 0.00 to 100.00")
    if auto > manual:
        yield SpecProblem(
            "spec.autoApproveUpTo", f"is {auto}; allowed: up to manualReviewUpTo, {manual}"
        )
