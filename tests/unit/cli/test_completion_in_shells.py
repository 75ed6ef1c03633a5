# SPDX-License-Identifier: Apache-2.0
"""Completion in the real shells: what a key press makes of a line that was begun."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPTS = Path(sys.executable).parent
WAIT_SECONDS = 60
SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "source <(cabgate completion bash)"),
    "zsh": (
        ["zsh", "--no-rcs", "-i"],
        "autoload -U compinit; compinit -u; source <(cabgate completion zsh)",
    ),
}


class Typed:
    """A shell at a terminal."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._seen = ""

    def type(self, keys: str) -> None:
        """Press keys; what was seen before is forgotten."""
        self._seen = ""
        os.write(self._terminal, keys.encode())

    def see(self, text: str) -> None:
        """Wait until the terminal shows a text."""
        end = time.monotonic() + WAIT_SECONDS
        while text not in self._seen:
            assert time.monotonic() < end, f"no {text!r} in {self._seen!r}"
            if select.select([self._terminal], [], [], 1)[0]:
                self._seen += os.read(self._terminal, 65536).decode(errors="replace")


@contextmanager
def shell(name: str, home: Path) -> Iterator[Typed]:
    if shutil.which(name) is None:
        assert "CI" not in os.environ, f"{name} is not installed; .ci/run installs it"
        pytest.skip(f"{name} is not installed")
    argv, load = SHELLS[name]
    ours, theirs = pty.openpty()
    environment = {
        "PATH": f"{SCRIPTS}:/usr/bin:/bin",
        "HOME": str(home),
        "TERM": "dumb",
        "PS1": "> ",
    }
    process = subprocess.Popen(
        argv, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
    )
    try:
        typed = Typed(ours)
        # In two parts, so that the line as it is typed is not what is waited for.
        typed.type(f"{load}; echo load''ed\n")
        typed.see("loaded")
        yield typed
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize("name", SHELLS)
@pytest.mark.parametrize(
    ("begun", "completed"),
    [
        ("cabgate unco", "cabgate uncovered"),
        ("cabgate wait web --for deci", "cabgate wait web --for decided"),
    ],
)
def test_a_word_that_was_begun_is_completed(
    name: str, begun: str, completed: str, tmp_path: Path
) -> None:
    with shell(name, tmp_path) as typed:
        typed.type(f"{begun}\t")
        typed.see(completed)
