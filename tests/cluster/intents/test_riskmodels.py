# SPDX-License-Identifier: Apache-2.0
"""Risk models on the real API server: which may be stored, which one holds, and what an old score
still says."""

import contextlib
import json
import re
import sys
from pathlib import Path

import pytest

from cabgate.api import DeploymentIntent, RiskModel
from cabgate.lifecycle.requests.opening import request_for
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL, SECOND_RISK_MODEL
from cabgate_devcluster import wait_until
from cabgate_samples.objects import GOOD, MIDDLING, intent
from support.clients import client_of
from support.gate import denial, paused
from support.models import MALFORMED, SENSELESS, changed, risk_model
from support.reviews import entry_of

CABGATE = Path(sys.executable).with_name("cabgate")
OPERATOR = "system:serviceaccount:cabgate-system:cabgate-operator"
MARK = "cabgate.dev/default-risk-model"
DOCS = Path(__file__).resolve().parents[3] / "docs"
TAKES = re.compile(r"^kubectl label riskmodel default .*=true$", re.MULTILINE)


@pytest.fixture
def make_model(gate):
    """Create a model, which is gone after the test."""
    made = set()

    def make(name, **spec):
        made.add(name)
        return gate.create("admin", risk_model(name, **spec))

    yield make
    for name in made:
        gate.cluster.kubectl("delete", "riskmodel", name, "--ignore-not-found")


def choose(gate, namespace, name):
    gate.cluster.kubectl(
        "label", "namespace", namespace, f"cabgate.dev/risk-model={name}", "--overwrite"
    )


def assessment(gate, namespace, name="web", state=None):
    return gate.request_of(namespace, name, state)["spec"]["assessment"]


def condition(gate, namespace, reason, name="web"):
    """The message of an intent that is not ready for a reason, once it says so."""

    def found():
        status = gate.get("deploymentintent", name, namespace).get("status", {})
        conditions = {c["type"]: c for c in status.get("conditions", [])}
        ready = conditions.get("Ready", {})
        return conditions if ready.get("reason") == reason else None

    conditions = wait_until(found, f"{namespace}/{name} says {reason}")
    assert (conditions["Ready"]["status"], conditions["Stalled"]["status"]) == ("False", "True")
    events = gate.items("events", namespace, f"--field-selector=reason={reason}")
    assert [event["type"] for event in events if event["involvedObject"]["name"] == name] == [
        "Warning"
    ]
    assert (
        gate.items("cabrequests", namespace, f"--field-selector=spec.intentRef.name={name}") == []
    )
    return conditions["Ready"]["message"]


def test_the_built_in_model_is_there_and_is_the_default(gate):
    found = json.loads(gate.cluster.kubectl("get", "riskmodel", "default", "-o", "json").stdout)
    assert found["metadata"]["labels"] == {MARK: "true"}
    assert found["spec"] == DEFAULT_RISK_MODEL.spec.to_dict()
    assert RiskModel.model_validate(found).digest == DEFAULT_RISK_MODEL.digest
    shown = gate.kubectl("requester", "get", "cabrm").stdout.split()
    assert shown[:6] == ["NAME", "VERSION", "DEFAULT", "AUTOAPPROVE", "MANUALREVIEW", "AGE"]
    assert shown[6:11] == ["default", "1", "true", "50.00", "75.00"]


def test_the_next_built_in_model_stands_beside_until_it_is_taken(gate, namespace):
    """By the command of the page; nothing that is open is scored anew."""
    stored = json.loads(gate.cluster.kubectl("get", "riskmodel", "default-2", "-o", "json").stdout)
    assert stored["spec"] == SECOND_RISK_MODEL.spec.to_dict()
    assert RiskModel.model_validate(stored).digest == SECOND_RISK_MODEL.digest
    assert MARK not in stored["metadata"].get("labels", {})
    bare = {key: GOOD[key] for key in GOOD if key not in ("testResults", "manualTesting")}
    chart = {"name": "chart", "images": ["web:1"], "origin": "ThirdParty"}
    foreign = {**bare, "artifacts": [chart]}
    before = {
        name: gate.get("cabrequest", gate.open(namespace, shown, "Submitted", name=name), namespace)
        for name, shown in (("web", foreign), ("other", MIDDLING))
    }
    assert before["web"]["spec"]["assessment"]["score"] == "40.00"
    command = TAKES.search((DOCS / "risk-model.md").read_text())[0].split(" && ")
    try:
        for line in command:
            gate.kubectl("admin", *line.split()[1:])
        for name, was in before.items():
            gate.patch(
                *("requester", "deploymentintent", name, namespace), {"spec": {"summary": "again"}}
            )
            assert gate.request_of(namespace, name)["metadata"]["uid"] == was["metadata"]["uid"]
            assert gate.request_of(namespace, name)["spec"] == was["spec"]
        gate.open(namespace, foreign, "Submitted", name="third")
        found = assessment(gate, namespace, "third")
    finally:
        gate.cluster.kubectl("label", "riskmodel", "default-2", f"{MARK}-")
        gate.cluster.kubectl("label", "riskmodel", "default", f"{MARK}=true", "--overwrite")
    assert (found["riskModel"]["name"], found["score"]) == ("default-2", "20.00")
    # What the reviewer sees, who is asked whether that is so.
    name = gate.request_of(namespace, "third")["metadata"]["name"]
    shown = gate.shell("reviewer", f"cabgate show {name} -n {namespace}", CABGATE)
    assert shown.returncode == 0, shown.stderr
    assert "not applicable: built by somebody else" in shown.stdout
    assert "ThirdPartyImages: image web:1: declared as built by somebody else" in shown.stdout
    assert "origin ThirdParty" in shown.stdout


def test_a_model_of_the_namespace_scores_what_is_opened_from_then_on(gate, namespace, make_model):
    make_model("strict", autoApproveUpTo="0.00", manualReviewUpTo="30.00", floors=[])
    name = gate.open(namespace, MIDDLING, "Submitted")
    before = gate.get("cabrequest", name, namespace)
    choose(gate, namespace, "strict")
    gate.open(namespace, MIDDLING, "ExceptionRequired", name="other")
    found = assessment(gate, namespace, "other")
    strict = RiskModel.model_validate(
        json.loads(gate.cluster.kubectl("get", "riskmodel", "strict", "-o", "json").stdout)
    )
    assert found["score"] == before["spec"]["assessment"]["score"] == "52.50"
    assert found["gate"] == "ExceptionRequired"
    assert found["riskModel"] == {"name": "strict", "version": "7", "digest": strict.digest}
    # Nothing that is open is scored anew, not even when its intent is looked at again.
    gate.patch("requester", "deploymentintent", "web", namespace, {"spec": {"summary": "again"}})
    assert gate.request_of(namespace)["metadata"]["uid"] == before["metadata"]["uid"]
    assert gate.get("cabrequest", name, namespace)["spec"] == before["spec"]
    gate.cluster.kubectl("label", "namespace", namespace, "cabgate.dev/risk-model-")
    gate.open(namespace, MIDDLING, "Submitted", name="third")
    assert assessment(gate, namespace, "third")["riskModel"]["name"] == "default"


def test_another_weight_gives_another_score_which_the_system_approves_by(
    gate, namespace, make_model
):
    factors = risk_model("x")["spec"]["factors"][:1]
    make_model("coverage-alone", factors=[{**factors[0], "weight": "1"}], autoApproveUpTo="60.00")
    choose(gate, namespace, "coverage-alone")
    gate.open(namespace, MIDDLING, "AutoApproved")
    found = assessment(gate, namespace)
    assert (found["score"], found["gate"]) == ("50.00", "AutoApprove")
    assert [factor["name"] for factor in found["factors"]] == ["testCoverage"]


@pytest.mark.parametrize("cases", [SENSELESS, MALFORMED], ids=["webhook", "schema"])
def test_what_makes_no_sense_is_refused_by_its_field(gate, cases):
    for path, value, field, said in cases:
        result = gate.create("admin", changed(path, value), "--dry-run=server", check=False)
        assert result.returncode != 0, (path, value)
        assert field in result.stderr, (path, value, result.stderr)
        assert said in result.stderr, (path, value, result.stderr)
        if cases is SENSELESS:
            assert denial(result).startswith(f"Invalid: {field}: "), path


def test_the_spec_never_changes_and_the_mark_is_checked(gate, make_model):
    make_model("fixed")
    body = {"spec": {"version": "8"}}
    refused = ("patch", "riskmodel", "fixed", "--type=merge", "-p", json.dumps(body))
    assert "spec never changes" in gate.refused("admin", *refused)
    said = denial(gate.refused("admin", "label", "riskmodel", "fixed", f"{MARK}=yes"))
    assert said.startswith(f"Invalid: metadata.labels[{MARK}]: ")
    gate.kubectl("admin", "annotate", "riskmodel", "fixed", "note=fine")
    long = gate.create("admin", risk_model("x" * 64), check=False)
    assert "at most 63 characters" in long.stderr


def test_two_defaults_are_none(gate, namespace, make_model):
    created = make_model("second", default=True)
    assert f"RiskModel default is marked {MARK}=true as well" in created.stderr
    gate.apply("requester", intent(namespace, evidence=GOOD))
    message = condition(gate, namespace, "RiskModelAmbiguous")
    assert "the RiskModels default, second are all marked" in message
    gate.cluster.kubectl("label", "riskmodel", "second", f"{MARK}-")
    gate.request_of(namespace, state="AutoApproved")


def test_a_model_that_is_missing_is_named_and_waited_for(gate, namespace, make_model):
    choose(gate, namespace, "to-come")
    gate.apply("requester", intent(namespace, evidence=GOOD))
    message = condition(gate, namespace, "RiskModelMissing")
    assert "names RiskModel to-come, which does not exist" in message
    make_model("to-come", floors=[])
    gate.request_of(namespace, state="AutoApproved")
    assert assessment(gate, namespace)["riskModel"]["name"] == "to-come"


def test_a_label_that_is_taken_back_lets_the_default_hold(gate, namespace):
    choose(gate, namespace, "never-to-come")
    gate.apply("requester", intent(namespace, evidence=GOOD))
    condition(gate, namespace, "RiskModelMissing")
    gate.cluster.kubectl("label", "namespace", namespace, "cabgate.dev/risk-model-")
    gate.request_of(namespace, state="AutoApproved")


def test_without_a_default_nothing_is_scored_until_there_is_one(gate, namespace):
    """Deleted, it stays away until the operator starts again: who deletes it wants it gone."""
    gate.cluster.kubectl("delete", "riskmodel", "default")
    try:
        gate.apply("requester", intent(namespace, evidence=GOOD))
        assert f"no RiskModel is marked {MARK}=true" in condition(
            gate, namespace, "RiskModelMissing"
        )
    finally:
        gate.installation.operator.stop()
        gate.installation.start_operator()
    gate.request_of(namespace, state="AutoApproved")


@contextlib.contextmanager
def admission_removed(gate):
    gate.installation.remove_admission()
    try:
        yield
    finally:
        gate.installation.configure_admission()
        gate.installation.wait_until_gating()


def test_a_senseless_model_that_slipped_in_scores_nothing(gate, namespace, make_model):
    with admission_removed(gate):
        wait_until(lambda: make_model("slipped", autoApproveUpTo="99.00"), "no webhook asks")
    choose(gate, namespace, "slipped")
    gate.apply("requester", intent(namespace, evidence=GOOD))
    message = condition(gate, namespace, "RiskModelInvalid")
    assert "RiskModel slipped cannot be used: spec.autoApproveUpTo: is 99.00" in message


def opened_by_hand(gate, namespace, model, name="web"):
    """The answer to a request that the operator, paused, is made to have opened."""
    gate.create("requester", intent(namespace, name=name, images=(f"{name}:1",), evidence=GOOD))
    live = DeploymentIntent.model_validate(gate.get("deploymentintent", name, namespace))
    request = request_for(live, 2, model=model)
    body = {"apiVersion": "cabgate.dev/v1alpha1", "kind": "CABRequest", **request.to_dict()}
    body["metadata"]["labels"] = dict(request.metadata.labels)
    with client_of(gate.user(OPERATOR)) as client:
        path = f"/apis/cabgate.dev/v1alpha1/namespaces/{namespace}/cabrequests"
        return client.post(path, json=body), request.metadata.name


def test_the_webhook_scores_with_the_model_of_the_namespace_itself(gate, namespace, make_model):
    """An operator that takes another model than the one that holds opens nothing."""
    make_model("lax", autoApproveUpTo="75.00", floors=[])
    lax = RiskModel.model_validate(risk_model("lax", autoApproveUpTo="75.00", floors=[]))
    with paused(gate.installation.operator):
        answer, _ = opened_by_hand(gate, namespace, lax)
        assert answer.status_code == 403
        assert "WrongContent: spec.assessment: " in answer.json()["message"]
        choose(gate, namespace, "gone")
        answer, _ = opened_by_hand(gate, namespace, lax, "other")
        said = answer.json()["message"]
        assert "WrongContent: spec.assessment.riskModel: nothing can be scored: " in said
        choose(gate, namespace, "lax")
        answer, _ = opened_by_hand(gate, namespace, lax, "third")
        assert answer.status_code == 201, answer.text


def test_no_approval_by_the_score_of_a_model_that_was_replaced(gate, namespace, make_model):
    model = RiskModel.model_validate(risk_model("passing"))
    make_model("passing")
    choose(gate, namespace, "passing")
    with paused(gate.installation.operator):
        answer, name = opened_by_hand(gate, namespace, model)
        assert answer.status_code == 201, answer.text
        gate.cluster.kubectl("delete", "riskmodel", "passing")
        make_model("passing", autoApproveUpTo="60.00")
    wait_until(
        lambda: "is gone or was replaced" in str(gate.get("cabrequest", name, namespace)["status"]),
        "the request says why a person decides",
    )
    found = gate.get("cabrequest", name, namespace)
    assert found["status"]["state"] == "Submitted"
    assert "decisions" not in found["status"]
    # Nor does the webhook take it from an operator that tries.
    author = {"type": "System", "username": OPERATOR}
    entry = entry_of(found, OPERATOR, "AutoApproved", author=author)

    def approve(stored):
        stored["status"] |= {"state": "AutoApproved", "decisions": [entry]}

    where = ("cabrequest", name, namespace)
    result = gate.replace(OPERATOR, *where, approve, "--subresource=status", check=False)
    assert denial(result).startswith("WrongContent: status.decisions: ")
    gate.cluster.kubectl("delete", "riskmodel", "passing")
    make_model("passing")  # the same content, so the same digest
    gate.wait_state("cabrequest", name, namespace, "AutoApproved")


def test_an_old_score_can_be_computed_again(gate, namespace, make_model, tmp_path):
    make_model("of-old", autoApproveUpTo="10.00", manualReviewUpTo="20.00")
    choose(gate, namespace, "of-old")
    name = gate.open(namespace, MIDDLING, "ExceptionRequired")
    recorded = assessment(gate, namespace)
    for kind, of in (("riskmodel", "of-old"), ("cabrequest", name), ("deploymentintent", "web")):
        got = gate.kubectl("requester", "get", kind, of, "-n", namespace, "-o", "yaml").stdout
        (tmp_path / f"{kind}.yaml").write_text(got)
    for kind in ("cabrequest", "deploymentintent"):
        files = f"-f {tmp_path / kind}.yaml --model {tmp_path / 'riskmodel.yaml'}"
        result = gate.shell("requester", f"cabgate score {files} -o json", CABGATE)
        assert result.returncode == 0, result.stderr
        found = json.loads(result.stdout)
        assert found["requestName"] == name
        assert {k: v for k, v in found["assessment"].items() if v} == recorded
        assert result.stderr == ""
    result = gate.shell("requester", f"cabgate score -f {tmp_path / 'cabrequest.yaml'}", CABGATE)
    assert "was scored with RiskModel of-old 7" in result.stderr
