# SPDX-License-Identifier: Apache-2.0
"""The environment of a process that runs another copy of this code.

Coverage starts in each process that inherits its variables, and counts by paths from the folder in
which the process is. Of another copy it would count files that this tree has no more, and the
report fails at the first of them.
"""

import os
from pathlib import Path


def environment(*packages: Path) -> dict[str, str]:
    """That of a process which imports from these folders, and which coverage does not trace."""
    rest = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    return {**rest, "PYTHONPATH": os.pathsep.join(map(str, packages))}
