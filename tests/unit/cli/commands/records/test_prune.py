# SPDX-License-Identifier: Apache-2.0
"""`cabgate ledger export` and `prune` with a client in memory; tests/cluster has the real one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from cabgate.ledger.chain import record_digest
from cabgate.ledger.pruning import export_line
from cabgate_cli.errors import Unavailable
from cabgate_cli.input.cluster.ledger_source import SETTLE_SECONDS, LedgerSource
from unit.cli.commands.records.test_ledger import KEYS, Cluster, config_map, exported, serve
from unit.cli.support import run
from unit.core.ledger.histories import Raw, fresh

CHECKPOINTS = "cabgate-ledger-checkpoints"
RECORDS = fresh().records


class Writable(Cluster):
    """That takes writes as well, and fails when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.maps[CHECKPOINTS] = config_map(CHECKPOINTS, {})
        self.log: list[str] = []
        self.faults: list[Exception | None] = []
        self.before_read: Callable[[str], None] = lambda name: None
        self.lease: Exception | None = ApiException(status=404)

    def read_namespaced_config_map(self, name: str, namespace: str, **options: Any) -> Any:
        self.before_read(name)
        return super().read_namespaced_config_map(name, namespace, **options)

    def read_namespaced_lease(self, name: str, namespace: str, **_: Any) -> object:
        assert (name, namespace) == ("cabgate-relay", "cabgate-system")
        if self.lease is not None:
            raise self.lease
        return object()

    def replace_namespaced_config_map(self, name: str, _: str, body: Any, **__: Any) -> None:
        self.maps[name] = config_map(name, body.data)
        self.log.append(f"checkpoint {body.data['shop'].split()[0]}")

    def delete_cluster_custom_object(self, *args: str, **_: Any) -> None:
        fault = self.faults.pop(0) if self.faults else None
        if fault:
            raise fault
        records = self.lists["cabdecisions"]
        records[:] = [r for r in records if r["metadata"]["name"] != args[3]]
        self.log.append(args[3])


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Writable:
    found = Writable()
    serve(monkeypatch, found)
    return found


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "2026.jsonl"


def lines(records: list[Raw]) -> bytes:
    return b"".join(export_line(record) + b"\n" for record in records)


def pruned(out: Path, *args: str, code: int = 0) -> Any:
    return run("ledger", "prune", "--older-than", "0", "--out", str(out), *args, code=code)


def refusal(message: str) -> ApiException:
    found = ApiException(status=403, reason="Forbidden")
    found.body = message
    return found


def test_exported_then_a_checkpoint_then_deleted_oldest_first(cluster: Writable, out: Path) -> None:
    assert pruned(out).stdout.splitlines() == [
        "chain of shop: 6 records to prune, up to record 6",
        f"pruned: 6 records, exported to {out}",
    ]
    assert cluster.log == ["checkpoint 6", *(f"shop.0000000{n}" for n in range(1, 7))]
    assert out.read_bytes() == lines(RECORDS[:6])
    result = run("ledger", "verify")
    assert result.stdout.startswith("nothing is wrong: 1 record in 1 chain")
    assert "1 chain pruned up to a checkpoint" in result.stderr
    report = json.loads(run("ledger", "verify", "-o", "json").stdout)
    assert report["pruned"] == {"shop": 6}
    assert pruned(out).stdout == f"pruned: 0 records, exported to {out}\n"


def test_a_dry_run_and_an_export_delete_nothing(cluster: Writable, out: Path) -> None:
    assert "6 records to prune" in pruned(out, "--dry-run").stdout
    assert not out.exists()
    result = run("ledger", "export", "--older-than", "0", "--out", str(out))
    assert result.stdout == f"exported: 7 records, 7 of them now, to {out}\n"
    result = run("ledger", "export", "--out", str(out))
    assert result.stdout == f"exported: 7 records, 0 of them now, to {out}\n"
    assert out.read_bytes() == lines(RECORDS)
    assert cluster.log == []
    # A prune to the same file finds its records there.
    pruned(out)
    assert out.read_bytes() == lines(RECORDS)


def test_an_export_says_what_it_leaves_out(cluster: Writable, out: Path) -> None:
    result = run("ledger", "export", "--out", str(out))
    assert result.stdout == f"exported: 7 records, 7 of them now, to {out}\n"
    assert result.stderr == ""
    out.unlink()
    result = run("ledger", "export", "--older-than", "36500", "--out", str(out))
    assert result.stdout == f"exported: 0 records, 0 of them now, to {out}\n"
    assert "left out: 7 records" in result.stderr
    assert "older than 36500 days: 7 of shop" in result.stderr
    pruned(out)
    result = run("ledger", "export", "--out", str(out.with_suffix(".rest")))
    assert "exported: 1 records" in result.stdout
    assert "pruned before, which stands in earlier exports: shop up to record 6" in result.stderr


@pytest.mark.parametrize("before", range(6))
def test_a_prune_that_failed_goes_on(cluster: Writable, out: Path, before: int) -> None:
    cluster.faults = [*([None] * before), ApiException(status=500, reason="Oops")]
    assert "HTTP 500 Oops; try again. The export is complete" in pruned(out, code=4).stderr
    run("ledger", "verify")
    pruned(out)
    assert len(cluster.lists["cabdecisions"]) == 1
    assert out.read_bytes() == lines(RECORDS[:6])
    assert cluster.log.count("checkpoint 6") == 1


def test_the_policies_learn_of_a_checkpoint_late(cluster: Writable, out: Path) -> None:
    late = refusal("... only behind the checkpoint of its chain")
    cluster.faults = [late, late, ApiException(status=404)]
    pruned(out)
    assert len(cluster.log) == 6
    cluster.faults = [refusal("no")]
    assert "you may not delete cabdecisions shop.00000001" in pruned(out, code=4).stderr


def test_the_policies_are_not_waited_for_for_ever(cluster: Writable) -> None:
    slept: list[float] = []
    source = LedgerSource(None, None, monotonic=lambda: sum(slept), sleep=slept.append)
    cluster.faults = [refusal("... only behind the checkpoint of its chain")] * 100
    with pytest.raises(Unavailable, match="cabgate-ledger-keeper"):
        source.delete("cabdecisions", RECORDS[0])
    assert sum(slept) == pytest.approx(SETTLE_SECONDS, abs=0.5)


def test_half_a_line_is_finished(cluster: Writable, out: Path) -> None:
    out.write_bytes(lines(RECORDS[:6])[:-40])
    pruned(out)
    assert out.read_bytes() == lines(RECORDS[:6])
    assert len(cluster.log) == 7


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"notes\n", "line 1: is no CABDecision as an export holds it"),
        (b"notes", "its last line is not finished"),
        (lines([{**RECORDS[0], "spec": RECORDS[1]["spec"]}]), "is another record there"),
    ],
)
def test_a_file_that_holds_something_else_stays(
    cluster: Writable, out: Path, content: bytes, says: str
) -> None:
    out.write_bytes(content)
    assert says in pruned(out, code=2).stderr
    assert out.read_bytes() == content
    assert cluster.log == []


def test_a_file_that_cannot_be_written_or_read(cluster: Writable, tmp_path: Path) -> None:
    assert "cannot be written" in pruned(tmp_path / "absent" / "x.jsonl", code=4).stderr
    assert cluster.log == []


def test_a_ledger_that_is_not_clean_is_not_touched(cluster: Writable, out: Path) -> None:
    spec = cluster.lists["cabdecisions"][1]["spec"]
    spec["rationale"] = "another"
    result = pruned(out, code=1)
    assert "CABDecision shop.00000002: ChangedRecord" in result.stdout
    assert "nothing was written or deleted" in result.stderr
    assert not out.exists()
    assert cluster.log == []


def test_an_export_that_was_changed_since_stops_the_next_prune(
    cluster: Writable, out: Path
) -> None:
    pruned(out)
    forged = json.loads(json.dumps(RECORDS[:6]))
    forged[2]["spec"]["rationale"] = "another"
    forged[2]["spec"]["digest"] = record_digest(forged[2]["spec"])
    out.write_bytes(lines(forged))
    assert "BrokenLink" in pruned(out, code=1).stdout


def test_another_prune_at_the_same_time_stops_this_one(cluster: Writable, out: Path) -> None:
    reads = 0

    def other_prune(name: str) -> None:
        nonlocal reads
        reads += name == CHECKPOINTS
        if reads == 2:
            cluster.maps[CHECKPOINTS] = config_map(CHECKPOINTS, {"shop": "other"})

    cluster.before_read = other_prune
    assert "write conflict: configmap" in pruned(out, code=4).stderr
    assert cluster.log == []


def test_who_may_not_look_or_has_no_keys(cluster: Writable, out: Path) -> None:
    del cluster.maps["cabgate-signing-keys"]
    assert "no public key" in pruned(out, code=4).stderr
    cluster.fault = ApiException(status=403)
    assert "you may not read cabrequests" in pruned(out, code=4).stderr


def test_exports_verify_offline(tmp_path: Path, out: Path) -> None:
    out.write_bytes(lines(RECORDS[:4]))
    keys, rest, copy = (tmp_path / name for name in ("keys.json", "rest.json", "copy.json"))
    keys.write_text(json.dumps(KEYS))
    history = fresh()
    history.records = history.records[3:]
    rest.write_text(json.dumps(exported(history, KEYS)))
    spec = RECORDS[3]["spec"]
    text = f"4 {spec['digest']} {spec['at']}"
    copy.write_text(json.dumps(config_map(CHECKPOINTS, {"shop": text})))

    def verify(*files: Path, code: int = 0) -> str:
        args = [part for file in files for part in ("-f", str(file))]
        return run("ledger", "verify", *args, code=code).stdout

    assert verify(rest, out).startswith("nothing is wrong: 8 records")
    assert verify(rest, copy).startswith("nothing is wrong: 4 records")
    assert verify(out, keys, copy).startswith("nothing is wrong: 4 records")
    assert "MissingRecord" in verify(rest, code=1)
    copy.write_text(json.dumps(config_map(CHECKPOINTS, {"shop": "4"})))
    args = ("-f", str(rest), "-f", str(copy))
    assert "shop: '4' is no checkpoint" in run("ledger", "verify", *args, code=2).stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"kind":"A"}\n{"kind":\n', "line 2: not valid JSON"),
        ('{"kind":"A"}\n\n{"kind":"A","kind":"B"}\n', "line 3: duplicate key 'kind' in one object"),
    ],
)
def test_json_lines_that_cannot_be_read(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(text)
    assert says in run("ledger", "verify", "-f", str(path), code=2).stderr
