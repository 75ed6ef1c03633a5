# SPDX-License-Identifier: Apache-2.0
"""Write docs/calibration.md: calibration and replay of an example, and docs/calibration.svg."""
# ruff: noqa: E501 -- lines of a page

import json
import random
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner

from cabgate import API_VERSION
from cabgate.api.base import rfc3339
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate_cli.main import main as cabgate
from cabgate_samples.models import NOW, by_person, by_system, intent, request
from cabgate_samples.objects import GOOD

DOCS = Path(__file__).parents[1] / "docs"
CHANGES = 480
"""Requests of the example; a twelfth of those that a person decides is rejected."""

PAGE = """\
# Calibration and replay

Does a change with a score of 60 fail more often than one of 20? `cabgate calibrate` compares the scores that requests
record with what failed in production. `cabgate replay` scores the same evidence by another risk model. Both read, and
change nothing: no model, no request, no threshold.

## What counts as a failure

A change failed if its rollout failed, if it was rolled back within its soak time, or if an incident of severity 1 or 2 is tied
to it. [Outcomes](outcomes.md) say that of what an intent's workload ran, and [reports](reports.md#rollouts) count it; `calibrate` reads a CSV, since most teams have years of changes elsewhere: one line for each change, as your pipeline or your incident tool has it:

```csv
{outcomes}```

| column | what it says |
|---|---|
| `change` | the request: `NAMESPACE/NAME`, or `NAME` where one namespace alone has it |
| `failed` | `true`, `yes` or `1`; `false`, `no` or `0` |
| `at` | when that was known: `2026-03-01T12:00:00Z`, with any offset, or a day |

Other columns are not read, and named. A line that cannot be read, a second line for a change, and one that is older than its
request end the command with 2 and the number of the line. A change of which there is no request is named and not counted. A change without
a line is not taken for one that went well: it does not count.

## Compare scores with failures

The requests come from the cluster (ClusterRole `cabgate-auditor`), or from any export: `kubectl get cabrequests -A -o json`, `cabgate ledger export`
or the `ledger.jsonl` of [`cabgate audit export`](reports.md#an-archive-for-an-audit). Retention deletes old requests, so keep exports.
The example is made up by `tools/calibration.py`: failures follow tests and findings there, and manual testing has nothing to do with them.

```console
$ cabgate calibrate -f requests.jsonl --outcomes outcomes.csv
{calibrate}```

![Reliability curve](calibration.svg)

How to read it:

- **By score** is the answer: if rates rise with the score and the intervals (Wilson, 95 %) of low and high scores are apart, the score ranks changes.
- **Resolution** says the same in one number. **Reliability** and **skill** take score/100 for a probability, which it is not: skill may be
  below 0 for a model that ranks well. Compare skill between models, not with 0.
- **A factor that disagrees** gives a higher risk to changes that failed clearly less often. One that is *unclear* may weigh points for nothing, or be seen too seldom. With
  many factors and risks, one in twenty looks odd by chance.
- **Approved by score and reviewed** are different changes: a higher rate of those that people saw does not say that people do harm.
- **What was rejected never ran.** The figures are of what was let through. They cannot say what a rejection prevented.

Below 300 changes or 30 failures nothing is said, and the exit code is 1. `-o html` is a page to keep, `-o svg` the curve, `-o csv`, `json`
and `yaml` have each figure with its interval.

## Try another model

```yaml
{model}```

```console
$ cabgate replay -f requests.jsonl --model new.yaml --outcomes outcomes.csv
{replay}```

*Caught* means that the change would have gone to a person, or would have needed an exception. It does not mean that anybody would have stopped it. Look at
what would be approved by score as well, and above all at what a person had rejected. `--since` takes the requests opened from then on;
`-o json` names each request that moves, with both scores. Who signed, what was decided before and which images had no evidence
stay as the requests record them. A broken glass has no evidence, and does not count. There are no policies to replay yet: `--model` is all that can be tried.

To take the model, [apply it](risk-model.md). Requests that are open keep the score that they have.

10,000 requests of 2.7 KB take {cost} to replay.
"""

COST = "8 s of CPU time on two busy cores, and 98 MB as JSON Lines or 159 as kubectl prints them (one run each),"


def evidence(numbers: random.Random) -> dict[str, Any]:
    """Evidence as a team may declare it."""
    return {
        **GOOD,
        "testResults": {
            "coveragePercent": numbers.choice([70, 85, 95, 95]),
            "passed": 10,
            "failed": 0,
        },
        "scanResults": {"critical": 0, "high": numbers.choice([0, 0, 1, 3])},
        "scope": {"affectedComponents": numbers.choice([1, 3, 7, 12])},
        "manualTesting": {"status": numbers.choice(["Completed", "InProgress", "NotStarted"])},
    }


def example() -> tuple[str, str]:
    """Requests as JSON Lines, and the outcomes of those that ran."""
    numbers = random.Random(25)  # noqa: S311
    lines, outcomes = [], ["change,failed,at"]
    for number in range(CHANGES):
        declared = evidence(numbers)
        of = intent(declared)
        gate = request(of=of).spec.assessment.gate.value
        rejected = gate != "AutoApprove" and numbers.random() < 1 / 12
        decision = by_person("Rejected" if rejected else "Approved")
        if gate == "AutoApprove":
            decision = by_system("AutoApproved")
        opened = timedelta(hours=CHANGES - number)
        made = request("", *([decision] if gate != "ExceptionRequired" else []), of=of, age=opened)
        stored = {"apiVersion": API_VERSION, "kind": "CABRequest", **made.to_dict()}
        stored["metadata"] |= {"name": f"checkout-{number:08x}", "uid": f"u-{number}"}
        lines.append(json.dumps(stored) + "\n")
        coverage, high = (
            declared["testResults"]["coveragePercent"],
            declared["scanResults"]["high"],
        )
        chance = 0.04 + 0.12 * (coverage < 90) + 0.1 * (coverage < 80) + 0.08 * high
        failed = numbers.random() < chance
        if not rejected:
            at = rfc3339(NOW - opened + timedelta(minutes=40))
            outcomes.append(f"shop/checkout-{number:08x},{'true' if failed else 'false'},{at}")
    return "".join(lines), "\n".join(outcomes) + "\n"


def new_model() -> str:
    """The built-in model, with a lower limit of what the system approves."""
    spec = DEFAULT_RISK_MODEL.spec.to_dict() | {"version": "1", "autoApproveUpTo": "25.00"}
    head = {"apiVersion": API_VERSION, "kind": "RiskModel", "metadata": {"name": "stricter"}}
    return yaml.safe_dump({**head, "spec": spec}, sort_keys=False, width=96)


def rendered() -> dict[Path, str]:
    """The page and its picture."""
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        requests, outcomes = example()
        for name, text in (
            ("requests.jsonl", requests),
            ("outcomes.csv", outcomes),
            ("new.yaml", new_model()),
        ):
            (where / name).write_text(text)

        def run(command: str, *more: str) -> str:
            files = ("-f", str(where / "requests.jsonl"), "--outcomes", str(where / "outcomes.csv"))
            result = CliRunner().invoke(cabgate, [command, *files, *more])
            if result.exit_code:
                raise RuntimeError(result.output)
            return result.stdout

        page = PAGE.format(
            outcomes="".join(outcomes.splitlines(keepends=True)[:4]),
            calibrate=run("calibrate"),
            model=_head_of(new_model()),
            replay=run("replay", "--model", str(where / "new.yaml")),
            cost=COST,
        )
        return {
            DOCS / "calibration.md": page,
            DOCS / "calibration.svg": run("calibrate", "-o", "svg"),
        }


def _head_of(model: str) -> str:
    """What the example changes; all else is as in the built-in model."""
    lines = model.splitlines(keepends=True)
    kept = [each for each in lines[:6] if not each.startswith("  factors")]
    limits = [each for each in lines if "UpTo:" in each and each.startswith("  a")]
    return "".join([*kept, *limits, "  # factors, manualReviewUpTo and floors as in `default`\n"])


def main() -> int:
    """Write what differs."""
    for path, content in rendered().items():
        if not path.exists() or path.read_text() != content:
            path.write_text(content)
            print(f"wrote docs/{path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
