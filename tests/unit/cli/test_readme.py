# SPDX-License-Identifier: Apache-2.0
"""The README's first steps do what it says."""

import json
import re
import shlex

from unit.cli.support import ROOT, run

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_it_begins_with_what_builds_nothing_and_works() -> None:
    setup, score = blocks("sh")[0].splitlines()
    assert setup.startswith("make setup")
    program, *arguments = shlex.split(score, comments=True)
    assert program == ".venv/bin/cabgate"
    arguments = [str(ROOT / word) if word.startswith("examples/") else word for word in arguments]
    assert "ManualReview: a CAB member decides" in run(*arguments).stdout


def test_its_first_intent_scores_what_the_message_above_it_says() -> None:
    [message] = [" ".join(block.split()) for block in blocks("text")]
    intent = blocks("yaml")[0]
    assert README.index("ReviewPending:") < README.index(intent)
    scored = json.loads(run("score", "-o", "json", "-f", "-", stdin=intent).stdout)
    assert f"(score {scored['score']}, {scored['gate']})" in message
    [change] = scored["nextLowerGate"]["changes"]
    way = f"{change['factor']} from {change['observed']} to {change['to']}"
    assert f"{scored['nextLowerGate']['gate']} would take: {way}." in message
    assert f"request {scored['requestName']} waits" in message
    assert scored["assessment"]["missing"] == []


def test_it_says_what_a_cab_is_before_it_says_cab() -> None:
    assert README.index("change advisory board (CAB)") < README.index("CAB member")
