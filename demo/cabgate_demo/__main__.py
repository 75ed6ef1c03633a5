# SPDX-License-Identifier: Apache-2.0
"""`python -m cabgate_demo`: run the demo, and make a picture of it if asked."""

import argparse
import sys
import time
from pathlib import Path

from rich.console import Console

from cabgate_demo.picture import save_output
from cabgate_demo.play import played
from cabgate_demo.stage import WIDTH, OutcomeError
from cabgate_devcluster import DevClusterError


def main() -> int:
    """Run the demo; 0 if every outcome was as it should be, else 1."""
    parser = argparse.ArgumentParser(prog="python -m cabgate_demo", description=__doc__)
    parser.add_argument(
        "--svg",
        type=Path,
        help="write a picture of part of the output to this file, and all of it as .txt beside it",
    )
    parser.add_argument(
        "--page",
        type=Path,
        help="write a picture of the page to this file, where there is a Chromium",
    )
    given = parser.parse_args()
    picture: Path | None = given.svg
    console = Console(width=WIDTH, highlight=False, record=picture is not None, emoji=False)
    started = time.monotonic()
    try:
        print("Starting etcd, kube-apiserver, kube-controller-manager, and cabgate with its relay.")
        with played(console, given.page):
            pass
    except (OutcomeError, DevClusterError) as error:
        print(f"\nthe demo failed: {error}", file=sys.stderr)
        for note in getattr(error, "__notes__", ()):
            print(note, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    seconds = time.monotonic() - started
    print(f"\nEvery outcome was as it should be. {seconds:.0f} s, nothing is left behind.")
    if picture is not None:
        save_output(console, picture)
        print(f"wrote {picture} and {picture.with_suffix('.txt')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
