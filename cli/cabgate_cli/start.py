# SPDX-License-Identifier: Apache-2.0
"""The console scripts `cabgate` and `kubectl-cab`: they import the program here, and not before, so
that Ctrl-C ends that, too, with a code of the table and without a traceback."""

import sys

INTERRUPTED = 130  # as in cabgate_cli.exit_codes: to import that takes longer than to begin


def main(name: str | None = None) -> None:
    """`cabgate`."""
    try:
        from cabgate_cli.main import main as program

        program(prog_name=name)
    except KeyboardInterrupt:
        _interrupted()


def plugin() -> None:
    """The program as kubectl runs it: `kubectl cab`."""
    try:
        from cabgate_cli.main import plugin as program

        program()
    except KeyboardInterrupt:
        _interrupted()


def _interrupted() -> None:
    sys.stderr.write("interrupted\n")
    sys.exit(INTERRUPTED)
