# SPDX-License-Identifier: Apache-2.0
"""Look the locked dependencies up among the known vulnerabilities (OSV), with uv.

Without a way to the database nothing is audited: that is said, and is no failure, so that lint
works on a machine that reaches a package index alone.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

FOUND = 1
"""What uv exits with when it knows a vulnerability; 2 when it could not look."""


def main(argv: Sequence[str]) -> int:
    """Audit with the uv that the first argument names; the rest are options of `uv audit`."""
    uv, *options = argv
    ran = subprocess.run(
        [uv, "audit", "--frozen", "--preview-features", "audit-command", *options],
        cwd=Path(__file__).resolve().parents[1],
        env={**os.environ, "UV_HTTP_RETRIES": "1", "UV_HTTP_CONNECT_TIMEOUT": "10"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ran.returncode in (0, FOUND):
        print(ran.stdout.strip())
        return ran.returncode
    lines = [line.strip() for line in ran.stdout.splitlines() if line.strip()]
    print("NOT AUDITED: uv could not look the dependencies up.", *lines[-6:], sep="\n  ")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
