# SPDX-License-Identifier: Apache-2.0
"""`make attack`: one namespace is attacked by who has `edit` there, for some minutes; what another
team's work was meanwhile, and what the attacker could not do."""

import argparse
import sys

from attack.siege import Siege
from cabgate_bench.load import loadgen
from cabgate_bench.load.world import World
from cabgate_bench.measure import through
from cabgate_devcluster import DevCluster, people
from support.gate import Gate

BLOCK_SECONDS = 180.0
CALM_SECONDS = 20.0
"""Of peace, before each block."""


def main():
    parser = argparse.ArgumentParser(prog="make attack")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--times", type=float, default=1.0, help="how much of the attack")
    options = parser.parse_args()
    cluster = DevCluster()
    cluster.forking = False  # the memory of a process that was forked is partly another's
    with cluster:
        world = World(cluster, loadgen.build())
        through.prepare(world)
        people.bind(cluster)
        siege = Siege(world, Gate(cluster, world.installation), options.times)
        siege.fill()
        left = options.minutes * 60
        while left > 0:
            wrong = siege.block(min(left, BLOCK_SECONDS), CALM_SECONDS)
            left -= BLOCK_SECONDS
            said = "".join(f"\n- {each}" for each in wrong)
            print(f"{max(0.0, left) / 60:g} minutes left{said}", file=sys.stderr, flush=True)
        found = siege.found()
    print(found.markdown())
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
