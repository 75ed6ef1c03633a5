# SPDX-License-Identifier: Apache-2.0
"""Write what the docs have of each reason of the gate, from its record in gate/checks."""

import re
import sys
import textwrap
from pathlib import Path

from cabgate.gate.checks import ADMITTING, RECORDS
from cabgate.gate.record import ArgoHealth

ROOT = Path(__file__).resolve().parents[1]
TABLE = Path("docs/intents.md")
LUA = Path("docs/gitops/argocd-health.lua")
CONFIG = Path("docs/gitops/argocd/argocd-cm.yaml")


def table() -> str:
    """What each denial says and what to do, for people."""
    rows = [
        f"| `{reason}` | {record.says} | {record.to_do} |"
        for reason, record in RECORDS.items()
        if reason not in ADMITTING
    ]
    return "\n".join(["| reason | what it says | what to do |", "|---|---|---|", *rows, ""])


def waits() -> str:
    """The reasons that Argo CD shows as Suspended, in Lua."""
    lines = [
        f'  {reason} = status.gate ~= "{record.decided_by_cabgate}",'
        if record.decided_by_cabgate
        else f"  {reason} = true,"
        for reason, record in RECORDS.items()
        if record.health is ArgoHealth.SUSPENDED
    ]
    return "\n".join(["local waits = {", *lines, "}", ""])


def rendered(root: Path = ROOT) -> dict[Path, str]:
    """Path and content of each file that has something of the reasons."""
    page, script, config = ((root / path).read_text() for path in (TABLE, LUA, CONFIG))
    script = _between("-- reasons:[^\n]*\n", "-- end of reasons\n", waits(), script)
    head, key, _ = config.partition("cabgate.dev_DeploymentIntent: |\n")
    return {
        TABLE: _between("<!-- reasons -->\n", "<!-- end of reasons -->\n", table(), page),
        LUA: script,
        CONFIG: head + key + textwrap.indent(script, "    "),
    }


def _between(begin: str, end: str, text: str, whole: str) -> str:
    found = re.search(f"(?s)({begin}).*?({end})", whole)
    if found is None:
        raise ValueError(f"no line {begin!r} with a line {end!r} after it")
    return whole[: found.end(1)] + text + whole[found.start(2) :]


def main() -> int:
    """Write the files; tell which changed."""
    for path, content in rendered().items():
        if (ROOT / path).read_text() != content:
            (ROOT / path).write_text(content)
            print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
