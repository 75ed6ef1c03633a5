# SPDX-License-Identifier: Apache-2.0
"""`cabgate intent --template` writes out what the digests stand for, as far as there is room."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cabgate.api import DeploymentIntent
from cabgate.lifecycle.limits.capacity import MAX_SPEC_BYTES, check_size, stored_bytes
from cabgate.lifecycle.requests.kept_evidence import evidence_for
from cabgate.writes.template_forms import MAX_FORM_BYTES, check_forms
from unit.cli.commands.declarations.test_intent_template import written
from unit.cli.support import run


def made(stdout: str) -> dict[str, Any]:
    """The spec of an intent that the webhook takes."""
    found: dict[str, Any] = yaml.safe_load(stdout)
    intent = DeploymentIntent.model_validate(found)
    check_forms(None, intent.spec)
    check_size(None, intent)
    spec: dict[str, Any] = found["spec"]
    return spec


def command(form: dict[str, str]) -> list[str]:
    """What the one container of a form runs."""
    [container] = json.loads(form["form"])["containers"].values()
    found: list[str] = container["command"]
    return found


@pytest.mark.parametrize("output", ["text", "json", "yaml"])
def test_it_is_of_the_digest_of_its_target(tmp_path: Path, output: str) -> None:
    file = tmp_path / "web.yaml"
    written(file, command=["serve"], env=[{"name": "KEY", "value": "hunter2"}])
    args = ("intent", "-n", "shop", "-f", str(file), "--template", "client", "-o", output)
    result = run(*args)
    spec = made(result.stdout)
    [form], [target] = spec["templateForms"], spec["targets"]
    assert form["template"] == target["template"]
    assert command(form) == ["serve"]
    assert "hunter2" not in result.stdout


def test_update_leaves_those_of_others_and_drops_what_no_target_names(tmp_path: Path) -> None:
    file, intent = tmp_path / "web.yaml", tmp_path / "intent.yaml"
    first, second = written(file, "a", command=["a"]), written(file, "b", command=["b"])
    file.write_text(yaml.safe_dump_all([first, second]))
    intent.write_text(run("intent", "-n", "shop", "-f", str(file), "--template", "client").stdout)
    assert len(made(intent.read_text())["templateForms"]) == 2
    written(file, "b", command=["other"])
    update = ("intent", "-f", str(file), "--update", str(intent), "--template", "client")
    forms = made(run(*update).stdout)["templateForms"]
    commands = [command(each) for each in forms]
    assert commands == [["a"], ["other"]]


def test_what_is_too_large_is_covered_all_the_same_and_noted(tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    written(file, args=["x" * MAX_FORM_BYTES])
    result = run("intent", "-n", "shop", "-f", str(file), "--template", "client")
    spec = made(result.stdout)
    assert "templateForms" not in spec
    assert "template" in spec["targets"][0]
    assert "too large to be written out: what the containers of Deployment web do" in result.stderr


def test_many_leave_room_for_the_rest_of_the_intent(tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    several = [written(file, f"web-{n}", args=[f"{n}", "x" * 5000]) for n in range(12)]
    file.write_text(yaml.safe_dump_all(several))
    result = run("intent", "-n", "shop", "-f", str(file), "--template", "client", "-o", "json")
    spec = made(result.stdout)
    assert 4 <= len(spec["templateForms"]) < 12
    assert stored_bytes(spec["templateForms"]) < MAX_SPEC_BYTES * 0.6
    assert "too large to be written out" in result.stderr
    kept = evidence_for(DeploymentIntent.model_validate(yaml.safe_load(result.stdout)))
    assert kept is not None
    assert len(kept.spec.template_forms) == len(spec["templateForms"])
