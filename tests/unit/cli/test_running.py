# SPDX-License-Identifier: Apache-2.0
"""`cabgate intent` for running workloads, with the client replaced: tests/cluster has the real."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from kubernetes.client.exceptions import ApiException

from cabgate_cli import cluster
from cabgate_cli.errors import BadInput, Unavailable
from cabgate_cli.workloads import Found, Wanted, wanted
from unit.cli.support import EXAMPLES, manifest, printed, run

DEPLOYMENT = str(EXAMPLES / "manual-review" / "deployment.yaml")


def answer(monkeypatch: pytest.MonkeyPatch, read: Any) -> list[tuple[Any, ...]]:
    """Let the client answer with a function; returns what it was asked."""
    asked: list[tuple[Any, ...]] = []

    class Api:
        def __init__(self, _: Any) -> None:
            self.api_client = SimpleNamespace(configuration=SimpleNamespace(host="https://api"))

        def __getattr__(self, method: str) -> Any:
            def call(name: str, namespace: str, **_: Any) -> Any:
                asked.append((method, name, namespace))
                return read(name)

            return call

    monkeypatch.setattr(cluster.client, "AppsV1Api", Api)
    monkeypatch.setattr(cluster, "connected", lambda *_: None)
    return asked


def test_running_workloads_are_read_by_kind_and_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(name: str) -> Any:
        # As the API server answers: without apiVersion and kind where they go without saying.
        content = yaml.safe_load(manifest(name=name, namespace="shop"))
        del content["apiVersion"], content["kind"]
        return SimpleNamespace(data=json.dumps(content).encode())

    asked = answer(monkeypatch, read)
    found = printed("-n", "shop", "deploy/web", "sts/db", "ds/agent", "-f", "-",
                    stdin=manifest(image="web:2"))  # fmt: skip

    assert asked == [
        ("read_namespaced_deployment", "web", "shop"),
        ("read_namespaced_stateful_set", "db", "shop"),
        ("read_namespaced_daemon_set", "agent", "shop"),
    ]
    targets = found["spec"]["targets"]
    assert [(t["apiVersion"], t["kind"], t["name"]) for t in targets] == [
        ("apps/v1", "Deployment", "web"),
        ("apps/v1", "StatefulSet", "db"),
        ("apps/v1", "DaemonSet", "agent"),
    ]
    # What runs and what is about to: a rollback stays covered.
    assert targets[0]["images"] == ["web:1", "web:2"]


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (404, "deployment/web not found in namespace shop. Check name and namespace (-n); for a"),
        (403, "you may not read deployment/web in namespace shop (HTTP 403)"),
        (401, "you may not read deployment/web"),
        (500, "the API server did not return deployment/web: HTTP 500"),
    ],
)
def test_what_the_api_server_refuses_is_told(
    monkeypatch: pytest.MonkeyPatch, status: int, says: str
) -> None:
    def read(_: str) -> Any:
        raise ApiException(status=status, reason="because")

    answer(monkeypatch, read)
    assert says in run("intent", "-n", "shop", "deployment/web", code=1).stderr


@pytest.mark.parametrize("data", [b"not json", b"{}", b"[]", b'{"metadata": {"name": "web"}}'])
def test_an_answer_that_is_no_workload_is_told(
    monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    answer(monkeypatch, lambda _: SimpleNamespace(data=data))
    error = run("intent", "-n", "shop", "deployment/web", code=1).stderr
    assert "deployment/web in namespace shop: " in error


def test_a_cluster_that_cannot_be_reached_is_told(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        yaml.safe_dump(
            {
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
                "users": [{"name": "u", "user": {}}],
            }
        )
    )
    error = run("intent", "deployment/x", "--kubeconfig", config, code=1).stderr
    assert "cannot reach the API server at http://127.0.0.1:1" in error
    assert "use manifest files (-f FILE)" in error


@pytest.mark.parametrize("content", [None, "", "a: [", "a: b", "[]", "contexts: 7"])
def test_a_kubeconfig_that_cannot_be_used_is_told(tmp_path: Path, content: str | None) -> None:
    config = tmp_path / "config"
    if content is not None:
        config.write_text(content)
    error = run("intent", "deployment/x", "-n", "x", "--kubeconfig", config, code=1).stderr
    assert "no cluster to read from" in error
    assert run("intent", "-f", DEPLOYMENT, "--kubeconfig", config).stdout


def test_the_types_read_well() -> None:
    assert str(wanted("sts/db")) == "statefulset/db"
    assert BadInput("a", "b").problems == ["a", "b"]
    assert (BadInput("a").exit_code, Unavailable("b").exit_code) == (2, 1)
    assert Found.__doc__
    assert Wanted.__doc__
