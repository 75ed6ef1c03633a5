# SPDX-License-Identifier: Apache-2.0
"""What the docs show of the command line is what it prints."""

import re
import shlex

import pytest

from unit.cli.support import ROOT, run

MODEL = (ROOT / "docs" / "risk-model.md").read_text()
INTENTS = (ROOT / "docs" / "intents.md").read_text()


def test_the_output_of_the_example_is_real() -> None:
    [(command, shown)] = re.findall(r"```console\n\$ cabgate (.+)\n([\s\S]*?)```", MODEL)
    words = shlex.split(command)
    assert run(*words[:-1], ROOT / words[-1]).stdout == shown


@pytest.mark.parametrize("shown", re.findall(r"^cabgate exception (?:.*\\\n)*.*", INTENTS, re.M))
def test_the_exceptions_that_the_docs_ask_for_are_ready(shown: str) -> None:
    words = shlex.split(shown.partition(" > ")[0].replace("\\\n", " "))
    assert run(*words[1:]).stderr == ""
