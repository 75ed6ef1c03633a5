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
        self._depths: set[int] = set()
        """How deep counters of lines stand that are open."""
        self._of_file: dict[int, bool] = {}

    def opened(self, path: list[str], attributes: Attributes) -> None:
        name = path[-1]
        if len(path) == 1:
            if name != ROOT:
                raise UnreadableReportError(f"the root is <{name[:60]}>, and not <{ROOT}>")
        elif name in _PLACES and name in path[:-1]:
            raise UnreadableReportError(f"a <{name}> in a <{name}>: JaCoCo has none")
        elif name == "counter" and attributes.get("type") == "LINE" and path[-2] in _PLACES:
            missed, covered = count_of(attributes, "missed"), count_of(attributes, "covered")
            if missed is None or covered is None:
                raise UnreadableReportError("a counter of lines does not say missed and covered")
            if len(path) in self._depths:
                raise UnreadableReportError(f"a <{path[-2]}> has two counters of lines")
            self._depths.add(len(path))
            self._add(_PLACES[path[-2]], Lines(covered, missed + covered))
        elif name == "line" and path[-2] == "sourcefile":
            instructions = count_of(attributes, "ci")
            if instructions is None:
                raise UnreadableReportError("a <line> does not say ci, its covered instructions")
            number = count_of(attributes, "nr")
            if number is None:
                raise UnreadableReportError("a <line> does not say nr, its number")
            self._of_file[number] = instructions > 0 and self._of_file.get(number, True)
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
        self._depths.discard(len(path) + 1)
        if path[-1] == "sourcefile":
            self._add("lines", Lines(sum(self._of_file.values()), len(self._of_file)))
            self._of_file = {}


def parse(data: bytes) -> Facts:
    """The facts of a report. Raises `UnreadableReportError`."""
    report = _Report()
    read_xml(data, report)
    return worst_lines(Format.JACOCO, report.counted, report.made)
