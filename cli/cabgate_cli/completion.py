# SPDX-License-Identifier: Apache-2.0
"""The console script `kubectl_complete-cab`: kubectl runs the one of that name on PATH with what is
typed behind `kubectl cab`, and shows what it prints."""

import contextlib
import sys
from collections.abc import Iterator, Sequence

from click.shell_completion import ShellComplete

from cabgate_cli.main import main as program

FILES, NO_FILES = 0, 4
"""What kubectl is told at the end: whether the shell offers files, too."""


def completions(words: Sequence[str]) -> Iterator[str]:
    """What kubectl reads: a line for each word that could come, with what it does behind a tab, and
    at the end a colon and a number. The last of `words` is the one that is being typed."""
    *before, typed = words or [""]
    found = ShellComplete(program, {}, "kubectl cab", "").get_completions(before, typed)
    for each in found:
        if each.type == "plain":
            yield f"{each.value}\t{each.help}" if each.help else each.value
    words_only = bool(found) and all(each.type == "plain" for each in found)
    yield f":{NO_FILES if words_only else FILES}"


def main() -> None:
    """Print what could come."""
    with contextlib.suppress(Exception, KeyboardInterrupt):  # whoever types is told nothing
        print("\n".join(completions(sys.argv[1:])))  # noqa: T201
