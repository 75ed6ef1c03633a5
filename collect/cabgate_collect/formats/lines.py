# SPDX-License-Identifier: Apache-2.0
"""Lines of code that a report counts in several places."""

from collections.abc import Mapping

from cabgate_collect.facts import Facts, Format, Lines, Moment


def worst_lines(
    format_: Format, counted: Mapping[str, Lines], made: Moment | None, tools: tuple[str, ...] = ()
) -> Facts:
    """The facts of a report that counts its lines at the places named: the worst count holds, and
    is named where they differ. A count of no lines says nothing beside one of some."""
    there = {place: lines for place, lines in counted.items() if lines.total > 0}
    if not there:
        return Facts(format_, made=made, nothing="counts 0 lines of code", tools=tools)
    place, worst = next(iter(there.items()))
    for other, lines in there.items():
        if lines.worse_than(worst):
            place, worst = other, lines
    best = [o for o, lines in there.items() if worst.worse_than(lines)]
    readings: tuple[str, ...] = ()
    if best:
        said = ", ".join(f"{there[o].covered} of {there[o].total} by its {o}" for o in best)
        readings = (
            f"{worst.covered} of {worst.total} lines are covered by its {place}, {said}: the worse "
            "counts",
        )
    return Facts(format_, lines=worst, made=made, readings=readings, tools=tools)
