# SPDX-License-Identifier: Apache-2.0
"""Cobertura XML: lines are counted, rates are not read."""

from collections import defaultdict

from cabgate_collect.documents import Attributes, count_of, read_xml
from cabgate_collect.facts import Facts, Format, Lines, Moment, UnreadableReportError
from cabgate_collect.formats.lines import worst_lines

ROOT = "coverage"
"""The element that such a report begins with."""


class _Report:
    """The lines of a report, by file: two classes of one file may list the same line."""

    def __init__(self) -> None:
        self.lines: dict[str, dict[int, bool]] = defaultdict(dict)
        self.of_classes = Lines(0, 0)
        """Those of each class, also where another of the same file has them: modules may have
        files of the same name."""
        self.stated = Lines(0, 0)
        self.made: Moment | None = None
        self._file = ""
        self._of_class: dict[int, bool] = {}
        self._of_methods: dict[int, bool] = {}

    def opened(self, path: list[str], attributes: Attributes) -> None:
        name = path[-1]
        if len(path) == 1:
            self._root(name, attributes)
        elif name == "class":
            if name in path[:-1]:
                raise UnreadableReportError("a <class> in a <class>: Cobertura has none")
            self._file = attributes.get("filename") or attributes.get("name", "")
            self._of_class, self._of_methods = {}, {}
        elif name == "line" and "class" in path:
            self._line(attributes, self._of_methods if "method" in path else self._of_class)

    def _root(self, name: str, attributes: Attributes) -> None:
        if name != ROOT:
            raise UnreadableReportError(f"the root is <{name[:60]}>, and not <{ROOT}>")
        if "line-rate" not in attributes and "lines-valid" not in attributes:
            raise UnreadableReportError(
                "says neither line-rate nor lines-valid, as Cobertura does; of Clover, have the "
                "tool write Cobertura"
            )
        covered, total = count_of(attributes, "lines-covered"), count_of(attributes, "lines-valid")
        if covered is not None and total is not None:
            if covered > total:
                raise UnreadableReportError(f"{covered} of {total} lines are covered: no such part")
            self.stated = Lines(covered, total)
        text = attributes.get("timestamp", "")
        if text.isascii() and text.isdigit() and len(text) < 16:
            number = int(text)  # seconds, or as Cobertura itself has it milliseconds
            self.made = Moment.of_epoch(number / 1000 if number > 10**11 else number)
        elif text:
            self.made = Moment.read(text)

    def _line(self, attributes: Attributes, lines: dict[int, bool]) -> None:
        number, hits = count_of(attributes, "number"), attributes.get("hits", "")
        if number is None:
            raise UnreadableReportError("a <line> has no number")
        digits = hits.strip().removeprefix("-")
        if not (digits.isascii() and digits.isdigit()):
            raise UnreadableReportError(f'hits="{hits[:40]}" of line {number}: not a count')
        covered = hits.strip() == digits and digits.strip("0") != ""
        lines[number] = covered and lines.get(number, True)

    def closed(self, path: list[str]) -> None:
        if path[-1] == "class":
            of_file = self.lines[self._file]
            lines = self._of_class or self._of_methods
            self.of_classes += Lines(sum(lines.values()), len(lines))
            for number, covered in lines.items():
                of_file[number] = covered and of_file.get(number, True)

    def facts(self) -> Facts:
        """What it all comes to."""
        covered = sum(sum(lines.values()) for lines in self.lines.values())
        listed = Lines(covered, sum(map(len, self.lines.values())))
        return worst_lines(
            Format.COBERTURA,
            {"lines": listed, "classes": self.of_classes, "attributes": self.stated},
            self.made,
        )


def parse(data: bytes) -> Facts:
    """The facts of a report. Raises `UnreadableReportError`."""
    report = _Report()
    read_xml(data, report)
    return report.facts()
