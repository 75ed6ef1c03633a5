# SPDX-License-Identifier: Apache-2.0
"""Check that every source file that git tracks or would track says its licence."""

import subprocess
import sys
from pathlib import Path

MARK = "SPDX-License-Identifier: Apache-2.0"
SUFFIXES = {".py", ".yaml", ".yml", ".toml", ".sh", ".mod", ".go", ".mk", ".cfg", ".cel"}
NAMES = {"Makefile", "Dockerfile", "run"}
GENERATED = {"uv.lock"}


def without_mark(root: Path) -> list[str]:
    """Source files below a git checkout that lack the licence mark in their first three lines."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    return [name for name in sorted(set(listed)) if _lacks(root / name)]


def _lacks(path: Path) -> bool:
    if path.name in GENERATED or not path.is_file():
        return False
    if path.suffix not in SUFFIXES and path.name not in NAMES:
        return False
    text = path.read_text(encoding="utf-8")
    return MARK not in "\n".join(text.splitlines()[:3])


def main() -> int:
    """Name the files that lack the mark."""
    lacking = without_mark(Path(__file__).resolve().parents[1])
    for name in lacking:
        print(f"{name}: the first three lines want '{MARK}'")
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main())
