# SPDX-License-Identifier: Apache-2.0
"""`python -m cabgate_bench.profiled FILE OPTIONS...`: the webhook under cProfile, the table written
to FILE (as .txt) at SIGTERM."""

import cProfile
import pstats
import signal
import sys
from pathlib import Path
from types import FrameType

from cabgate_webhook.main import main as webhook

LINES = 45


def main() -> None:
    """Run the webhook until it is told to end."""
    path = Path(sys.argv.pop(1)).with_suffix(".txt")
    profile = cProfile.Profile()

    def write(number: int = 0, frame: FrameType | None = None) -> None:
        profile.disable()
        with path.open("w", encoding="utf-8") as file:
            table = pstats.Stats(profile, stream=file).strip_dirs()
            table.sort_stats("tottime").print_stats(LINES)
        if number:
            sys.exit(0)

    # uvicorn puts back, and raises again, what it found here.
    signal.signal(signal.SIGTERM, write)
    profile.enable()
    try:
        webhook()
    finally:
        write()


if __name__ == "__main__":
    main()
