# SPDX-License-Identifier: Apache-2.0
"""An API server that takes a question and never answers it."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cabgate_cli.input.cluster import client as cluster
from cabgate_cli.input.cluster import ledger_source
from unit.cli.support import run


@pytest.fixture
def asked() -> Iterator[tuple[int, list[socket.socket]]]:
    """The port of the server, and the connections that it took."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def take() -> None:
            while True:
                try:
                    taken.append(listening.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield listening.getsockname()[1], taken
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
    for each in taken:
        each.close()


@pytest.mark.parametrize(
    "command",
    [
        ["wait", "-n", "shop", "checkout", "--timeout", "0s"],
        ["uncovered", "-n", "shop"],
        ["ledger", "list"],
    ],
    ids=" ".join,
)
def test_it_is_asked_once(
    asked: tuple[int, list[socket.socket]],
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port, taken = asked
    for module in (cluster, ledger_source):
        monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.2)
    path = tmp_path / "kubeconfig"
    content = {
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }
    path.write_text(yaml.safe_dump(content))
    said = run(*command, "--kubeconfig", str(path), code=4).stderr
    assert "cannot reach the API server" in said
    assert len(taken) == 1
