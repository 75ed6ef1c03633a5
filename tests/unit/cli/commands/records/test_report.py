# SPDX-License-Identifier: Apache-2.0
"""`cabgate report` on exported objects and on a cluster in memory."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from unit.cli.commands.records.test_ledger import Cluster, exported, serve
from unit.cli.support import run

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
