# SPDX-License-Identifier: Apache-2.0
"""`cabgate intent --template`: what the containers do, written into targets."""

import copy
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from kubernetes.client.exceptions import ApiException

from cabgate.api.kinds import BUILT_IN
from cabgate.rollout.templates import MAX_SOURCE_BYTES
from cabgate.rollout.workloads import template_of
from cabgate_cli.input.cluster import client as cluster
from unit.cli.input.cluster.test_running import answer
from unit.cli.support import manifest, run

DEPLOYMENT = next(kind for kind in BUILT_IN if kind.kind == "Deployment")


def written(path: Path, name: str = "web", **fields: Any) -> dict[str, Any]:
    """A manifest in a file; its content."""
    content: dict[str, Any] = yaml.safe_load(manifest("Deployment", name))
    content["spec"]["template"]["spec"]["containers"][0] |= fields
    path.write_text(yaml.safe_dump(content))
    return content


def test_a_target_says_what_the_manifest_says(tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    content = written(file, command=["serve"], env=[{"name": "KEY", "value": "hunter2"}])
    result = run("intent", "-n", "shop", "-f", str(file), "--template", "client", "-o", "json")
    [target] = json.loads(result.stdout)["spec"]["targets"]
    found = template_of(DEPLOYMENT, content)
    assert found is not None
    assert target["template"] == found.digest
    assert target["templateFields"] == found.fields
    assert "hunter2" not in result.stdout
    # As text for people too, and without the option nothing of it.
    text = run("intent", "-n", "shop", "-f", str(file), "--template", "client").stdout
    assert yaml.safe_load(text)["spec"]["targets"] == [target]
    assert "template" not in run("intent", "-n", "shop", "-f", str(file), "-o", "json").stdout


def test_update_writes_it_anew_and_only_where_it_is_asked_to(tmp_path: Path) -> None:
    file, intent = tmp_path / "web.yaml", tmp_path / "intent.yaml"
    written(file, command=["serve"])
    first = run("intent", "-n", "shop", "-f", str(file), "--template", "client")
    intent.write_text(first.stdout)
    [before] = yaml.safe_load(first.stdout)["spec"]["targets"]
    content = written(file, command=["other"])
    update = ("intent", "-f", str(file), "--update", str(intent))
    left = run(*update)
    assert yaml.safe_load(left.stdout)["spec"]["targets"] == [before]
    assert "left as it is, what the containers of Deployment web do: --template" in left.stderr
    anew = run(*update, "--template", "client")
    [after] = yaml.safe_load(anew.stdout)["spec"]["targets"]
    found = template_of(DEPLOYMENT, content)
    assert found is not None
    assert after["template"] == found.digest
    assert sorted(after["templateFields"]) == found.fields
    assert after["template"] != before["template"]
    assert "left as it is" not in anew.stderr
    assert "# Evidence is declared by you" in anew.stdout, "comments stay"


def test_what_is_not_known_is_refused(tmp_path: Path) -> None:
    result = run("intent", "-n", "shop", "deploy/web", "--image", "a:1", "--template", "client",
                 code=2)  # fmt: skip
    assert "--template: deployment/web: what its containers do is not known" in result.stderr
    file = tmp_path / "web.yaml"
    written(file, args=["x" * MAX_SOURCE_BYTES])
    result = run("intent", "-n", "shop", "-f", str(file), "--template", "client", code=2)
    assert "has more than 64 KiB" in result.stderr


def test_what_cannot_be_read_is_told_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    written(file, command="serve")
    result = run("intent", "-n", "shop", "-f", str(file), "--template", "client", code=2)
    assert "spec.template.spec.containers[0].command: not a list" in result.stderr


def test_the_api_server_is_asked_by_a_dry_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "web.yaml"
    content = written(file, command=["serve"])
    stored = copy.deepcopy(content)
    injected = {"name": "mesh", "image": "mesh:1", "command": ["mesh"]}
    stored["spec"]["template"]["spec"]["containers"].append(injected)
    asked = answer(monkeypatch, lambda _: json.dumps(stored).encode())
    arguments = ("intent", "-n", "shop", "-f", str(file), "--template", "server", "-o", "json")
    [target] = json.loads(run(*arguments).stdout)["spec"]["targets"]
    found = template_of(DEPLOYMENT, stored)
    assert found is not None
    assert target["template"] == found.digest
    assert asked == ["/apis/apps/v1/namespaces/shop/deployments"]
    assert target["images"] == ["mesh:1", "web:1"]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (422, '{"message": "spec.replicas: Invalid"}', "(HTTP 422): spec.replicas: Invalid"),
        (403, "no", "you may not read Deployment web in namespace shop (HTTP 403)"),
        (500, "[]", "HTTP 500"),
    ],
)
def test_what_the_api_server_has_against_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, body: str, said: str
) -> None:
    class Client:
        configuration = SimpleNamespace(host="https://api")

        def param_serialize(self, *args: Any, **_: Any) -> Any:
            return args

        def call_api(self, *_: Any, **__: Any) -> Any:
            error = ApiException(status=status)
            error.body = body
            raise error

    monkeypatch.setattr(cluster, "connected", lambda *_: Client())
    file = tmp_path / "web.yaml"
    written(file)
    result = run("intent", "-n", "shop", "-f", str(file), "--template", "server", code=4)
    assert said in result.stderr
