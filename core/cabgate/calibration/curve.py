# SPDX-License-Identifier: Apache-2.0
"""The reliability curve as SVG: how often changes failed, over their scores."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, tostring

from cabgate.calibration.statistics import Bin
from cabgate.calibration.texts import percent, scores_of
from cabgate.reports.plots import BLUE, LIGHT, write_text

_SIDE = 320
_LEFT, _ABOVE, _BELOW, _RIGHT = 60, 34, 44, 20


def reliability_curve(bins: Sequence[Bin]) -> Element:
    """A plot of the rate of failures of each bin with its interval, over the mean of its scores;
    on the diagonal both are the same."""
    width, height = _LEFT + _SIDE + _RIGHT, _ABOVE + _SIDE + _BELOW
    svg = Element("svg", {"viewBox": f"0 0 {width} {height}", "role": "img"})
    SubElement(svg, "title").text = "Reliability curve: rate of failures over score"
    write_text(svg, 0, 12, "Failed, of the changes with a score (bars: 95 % within)")
    _axes(svg)
    points = [(_x(each), _y(float(each.rate.value or 0))) for each in bins]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    SubElement(svg, "polyline", {"points": line, "fill": "none", "stroke": LIGHT})
    for each, (x, y) in zip(bins, points, strict=True):
        low, high = (_y(float(end)) for end in each.rate.interval)
        _line(svg, x, low, x, high, BLUE)
        at = {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": "4", "fill": BLUE}
        point = SubElement(svg, "circle", at)
        rate = each.rate
        SubElement(point, "title").text = (
            f"score {scores_of(each)}: {rate.failures} of {rate.changes} failed, "
            f"{percent(rate.value)}"
        )
    return svg


def as_svg(bins: Sequence[Bin]) -> str:
    """The reliability curve as a file, ending in a line feed."""
    svg = reliability_curve(bins)
    svg.set("xmlns", "http://www.w3.org/2000/svg")
    svg.set("font-family", "system-ui, sans-serif")
    svg.set("font-size", "11")
    return f"{tostring(svg, encoding='unicode')}\n"


def _axes(svg: Element) -> None:
    foot, right = _ABOVE + _SIDE, _LEFT + _SIDE
    _line(svg, _LEFT, foot, right, _ABOVE, "#bbb")
    _line(svg, _LEFT, foot, right, foot, "#888")
    _line(svg, _LEFT, foot, _LEFT, _ABOVE, "#888")
    for tenth in range(0, 101, 20):
        along = _SIDE * tenth / 100
        write_text(svg, _LEFT + along, foot + 15, str(tenth), "middle")
        write_text(svg, _LEFT - 6, foot - along + 4, f"{tenth} %", "end")
    write_text(svg, _LEFT + _SIDE / 2, foot + 34, "score", "middle")


def _x(each: Bin) -> float:
    return _LEFT + _SIDE * float(each.forecast)


def _y(share: float) -> float:
    return _ABOVE + _SIDE * (1 - share)


def _line(svg: Element, x1: float, y1: float, x2: float, y2: float, colour: str) -> None:
    ends = {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}"}
    SubElement(svg, "line", {**ends, "stroke": colour})
