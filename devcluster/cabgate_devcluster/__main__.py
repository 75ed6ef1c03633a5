# SPDX-License-Identifier: Apache-2.0
"""`python -m cabgate_devcluster`: `binaries` prints the folder that holds the four programs, and
the name of a program that stands alone, such as `helm`, where that is; `up` starts a cluster with
cabgate on it.
"""

import argparse
import sys

from cabgate_devcluster.errors import DevClusterError
from cabgate_devcluster.installed.playground import run_playground
from cabgate_devcluster.programs.binaries import Binaries, locate_program
from cabgate_devcluster.programs.pinned import ALONE


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m cabgate_devcluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("binaries", help="find or build them; the folder goes to standard output")
    for name in ALONE:
        commands.add_parser(name, help="find or build it; its path goes to standard output")
    up = commands.add_parser("up", help="a cluster with cabgate to play with, until Ctrl-C")
    up.add_argument("--mode", choices=["Enforce", "Warn", "Audit"], default="Enforce")
    up.add_argument("--portal", action="store_true", help="with the REST API beside it")
    options = parser.parse_args(argv)
    command = options.command
    try:
        if command == "up":
            run_playground(mode=options.mode, portal=options.portal)
            return 0
        if command in ALONE:
            found = locate_program(command, progress=_to_stderr)
        else:
            found = Binaries.locate(progress=_to_stderr).folder()
    except DevClusterError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what was built so far is kept, the rest left nothing", file=sys.stderr)
        return 130
    print(found)
    return 0


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
