# SPDX-License-Identifier: Apache-2.0
"""Write docs/reports.md: the figures of `cabgate.reports.figures`, each with what it means."""

import sys
from pathlib import Path

from cabgate.reports.texts import of_section, sections

PAGE = """\
# Reports

`cabgate report` counts what the [ledger](ledger.md) holds: how much was decided, by whom, how
fast, and what went past it; and what became of it, as [outcomes](outcomes.md) say. It reads the
cluster that kubectl would, with the ClusterRole `cabgate-auditor`, or exports:

```sh
cabgate report --since 2026-07-01 --until 2026-10-01
cabgate report --by namespace -o html > quarter.html
cabgate report -f ledger-2025.jsonl -f ledger-2026.jsonl --since 2025-10-01 -o csv
```

`--by namespace`, `ring`, `intent`, `release`, `tier` or `score` gives the figures of each as well.
`-o text` is for people; `html` is one page with plots, to print or to keep, that loads nothing;
`csv` has a line for each figure of each group; `json` and `yaml` name the records behind every
figure, so that each can be looked up (`kubectl get cabdecision shop.00000042 -o yaml`); those of
rollouts are `NAMESPACE/NAME` of an outcome (`kubectl get rolloutoutcome NAME -n NAMESPACE -o
yaml`).

A time is from `--since` to before `--until`, UTC. What was decided in it may have been opened
before it: give the records of before as well, which a cluster does unless its ledger was pruned.
Where records of a chain are missing, the report says which. It counts what records say and
verifies nothing: `cabgate ledger verify` does that, with the same files.

A change belongs to the time in which it became available. What became of it is told as it is known
now: the report of a past quarter says of a change that it failed, also if it did so later. A
cluster keeps the [last outcomes](outcomes.md) of each workload alone (ten, by default), and none
of a namespace that was deleted: its report of a long time counts fewer rollouts and failures than
there were, and cannot tell. Ask the [event store](operations/event-store.md) (`--from`), which has
them.

## An archive for an audit

```sh
cabgate audit export --since 2026-07-01 --until 2026-10-01 --out audit.zip
```

writes one ZIP: all records with the requests, exceptions and outcomes there are (`ledger.jsonl`),
public keys, published heads and checkpoints, the verification, the report of that time in three
forms, and a manifest with the SHA-256 of each file. The same objects give the same bytes. Unpacked,
it verifies by itself:

```sh
unzip audit.zip -d audit
cabgate ledger verify -f audit/ledger.jsonl -f audit/checkpoints.json \\
  --keys audit/keys.json --heads audit/heads.json
```

Keys and heads that come out of the same cluster prove little against who rules it: give copies that
were kept elsewhere (`--keys`, `--heads`), as for `ledger verify`. Of a ledger with findings the
archive is written all the same, and the exit code is 1. Requests are in it with their evidence:
keep it as you would keep them.

## The figures

Names are those of `csv`, `json` and `yaml`: shares from 0 to 1, times in seconds. A percentile is
one of the times (nearest rank). Of nothing there is no share and no time (`-`, `null`).
Exceptions belong to the ring and the intent of their request.

{figures}
## What is not in it

- What outcomes do not say: rollouts of Jobs, CronJobs and Pods, and of kinds that are gated by
  configuration; lead time begins with the request, since cabgate knows no commits.
  [Calibration](calibration.md) compares scores with outcomes that you give it.
- Machines by configuration (`machines.*` of the chart): records name who submitted, and not by
  which setting they were machines. Service accounts are counted as such.
- Records of before format 2 (an early release) do not say when a request was opened, of which
  ring or intent it was, and who submitted: they count where a figure does not need that, and in
  the group `unknown`.
- Decisions that were cut to 6 KB may lack targets: a renewal of an exception for such a workload
  is not seen.
- What was admitted or denied by the gate: [metrics](operations/metrics.md) count that.
"""

PATH = Path(__file__).parents[1] / "docs" / "reports.md"


def rendered() -> str:
    """The page."""
    parts = []
    for section in sections():
        lines = [f"### {section}", "", "| name | figure | meaning |", "|---|---|---|"]
        lines += [f"| `{f.name}` | {f.title} | {f.meaning} |" for f in of_section(section)]
        parts.append("\n".join(lines) + "\n")
    return PAGE.format(figures="\n".join(parts))


def main() -> int:
    """Write the page if it differs."""
    if not PATH.exists() or PATH.read_text() != rendered():
        PATH.write_text(rendered())
        print("wrote docs/reports.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
