# SPDX-License-Identifier: Apache-2.0
"""Blocks of calls that take turns within one run."""

from collections.abc import Callable, Sequence

from cabgate_bench.load.usage import usage_of
from cabgate_devcluster import Process

Took = dict[str, list[list[float]]]
"""Milliseconds of each call, by side and block."""


def in_turn(
    sides: Sequence[str], call: Callable[[str], float], rounds: int, calls: int, process: Process
) -> tuple[Took, dict[str, list[float]]]:
    """Call so often for each side in each round, every second round in the other order; one round
    more comes first, and does not count. Beside what they took, a process's CPU time for a call, in
    milliseconds, by side and block."""
    took: Took = {side: [] for side in sides}
    cpu: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(rounds + 1):
        for side in sides if number % 2 else reversed(sides):
            before = usage_of(process).cpu
            block = [call(side) for _ in range(calls)]
            used = (usage_of(process).cpu - before) * 1000 / calls
            if number:
                took[side].append(block)
                cpu[side].append(used)
    return took, cpu
