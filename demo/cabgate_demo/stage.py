# SPDX-License-Identifier: Apache-2.0
"""Where the demo plays: it runs commands, shows them and their output, and checks the outcome."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill

from rich.console import Console
from rich.text import Text

from cabgate_devcluster import DevCluster, wait_until

WIDTH = 100
"""Columns of the terminal that the output is made for."""


class OutcomeError(Exception):
    """A command of the demo did not do what it should."""


class Stage:
    """Runs the demo's commands as its users and shows them."""

    def __init__(self, cluster: DevCluster, console: Console, folder: Path) -> None:
        self._cluster = cluster
        self._console = console
        self._folder = folder
        self._users: dict[str, Path] = {}
        self._scenes = 0
        self._served = 0

    def enter(self, user: str, kubeconfig: Path) -> None:
        """Let a user play."""
        self._users[user] = kubeconfig

    def scene(self, title: str, *, story: str = "") -> None:
        """Begin a scene."""
        self._scenes += 1
        self._console.print()
        self._console.print(Text(f"{self._scenes}. {title}", style="bold cyan"))
        if story:
            self._console.print(Text(fill(story, WIDTH), style="dim"))

    def file(self, name: str, content: str) -> None:
        """Put a file where the commands run."""
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def passes(self, user: str, command: str, *expected: str) -> str:
        """Run a command that must succeed and say what is expected; returns its output."""
        return self._run(user, command, expected, succeeds=True)

    def refused(self, user: str, command: str, *expected: str) -> str:
        """Run a command that must fail and say why; returns its output."""
        return self._run(user, command, expected, succeeds=False)

    def quietly(self, user: str, command: str) -> str:
        """Run a command that is not shown; returns its output, also when it fails."""
        return self._call(user, command).stdout

    def until(self, user: str, command: str, expected: str) -> None:
        """Run a command unseen until it says what is expected, then show it."""
        wait_until(lambda: expected in self._call(user, command).stdout, command)
        self.passes(user, command, expected)

    def eventually(self, user: str, command: str, *expected: str, succeeds: bool = True) -> None:
        """Run a command unseen until it succeeds, or is refused, and says what is expected; show
        the last run of it."""
        results: list[subprocess.CompletedProcess[str]] = []

        def as_expected() -> bool:
            results.append(self._call(user, command))
            output = results[-1].stderr + results[-1].stdout
            done = (results[-1].returncode == 0) == succeeds
            return done and all(words in output for words in expected)

        self._show_command(user, command)
        wait_until(as_expected, command)
        self._show_output(results[-1], succeeds=succeeds)

    @contextmanager
    def serving(self, user: str, command: str) -> Iterator[str]:
        """While a command serves that prints a URL; that URL."""
        self._show_command(user, command)
        argv, env = self._argv(command), self._environment(user)
        self._served += 1  # each has a log of its own
        process = self._cluster.spawn(f"{user}-serves-{self._served}", argv, env=env)

        def url() -> str:
            found = re.search(r"http://127\.0\.0\.1:\S+", process.tail())
            return found.group() if found else ""

        try:
            wait_until(lambda: url() or not process.running, command)
            if not url():
                raise OutcomeError(f"should print a URL, but ended: {command}: {process.tail()}")
            self._console.print(Text(process.tail(), style="green"), soft_wrap=True)
            yield url()
        finally:
            process.stop()

    def note(self, text: str) -> None:
        """Say something beside what commands print."""
        self._console.print(Text(text, style="dim"), soft_wrap=True)

    def _run(self, user: str, command: str, expected: Sequence[str], *, succeeds: bool) -> str:
        self._show_command(user, command)
        result = self._call(user, command)
        output = self._show_output(result, succeeds=succeeds)
        if (result.returncode == 0) != succeeds:
            wanted = "succeed" if succeeds else "be refused"
            raise OutcomeError(f"should {wanted}, but ended with {result.returncode}: {command}")
        for words in expected:
            if words not in output:
                raise OutcomeError(f"should say {words!r}, but does not: {command}")
        return output

    def _show_output(self, result: subprocess.CompletedProcess[str], *, succeeds: bool) -> str:
        output = (result.stderr + result.stdout).strip()
        for line in output.splitlines():
            # Tables and YAML are made for fewer columns; prose is folded as a terminal would.
            wrapped = line if len(line) <= WIDTH else fill(line, WIDTH, subsequent_indent="  ")
            self._console.print(Text(wrapped, style="green" if succeeds else "red"), soft_wrap=True)
        return output

    def _show_command(self, user: str, command: str) -> None:
        text = Text(f"{user}$ ", style="bold yellow")
        text.append(_folded(command, WIDTH - len(user) - 2), style="bold")
        self._console.print(text, soft_wrap=True)

    def _call(self, user: str, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._argv(command),
            cwd=self._folder,
            env=self._environment(user),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def _argv(self, command: str) -> list[str]:
        words = shlex.split(command)
        cabgate = Path(sys.executable).with_name("cabgate")
        programs = {"kubectl": str(self._cluster.binaries.kubectl), "cabgate": str(cabgate)}
        return [programs[words[0]], *words[1:]]

    def _environment(self, user: str) -> dict[str, str]:
        return {
            "KUBECONFIG": str(self._users[user]),
            "HOME": str(self._folder),
            # There kubectl finds its plugin, and the plugin kubectl.
            "PATH": f"{self._cluster.binaries.kubectl.parent}:{Path(sys.executable).parent}",
            "COLUMNS": str(WIDTH),
        }


def _folded(command: str, width: int) -> str:
    """A long command over several lines, as a person would write it."""
    lines = [""]
    for word in re.findall(r"(?:'[^']*'|\S)+", command):
        if lines[-1] and len(lines[-1]) + len(word) + 3 > width:
            lines[-1] += " \\"
            lines.append("    " + word)
        else:
            lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    # What no fold makes fit, a terminal breaks anywhere.
    return "\n".join(
        line[start : start + width] for line in lines for start in range(0, len(line), width)
    )
