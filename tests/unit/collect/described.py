# SPDX-License-Identifier: Apache-2.0
"""The corpus, and what is in a report in the words of its table."""

import re
from dataclasses import asdict
from pathlib import Path

from cabgate_collect.facts import Facts, Format, UnreadableReportError
from cabgate_collect.reading import read_report

CORPUS = Path(__file__).parent / "corpus"

ROWS: dict[str, str] = dict(
    re.findall(r"^\| `([^`]+)` \| [^|]+ \| ([^|]+) \|$", (CORPUS / "README.md").read_text(), re.M)
)
"""What was counted by hand, by the path of the report."""


def format_of(name: str) -> Format:
    return Format(name.partition("/")[0])


def read(name: str) -> Facts:
    return read_report((CORPUS / name).read_bytes(), format_of(name))


def described(data: bytes, format_: Format) -> str:
    try:
        facts = read_report(data, format_)
    except UnreadableReportError:
        return "unreadable"
    return in_words(facts)


def in_words(facts: Facts) -> str:
    if facts.nothing:
        return "nothing"
    parts = []
    if facts.tests is not None:
        parts.append(", ".join(f"{number} {name}" for name, number in asdict(facts.tests).items()))
    if facts.lines is not None:
        parts.append(f"{facts.lines.covered} of {facts.lines.total} lines")
    if facts.findings is not None:
        found = asdict(facts.findings).items()
        parts.append(", ".join(f"{number} {name}" for name, number in found))
    if facts.apart:
        parts.append(", ".join(f"{number} {why}" for why, number in facts.apart.items()))
    if facts.components is not None:
        parts.append(f"{facts.components} components")
    return "; ".join(parts)
