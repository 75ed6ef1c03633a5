# SPDX-License-Identifier: Apache-2.0
"""The picture of the demo fits a README, and is of the story that is told."""

import io
import re
from pathlib import Path

from rich.console import Console
from rich.text import Text

from cabgate_demo.picture import EXCERPT, save_output

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def test_all_is_written_as_text_and_the_excerpt_as_a_picture(tmp_path):
    console = Console(width=60, record=True, file=io.StringIO())
    for number in range(1, 7):
        console.print()
        console.print(Text(f"{number}. Scene", style="bold cyan"))
        for user in ("requester", "reviewer"):
            console.print(Text(f"{user}$ kubectl get things", style="bold yellow"))
            console.print(Text(f"output-{number}-{user}", style="green"))
    save_output(console, tmp_path / "demo.svg")
    text = (tmp_path / "demo.txt").read_text()
    assert text.startswith("1. Scene\nrequester$ kubectl get things\noutput-1-requester\n")
    assert text.endswith("output-6-reviewer\n")
    shown = set(re.findall(r"output-\d-\w+", (tmp_path / "demo.svg").read_text()))
    assert shown == {
        "output-2-requester",
        "output-2-reviewer",
        "output-4-reviewer",
        "output-5-requester",
        "output-5-reviewer",
    }
    assert "font-face" not in (tmp_path / "demo.svg").read_text()


def test_the_picture_in_the_tree_is_no_higher_than_wide():
    svg = (DOCS / "demo.svg").read_text()
    [(width, height)] = re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)[:1]
    assert float(height) <= float(width)


def test_the_text_in_the_tree_has_each_scene_of_the_excerpt():
    scenes = re.findall(r"^(\d+)\. ", (DOCS / "demo.txt").read_text(), re.MULTILINE)
    assert scenes == [str(number) for number in range(1, len(scenes) + 1)]
    assert set(EXCERPT) <= set(map(int, scenes))


def test_the_readme_lists_as_many_scenes_as_are_played():
    """The titles are held against a run of the demo by its own test, on a cluster."""
    readme = (ROOT / "README.md").read_text()
    story = readme.partition("## What happens in the demo")[2].partition("\n![")[0]
    played = re.findall(r"^(\d+)\. ", (DOCS / "demo.txt").read_text(), re.MULTILINE)
    assert re.findall(r"^(\d+)\. ", story, re.MULTILINE) == played
