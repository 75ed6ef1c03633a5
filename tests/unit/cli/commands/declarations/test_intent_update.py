# SPDX-License-Identifier: Apache-2.0
"""`cabgate intent --update` and `--live`: what becomes of an intent that is there."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cabgate_cli.commands.declarations.intent_update import declared
from unit.cli.input.cluster.test_running import answer
from unit.cli.support import manifest, run

TEXT = """\
# The shop's release, kept by team checkout.
apiVersion: cabgate.dev/v1alpha1
kind: DeploymentIntent
metadata: {name: checkout, namespace: shop}  # one for each release unit
spec:
  summary: New prices
  targets:
  # The shop itself.
  - apiVersion: apps/v1
    kind: Deployment
    name: web
    images:
    - web:1
    - proxy:1  # of the platform
  - {apiVersion: apps/v1, kind: StatefulSet, name: db, images: ["db:1"]}
  evidence:
    artifacts:
    # What CI built.
    - name: web
      images: [web:1]
      sha256: sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    - name: all
      images:
      - web:1
      - proxy:1
      #     uri:   # to come
    testResults:
      passed: 10
      failed: 0
    rollbackPlan: {validated: true, uri: "https://plans/rollback"}
"""

UPDATED = (
    TEXT.replace("    - web:1\n    - proxy:1  # of", "    - proxy:1  # of")
    .replace("of the platform\n", "of the platform\n    - web:2\n")
    .replace("    - name: web\n      images: [web:1]\n      sha256: sha256:" + 64 * "a" + "\n", "")
    .replace("      - web:1\n      - proxy:1\n", "      - proxy:1\n")
)


def pods(*images: str, name: str = "web", kind: str = "Deployment") -> str:
    """A manifest of a workload with several images."""
    content = yaml.safe_load(manifest(kind, name))
    containers = [{"name": f"c{n}", "image": image} for n, image in enumerate(images)]
    content["spec"]["template"]["spec"]["containers"] = containers
    return yaml.safe_dump(content)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "intent.yaml"
    path.write_text(TEXT)
    return path


def test_images_are_brought_up_to_date_and_all_else_stays_line_by_line(file: Path) -> None:
    result = run("intent", "-f", "-", "--update", str(file), stdin=pods("web:2", "proxy:1"))
    assert result.stdout == UPDATED
    assert file.read_text() == TEXT
    notes = result.stderr.splitlines()
    assert "note: dropped, about other images: artifact web" in notes
    assert "note: left as they are: StatefulSet db" in notes
    assert any("no artifact names db:1, web:2: name in evidence" in note for note in notes)
    assert any(note.endswith("for this release: summary, testResults") for note in notes)


def test_in_place_the_file_is_written_and_nothing_is_printed(file: Path) -> None:
    args = ("intent", "-f", "-", "--update", str(file), "--in-place")
    assert run(*args, stdin=pods("web:2", "proxy:1")).stdout == ""
    assert file.read_text() == UPDATED
    run(*args, stdin=pods("proxy:1", "web:2"))
    assert file.read_text() == UPDATED
    assert [each.name for each in file.parent.iterdir()] == ["intent.yaml"]


def test_with_the_last_image_the_reports_go(file: Path) -> None:
    result = run("intent", "-f", "-", "--update", str(file), "-o", "json", stdin=pods("web:2"))
    assert set(json.loads(result.stdout)["spec"]["evidence"]) == {"rollbackPlan"}
    assert "about other images: artifact web, artifact all, testResults" in result.stderr


def test_a_new_workload_is_a_target_too_and_no_evidence_names_it(file: Path) -> None:
    new = pods("job:1", name="agent", kind="DaemonSet")
    text = run("intent", "-f", "-", "--update", str(file), stdin=new).stdout
    targets = yaml.safe_load(text)["spec"]["targets"]
    assert [(each["name"], each["images"]) for each in targets][2:] == [("agent", ["job:1"])]
    assert yaml.safe_load(text)["spec"]["evidence"] == yaml.safe_load(TEXT)["spec"]["evidence"]
    assert "# The shop itself.\n" in text


def test_what_has_another_form_is_written_anew_and_keeps_its_content(file: Path) -> None:
    content = yaml.safe_load(TEXT)
    file.write_text(json.dumps(content))
    run("intent", "-f", "-", "--update", str(file), "-i", stdin=pods("web:2", "proxy:1"))
    assert json.loads(file.read_text()) == yaml.safe_load(UPDATED)
    file.write_text("# a comment\n" + yaml.safe_dump(content, default_flow_style=True))
    result = run("intent", "-f", "-", "--update", str(file), stdin=pods("web:2", "proxy:1"))
    assert yaml.safe_load(result.stdout) == yaml.safe_load(UPDATED)
    assert "written anew, without its comments" in result.stderr


def test_from_standard_input_to_standard_output() -> None:
    args = ("intent", "deploy/web", "--image", "web:2", "--image", "proxy:1", "--update", "-")
    assert run(*args, stdin=TEXT).stdout == UPDATED


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--live"], "--live: the intent is that of --update FILE"),
        (["--name", "web"], "--name: the intent of --update FILE has a name"),
        (["-n", "bank"], "--namespace: bank; allowed: shop"),
    ],
)
def test_options_that_do_not_go_together(file: Path, args: list[str], said: str) -> None:
    base = ("intent", "deploy/web", "--image", "web:2", "--update", str(file))
    assert said in run(*base, *args, code=2).stderr


def test_in_place_needs_a_file() -> None:
    for args in ([], ["--update", "-"]):
        result = run("intent", "deploy/web", "--image", "a", "-n", "x", "-i", *args, code=2)
        assert "--in-place: there is no file to write" in result.stderr


@pytest.mark.parametrize("text", [manifest(), f"{TEXT}---\n{manifest()}", f"{TEXT}---\n{TEXT}"])
def test_a_file_holds_one_intent_and_nothing_else(file: Path, text: str) -> None:
    file.write_text(text)
    args = ("intent", "deploy/web", "--image", "web:2", "--update", str(file), "-i")
    assert "allowed: one DeploymentIntent, and nothing else" in run(*args, code=2).stderr
    assert file.read_text() == text


def test_an_intent_that_is_wrong_is_told_and_not_written(file: Path) -> None:
    file.write_text(TEXT.replace("passed: 10", "pased: 10"))
    args = ("intent", "deploy/web", "--image", "web:2", "--update", str(file), "-i")
    assert "testResults.pased: unknown field" in run(*args, code=2).stderr
    assert "web:2" not in file.read_text()


def test_what_cannot_be_written_is_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkstemp", full)
    args = ("intent", "deploy/web", "--image", "web:2", "--update", str(file), "-i")
    assert "cannot be written: No space left on device" in run(*args, code=4).stderr
    assert file.read_text() == TEXT


STORED = {
    **yaml.safe_load(TEXT),
    "metadata": {
        "name": "checkout",
        "namespace": "shop",
        "uid": "u-1",
        "generation": 3,
        "resourceVersion": "7",
        "labels": {"team": "shop"},
        "annotations": {
            "note": "ours",
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
        },
        "managedFields": [{"manager": "kubectl"}],
    },
    "status": {"state": "Submitted"},
}
STORED["spec"] = {
    **STORED["spec"],
    "submittedBy": [{"username": "ann"}],
    "requestedBy": ["ann"],
}


def test_of_a_stored_intent_what_its_owner_declares() -> None:
    found = declared(STORED)
    assert found["metadata"] == {
        "name": "checkout",
        "namespace": "shop",
        "labels": {"team": "shop"},
        "annotations": {"note": "ours"},
    }
    assert found["spec"] == yaml.safe_load(TEXT)["spec"]
    assert set(found) == {"apiVersion", "kind", "metadata", "spec"}


def test_live_takes_the_intent_of_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answer(monkeypatch, lambda path: json.dumps(STORED).encode())
    args = ("deploy/web", "--image", "web:2", "--image", "proxy:1", "-n", "shop")
    result = run("intent", *args, "--live", "--name", "checkout")
    assert yaml.safe_load(result.stdout)["spec"] == yaml.safe_load(UPDATED)["spec"]
    assert asked == ["/apis/cabgate.dev/v1alpha1/namespaces/shop/deploymentintents/checkout"]
    run("intent", *args, "--live")
    assert asked[-1].endswith("/deploymentintents/web")
