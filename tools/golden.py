# SPDX-License-Identifier: Apache-2.0
"""Write tests/golden/denials anew: look at the difference before you commit it."""

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"


def main() -> int:
    """Write the files; tell which changed."""
    sys.path.insert(0, str(TESTS))
    from unit.core.denials import rendered

    folder = TESTS / "golden" / "denials"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = rendered()
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink()
            print(f"removed {path.name}")
    for name, text in wanted.items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            print(f"wrote {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
