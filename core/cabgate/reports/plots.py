# SPDX-License-Identifier: Apache-2.0
"""Bars over days, as SVG."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from xml.etree.ElementTree import Element, SubElement

LIGHT, BLUE, DARK, RED, VIOLET = "#8fb8de", "#2f6db3", "#174a80", "#c8553d", "#7a5c99"

MOST_BARS = 62
"""Bars of a plot at most: over a longer time one stands for several days."""

_WIDTH, _HEIGHT = 900, 160
_LEFT, _ABOVE, _BELOW = 40, 34, 22


@dataclass(frozen=True)
class Series:
    """One number for each day."""

    name: str
    colour: str
    numbers: Sequence[int]


def bars(
    title: str,
    days: Sequence[datetime],
    series: Sequence[Series],
    together: Callable[[Iterable[int]], int],
) -> Element:
    """A plot of numbers over days, one series upon the other; `together` makes one number of those
    of several days."""
    step = max(1, math.ceil(len(days) / MOST_BARS))
    starts = range(0, len(days), step)
    columns = [[together(each.numbers[at : at + step]) for each in series] for at in starts]
    most = max((sum(column) for column in columns), default=0)
    height = _ABOVE + _HEIGHT + _BELOW
    svg = Element("svg", {"viewBox": f"0 0 {_WIDTH} {height}", "role": "img"})
    SubElement(svg, "title").text = title
    of_each = f", each bar {step} days" if step > 1 else ", by day"
    write_text(svg, 0, 12, f"{title}{of_each}")
    _legend(svg, series)
    width = (_WIDTH - _LEFT) / max(1, len(columns))
    for number, (at, column) in enumerate(zip(starts, columns, strict=True)):
        _column(svg, _LEFT + number * width, width, f"{days[at]:%Y-%m-%d}", series, column, most)
    _axes(svg, days, most)
    return svg


def _column(
    svg: Element,
    left: float,
    width: float,
    day: str,
    series: Sequence[Series],
    numbers: Sequence[int],
    most: int,
) -> None:
    top = float(_ABOVE + _HEIGHT)
    for each, number in zip(series, numbers, strict=True):
        if number:
            tall = _HEIGHT * number / most
            top -= tall
            place = {"x": f"{left:.1f}", "y": f"{top:.1f}", "fill": each.colour}
            size = {"width": f"{max(1.0, width * 0.8):.1f}", "height": f"{tall:.1f}"}
            bar = SubElement(svg, "rect", {**place, **size})
            SubElement(bar, "title").text = f"{day}: {number} {each.name}"


def _legend(svg: Element, series: Sequence[Series]) -> None:
    left = float(_LEFT)
    for each in series:
        SubElement(
            svg,
            "rect",
            {"x": f"{left:.0f}", "y": "18", "width": "10", "height": "10", "fill": each.colour},
        )
        write_text(svg, left + 14, 27, each.name)
        left += 30 + 7 * len(each.name)


def _axes(svg: Element, days: Sequence[datetime], most: int) -> None:
    foot = _ABOVE + _HEIGHT
    line = {"x1": str(_LEFT), "x2": str(_WIDTH), "y1": str(foot), "y2": str(foot)}
    SubElement(svg, "line", {**line, "stroke": "#888"})
    write_text(svg, _LEFT - 6, _ABOVE + 8, str(most), "end")
    write_text(svg, _LEFT - 6, foot, "0", "end")
    if days:
        write_text(svg, _LEFT, foot + 15, f"{days[0]:%Y-%m-%d}")
        write_text(svg, _WIDTH, foot + 15, f"{days[-1]:%Y-%m-%d}", "end")


def write_text(svg: Element, x: float, y: float, said: str, anchor: str = "start") -> None:
    """Put a text into a plot, at a place of its view box."""
    place = {"x": f"{x:.0f}", "y": f"{y:.0f}", "text-anchor": anchor}
    SubElement(svg, "text", place).text = said
