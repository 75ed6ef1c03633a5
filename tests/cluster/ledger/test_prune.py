# SPDX-License-Identifier: Apache-2.0
"""The ledger exported and pruned on the real API server: nothing lost, and the chain goes on."""

import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from cabgate.text.moments import rfc3339
from cabgate_cli.main import main
from cabgate_devcluster import DevCluster, wait_until
from cabgate_samples.objects import GOOD, MIDDLING
from support.gate import install
from support.namespaces import create_namespace

NAMESPACE = "shop"
CHECKPOINTS = "cabgate-ledger-checkpoints"


@pytest.fixture(scope="module")
def own():
    with DevCluster() as cluster:
        gate = install(cluster)
        for user, role in (
            ("keeper", "cabgate-ledger-keeper"),
            ("halfway", "cabgate-halfway"),
            ("unverbed", "cabgate-unverbed"),
        ):
            kubectl = cluster.kubectl
            kubectl("create", "clusterrolebinding", user, f"--clusterrole={role}", f"--user={user}")
        keeper = json.loads(
            cluster.kubectl("get", "clusterrole", "cabgate-ledger-keeper", "-o", "json").stdout
        )
        # One who may do all but delete, and one who may do all but prune.
        for name, verb in (("cabgate-halfway", "delete"), ("cabgate-unverbed", "prune")):
            rules = [rule for rule in keeper["rules"] if verb not in rule["verbs"]]
            role = {**keeper, "metadata": {"name": name}, "rules": rules}
            cluster.kubectl("create", "-f", "-", stdin=json.dumps(role))
        create_namespace(cluster, NAMESPACE)
        yield gate


def ledger(gate, user, *args, code=0):
    args = ("ledger", *args, "--kubeconfig", gate.user(user))
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    assert result.exit_code == code, result.output
    return result


def offline(*files, code=0):
    args = [part for file in files for part in ("-f", str(file))]
    result = CliRunner().invoke(main, ["ledger", "verify", *args])
    assert result.exit_code == code, result.output
    return result.stdout


def records(gate):
    listed = gate.cluster.kubectl("get", "cabdecisions", "-o", "json")
    return sorted(json.loads(listed.stdout)["items"], key=lambda item: item["spec"]["sequence"])


def sequences(gate):
    return [record["spec"]["sequence"] for record in records(gate)]


def recorded(gate, *wanted):
    """Returns once these records are there, and of a moment that is over: of two reviews in one
    second the later is stamped with the next, and until then it is not older than no day."""

    def past():
        found = records(gate)
        now = rfc3339(datetime.now(UTC))
        return [each["spec"]["sequence"] for each in found if each["spec"]["at"] < now]

    wait_until(lambda: past() == list(wanted), f"records {wanted}")


def checkpoint(gate):
    data = gate.get("configmap", CHECKPOINTS, "cabgate-system").get("data") or {}
    return data.get(NAMESPACE, "").split()


def restart(gate):
    gate.installation.operator.stop()
    gate.installation.start_operator()


def test_the_ledger_is_exported_and_pruned_and_goes_on(own, tmp_path):
    out = tmp_path / "2026.jsonl"
    prune = ("prune", "--out", out, "--older-than", "0")
    name = own.open(NAMESPACE, MIDDLING, "Submitted")
    recorded(own, 1)
    own.review("reviewer", "cabrequest", name, NAMESPACE, "UnderReview")
    own.review("reviewer", "cabrequest", name, NAMESPACE, "Rejected")
    own.open(NAMESPACE, GOOD, "AutoApproved", name="other", images=("web:2",))
    recorded(own, 1, 2, 3, 4)
    before = records(own)

    # Nothing is old enough, and nothing is deleted by trying.
    assert "pruned: 0 records" in ledger(own, "keeper", "prune", "--out", out).stdout
    assert out.read_bytes() == b""
    said = ledger(own, "keeper", *prune, "--dry-run").stdout
    assert said == "chain of shop: 3 records to prune, up to record 3\n"
    whole = tmp_path / "all.jsonl"
    ledger(own, "keeper", "export", "--out", whole)
    assert len(whole.read_text().splitlines()) == 4
    said = ledger(own, "keeper", "export", "--out", out, "--older-than", "400").stderr
    assert "left out: 4 records" in said
    listed = ledger(own, "keeper", "list", "-n", NAMESPACE, "--author", "reviewer").stdout
    assert [line.split()[2] for line in listed.splitlines()[1:]] == ["UnderReview", "Rejected"]
    assert sequences(own) == [1, 2, 3, 4]
    assert checkpoint(own) == []

    # By hand nobody deletes: not even who holds every verb, before there is a checkpoint.
    for user in ("admin", "keeper", "unverbed"):
        message = own.refused(user, "delete", "cabdecision", before[0]["metadata"]["name"])
        assert "a CABDecision is a record of the ledger: nobody deletes it by hand" in message

    # It ends half way: exported and with a checkpoint, but nothing deleted.
    for user in ("halfway", "unverbed"):
        said = ledger(own, user, *prune, code=4).output
        assert "cabgate-ledger-keeper" in said
        assert sequences(own) == [1, 2, 3, 4]
        assert checkpoint(own)[:2] == ["3", before[2]["spec"]["digest"]]
        assert len(out.read_text().splitlines()) == 3
        ledger(own, "keeper", "verify")
    message = own.refused("unverbed", "delete", "cabdecision", before[0]["metadata"]["name"])
    assert "needs the verb prune on ledgers.cabgate.dev" in message
    message = own.refused("admin", "delete", "cabdecision", before[3]["metadata"]["name"])
    assert "only behind the checkpoint" in message

    # The oldest is gone already when the next run goes on.
    own.kubectl("keeper", "delete", "cabdecision", before[0]["metadata"]["name"])
    ledger(own, "keeper", "verify")
    ledger(own, "keeper", *prune)
    assert records(own) == before[3:]
    assert len(out.read_text().splitlines()) == 3
    ledger(own, "keeper", "verify")
    assert "pruned: 0 records" in ledger(own, "keeper", *prune).stdout

    # The rejected request stays, and is not recorded anew.
    restart(own)
    own.open(NAMESPACE, GOOD, "AutoApproved", name="third", images=("web:3",))
    recorded(own, 4, 5)
    restart(own)
    own.open(NAMESPACE, GOOD, "AutoApproved", name="fourth", images=("web:4",))
    recorded(own, 4, 5, 6)
    ledger(own, "keeper", "verify")

    # With the export the whole chain verifies offline; without, the export is missed.
    rest = tmp_path / "rest.json"
    listed = own.cluster.kubectl(
        *("get", "-A", "-o", "json", "cabdecisions,cabrequests,cabexceptions")
    )
    rest.write_text(listed.stdout)
    keys = tmp_path / "keys.json"
    args = ("get", "configmap", "-n", "cabgate-system", "-o", "json")
    keys.write_text(own.cluster.kubectl(*args, "cabgate-signing-keys").stdout)
    copy = tmp_path / "checkpoints.json"
    copy.write_text(own.cluster.kubectl(*args, CHECKPOINTS).stdout)
    assert "nothing is wrong: 6 records" in offline(rest, keys, out)
    assert "nothing is wrong: 6 records" in offline(rest, keys, out, copy)
    assert "nothing is wrong: 3 records" in offline(rest, keys, copy)
    assert "nothing is wrong: 3 records" in offline(out, keys)
    assert "MissingRecord" in offline(rest, keys, code=1)

    # A second time, to the same file; then somebody changes it.
    ledger(own, "keeper", *prune)
    assert sequences(own) == [6]
    assert len(out.read_text().splitlines()) == 5
    ledger(own, "keeper", "verify")
    assert "nothing is wrong" in offline(rest, keys, out, copy)
    forged = out.read_text().replace('"rationale":"reviewed"', '"rationale":"unread"')
    out.write_text(forged)
    said = offline(rest, keys, out, copy, code=1)
    assert "ChangedRecord" in said
    assert "WrongSignature" in said
    assert "ChangedRecord" in ledger(own, "keeper", *prune, code=1).stdout
