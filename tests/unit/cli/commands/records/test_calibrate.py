# SPDX-License-Identifier: Apache-2.0
"""`cabgate calibrate` and `cabgate replay` on exports and on a cluster in memory."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cabgate.api.request import PLURAL
from cabgate_cli.input.cluster import ledger_source
from cabgate_samples.models import by_person, by_system, request
from unit.cli.support import run

Raw = dict[str, Any]
API = {"apiVersion": "cabgate.dev/v1alpha1"}


def stored(number: int) -> Raw:
    """One of two kinds of requests, as the API server has it."""
    gate, decision = MADE[number % 2]
    found = copy.deepcopy(decision)
    found["metadata"] |= {"name": f"web-{number:04d}", "uid": f"u-{number}"}
    return {**API, "kind": "CABRequest", **found, "tier": gate}


MADE = [
    ("AutoApprove", request("AutoApprove", by_system("AutoApproved")).to_dict()),
    ("ManualReview", request("ManualReview", by_person("Approved")).to_dict()),
]
REQUESTS = [stored(number) for number in range(320)]
OUTCOMES = "change,failed,at\n" + "".join(
    f"shop/web-{number:04d},{'true' if number % 10 == 1 else 'false'},2026-03-02\n"
    for number in range(310)
)
MODEL: Raw = {
    **API,
    "kind": "RiskModel",
    "metadata": {"name": "strict"},
    "spec": {
        "version": "2",
        "autoApproveUpTo": "0.00",
        "manualReviewUpTo": "50.00",
        "factors": [
            {
                "name": "securityFindings",
                "weight": "1",
                "bands": [
                    {"label": "none", "risk": "0.4", "upTo": "0"},
                    {"label": "some", "risk": "1"},
                ],
            }
        ],
    },
}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    contents = {
        "requests.json": json.dumps({"apiVersion": "v1", "kind": "List", "items": REQUESTS}),
        "kubectl.json": json.dumps(
            {"apiVersion": "v1", "items": REQUESTS, "kind": "List", "metadata": {}}, indent=4
        ),
        "ledger.jsonl": "".join(f"{json.dumps(each)}\n" for each in REQUESTS),
        "some.yaml": yaml.safe_dump_all(REQUESTS[:3]),
        "outcomes.csv": OUTCOMES,
        "model.yaml": yaml.safe_dump(MODEL),
    }
    for name, text in contents.items():
        (tmp_path / name).write_text(text)
    return {name: tmp_path / name for name in contents}


class Cluster:
    """A cluster that holds the requests, and takes no write."""

    def __init__(self, *of: Any) -> None:
        pass

    def each(self, plural: str) -> list[Raw]:
        assert plural == PLURAL
        return REQUESTS


def calibrated(files: dict[str, Path], source: str, output: str = "text") -> str:
    args = ("-f", files[source], "--outcomes", files["outcomes.csv"], "-o", output)
    return run("calibrate", *args).stdout


@pytest.mark.parametrize("output", ["text", "json", "yaml", "csv", "html", "svg"])
def test_each_kind_of_export_gives_the_same_bytes(files: dict[str, Path], output: str) -> None:
    first = calibrated(files, "requests.json", output)
    assert first
    assert calibrated(files, "kubectl.json", output) == first
    assert calibrated(files, "ledger.jsonl", output) == first


def test_the_same_request_in_two_exports_counts_once(files: dict[str, Path]) -> None:
    args = ("-f", files["kubectl.json"], "-f", files["some.yaml"])
    outcomes = ("--outcomes", files["outcomes.csv"])
    assert run("calibrate", *args, *outcomes).stdout == calibrated(files, "requests.json")


def test_a_cluster_says_what_its_export_says(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_source, "LedgerSource", Cluster)
    outcomes = ("--outcomes", files["outcomes.csv"])
    assert run("calibrate", *outcomes).stdout == calibrated(files, "requests.json")
    model = ("--model", files["model.yaml"])
    of_file = run("replay", "-f", files["requests.json"], *model).stdout
    assert run("replay", *model).stdout == of_file


def test_the_figures_are_of_what_has_an_outcome(files: dict[str, Path]) -> None:
    found = json.loads(calibrated(files, "requests.json", "json"))
    assert (found["changes"], found["failures"], found["rate"]) == (310, 31, 0.1)
    assert found["selection"]["approvedWithoutOutcome"] == 10
    assert [each["name"] for each in found["tiers"]] == ["AutoApprove", "ManualReview"]
    assert [each["failures"] for each in found["approvals"]] == [0, 31]


@pytest.mark.parametrize(("lines", "changes", "failures"), [(300, 299, 30), (289, 288, 29)])
def test_too_few_are_refused_with_1_and_nothing_is_printed(
    files: dict[str, Path], lines: int, changes: int, failures: int
) -> None:
    text = "".join(OUTCOMES.splitlines(keepends=True)[:lines]) + "gone,true,2026-03-02\n"
    files["outcomes.csv"].write_text(text)
    args = ("-f", files["requests.json"], "--outcomes", files["outcomes.csv"])
    result = run("calibrate", *args, code=1)
    assert f"{changes} changes with a score and an outcome, {failures} of which" in result.stderr
    assert "not counted, since no such request was given: gone" in result.stderr
    assert result.stdout == ""


def test_unknown_changes_and_columns_are_named(files: dict[str, Path]) -> None:
    head, rest = OUTCOMES.split("\n", 1)
    lines = [f"{head},team", *(f"{line},red" for line in rest.splitlines()), "gone,no,2026-03-02,x"]
    files["outcomes.csv"].write_text("\n".join(lines))
    args = ("-f", files["requests.json"], "--outcomes", files["outcomes.csv"])
    result = run("calibrate", *args)
    assert "no such request was given: gone." in result.stdout
    assert "columns that are not read: 'team'" in result.stderr


def test_a_bad_row_is_told_with_its_file_and_line(files: dict[str, Path]) -> None:
    files["outcomes.csv"].write_text(OUTCOMES + "web-1,maybe,now\nshop/web-0001,no,2026-03-02\n")
    args = ("-f", files["requests.json"], "--outcomes", files["outcomes.csv"])
    said = run("calibrate", *args, code=2).stderr
    assert f"{files['outcomes.csv']}: line 312: failed: 'maybe'; allowed" in said
    assert f"{files['outcomes.csv']}: line 312: at: 'now' is no moment" in said
    files["outcomes.csv"].write_text(OUTCOMES + "web-0001,no,2026-03-02\n")
    said = run("calibrate", *args, code=2).stderr
    assert "line 312: change: shop/web-0001 has an outcome in line 3 already" in said
    said = run("replay", *args, "--model", files["model.yaml"], code=2).stderr
    assert "line 312: change: shop/web-0001 has an outcome in line 3 already" in said


def test_a_replay_says_what_moves_and_what_would_have_been_caught(files: dict[str, Path]) -> None:
    args = ("-f", files["ledger.jsonl"], "--model", files["model.yaml"])
    outcomes = ("--outcomes", files["outcomes.csv"])
    found = json.loads(run("replay", *args, *outcomes, "-o", "json").stdout)
    moved = {(each["from"], each["to"]): each["requests"] for each in found["tiers"]}
    assert moved["AutoApprove", "ManualReview"] == 160
    assert moved["ManualReview", "ExceptionRequired"] == 160
    assert found["moreToPeople"] == 160
    assert len(found["approvalsNotGiven"]) == 320
    assert len(found["failuresCaught"]) == found["failures"] == 31
    assert "160 more would go to people." in run("replay", *args).stdout
    assert "0 requests by risk model" in run("replay", *args, "--since", "2026-03-02").stdout


def test_a_request_that_cannot_be_read_is_told_and_not_counted(files: dict[str, Path]) -> None:
    broken = {**REQUESTS[319], "spec": {}}
    text = "".join(f"{json.dumps(each)}\n" for each in [*REQUESTS[:319], broken])
    files["ledger.jsonl"].write_text(text)
    args = ("-f", files["ledger.jsonl"], "--model", files["model.yaml"])
    result = run("replay", *args)
    assert "CABRequest web-0319 cannot be read" in result.stderr
    assert result.stdout.startswith("319 requests")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["calibrate"], "Missing option '--outcomes'"),
        (["replay"], "Missing option '--model'"),
        (["calibrate", "-f", "-", "--outcomes", "-"], "standard input can be read once"),
        (["replay", "-f", "-", "--model", "-"], "standard input can be read once"),
        (["calibrate", "-f", "x", "--context", "y", "--outcomes", "z"], "not both"),
        (["calibrate", "--outcomes", "none.csv"], "none.csv: cannot be read"),
        (["replay", "--model", "model.yaml", "--policy", "new.yaml"], "No such option"),
        (["replay", "--model", "model.yaml", "--since", "monday"], "does not match the formats"),
    ],
)
def test_what_cannot_be_is_said(args: list[str], said: str) -> None:
    assert said in run(*args, code=2).stderr


def test_a_model_that_makes_no_sense_is_refused(files: dict[str, Path]) -> None:
    model = copy.deepcopy(MODEL)
    model["spec"]["factors"][0]["weight"] = "0.5"
    files["model.yaml"].write_text(yaml.safe_dump(model))
    args = ("-f", files["requests.json"], "--model", files["model.yaml"])
    assert "the weights sum to 0.5" in run("replay", *args, code=2).stderr


def test_files_without_a_request_are_refused(files: dict[str, Path]) -> None:
    args = ("-f", files["model.yaml"], "--outcomes", files["outcomes.csv"])
    assert "no CABRequest to look at" in run("calibrate", *args, code=2).stderr
