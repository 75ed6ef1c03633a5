# SPDX-License-Identifier: Apache-2.0
"""Write docs/commands.md: the commands of `cabgate` and their exit codes, from the program."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from cabgate_cli.exit_codes import ExitCode
from cabgate_cli.main import main as program

PAGE = """\
# Commands

Written by `make manifests` from the program. `cabgate COMMAND --help` says more, with examples.

{commands}

## Exit codes

One table for all commands; each has one meaning, whatever the command. 0 and 1 are answers, what is
above is none. Why: [decision 43](decisions/0043-exit-codes.md).

| exit code | meaning |
|---|---|
{codes}

```sh
cabgate wait -n shop checkout --timeout 2h
case $? in
  0) kubectl apply -f deployment.yaml ;;
  1) echo "refused: the evidence has to change" ;;
  3) echo "nobody has decided yet" ;;
  *) echo "no answer: see above" ;;
esac
```
"""


def rendered() -> str:
    """The page."""
    lines = ["| command | what it does |", "|---|---|"]
    lines += [f"| `cabgate {name}` | {text} |" for name, text in _commands(program)]
    codes = [f"| {int(code)} | {code.meaning} |" for code in ExitCode]
    return PAGE.format(commands="\n".join(lines), codes="\n".join(codes))


def _commands(group: click.Group, *path: str) -> Iterator[tuple[str, str]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, *path, name)
        else:
            yield " ".join((*path, name)), command.get_short_help_str(limit=200)


def main() -> int:
    """Write the page; tell if it changed."""
    path = Path(__file__).resolve().parents[1] / "docs" / "commands.md"
    if not path.exists() or path.read_text() != rendered():
        path.write_text(rendered())
        print("wrote docs/commands.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
