# SPDX-License-Identifier: Apache-2.0
"""`cabgate audit export`: what is in the archive verifies by itself, and is the same each time."""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from unit.cli.commands.records.test_ledger import KEYS, exported, heads
from unit.cli.support import run

TIME = ("--since", "2026-03-01", "--until", "2026-03-02")
NAMES = [
    "checkpoints.json",
    "heads.json",
    "keys.json",
    "ledger.jsonl",
    "manifest.json",
    "report.csv",
    "report.html",
    "report.json",
    "verification.json",
]


def written(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return written(tmp_path / "export.json", exported())


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return written(tmp_path / "given-keys.json", KEYS)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    return written(tmp_path / "given-heads.json", heads())


def unpacked(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as found:
        assert found.testzip() is None
        return {name: found.read(name) for name in found.namelist()}


def test_the_archive_verifies_by_what_is_in_it(
    tmp_path: Path, export: Path, keys: Path, published: Path
) -> None:
    out = tmp_path / "audit.zip"
    run("audit", "export", "-f", export, "--keys", keys, "--heads", published, *TIME, "--out", out)
    with zipfile.ZipFile(out) as found:
        found.extractall(tmp_path / "audit")
    inside = tmp_path / "audit"
    args = ("-f", inside / "ledger.jsonl", "-f", inside / "checkpoints.json", "-o", "json")
    own = ("--keys", inside / "keys.json", "--heads", inside / "heads.json")
    again = json.loads(run("ledger", "verify", *args, *own).stdout)
    assert again == json.loads((inside / "verification.json").read_text())
    assert again["clean"] is True
    assert again["heads"] == 1
    said = json.loads(run("report", *args[:2], *TIME, "--by", "namespace", "-o", "json").stdout)
    assert said == json.loads((inside / "report.json").read_text())


def test_the_manifest_has_the_digest_of_each_file(tmp_path: Path, export: Path, keys: Path) -> None:
    out = tmp_path / "audit.zip"
    run("audit", "export", "-f", export, "--keys", keys, *TIME, "--out", out)
    files = unpacked(out)
    assert sorted(files) == NAMES
    manifest = json.loads(files.pop("manifest.json"))
    assert manifest["since"] == "2026-03-01T00:00:00Z"
    assert manifest["until"] == "2026-03-02T00:00:00Z"
    assert manifest["clean"] is True
    assert {each["name"]: each["sha256"] for each in manifest["files"]} == {
        name: hashlib.sha256(content).hexdigest() for name, content in files.items()
    }


def test_the_same_objects_give_the_same_bytes(tmp_path: Path, keys: Path) -> None:
    archives, items = [], exported()["items"]
    for item in items:
        item["metadata"].setdefault("uid", item["metadata"]["name"])
    for number, turn in enumerate((1, -1, 1)):
        objects = {"apiVersion": "v1", "kind": "List", "items": (items * (1 + number))[::turn]}
        path = written(tmp_path / f"export-{number}.json", objects)
        out = tmp_path / f"audit-{number}.zip"
        run("audit", "export", "-f", path, "--keys", keys, *TIME, "--out", out)
        archives.append(out.read_bytes())
    assert len(set(archives)) == 1


def test_of_a_ledger_with_findings_it_is_written_and_says_so(tmp_path: Path, keys: Path) -> None:
    objects = exported()
    record = next(item for item in objects["items"] if item["kind"] == "CABDecision")
    record["spec"]["rationale"] = "other"
    path, out = written(tmp_path / "export.json", objects), tmp_path / "audit.zip"
    result = run("audit", "export", "-f", path, "--keys", keys, *TIME, "--out", out, code=1)
    assert "findings: verification.json has them" in result.stderr
    files = unpacked(out)
    assert json.loads(files["manifest.json"])["clean"] is False
    assert json.loads(files["verification.json"])["findings"]


def test_two_published_heads_of_one_chain_are_both_in_it(
    tmp_path: Path, export: Path, keys: Path
) -> None:
    records = [i["spec"] for i in exported()["items"] if i["kind"] == "CABDecision"]
    copies = [
        written(
            tmp_path / f"heads-{n}.json",
            {**heads(), "data": {"shop": f"{records[n]['sequence']} {records[n]['digest']}"}},
        )
        for n in (1, 3)
    ]
    out = tmp_path / "audit.zip"
    given = [arg for path in copies for arg in ("--heads", path)]
    run("audit", "export", "-f", export, "--keys", keys, *given, *TIME, "--out", out)
    (tmp_path / "heads.json").write_bytes(unpacked(out)["heads.json"])
    args = ("-f", export, "--keys", keys, "--heads", tmp_path / "heads.json", "-o", "json")
    assert json.loads(run("ledger", "verify", *args).stdout)["heads"] == 2


def test_what_is_there_stays_where_nothing_can_be_written(
    tmp_path: Path, export: Path, keys: Path
) -> None:
    args = ("audit", "export", "-f", export, "--keys", keys, *TIME, "--out")
    said = run(*args, tmp_path / "absent" / "audit.zip", code=4).stderr
    assert "audit.zip: cannot be written: No such file or directory" in said
    (tmp_path / "taken").mkdir()
    run(*args, tmp_path / "taken", code=2)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_time_has_to_be_given(export: Path, tmp_path: Path) -> None:
    said = run("audit", "export", "-f", export, "--out", tmp_path / "a.zip", code=2).stderr
    assert "Missing option '--since'" in said
