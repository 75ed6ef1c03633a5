# SPDX-License-Identifier: Apache-2.0
"""How a process ends that cannot begin."""

import sys
from typing import NoReturn


def end(program: str, code: int, error: Exception) -> NoReturn:
    """Exit with a code, and the error on standard error, each line under the program's name."""
    for line in str(error).splitlines():
        sys.stderr.write(f"{program}: {line}\n")
    sys.exit(code)
