# SPDX-License-Identifier: Apache-2.0
"""What the release before left in etcd goes on: the same verdicts, and a ledger that verifies.

`tests/golden/etcd/release-before.json` is what etcd held of cabgate after that release (commit
d2450b6: evidence named no images) had opened and decided these requests, and its verdicts then.
"""

import base64
import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from cabgate.api import CABException
from cabgate.lifecycle.state.states import state_of
from cabgate_cli.main import main
from cabgate_devcluster import wait_until
from cabgate_devcluster.installed.installation import ROOT
from cabgate_samples.objects import GOOD, target, workload
from support.gate import paused
from support.namespaces import create_namespace

pytestmark = pytest.mark.etcd

GOLDEN = json.loads((ROOT / "tests" / "golden" / "etcd" / "release-before.json").read_text())
NAMESPACE = "release-before"
EXCEPTION = "/registry/cabgate.dev/cabexceptions/release-before/leave"


def encoded(text):
    return base64.b64encode(text.encode()).decode()


@pytest.fixture(scope="module")
def upgraded(gate):
    """The cluster, with what etcd held before the upgrade; the operator looks at it afterwards."""
    cluster = gate.cluster
    create_namespace(cluster, NAMESPACE, "2")
    args = ("create", "clusterrolebinding", "before-auditor", "--clusterrole=cabgate-auditor")
    cluster.kubectl(*args, "--user=auditor")
    keys = {f"before-{name}": key for name, key in GOLDEN["signingKeys"].items()}
    args = ("patch", "configmap", "cabgate-signing-keys", "-n", "cabgate-system", "--type=merge")
    cluster.kubectl(*args, "-p", json.dumps({"data": keys}))
    with paused(gate.installation.operator):
        for key, stored in GOLDEN["etcd"].items():
            body = {"key": encoded(key), "value": encoded(json.dumps(stored))}
            cluster.call_etcd("/v3/kv/put", body)
        assert verdicts(gate) == expected(), "before the operator has looked"
    yield gate
    cluster.kubectl("delete", "clusterrolebinding", "before-auditor")


def expected():
    """The verdicts of that release; but the exception ends by itself, some day."""
    found = dict(GOLDEN["verdicts"])
    exception = CABException.model_validate(GOLDEN["etcd"][EXCEPTION])
    if state_of(exception, datetime.now(UTC)) != "Approved":
        found["excepted"] = "ExceptionEnded"
    return found


def verdicts(gate):
    """What becomes of a rollout of each workload, in a dry run: admitted, or why not."""
    found = {}
    for name in GOLDEN["verdicts"]:
        obj = workload(NAMESPACE, name=name, images=[f"{name}:1"])
        result = gate.create("requester", obj, "--dry-run=server", check=False)
        said = result.stderr.partition("denied the request: ")[2].partition(":")[0]
        found[name] = "admitted" if result.returncode == 0 else said
    return found


def test_the_verdicts_are_the_same_and_the_ledger_verifies(upgraded):
    gate = upgraded
    # The operator takes them over: an open request waits, and can be decided.
    for name, state in (("by-score", "AutoApproved"), ("waiting", "Submitted")):
        gate.request_of(NAMESPACE, name, state)
    assert verdicts(gate) == expected()
    kubeconfig = ("--kubeconfig", str(gate.user("auditor")))

    def verified():
        result = CliRunner().invoke(main, ["ledger", "verify", "-o", "json", *kubeconfig])
        found = json.loads(result.stdout)["findings"]
        assert [f for f in found if NAMESPACE in f["where"] + f["message"]] == []
        return True

    wait_until(verified, "the ledger verifies")
    request = gate.request_of(NAMESPACE, "waiting")["metadata"]["name"]
    gate.review("reviewer", "cabrequest", request, NAMESPACE, "Approved")
    assert verdicts(gate) == {**expected(), "waiting": "admitted"}
    wait_until(
        lambda: any(
            record["spec"]["subject"]["name"] == request
            for record in gate.items("cabdecisions", NAMESPACE)
        ),
        "a record of it",
    )
    wait_until(verified, "the ledger goes on from there")


def test_the_next_release_of_an_open_intent_waits_for_a_person(upgraded):
    """As the first line of the changelog says."""
    gate = upgraded
    after = [target(["by-score:2"], name="by-score")]
    body = {"spec": {"targets": after}}
    gate.patch("requester", "deploymentintent", "by-score", NAMESPACE, body)
    waiting = gate.request_of(NAMESPACE, "by-score", "Submitted")
    assert waiting["spec"]["targets"] == after
    for image, admitted in (("by-score:1", True), ("by-score:2", False)):
        obj = workload(NAMESPACE, name="by-score", images=[image])
        result = gate.create("requester", obj, "--dry-run=server", check=False)
        assert (result.returncode == 0) is admitted, image
    # With evidence of its own that names the images it is approved by score again.
    reports = {
        part: {**GOOD[part], "uri": f"https://ci.example.com/2/{part}"}
        for part in ("testResults", "scanResults")
    }
    reports["testResults"]["passed"] = 11
    evidence = {**GOOD, **reports, "artifacts": [{"name": "web", "images": ["by-score:2"]}]}
    body = {"spec": {"evidence": evidence}}
    gate.patch("requester", "deploymentintent", "by-score", NAMESPACE, body)
    gate.request_of(NAMESPACE, "by-score", "AutoApproved")
    first_line = (ROOT / "CHANGELOG.md").read_text().split("## Unreleased\n", 1)[1].strip()
    assert first_line.startswith("**Open intents: at the next change of an intent a person decides")
    assert "`cabgate intent` writes it" in first_line.partition("\n\n")[0].replace("\n", " ")
