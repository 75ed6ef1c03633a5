# SPDX-License-Identifier: Apache-2.0
"""`cabgate ledger list` on exported objects and on a cluster in memory."""

import json
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from unit.cli.commands.records.test_ledger import Cluster, exported, serve
from unit.cli.support import run
from unit.core.ledger.histories import fresh


@pytest.fixture
def export(tmp_path: Path) -> Path:
    path = tmp_path / "export.json"
    path.write_text(json.dumps(exported()))
    return path


def names(*args: str | Path) -> list[str]:
    found: list[Any] = json.loads(run("ledger", "list", "-o", "json", *args).stdout)
    return [record["metadata"]["name"][-1:] for record in found]


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ([], 7),
        (["-n", "shop"], 7),
        (["-n", "other"], 0),
        (["--kind", "CABException"], 2),
        (["--verdict", "Approved"], 1),
        (["--verdict", "Revoked", "--kind", "CABRequest"], 1),
        (["--author", "rita"], 5),
        (["--intent", "other"], 1),
        (["--subject", "leave"], 2),
        (["--image", "registry.example.com/shop/checkout:1.4.2"], 7),
        (["--image", "registry.example.com/shop/checkout"], 0),
        (["--correlation-id", "CHG-1"], 0),
        (["--submitter", "nobody"], 0),
        (["--since", "2026-03-02"], 0),
        (["--until", "2026-03-02"], 7),
        (["--since", "2026-03-01T11:36:00Z"], 2),
    ],
)
def test_all_filters_have_to_fit(export: Path, filters: list[str], count: int) -> None:
    assert len(names("-f", export, *filters)) == count


def test_the_table_is_in_the_order_of_the_chain(export: Path) -> None:
    lines = run("ledger", "list", "-f", export, "--kind", "CABException").stdout.splitlines()
    assert lines[0].split() == ["RECORD", "AT", "VERDICT", "AUTHOR", "SUBJECT", "SCORE"]
    assert [line.split()[2:5] for line in lines[1:]] == [
        ["Approved", "rita", "CABException/leave"],
        ["Revoked", "rita", "CABException/leave"],
    ]


def test_one_that_cannot_be_read_is_named_and_the_others_are_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = Cluster()
    history = fresh()
    del history.records[2]["spec"]["verdict"]
    cluster.lists["cabdecisions"] = history.records
    serve(monkeypatch, cluster)
    result = run("ledger", "list", "-n", "shop")
    assert len(result.stdout.splitlines()) == 7
    assert "CABDecision shop.00000003 cannot be read" in result.stderr
    assert "spec.verdict" in result.stderr
    cluster.fault = ApiException(status=403)
    assert "you may not read cabdecisions" in run("ledger", "list", code=4).stderr
    both = run("ledger", "list", "-f", "x", "--context", "y", code=2)
    assert "not both" in both.stderr


def test_it_says_that_records_were_cut_and_may_fit_too(tmp_path: Path) -> None:
    content = exported()
    texts = json.dumps(content)
    assert '"cut"' not in texts
    path = tmp_path / "export.json"
    for item in content["items"]:
        if item["kind"] == "CABDecision" and item["spec"]["sequence"] <= 2:
            item["spec"]["cut"] = [{"field": "checked", "sha256": "a" * 64, "size": 90}]
    path.write_text(json.dumps(content))
    result = run("ledger", "list", "-f", path, "--submitter", "nobody")
    assert "2 records were cut and may fit too" in result.stderr
    assert "cut" not in run("ledger", "list", "-f", path, "--author", "nobody").stderr
