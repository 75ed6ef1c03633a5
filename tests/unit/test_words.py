# SPDX-License-Identifier: Apache-2.0
"""The word list finds what is planted, and nothing in this tree."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOL = runpy.run_path(str(ROOT / "tools" / "words.py"))


def found_in(root: Path) -> list[str]:
    return [str(each) for each in TOOL["found_in"](root)]


def planted(root: Path, place: str, text: str) -> None:
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.slow
def test_this_tree_says_none_of_them() -> None:
    assert found_in(ROOT) == []


@pytest.mark.parametrize(
    ("place", "text", "found"),
    [
        ("docs/a.md", "So it leads\nno more.\n", "docs/a.md:1: 'leads no more': say 'lost"),
        ("core/a.py", "#\n# Somebody else\n# wrote first.\n", "core/a.py:2: 'Somebody else #"),
        ("cli/a.py", 'f("better the "\n  "evidence")\n', "say 'improve the evidence'"),
        ("cli/a.py", 'f"{name} stands {count} times"\n', "say 'duplicate value'"),
        ("crds/a.yaml", "message: 'an image stands twice'\n", "say 'duplicate value'"),
        ("charts/cabgate/values.yaml", "# They run on all the same.\n", "say 'tolerations'"),
        ("docs/a.md", "Ask for\nan exception.\n", "say 'request an exception'"),
        ("docs/benchmarks/a.md", "It would better it.\n", "say 'improve'"),
        ("docs/gitops/a.lua", "-- It leads no more.\n", "say 'lost leadership'"),
        ("store/a.sql", "-- Again at once.\n", "say 'retrying'"),
        ("SECURITY.md", "It leads no more.\n", "say 'lost leadership'"),
        ("webhook/a.py", "# Of the 4 s of a\n# review.\n", "webhook/a.py:2: 'review': say 'adm"),
        ("core/a.py", "def said_of(x):\n    pass\n", "core/a.py:1: 'said_of': say 'describe'"),
        ("webhook/a.py", "class _Matter:\n    pass\n", "say 'subject'"),
        ("operator/a.py", "def f(*, told=''):\n    pass\n", "operator/a.py:1: 'told'"),
        ("bench/a.py", "class A:\n    did: int = 0\n", "bench/a.py:2: 'did'"),
        ("demo/a.py", "self.helpless = 1\n", "say 'stalled'"),
        ("tests/a.py", "told = 1\n", "tests/a.py:1: 'told'"),
        ("tools/a.py", "from b import c as looks\n", "say 'candidates'"),
    ],
)  # fmt: skip
def test_what_is_planted_is_found(tmp_path: Path, place: str, text: str, found: str) -> None:
    planted(tmp_path, place, text)
    [seen] = found_in(tmp_path)
    assert found in seen


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("docs/decisions/0001-a.md", "It leads no more.\n"),
        ("CHANGELOG.md", "`LeadsNoMore`: it leads no more.\n"),
        ("core/a.py", "# It looks at what somebody did and told.\nx = 'told'\n"),
        ("tests/a.py", "# It leads no more.\n"),
        ("webhook/reviews.py", "# What a review is checked against.\n"),
        ("webhook/a.py", "# An AdmissionReview, `status.review` and cabgate.review.races.\n"),
        ("portal/a.py", "# What a review may say.\n"),
    ],
)
def test_what_was_is_free_to_be_told_and_so_is_prose(tmp_path: Path, place: str, text: str) -> None:
    planted(tmp_path, place, text)
    assert found_in(tmp_path) == []
