# SPDX-License-Identifier: Apache-2.0
"""A new reason touches three files: message, `explain`, docs, Argo CD and golden list follow."""

import json
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from cabgate.gate.checks import CHECKED, RECORDS
from cabgate.gate.verdict import Reason
from support import untraced
from support.gitops import ArgoHealth

ROOT = Path(__file__).resolve().parents[4]
GATE = Path("core/cabgate/gate")

CHECK = '''\
# SPDX-License-Identifier: Apache-2.0
"""That nothing is rolled out at night."""

from cabgate.gate.verdict import Look, Reason
from cabgate.gate.record import ArgoHealth, Record


def check(found):
    if 6 <= found.now.hour < 22:
        return None
    return Look(found.request, found.state, Reason.AT_NIGHT)


def message(found):
    return f"{found.head} admits nothing at night.", [], "Go to bed."


def line(look, rollout, now):
    return "admits nothing at night"


RECORDS = (
    Record(
        Reason.AT_NIGHT, message, line,
        health=ArgoHealth.SUSPENDED, says="it is night", to_do="go to bed",
    ),
    Record(
        Reason.TOO_OLD, message, line,
        health=ArgoHealth.DEGRADED, says="it is old", to_do="renew it",
    ),
)
'''

ASK = """\
import json, runpy, sys
from datetime import datetime, timezone
from pathlib import Path
from cabgate.gate.candidates import describe
from cabgate_operator.plans.intents import STALLED
from cabgate_samples.models import by_person, request, rollout
from unit.core.standings import candidates, decide
from unit.core.gate.test_golden import REASONS

night = datetime(2026, 3, 4, 23, tzinfo=timezone.utc)
approved = request("ManualReview", by_person("Approved"))
tool = runpy.run_path(str(Path(sys.argv[1]) / "tools/reasons.py"))
decision = decide(rollout(), 2, [approved], [], night)
[look] = candidates(rollout(), [approved], [], night)
print(json.dumps({
    "allowed": decision.allowed,
    "by day": decide(rollout(), 2, [approved], [], night.replace(hour=12)).allowed,
    "message": decision.message,
    "line": describe(look, rollout(), [], night),
    "stalled": sorted(STALLED),
    "golden": REASONS,
    "files": {str(path): text for path, text in tool["rendered"]().items()},
}))
"""


def with_new_reasons(folder: Path) -> dict[str, Any]:
    """What the parts of a copy of the tree say after somebody added a check with two reasons."""
    for name in ("core", "docs", "tools"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    gate = folder / GATE
    (gate / "checks/night.py").write_text(CHECK)
    codes = '    AT_NIGHT = "AtNight"\n    TOO_OLD = "TooOld"\n'
    edit(gate / "verdict.py", "class Reason(StrEnum):\n", codes)
    registry = gate / "checks/__init__.py"
    edit(registry, "from cabgate.gate.checks import (\n", "    night,\n")
    edit(registry, "CHECKS = (\n", "    night.check,\n")
    edit(registry, "MODULES = (\n", "    night,\n")
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(folder)],
        env=untraced.environment(folder / "core", ROOT / "tests"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def edit(path: Path, after: str, line: str) -> None:
    text = path.read_text()
    assert text.count(after) == 1
    path.write_text(text.replace(after, after + line))


def shown_by_argo_cd(script: str, reason: str, stalled: bool) -> str:
    conditions = [{"type": "Ready", "status": "False", "reason": reason, "message": "m"}]
    if stalled:
        conditions.append({"type": "Stalled", "status": "True"})
    status = {"observedGeneration": 1, "gate": "ManualReview", "conditions": conditions}
    shown: str = ArgoHealth(script).of({"metadata": {"generation": 1}, "status": status})[0]
    return shown


def test_all_that_tells_of_reasons_tells_of_new_ones(tmp_path: Path) -> None:
    said = with_new_reasons(tmp_path)
    assert (said["allowed"], said["by day"]) == (False, True)
    assert said["message"].startswith("AtNight: ")
    assert said["message"].endswith(" admits nothing at night. Go to bed.")
    assert said["line"] == "admits nothing at night"
    table = said["files"]["docs/intents.md"]
    assert "| `AtNight` | it is night | go to bed |\n| `TooOld` | it is old | renew it |" in table
    assert {"AtNight", "TooOld"} <= set(said["golden"])
    script = said["files"]["docs/gitops/argocd-health.lua"]
    assert textwrap.indent(script, "    ") in said["files"]["docs/gitops/argocd/argocd-cm.yaml"]
    shown = {
        reason: shown_by_argo_cd(script, reason, reason in said["stalled"])
        for reason in ("AtNight", "TooOld")
    }
    assert shown == {"AtNight": "Suspended", "TooOld": "Degraded"}


def test_the_walk_names_the_three_files() -> None:
    page = (ROOT / "docs/extending/README.md").read_text()
    walk = page.split("\n## A reason\n", 1)[1].split("\n## ", 1)[0]
    links = re.findall(r"^\d+\. \[[^]]*\]\(\.\./\.\./([^)]*)\)", walk, re.M)
    assert links == [
        f"{GATE}/verdict.py",
        f"{GATE}/checks/",
        f"{GATE}/checks/__init__.py",
    ]


def test_each_reason_has_one_record() -> None:
    assert list(RECORDS) == [record.reason for record in CHECKED]
    assert set(RECORDS) == set(Reason)


def test_each_denial_says_what_to_do() -> None:
    assert [r for r, record in RECORDS.items() if not (record.admits or record.to_do)] == []
    assert [r for r, record in RECORDS.items() if record.admits and record.says] == []
