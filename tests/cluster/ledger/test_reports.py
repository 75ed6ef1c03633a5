# SPDX-License-Identifier: Apache-2.0
"""Reports and archives of a real ledger, by an auditor's own rights."""

import json
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cabgate_devcluster import wait_until
from cabgate_samples.objects import GOOD, MIDDLING

CABGATE = Path(sys.executable).with_name("cabgate")


@pytest.fixture(scope="module", autouse=True)
def auditor(gate):
    """The user auditor has the role of one."""
    kubectl = gate.cluster.kubectl
    role = ("--clusterrole=cabgate-auditor", "--user=auditor")
    kubectl("create", "clusterrolebinding", "reports-auditor", *role)
    yield
    kubectl("delete", "clusterrolebinding", "reports-auditor")


def chain(gate, namespace):
    """The records of a namespace by their names."""
    listed = gate.kubectl(
        *("auditor", "get", "cabdecisions", "-o", "json"),
        f"--field-selector=spec.subject.namespace={namespace}",
    )
    items = json.loads(listed.stdout)["items"]
    return {item["metadata"]["name"]: item["spec"] for item in items}


def decide(gate, namespace):
    """One approval of a person and one by score, once both are recorded; the chain."""
    name = gate.open(namespace, MIDDLING, "Submitted")
    gate.review("reviewer", "cabrequest", name, namespace, "UnderReview")
    gate.review("reviewer", "cabrequest", name, namespace, "Approved")
    gate.open(namespace, GOOD, "AutoApproved", name="other")

    def recorded():
        found = chain(gate, namespace)
        verdicts = {spec["verdict"] for spec in found.values()}
        return found if {"Approved", "AutoApproved"} <= verdicts else None

    return wait_until(recorded, "both decisions are recorded")


def test_the_report_counts_what_the_chain_says(gate, namespace):
    records = decide(gate, namespace)
    result = gate.shell("auditor", "cabgate report --by namespace -o json", CABGATE)
    assert result.returncode == 0, result.stderr
    groups = {each["name"]: each["figures"] for each in json.loads(result.stdout)["groups"]}
    found = groups[namespace]
    values = {name: figure["value"] for name, figure in found.items()}
    assert (values["approvals"], values["rejections"], values["systemShare"]) == (2, 0, 0.5)
    assert (values["approvers"], values["mostOfOneApprover"]) == (1, 1.0)
    assert found["mostOfOneApprover"]["who"] == "reviewer"
    # The request was taken before it was approved: both times are known, and of the same request.
    assert values["openedToTakenMax"] + values["takenToDecidedMax"] == values["openedToDecidedMax"]
    behind = {records[name]["verdict"] for name in found["approvals"]["records"]}
    assert behind == {"Approved", "AutoApproved"}


def test_an_archive_verifies_without_the_cluster(gate, namespace, tmp_path):
    records = decide(gate, namespace)
    now = datetime.now(UTC)
    since, until = (f"{now + timedelta(days=days):%Y-%m-%d}" for days in (-1, 2))
    out = tmp_path / "audit.zip"
    time = f"--since {since} --until {until}"
    result = gate.shell("auditor", f"cabgate audit export {time} --out {out}", CABGATE)
    with zipfile.ZipFile(out) as found:
        found.extractall(tmp_path)
    lines = (tmp_path / "ledger.jsonl").read_text().splitlines()
    names = {json.loads(line)["metadata"]["name"] for line in lines}
    assert records.keys() <= names
    files = f"-f {tmp_path}/ledger.jsonl -f {tmp_path}/checkpoints.json"
    own = f"--keys {tmp_path}/keys.json --heads {tmp_path}/heads.json"
    verified = gate.shell("auditor", f"cabgate ledger verify {files} {own} -o json", CABGATE)
    # Other tests of this cluster forge records: what is found there is found here.
    assert verified.returncode == result.returncode, (verified.stdout, result.stderr)
    said = json.loads((tmp_path / "verification.json").read_text())
    assert json.loads(verified.stdout)["findings"] == said["findings"]
    assert json.loads(verified.stdout)["chains"] == said["chains"]


def test_who_is_no_auditor_is_told_whom_to_ask(gate, namespace):
    result = gate.shell("requester", "cabgate report", CABGATE)
    assert result.returncode == 4
    assert "Ask for the ClusterRole cabgate-auditor" in result.stderr


def test_another_model_is_tried_on_what_was_decided_and_nothing_changes(gate, namespace, tmp_path):
    decide(gate, namespace)
    get = ("auditor", "get", "riskmodel", "default", "-o", "json")
    current = gate.kubectl(*get).stdout
    model = json.loads(current)
    path = tmp_path / "stricter.json"
    spec = {**model["spec"], "autoApproveUpTo": "0.00", "manualReviewUpTo": "0.00"}
    path.write_text(json.dumps({**model, "metadata": {"name": "stricter"}, "spec": spec}))
    result = gate.shell("auditor", f"cabgate replay --model {path} -o json", CABGATE)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    moved = [each for each in found["moved"] if each["namespace"] == namespace]
    assert [(each["from"], each["to"]) for each in moved] == [("ManualReview", "ExceptionRequired")]
    outcomes = tmp_path / "outcomes.csv"
    ended = datetime.now(UTC) + timedelta(hours=1)
    outcomes.write_text(
        f"change,failed,at\n{namespace}/{moved[0]['name']},true,{ended:%Y-%m-%dT%H:%M:%SZ}\n"
    )
    refused = gate.shell("auditor", f"cabgate calibrate --outcomes {outcomes}", CABGATE)
    assert (refused.returncode, refused.stdout) == (1, ""), refused.stderr
    assert "300 changes" in refused.stderr
    assert gate.kubectl(*get).stdout == current
