# SPDX-License-Identifier: Apache-2.0
"""What `-o json` and `-o yaml` of `cabgate wait` and `cabgate ledger` hold: the same object in
both, and nothing else on standard output."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cabgate.ledger.findings import ADVICE, FindingCode
from cabgate_cli.input.cluster.gate_source import GateSource
from cabgate_samples.models import intent
from unit.cli.commands.records.test_ledger import KEYS, exported, heads
from unit.cli.commands.rollouts.test_wait import APPROVED, OPEN, REFUSED, UNSEEN
from unit.cli.support import run
from unit.core.ledger.histories import fresh

BOTH = pytest.mark.parametrize(("output", "load"), [("json", json.loads), ("yaml", yaml.safe_load)])
Load = Callable[[str], Any]


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The output of `cabgate wait` where the cluster has an intent."""

    def of(found: Any, *args: str, code: int) -> str:
        monkeypatch.setattr("cabgate_cli.input.cluster.client.connected", lambda *_: None)
        monkeypatch.setattr(GateSource, "intent", lambda *_: found)
        return run("wait", "-n", "shop", "checkout", "--timeout", "0s", *args, code=code).stdout

    return of


@BOTH
@pytest.mark.parametrize(
    ("found", "code", "outcome", "message"),
    [
        (APPROVED, 0, "approved", "Because."),
        (REFUSED, 1, "refused", "Because."),
        (OPEN, 3, "open", "Because."),
        (UNSEEN, 3, "open", "the operator has not looked at its present content yet"),
    ],
)
def test_wait_says_for_programs_what_it_says_for_people(
    waits: Any, output: str, load: Load, found: Any, code: int, outcome: str, message: str
) -> None:
    assert load(waits(found, "-o", output, code=code)) == {
        "namespace": "shop",
        "intent": "checkout",
        "outcome": outcome,
        "message": message,
    }


@BOTH
def test_a_condition_of_somebody_else_keeps_its_text_and_hides_nothing(
    waits: Any, output: str, load: Load
) -> None:
    text = "a\x1b[2Jb\u202ec\u2028d"
    condition = {"type": "Ready", "status": "False", "reason": "Why", "message": text,
                 "lastTransitionTime": "2026-03-01T12:00:00Z"}  # fmt: skip
    found = intent(status={"observedGeneration": 1, "conditions": [condition]})
    said = waits(found, "-o", output, code=3)
    assert said.replace("\n", "").isprintable()
    assert load(said)["message"] == text


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., Path]:
    def write(*args: Any) -> Path:
        path = tmp_path / "export.json"
        path.write_text(json.dumps(exported(*args)))
        return path

    return write


@BOTH
def test_a_clean_ledger(export: Any, output: str, load: Load) -> None:
    result = run("ledger", "verify", "-f", export(None, KEYS, heads()), "-o", output)
    report = load(result.stdout)
    assert len(report.pop("keys")) == 1
    assert report == {
        "clean": True,
        "chains": {"shop": 7},
        "heads": 1,
        "headsNotLookedFor": [],
        "pruned": {},
        "notComputedAnew": {},
        "findings": [],
    }
    assert result.stderr == ""


@BOTH
def test_findings_have_a_code_a_place_and_what_to_do(export: Any, output: str, load: Load) -> None:
    history = fresh()
    del history.records[2]
    path = export(history, KEYS)
    report = load(run("ledger", "verify", "-f", path, "-o", output, code=1).stdout)
    assert (report["clean"], report["chains"]) == (False, {"shop": 6})
    assert report["findings"] != []
    for finding in report["findings"]:
        assert set(finding) == {"code", "where", "message", "advice"}
        assert finding["advice"] == ADVICE[FindingCode(finding["code"])]


@BOTH
def test_a_list_has_the_whole_records_as_they_are_stored(
    export: Any, output: str, load: Load
) -> None:
    path = export()
    stored = [
        item for item in json.loads(path.read_text())["items"] if item["kind"] == "CABDecision"
    ]
    assert load(run("ledger", "list", "-f", path, "-o", output).stdout) == stored
    none = run("ledger", "list", "-f", path, "-n", "other", "-o", output).stdout
    assert load(none) == []


def test_the_same_bytes_every_time(export: Any) -> None:
    path = export()
    first, again = (run("ledger", "list", "-f", path, "-o", "yaml").stdout for _ in range(2))
    assert first == again
