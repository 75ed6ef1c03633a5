# SPDX-License-Identifier: Apache-2.0
"""What a command advises names options that it has."""

from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from cabgate_cli.input.cluster import client as cluster
from unit.cli.support import run


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (ApiException(status=404), "not found. Check name and namespace (-n)."),
        (ApiException(status=403), "Ask for the verb 'get' on it."),
        (OSError("gone"), "Check kubectl's connection (kubectl version)."),
    ],
    ids=str,
)
def test_wait_has_no_manifests_and_no_images(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, said: str
) -> None:
    class Client:
        configuration = SimpleNamespace(host="https://api")

        def param_serialize(self, *args: Any, **_: Any) -> Any:
            return args

        def call_api(self, *_: Any, **options: Any) -> Any:
            raise failure

    monkeypatch.setattr(cluster, "connected", lambda *_: Client())
    seen = run("wait", "-n", "shop", "checkout", "--timeout", "0s", code=4).stderr
    assert seen.endswith(f"{said}\n")


def test_nor_where_there_is_no_cluster(tmp_path: Any) -> None:
    seen = run("wait", "checkout", "--kubeconfig", str(tmp_path / "none"), code=4).stderr
    assert seen.endswith("and a context (--context).\n")
