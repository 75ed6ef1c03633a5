# SPDX-License-Identifier: Apache-2.0
"""`cabgate ledger verify` on exported objects; tests/cluster has the real cluster."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from cabgate.ledger.findings import ADVICE
from cabgate.ledger.signatures import public_pem
from cabgate_cli.input.cluster import ledger_source
from cabgate_samples.objects import MIDDLING
from unit.cli.support import run
from unit.core.ledger.histories import PRIVATE, Raw, fresh
from unit.core.ledger.test_other_models import STRICT, scored

PUBLIC = public_pem(PRIVATE.public_key())


def config_map(name: str, data: dict[str, str]) -> Raw:
    meta = {"name": name, "namespace": "cabgate-system"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


KEYS = config_map("cabgate-signing-keys", {"1.pem": PUBLIC})


def heads() -> Raw:
    return config_map("cabgate-ledger-heads", {ns: str(head) for ns, head in fresh().heads})


def exported(history: Any = None, *others: Raw) -> Raw:
    """What `kubectl get ... -o json` prints."""
    found = history or fresh()
    kinds = [
        *(("CABRequest", item) for item in found.requests),
        *(("CABException", item) for item in found.exceptions),
        *(("CABDecision", item) for item in found.records),
    ]
    items = [{"apiVersion": "cabgate.dev/v1alpha1", **item, "kind": kind} for kind, item in kinds]
    return {"apiVersion": "v1", "kind": "List", "items": [*items, *others]}


@pytest.fixture
def files(tmp_path: Path) -> Any:
    def write(name: str, content: Raw | str) -> Path:
        path = tmp_path / name
        text = content if isinstance(content, str) else json.dumps(content)
        if name.endswith(".yaml") and not isinstance(content, str):
            text = yaml.safe_dump(content)
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("name", ["export.json", "export.yaml"])
def test_a_clean_export(files: Any, name: str) -> None:
    result = run("ledger", "verify", "-f", files(name, exported(None, KEYS, heads())))
    assert result.stdout.startswith("nothing is wrong: 7 records in 1 chain, against 4 requests, ")
    assert "1 exception, 1 published head and 1 public key (" in result.stdout
    assert "keep copies elsewhere" in result.stderr


def test_several_files_and_copies(files: Any) -> None:
    whole = exported()
    args: list[Any] = []
    for number, part in enumerate((whole["items"][:6], whole["items"][4:], [])):
        args += ["-f", files(f"{number}.json", {**whole, "items": part})]
    args += ["--keys", files("keys.pem", PUBLIC), "--heads", files("heads.yaml", heads())]
    result = run("ledger", "verify", *args)
    assert result.stdout.startswith("nothing is wrong")
    assert result.stderr == ""


def test_each_finding_is_a_line_that_says_what_to_do(files: Any) -> None:
    history = fresh()
    del history.records[6]
    history.records[1]["spec"]["rationale"] = "else"
    path = files("export.json", exported(history, KEYS))
    lines = run("ledger", "verify", "-f", path, "--heads", files("h.json", heads()), code=1)
    found = lines.stdout.splitlines()
    assert [line.split(": ")[:2] for line in found[:-1]] == [
        ["CABDecision shop.00000002", "ChangedRecord"],
        ["CABDecision shop.00000002", "SubjectDiffers"],
        [f"CABRequest shop/{history.requests[1]['metadata']['name']}, decision 2", "NotRecorded"],
        ["chain of shop", "HeadGone"],
    ]
    assert all(". To do: " in line for line in found[:-1])
    assert found[-1].startswith("4 findings: 6 records in 1 chain")

    report = json.loads(run("ledger", "verify", "-f", path, "-o", "json", code=1).stdout)
    assert report["clean"] is False
    assert report["chains"] == {"shop": 6}
    assert len(report["keys"]) == 1
    assert report["findings"][0] == {
        "code": "ChangedRecord",
        "where": "CABDecision shop.00000002",
        "message": "spec.digest is not that of its content",
        "advice": ADVICE["ChangedRecord"],  # type: ignore[index]
    }


def test_another_key_knows_no_signature(files: Any) -> None:
    other = public_pem(Ed25519PrivateKey.generate().public_key())
    path = files("export.json", exported(None, KEYS))
    result = run("ledger", "verify", "-f", path, "--keys", files("o.pem", other), code=1)
    assert "UnknownKey" in result.stdout


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["-f", "absent.json"], "absent.json: cannot be read"),
        (["-f", "empty.json"], "no CABDecision, CABRequest or CABException to look at"),
        (["-f", "nokeys.json"], "no public key to check signatures with"),
        (["-f", "all.json", "--keys", "bad.pem"], "no public key"),
        (["-f", "all.json", "--keys", "all.json"], "holds no ConfigMap"),
        (["-f", "all.json", "--heads", "all.json"], "holds no ConfigMap"),
        (["-f", "all.json", "--heads", "bad.json"], "shop: '12' is no head"),
        (["-f", "all.json", "--heads", "odd.json"], "data: not texts"),
        (["-f", "all.json", "--context", "c"], "not both"),
    ],
)
def test_files_that_cannot_be_verified_are_wrong_usage(
    files: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, args: list[str], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    files("empty.json", {"kind": "List", "items": []})
    files("nokeys.json", exported())
    files("all.json", exported())
    files("bad.pem", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    files("bad.json", config_map("h", {"shop": "12"}))
    files("odd.json", {**config_map("h", {}), "data": {"shop": 12}})
    assert says in run("ledger", "verify", *args, code=2).stderr
    absent = run("ledger", "verify", "--kubeconfig", "absent", code=4)
    assert "no cluster to read from" in absent.stderr


class Cluster:
    """Answers as the client does."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.maps = {KEYS["metadata"]["name"]: KEYS, heads()["metadata"]["name"]: heads()}
        history = fresh()
        self.lists = {
            "cabrequests": history.requests,
            "cabexceptions": history.exceptions,
            "cabdecisions": history.records,
            "riskmodels": [],
            "rolloutoutcomes": [],
        }

    def list_cluster_custom_object(self, *args: str, **options: Any) -> Any:
        if self.fault:
            raise self.fault
        items = self.lists[args[2]]
        begin = int(options.get("_continue", 0))
        token = str(begin + 2) if begin + 2 < len(items) else ""
        return {"items": items[begin : begin + 2], "metadata": {"continue": token}}

    def read_namespaced_config_map(self, name: str, namespace: str, **_: Any) -> Any:
        assert namespace == "cabgate-system"
        if name not in self.maps:
            raise ApiException(status=404)
        return SimpleNamespace(data=self.maps[name]["data"])


def serve(monkeypatch: pytest.MonkeyPatch, cluster: Cluster) -> None:
    found = SimpleNamespace(configuration=SimpleNamespace(host="https://api"))
    monkeypatch.setattr(ledger_source, "connected", lambda *_: found)
    for api in ("CustomObjectsApi", "CoreV1Api", "CoordinationV1Api"):
        monkeypatch.setattr(ledger_source.client, api, lambda _: cluster)


def test_a_cluster_is_read_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster()
    serve(monkeypatch, cluster)
    assert "7 records in 1 chain, against 4 requests" in run("ledger", "verify").stdout
    cluster.lists["cabdecisions"].pop()
    assert "chain of shop: HeadGone" in run("ledger", "verify", code=1).stdout
    del cluster.maps["cabgate-ledger-heads"]
    assert "HeadGone" not in run("ledger", "verify", code=1).stdout
    del cluster.maps["cabgate-signing-keys"]
    assert "no public key" in run("ledger", "verify", code=4).stderr


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (ApiException(status=403), "you may not read cabrequests (HTTP 403). Ask for the Cluster"),
        (ApiException(status=404), "no cabrequests in this cluster: is cabgate installed there?"),
        (ApiException(status=500, reason="Oops"), "did not return cabrequests: HTTP 500 Oops"),
        (HTTPError("refused"), "cannot reach the API server at https://api: refused"),
    ],
)
def test_a_cluster_that_cannot_be_read_is_no_answer(
    monkeypatch: pytest.MonkeyPatch, fault: Exception, says: str
) -> None:
    serve(monkeypatch, Cluster(fault))
    assert says in run("ledger", "verify", code=4).stderr


def test_scores_of_another_risk_model_are_computed_anew_where_it_is_there(
    files: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = {"apiVersion": "cabgate.dev/v1alpha1", "kind": "RiskModel", **STRICT.to_dict()}
    forged = scored(MIDDLING)
    forged["spec"]["assessment"]["score"] = "1.00"
    request = {"apiVersion": "cabgate.dev/v1alpha1", **forged, "kind": "CABRequest"}
    path = files("export.json", {**exported(), "items": [request, KEYS]})
    result = run("ledger", "verify", "-f", path)
    assert "1 score not computed anew: the risk model (strict) is not there" in result.stderr
    report = json.loads(run("ledger", "verify", "-f", path, "-o", "json").stdout)
    assert report["notComputedAnew"] == {"strict": 1}
    models = files("riskmodels.yaml", {**exported(), "items": [model]})
    result = run("ledger", "verify", "-f", path, "-f", models, code=1)
    assert "WrongAssessment: score 1.00 does not follow" in result.stdout
    assert "computed anew" not in result.stderr
    cluster = Cluster()
    cluster.lists |= {"cabrequests": [forged], "cabexceptions": [], "cabdecisions": []}
    cluster.maps.pop("cabgate-ledger-heads")
    serve(monkeypatch, cluster)
    run("ledger", "verify")
    cluster.lists["riskmodels"] = [model]
    assert "WrongAssessment" in run("ledger", "verify", code=1).stdout
