# SPDX-License-Identifier: Apache-2.0
"""Commands of the story: those that it repeats, and those that a denial names."""

import json
import re

from cabgate_demo import files
from cabgate_demo.stage import OutcomeError

SET_IMAGE = f"kubectl set image deployment/checkout checkout={files.IMAGE}"
"""Rolls out the release whose version follows after a colon."""


def by_plugin(denial: str, because: str = "Looked at the reports") -> str:
    """The plugin's command that a denial names, with what it would ask for at a terminal."""
    found = re.search(r"kubectl cab approve \S+ -n [^\s,]+(?: --override [^\s,]+)?", denial)
    digest = re.search(r"v1:sha256:[0-9a-f]{64}", denial)
    if found is None or digest is None:
        raise OutcomeError(f"the denial names no command of the plugin: {denial}")
    return f"{found.group()} --because '{because}' --digest {digest.group()}"


def command_in(denial: str) -> str:
    """The command that a denial ends with."""
    found = re.search(r"(?:kubectl patch|cabgate \w+) .*$", denial)
    if found is None:
        raise OutcomeError(f"the denial names no command: {denial}")
    return found.group().replace("<why>", "Looked at the reports")


def as_json(value: object) -> str:
    """A value as JSON without spaces, to stand in a command."""
    return json.dumps(value, separators=(",", ":"))
