# SPDX-License-Identifier: Apache-2.0
"""`cabgate report` on exported objects and on a cluster in memory."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from cabgate import API_VERSION
from cabgate.ledger.kept import kept
from cabgate_samples.models import NOW
from cabgate_store.opening import open_to_append
from unit.cli.commands.records.test_ledger import Cluster, exported, serve
from unit.cli.support import run
from unit.core.ledger.histories import STORY, fresh
from unit.core.reports.test_rollouts import outcome

STORY_REQUEST = STORY.requests[0]["metadata"]["name"]
TIME = ("--since", "2026-03-01", "--until", "2026-03-02")


@pytest.fixture
def export(tmp_path: Path) -> Path:
    path = tmp_path / "export.json"
    path.write_text(json.dumps(exported()))
    return path


def figures(*args: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("report", *args, "-o", "json").stdout)
    return {name: each["value"] for name, each in found["figures"].items()}


def test_it_counts_what_the_list_of_the_ledger_has(export: Path) -> None:
    listed = json.loads(run("ledger", "list", "-f", export, "-o", "json").stdout)
    verdicts = [(e["spec"]["subject"]["kind"], e["spec"]["verdict"]) for e in listed]
    found = figures("-f", export, *TIME)
    assert found["revocations"] == verdicts.count(("CABRequest", "Revoked"))
    assert found["exceptionsGranted"] == verdicts.count(("CABException", "Approved")) == 1
    assert found["exceptionsRevoked"] == verdicts.count(("CABException", "Revoked"))
    assert found["approvals"] > 0


def test_a_figure_names_the_records_that_the_ledger_has(export: Path) -> None:
    listed = json.loads(run("ledger", "list", "-f", export, "-o", "json").stdout)
    found = json.loads(run("report", "-f", export, *TIME, "-o", "json").stdout)
    names = {each["metadata"]["name"] for each in listed}
    behind = {name for each in found["figures"].values() for name in each["records"]}
    assert behind
    assert behind <= names


def test_a_cluster_says_what_its_export_says(export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_file = run("report", "-f", export, *TIME).stdout
    serve(monkeypatch, Cluster())
    assert run("report", *TIME).stdout == of_file


TOLD = [
    {"apiVersion": API_VERSION, "kind": "RolloutOutcome", **each.to_dict()}
    for each in (
        outcome(-121.5, STORY_REQUEST, workload="shop/app", result="Failed", endedAt=-121),
        outcome(-121, None, workload="shop/app"),
    )
]
"""What became of a request of the export, on 1 March 2026."""


def test_what_became_of_a_request_is_counted_from_file_cluster_and_store_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, url = tmp_path / "export.json", f"sqlite:///{tmp_path}/events.db"
    path.write_text(json.dumps({**exported(), "items": [*exported()["items"], *TOLD]}))
    store = open_to_append(url, NOW)
    store.append("one", fresh().records, {}, NOW)
    store.keep("one", [kept("RolloutOutcome", each) for each in TOLD], NOW)
    store.close()
    cluster = Cluster()
    cluster.lists["rolloutoutcomes"] = TOLD
    serve(monkeypatch, cluster)
    found = [figures(*source, *TIME) for source in (("-f", path), ("--from", url), ())]
    assert found[0] == found[1] == found[2]
    assert (found[0]["rolledOut"], found[0]["changeFailureRate"]) == (1, 1)
    assert found[0]["leadTimeP50"] is not None


def test_an_outcome_that_cannot_be_read_is_told_of_and_no_other_is_lost(
    tmp_path: Path, export: Path
) -> None:
    strange = {**TOLD[1], "spec": {**TOLD[1]["spec"], "ring": 9}}
    path = tmp_path / "outcomes.json"
    path.write_text(json.dumps({"kind": "List", "apiVersion": "v1", "items": [TOLD[0], strange]}))
    result = run("report", "-f", export, "-f", path, *TIME, "-o", "json")
    assert json.loads(result.stdout)["figures"]["changesFailed"]["value"] == 1
    name = TOLD[1]["metadata"]["name"]
    assert f"RolloutOutcome shop/{name} cannot be read: spec.ring: " in result.stderr


def test_without_outcomes_a_report_says_nothing_of_rollouts(export: Path) -> None:
    assert figures("-f", export, *TIME)["rolledOut"] is None


def test_outside_of_the_time_there_is_nothing(export: Path) -> None:
    found = figures("-f", export, "--since", "2026-04-01", "--until", "2026-05-01")
    assert found["decisions"] == 0
    assert found["approvalRate"] is None


def test_by_namespace_there_is_a_group_for_each(export: Path) -> None:
    text = run("report", "-f", export, *TIME, "--by", "namespace", "-o", "csv").stdout
    assert {row["group"] for row in csv.DictReader(io.StringIO(text))} == {"all", "shop"}


def test_the_page_is_html(export: Path) -> None:
    assert run("report", "-f", export, *TIME, "-o", "html").stdout.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--since", "2026-05-01", "--until", "2026-04-01"], "--since has to be before --until"),
        (["--since", "yesterday"], "does not match the formats"),
        (["--by", "team"], "'team' is not one of"),
        (["-f", "x", "--context", "y"], "not both"),
    ],
)
def test_what_cannot_be_is_said(args: list[str], said: str) -> None:
    result = run("report", *args, code=2)
    assert said in result.stderr


def test_records_that_are_missing_or_cannot_be_read_are_named(tmp_path: Path) -> None:
    objects = exported()
    records = [item for item in objects["items"] if item["kind"] == "CABDecision"]
    records[1]["spec"]["verdict"] = 7
    path = tmp_path / "export.json"
    path.write_text(json.dumps(objects))
    said = run("report", "-f", path, *TIME).stderr
    assert f"{records[1]['metadata']['name']} cannot be read and is not counted" in said
    assert "record 2 of the ledger of namespace shop is not there" in said
