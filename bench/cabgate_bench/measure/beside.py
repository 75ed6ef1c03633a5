# SPDX-License-Identifier: Apache-2.0
"""One commit beside another, in one run: what a rollout's admission through the webhook takes.

`python -m cabgate_bench.measure.beside CHECKOUT [ROUNDS] [RATE] [SECONDS]`, where CHECKOUT is a
work tree of the other commit, set up:

    git worktree add /tmp/before COMMIT && make -C /tmp/before setup

Each commit has a control plane with its own cabgate, in mode Enforce, for the whole run. Blocks of
load take turns between them, and every second round begins with the other: A B, B A. Printed are
p50, p90 and p99 of each block and of each side, the webhook's CPU time for a call, and by how much
the sides differ, with the spread over the rounds.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

HERE = Path(__file__).resolve().parents[3]
SIDES = ("before", "now")


@dataclass
class Side:
    """One commit, in a process of its own that answers each line with a line of JSON."""

    name: str
    orders: IO[str]
    answers: IO[str]
    blocks: list[list[float]] = field(default_factory=list)
    """Milliseconds of each call, by block."""
    cpu: list[float] = field(default_factory=list)
    """CPU time of the webhook for a call, in milliseconds, by block."""
    failed: int = 0

    def answer(self) -> dict[str, Any]:
        """What the process says next."""
        line = self.answers.readline()
        if not line:
            raise RuntimeError(f"{self.name}: it ended; what it printed above says why")
        found: dict[str, Any] = json.loads(line)
        return found

    def load(self, rate: float, seconds: float) -> None:
        """A block of load."""
        print(rate, seconds, file=self.orders, flush=True)
        found = self.answer()
        self.blocks.append(found["milliseconds"])
        self.cpu.append(found["cpuSeconds"] / max(found["sent"], 1) * 1000)
        self.failed += found["failed"]


def serve() -> None:
    """One side, by the Python and the packages of its own checkout; so nothing outside of this
    function imports any of ours. The modules had other names before the benchmark got rooms, which
    no type checker finds in this checkout."""
    try:
        from cabgate_bench.load import loadgen
        from cabgate_bench.load.world import World
        from cabgate_bench.measure import through
    except ImportError:
        from cabgate_bench import (  # type: ignore[attr-defined,no-redef]
            loadgen,
            through,
        )
        from cabgate_bench.world import World  # type: ignore[import-untyped,no-redef]
    from cabgate_devcluster import DevCluster

    answers, sys.stdout = sys.stdout, sys.stderr  # what others print is no answer
    with DevCluster() as cluster:
        world = World(cluster, loadgen.build())
        through.prepare(world)
        through.choose(world, through.WITH)
        print("{}", file=answers, flush=True)
        for line in sys.stdin:
            rate, seconds = map(float, line.split())
            before = world.usage()["webhook"].cpu
            found = through.load(world, rate, seconds)
            answer = {
                "milliseconds": found.milliseconds,
                "cpuSeconds": world.usage()["webhook"].cpu - before,
                "sent": found.sent,
                "failed": found.failed,
            }
            print(json.dumps(answer), file=answers, flush=True)


@contextmanager
def started(name: str, checkout: Path) -> Iterator[Side]:
    """A side, once it is ready."""
    argv = [
        str(checkout / ".venv" / "bin" / "python"),
        "-P",
        str(Path(__file__).resolve()),
        "serve",
    ]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, cwd=checkout, stdin=pipe, stdout=pipe, text=True) as process:
        side = Side(name, cast(IO[str], process.stdin), cast(IO[str], process.stdout))
        side.answer()
        yield side
        side.orders.close()


def compare(checkout: Path, rounds: int = 8, rate: float = 50.0, seconds: float = 15.0) -> None:
    """Measure, and print."""
    from cabgate_bench.results.figures import pooled, quantiles, spread

    with ExitStack() as stack:
        folders = zip(SIDES, (checkout.resolve(), HERE), strict=True)
        sides = [stack.enter_context(started(name, folder)) for name, folder in folders]
        for number in range(rounds):
            for side in sides if number % 2 == 0 else sides[::-1]:
                side.load(rate, seconds)
                print(f"{number + 1:3} {side.name:>6}  {_row(quantiles(sorted(side.blocks[-1])))}")
    for side in sides:
        cpu = spread(side.cpu)
        print(
            f"{side.name:>10}  {_row(quantiles(pooled(side.blocks)))}  failed {side.failed}; "
            f"webhook {cpu['median']:.2f} ms of CPU a call ({cpu['min']:.2f} to {cpu['max']:.2f})"
        )
    before, now = ([quantiles(sorted(block)) for block in side.blocks] for side in sides)
    for name in before[0]:
        found = spread([b[name] - a[name] for a, b in zip(before, now, strict=True)])
        print(
            f"now - before at {name}: {found['median']:+.2f} ms in the median of {rounds} rounds, "
            f"{found['min']:+.2f} to {found['max']:+.2f}"
        )


def _row(figures: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:7.2f} ms" for name, value in figures.items())


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    else:
        place, *numbers = sys.argv[1:]
        kinds = (int, float, float)
        compare(Path(place), *(kind(n) for kind, n in zip(kinds, numbers, strict=False)))
