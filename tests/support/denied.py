# SPDX-License-Identifier: Apache-2.0
"""Denials, and the commands that they name, run as they stand."""

import json
import re

from support.cli import CABGATE
from support.gate import denial as denial_of

COMMAND = re.compile(r"(?:kubectl|cabgate) (?!.*(?:kubectl|cabgate) ).*$")
"""The last one, which is the next step."""


def denied(gate, reason, obj):
    """The denial of an object, for a reason."""
    body = json.dumps(obj)
    said = denial_of(gate.refused("requester", "create", "-f", "-", stdin=body))
    assert said.startswith(f"{reason}: "), said
    return said


def run(gate, user, denial, env=None, **places):
    """What the command of a denial prints, run as it stands but for the reason of a decision, and
    for what belongs in its places."""
    command = COMMAND.search(denial)[0].replace("<why>", "it is needed")
    for place, value in places.items():
        assert f" {place}" in command, command
        command = command.replace(f" {place}", f" {value}")
    result = gate.shell(user, command, CABGATE, env)
    assert result.returncode == 0, (denial, result.stderr)
    return result.stdout


def edited(gate, denial, script, tmp_path):
    """Run `kubectl edit` as a denial names it, with an editor that runs a script of sed."""
    editor = tmp_path / "editor"
    editor.write_text(f"#!/bin/sh\nsed -i '{script}' \"$1\"\n")
    editor.chmod(0o755)
    return run(gate, "requester", denial, {"EDITOR": str(editor)})
