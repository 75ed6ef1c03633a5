# SPDX-License-Identifier: Apache-2.0
"""Every page is found from the index, and no link leads nowhere."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cabgate.api.crds import definitions
from cabgate.api.types import Tier
from cabgate.rollout.modes import Mode

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
INDEX = DOCS / "README.md"
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *DOCS.rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
        *(ROOT / "charts").rglob("*.md"),
    ]
)
READERS = ("platform engineer", "reviewer", "cluster operator", "auditor", "contributor")


def text_of(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def links(page: Path) -> Iterator[tuple[str, Path, str]]:
    """Each link within the repository: as it is written, where it leads, and its anchor."""
    prose = re.sub(r"`[^`\n]*`(?!\])", "", text_of(page))
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if "://" not in link and not link.startswith("mailto:"):
            where, _, anchor = link.partition("#")
            yield link, (page.parent / where).resolve() if where else page, anchor


def anchors(page: Path) -> set[str]:
    """The anchors of the headings of a page, as GitHub makes them."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.+?) *#*$", text_of(page), re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = 0
        while (one := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(one)
    return found


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_no_link_leads_nowhere(page: Path) -> None:
    broken = [
        link
        for link, path, anchor in links(page)
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path))
    ]
    assert broken == []


def test_every_page_is_linked_from_the_index() -> None:
    named_there = {path for _, path, _ in links(INDEX)}
    pages = {
        page
        for page in DOCS.rglob("*.md")
        if page != INDEX and not named_there & set(page.parents) - {DOCS, ROOT}
    }
    assert sorted(map(named, pages - named_there)) == []


def test_the_index_has_a_part_for_each_reader() -> None:
    headings = re.findall(r"^## (.+)$", INDEX.read_text(), re.MULTILINE)
    assert [heading.partition(": the ")[2] for heading in headings] == list(READERS)


def test_the_first_page_leads_to_the_index() -> None:
    assert INDEX in {path for _, path, _ in links(ROOT / "README.md")}


def test_the_glossary_has_one_row_for_each_word_in_order() -> None:
    words = re.findall(r"^\| \*\*(.+?)\*\* \|", (DOCS / "glossary.md").read_text(), re.MULTILINE)
    plain = [word.removesuffix(", the").lower() for word in words]
    assert plain == sorted(set(plain))


def test_the_glossary_has_each_kind_and_each_tier() -> None:
    text = (DOCS / "glossary.md").read_text()
    names = [each["spec"]["names"]["kind"] for each in definitions()]
    assert [name for name in (*names, *Tier, *Mode) if name not in text] == []
