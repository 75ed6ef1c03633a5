# SPDX-License-Identifier: Apache-2.0
"""`cabgate intent` for running workloads, with the client replaced: tests/cluster has the real."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from kubernetes.client.exceptions import ApiException

from cabgate_cli.errors import BadInput, Unavailable
from cabgate_cli.input.cluster import client as cluster
from cabgate_cli.input.workloads import Found, Wanted, wanted
from unit.cli.support import EXAMPLES, manifest, printed, run

DEPLOYMENT = str(EXAMPLES / "manual-review" / "deployment.yaml")


def answer(monkeypatch: pytest.MonkeyPatch, read: Any) -> list[str]:
    """Let the client answer with a function of the path; returns what it was asked."""
    asked: list[str] = []

    class Client:
        configuration = SimpleNamespace(host="https://api")

        def param_serialize(self, method: str, path: str, **_: Any) -> tuple[str, str]:
            return method, path

        def call_api(self, method: str, path: str, **_: Any) -> Any:
            asked.append(path)
            data = read(path)
            return SimpleNamespace(status=200, read=lambda: data)

    monkeypatch.setattr(cluster, "connected", lambda *_: Client())
    return asked


def test_running_workloads_are_read_by_kind_and_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(path: str) -> bytes:
        name = path.rpartition("/")[2]
        # As the API server answers: without apiVersion and kind where they go without saying.
        content = yaml.safe_load(manifest(name=name, namespace="shop"))
        del content["apiVersion"], content["kind"]
        return json.dumps(content).encode()

    asked = answer(monkeypatch, read)
    found = printed("-n", "shop", "deploy/web", "sts/db", "ds/agent", "-f", "-",
                    stdin=manifest(image="web:2"))  # fmt: skip

    assert asked == [
        "/apis/apps/v1/namespaces/shop/deployments/web",
        "/apis/apps/v1/namespaces/shop/statefulsets/db",
        "/apis/apps/v1/namespaces/shop/daemonsets/agent",
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
        (404, "deployment/web in namespace shop not found. Check name and namespace (-n); for a"),
        (403, "you may not read deployment/web in namespace shop (HTTP 403)"),
        (401, "you may not read deployment/web"),
        (500, "the API server did not return deployment/web in namespace shop: HTTP 500"),
    ],
)
def test_what_the_api_server_refuses_is_told(
    monkeypatch: pytest.MonkeyPatch, status: int, says: str
) -> None:
    def read(_: str) -> Any:
        raise ApiException(status=status, reason="because")

    answer(monkeypatch, read)
    assert says in run("intent", "-n", "shop", "deployment/web", code=4).stderr


ROLLOUT = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "Rollout",
    "metadata": {"name": "web"},
    "spec": {"workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}},
}
GROUPS: dict[str, Any] = {
    "/apis/argoproj.io": {"preferredVersion": {"groupVersion": "argoproj.io/v1beta7"}},
    "/apis/argoproj.io/v1beta7": {
        "resources": [
            {"name": "rollouts", "kind": "Rollout"},
            {"name": "rollouts/status", "kind": "Rollout"},
        ]
    },
}
"""Discovery of a cluster with Argo Rollouts."""


def test_a_rollout_is_read_in_the_served_version_with_the_workload_it_refers_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    objects = {
        **GROUPS,
        "/apis/argoproj.io/v1beta7/namespaces/shop/rollouts/web": ROLLOUT,
        "/apis/apps/v1/namespaces/shop/deployments/web": yaml.safe_load(manifest()),
    }
    answer(monkeypatch, lambda path: json.dumps(objects[path]).encode())

    [target] = printed("-n", "shop", "rollout.argoproj.io/web")["spec"]["targets"]
    assert (target["kind"], target["images"]) == ("Rollout", ["web:1"])


def test_a_kind_that_the_cluster_does_not_serve_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(path: str) -> bytes:
        if path not in GROUPS:
            raise ApiException(status=404)
        return json.dumps(GROUPS[path]).encode()

    answer(monkeypatch, read)
    kind = ("--gated-kind", "apps.kruise.io/CloneSet=spec.template")
    error = run("intent", "-n", "shop", "cloneset/web", *kind, code=4).stderr
    assert "this cluster has no CloneSet of apps.kruise.io" in error
    unknown = run("intent", "-n", "shop", "CloneSet.apps.kruise.io/web", code=2).stderr
    assert "where its pod template stands is not known" in unknown
    generated = run("intent", "-n", "shop", "job/migrate-*", code=2).stderr
    assert "means those that come; name their images (--image)" in generated


@pytest.mark.parametrize("data", [b"not json", b"{}", b"[]", b'{"metadata": {"name": "web"}}'])
def test_an_answer_that_is_no_workload_is_told(
    monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    answer(monkeypatch, lambda _: data)
    error = run("intent", "-n", "shop", "deployment/web", code=4).stderr
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
    error = run("intent", "deployment/x", "--kubeconfig", config, code=4).stderr
    assert "cannot reach the API server at http://127.0.0.1:1" in error
    assert "use manifest files (-f FILE)" in error


@pytest.mark.parametrize("content", [None, "", "a: [", "a: b", "[]", "contexts: 7"])
def test_a_kubeconfig_that_cannot_be_used_is_told(tmp_path: Path, content: str | None) -> None:
    config = tmp_path / "config"
    if content is not None:
        config.write_text(content)
    error = run("intent", "deployment/x", "-n", "x", "--kubeconfig", config, code=4).stderr
    assert "no cluster to read from" in error
    assert run("intent", "-f", DEPLOYMENT, "--kubeconfig", config).stdout


def test_the_types_read_well() -> None:
    assert str(wanted("sts/db")) == "statefulset/db"
    assert BadInput("a", "b").problems == ["a", "b"]
    assert (BadInput("a").exit_code, Unavailable("b").exit_code) == (2, 4)
    assert Found.__doc__
    assert Wanted.__doc__
