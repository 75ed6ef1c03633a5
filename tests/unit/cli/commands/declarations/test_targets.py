# SPDX-License-Identifier: Apache-2.0
"""What the webhook says of a target that can never match, the command line says before."""

import pytest
import yaml

from unit.cli.support import changed, manifest, run

RIGHT = "write apiVersion: apps/v1 and kind: Deployment"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("kind", "deployment", RIGHT),
        ("kind", "Deployments", RIGHT),
        ("apiVersion", "v1", RIGHT),
        ("apiVersion", "extensions/v1beta1", RIGHT),
        ("name", "Web_App", "such as web-app"),
    ],
)
def test_score_refuses_what_the_webhook_refuses(field: str, value: str, said: str) -> None:
    text = changed(value, "spec", "targets", 0, field)
    result = run("score", "-f", "-", stdin=text, code=2)
    assert "spec.targets[0]." in result.stderr
    assert said in result.stderr


def test_score_notes_a_custom_kind_unless_it_is_told_that_it_is_gated() -> None:
    content = yaml.safe_load(changed("CloneSet", "spec", "targets", 0, "kind"))
    content["spec"]["targets"][0]["apiVersion"] = "apps.kruise.io/v1alpha1"
    text = yaml.safe_dump(content)
    result = run("score", "-f", "-", stdin=text)
    assert "CloneSet is not gated by this installation" in result.stderr
    kind = ("--gated-kind", "apps.kruise.io/CloneSet=spec.template")
    assert run("score", "-f", "-", *kind, stdin=text).stderr == ""


@pytest.mark.parametrize("command", ["intent", "explain"])
@pytest.mark.parametrize("kind", ["deployment", "Deployments", "Deploymnet"])
def test_a_manifest_of_a_misspelt_kind_is_no_manifest_of_something_else(
    command: str, kind: str
) -> None:
    result = run(command, "-f", "-", stdin=manifest(kind), code=2)
    assert RIGHT in result.stderr


@pytest.mark.parametrize("command", ["intent", "explain"])
def test_an_intent_beside_its_workload_is_looked_at_too(command: str) -> None:
    text = manifest() + "---\n" + changed("Web_App", "spec", "targets", 0, "name")
    result = run(command, "-f", "-", stdin=text, code=2)
    assert "spec.targets[0].name: Web_App is the name of no object" in result.stderr


def test_what_is_no_workload_is_ignored_as_before() -> None:
    service = yaml.safe_dump({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}})
    result = run("intent", "-f", "-", stdin=manifest() + "---\n" + service)
    assert "ignored, not a kind that is gated: Service" in result.stderr
