# SPDX-License-Identifier: Apache-2.0
"""The benchmark runs and its results can be read. What it measures is nobody's business here. Its
part about one tenant at its worst runs in test_worst_tenant.py, which needs such a tenant."""

import json
import subprocess
import sys

import pytest

SHORT = ["--seconds", "0.5"]
RUNS = {
    "gate": ["--rates", "10", "--rounds", "1", "--steps", "10", "--targets", "3", "--calls", "0"],
    "scale": [
        "--sizes",
        "4,8",
        "--namespaces",
        "2",
        "--crowd",
        "4",
        "--intents",
        "5",
        "--rest",
        "1",
    ],
}


@pytest.mark.parametrize("name", sorted(RUNS))
def test_it_runs_and_its_results_can_be_read(name, tmp_path):
    argv = [sys.executable, "-m", "cabgate_bench", name, *SHORT, *RUNS[name], "--out", tmp_path]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / f"{name}.json").read_text())
    assert result["machine"]["cores"] >= 1
    assert len(result["targets"]) == 14
    tables = (tmp_path / f"{name}.md").read_text()
    assert tables.count("| --- |") >= 3
    if name == "gate":
        cell = result["through"][0]
        sent = cell["requests"]
        assert sent["with"] == sent["without"] == sent["bare"] > 0
        assert not any(cell["failed"].values()), cell["samples"]
        allowed = {found["cell"]: found["allowed"] for found in result["direct"]}
        assert allowed["allow, one target"] > 0
        denied = [number for cell, number in allowed.items() if cell.startswith("deny")]
        assert denied == [0, 0, 0]
        assert "function calls" in result["profile"]
    else:
        assert [cell["cell"] for cell in result["scale"]][:2] == ["4 requests", "8 requests"]
        found = result["operator"]
        assert found["requests"] > 5
        assert found["changeAmongManyCalls"] > 0
