# SPDX-License-Identifier: Apache-2.0
"""`python -m cabgate_bench.load.profiled FILE OPTIONS...`: the webhook under cProfile, the table
written to FILE (as .txt) at SIGTERM."""

import cProfile
import pstats
import sys
from pathlib import Path

from cabgate_webhook.main import main as webhook

LINES = 90
"""Of a short run most of the first are of the start; what judges a rollout comes behind them."""


def main() -> None:
    """Run the webhook until it is told to end."""
    path = Path(sys.argv.pop(1)).with_suffix(".txt")
    profile = cProfile.Profile()

    profile.enable()
    try:
        webhook()
    finally:
        profile.disable()
        with path.open("w", encoding="utf-8") as file:
            table = pstats.Stats(profile, stream=file).strip_dirs()
            table.sort_stats("tottime").print_stats(LINES)


if __name__ == "__main__":
    main()
