# SPDX-License-Identifier: Apache-2.0
"""`make chaos`: every fault, again and again for some minutes, and a table of results."""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from cabgate_devcluster import DevCluster
from chaos.campaign import Campaign, table
from chaos.faults import FAULTS, title
from support.gate import install


def main():
    parser = argparse.ArgumentParser(prog="make chaos")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--log-dir", type=Path, help="where the logs stay")
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.minutes:g} minutes", flush=True)
    end = time.monotonic() + options.minutes * 60
    rows = []
    order = random.Random(options.seed)
    with (
        tempfile.TemporaryDirectory(prefix="cabgate-chaos-") as folder,
        DevCluster(log_dir=options.log_dir) as cluster,
        Campaign(install(cluster), options.seed) as campaign,
    ):
        queue = []
        while time.monotonic() < end:
            if not queue:
                queue = [*FAULTS, None]
                order.shuffle(queue)
            fault = queue.pop()
            name = "rollback" if fault is None else title(fault)
            print(f"{len(rows) + 1}: {name}", file=sys.stderr, flush=True)
            if fault is None:
                rows.append(campaign.rollback(Path(folder) / f"etcd-{len(rows)}"))
            else:
                rows.append(campaign.round(fault))
    print(table(rows))
    bad = [row for row in rows if not row.good]
    decided = sum(row.decided for row in rows)
    print(f"\n{len(rows)} faults, {decided} decisions, {len(bad)} rounds with something wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
