# SPDX-License-Identifier: Apache-2.0
"""JaCoCo XML: lines are counted, in whichever place of the report they are fewest."""

from cabgate_collect.documents import Attributes, count_of, read_xml
from cabgate_collect.facts import Facts, Format, Lines, Moment, UnreadableReportError
from cabgate_collect.formats.lines import worst_lines

ROOT = "report"
"""The element that such a report begins with."""

_PLACES = {"report": "total", "package": "packages", "sourcefile": "source files"}


class _Report:
    """The counts of a report by where they stand."""

    def __init__(self) -> None:
        self.counted = {place: Lines(0, 0) for place in (*_PLACES.values(), "lines")}
        self.made: Moment | None = None

    def opened(self, path: list[str], attributes: Attributes) -> None:
        name = path[-1]
        if len(path) == 1:
            if name != ROOT:
                raise UnreadableReportError(f"the root is <{name[:60]}>, and not <{ROOT}>")
        elif name == "counter" and attributes.get("type") == "LINE" and path[-2] in _PLACES:
            missed, covered = count_of(attributes, "missed"), count_of(attributes, "covered")
            if missed is None or covered is None:
                raise UnreadableReportError("a counter of lines does not say missed and covered")
            self._add(_PLACES[path[-2]], Lines(covered, missed + covered))
        elif name == "line" and path[-2] == "sourcefile":
            instructions = count_of(attributes, "ci")
            if instructions is None:
                raise UnreadableReportError("a <line> does not say ci, its covered instructions")
            self._add("lines", Lines(int(instructions > 0), 1))
        elif name == "sessioninfo":
            self._session(attributes)

    def _add(self, place: str, lines: Lines) -> None:
        self.counted[place] += lines

    def _session(self, attributes: Attributes) -> None:
        text = attributes.get("dump", "")
        if text.isascii() and text.isdigit() and len(text) < 16:
            moment = Moment.of_epoch(int(text) / 1000)
            if moment is not None and (self.made is None or moment.at < self.made.at):
                self.made = moment

    def closed(self, path: list[str]) -> None:
        """Nothing is known then that was not before."""


def parse(data: bytes) -> Facts:
    """The facts of a report. Raises `UnreadableReportError`."""
    report = _Report()
    read_xml(data, report)
    return worst_lines(Format.JACOCO, report.counted, report.made)
