# SPDX-License-Identifier: Apache-2.0
"""Writes the tables of docs/coverage.md from the rows that the tests send to the API server."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "coverage.md"
sys.path.insert(0, str(ROOT / "tests"))

from support import always, change_rules, matrix  # noqa: E402 - the tests are no package


def render(page: str) -> str:
    """The page with its tables made anew."""
    made = {
        "matrix": matrix.table(),
        "change rules": change_rules.table(),
        "always": always.table(),
    }
    for name, table in made.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        page = re.sub(
            f"{re.escape(begin)}.*?{re.escape(end)}",
            lambda _, text=f"{begin}\n{table}\n{end}": text,
            page,
            flags=re.DOTALL,
        )
    return page


def main() -> int:
    """Write the page; tell if it changed."""
    page = PAGE.read_text(encoding="utf-8")
    if render(page) != page:
        PAGE.write_text(render(page), encoding="utf-8")
        print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
