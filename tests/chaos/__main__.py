# SPDX-License-Identifier: Apache-2.0
"""`make chaos`: every fault once, then again for what is left of some minutes, and a table of
results."""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from cabgate_devcluster import DevCluster
from chaos.campaign import Campaign, table
from chaos.faults import FAULTS, title
from chaos.fleet import ETCD_ARGS


def main():
    parser = argparse.ArgumentParser(prog="make chaos")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--log-dir", type=Path, help="where the logs stay")
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.minutes:g} minutes", flush=True)
    end = time.monotonic() + options.minutes * 60
    chosen = [*FAULTS, None]
    order = random.Random(options.seed)
    order.shuffle(chosen)
    rows = []
    with (
        tempfile.TemporaryDirectory(prefix="cabgate-chaos-") as folder,
        DevCluster(log_dir=options.log_dir, etcd_args=ETCD_ARGS) as cluster,
        Campaign(cluster, options.seed) as campaign,
    ):
        queue = list(chosen)
        while len(rows) < len(chosen) or time.monotonic() < end:
            if not queue:
                queue = order.sample(chosen, len(chosen))
            fault = queue.pop()
            print(f"{len(rows) + 1}: {_name(fault)}", file=sys.stderr, flush=True)
            if fault is None:
                rows.append(campaign.rollback(Path(folder) / f"etcd-{len(rows)}"))
            else:
                rows.append(campaign.round(fault))
        rows.append(campaign.ends())
    print(table(rows))
    bad = [row for row in rows if not row.good]
    decided = sum(row.decided for row in rows)
    print(f"\n{len(rows)} rounds, {decided} decisions, {len(bad)} rounds with something wrong")
    return 1 if bad else 0


def _name(fault):
    return "rollback" if fault is None else title(fault)


if __name__ == "__main__":
    sys.exit(main())
