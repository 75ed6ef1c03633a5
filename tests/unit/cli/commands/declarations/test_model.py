# SPDX-License-Identifier: Apache-2.0
"""`cabgate score --model`, and a request that is scored anew."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cabgate.api import DeploymentIntent, RiskModel
from cabgate.lifecycle.requests.assessment import assessment_of
from cabgate.lifecycle.requests.opening import request_for
from support.models import MALFORMED, SENSELESS, changed, risk_model
from unit.cli.support import EXAMPLES, run

INTENT = EXAMPLES / "manual-review" / "intent.yaml"


def written(folder: Path, *objects: dict[str, Any]) -> Path:
    path = folder / "model.yaml"
    path.write_text(yaml.safe_dump_all(objects))
    return path


def live() -> DeploymentIntent:
    content = yaml.safe_load(INTENT.read_text())
    content["metadata"] |= {"uid": "u", "generation": 1}
    return DeploymentIntent.model_validate(content)


def test_the_model_of_a_file_scores(tmp_path: Path) -> None:
    made = risk_model("strict", autoApproveUpTo="10.00", manualReviewUpTo="20.00")
    model = RiskModel.model_validate(made)
    path = written(tmp_path, made)
    found = json.loads(run("score", "-f", INTENT, "--model", path, "-o", "json").stdout)
    assert found["gate"] == "ExceptionRequired"
    assert found["assessment"] == assessment_of(live().spec, model).model_dump(
        mode="json", by_alias=True
    )
    shown = run("score", "-f", INTENT, "--model", path).stdout
    assert f"Risk model   strict 7, {model.digest}" in shown
    assert "ManualReview (score 20.00, allowed up to 20.00) would take" in shown


def test_a_model_in_which_no_evidence_is_good_enough_says_so(tmp_path: Path) -> None:
    made = risk_model("never", autoApproveUpTo="0.00", manualReviewUpTo="0.00")
    made["spec"]["factors"][0]["bands"][2]["risk"] = "0.1"
    shown = run("score", "-f", INTENT, "--model", written(tmp_path, made)).stdout
    assert "To go lower  no evidence would do, in this model" in shown


@pytest.mark.parametrize(("path", "value", "field", "said"), [*SENSELESS, *MALFORMED])
def test_a_wrong_model_is_told_by_its_field(
    path: str, value: Any, field: str, said: str, tmp_path: Path
) -> None:
    result = run("score", "-f", INTENT, "--model", written(tmp_path, changed(path, value)), code=2)
    assert field.removesuffix("[4]").removesuffix("[1]") in result.stderr
    if (path, value, field, said) in SENSELESS:
        assert said in result.stderr


@pytest.mark.parametrize(
    ("objects", "said"),
    [
        ([{"kind": "Other"}], "holds 0 RiskModels; allowed: one"),
        ([risk_model("a"), risk_model("b")], "holds 2 RiskModels; allowed: one"),
        ([{**risk_model("a"), "apiVersion": "v1"}], "apiVersion: 'v1'; allowed: cabgate.dev/"),
        ([risk_model("A")], "metadata.name: 'A' cannot be a name"),
        ([risk_model("a" * 64)], "metadata.name: has 64 characters; allowed: at most 63"),
        ([risk_model("a", vresion="1")], "spec.vresion: unknown field"),
    ],
)
def test_a_file_holds_one_model(objects: list[Any], said: str, tmp_path: Path) -> None:
    result = run("score", "-f", INTENT, "--model", written(tmp_path, *objects), code=2)
    assert said in result.stderr


def test_standard_input_is_read_once() -> None:
    result = run("score", "-f", "-", "--model", "-", code=2)
    assert "standard input is taken by -f" in result.stderr


def stored(folder: Path, **status: Any) -> Path:
    """A request for the intent, as kubectl prints it."""
    made = request_for(live(), 2)
    path = folder / "request.yaml"
    body = {"apiVersion": "cabgate.dev/v1alpha1", "kind": "CABRequest", **made.to_dict()}
    path.write_text(yaml.safe_dump({**body, "status": status}))
    return path


def test_a_request_is_scored_anew_from_its_frozen_copy(tmp_path: Path) -> None:
    path = stored(tmp_path, state="Submitted")
    result = run("score", "-f", path, "-o", "json")
    found, declared = json.loads(result.stdout), run("score", "-f", INTENT, "-o", "json").stdout
    assert found == json.loads(declared)
    assert result.stderr == ""
    other = run("score", "-f", path, "--model", written(tmp_path, risk_model("other")))
    assert "note: CABRequest orders-5d979107 was scored with RiskModel default 1" in other.stderr


def test_what_follows_from_other_requests_is_noted(tmp_path: Path) -> None:
    path = stored(tmp_path)
    body = yaml.safe_load(path.read_text())
    floor = {"name": "EarlierVerdict", "gate": "ManualReview", "explanation": "rejected before"}
    body["spec"]["assessment"]["floors"] = [floor]
    path.write_text(yaml.safe_dump(body))
    assert "has the floor EarlierVerdict" in run("score", "-f", path).stderr


def test_a_floor_that_there_was_not_yet_is_noted(tmp_path: Path) -> None:
    path = stored(tmp_path)
    body = yaml.safe_load(path.read_text())
    for artifact in body["spec"]["evidence"]["artifacts"]:
        del artifact["images"]
    path.write_text(yaml.safe_dump(body))
    result = run("score", "-f", path)
    assert "opened before there was the floor ImagesWithoutEvidence" in result.stderr
    assert "ImagesWithoutEvidence: no artifact names images registry" in result.stdout


def test_what_is_no_request_is_told_by_its_field(tmp_path: Path) -> None:
    path = stored(tmp_path)
    body = yaml.safe_load(path.read_text())
    del body["spec"]["intentRef"]
    path.write_text(yaml.safe_dump(body))
    result = run("score", "-f", path, code=2)
    assert "spec.intentRef: Field required" in result.stderr
