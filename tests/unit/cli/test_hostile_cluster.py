# SPDX-License-Identifier: Apache-2.0
"""Whatever a cluster, a kubeconfig or an output is like, a command ends with a code of the table,
and says what is wrong in a few lines."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from unit.cli.input.cluster.test_installation import DATA
from unit.cli.support import EXAMPLES, run

pytestmark = pytest.mark.slow

CABGATE = Path(sys.executable).with_name("cabgate")
INTENT = EXAMPLES / "auto-approve" / "intent.yaml"

ASKING = [
    ["uncovered", "-n", "shop"],
    ["adopt", "-n", "shop"],
    ["explain", "-n", "shop", "deployment/web"],
    ["intent", "-n", "shop", "deployment/web"],
    ["wait", "-n", "shop", "checkout", "--timeout", "0s"],
    ["freeze", "list"],
    ["ledger", "list"],
    ["ledger", "verify"],
]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    answers: dict[str, Any]
    """Answer of each end of a path, JSON or text; the one of an empty end is that of all others."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        answers = self.server.answers
        answer = next(answers[end] for end in answers if path.endswith(end))
        body = answer if isinstance(answer, str) else json.dumps(answer)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server(("127.0.0.1", 0), _Handler) as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.fixture
def kubeconfig(server: _Server, tmp_path: Path) -> Path:
    return written(tmp_path, server.server_port)


def written(folder: Path, port: int, **context: str) -> Path:
    path = folder / "kubeconfig"
    content = {
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", **context}}],
    }
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize("command", ASKING, ids=" ".join)
@pytest.mark.parametrize("answer", ["<html>Sign in</html>", "[]", "[" * 100_000], ids=len)
def test_an_answer_that_no_api_server_gives(
    server: _Server, kubeconfig: Path, command: list[str], answer: str
) -> None:
    server.answers = {"": answer}
    said = run(*command, "--kubeconfig", str(kubeconfig), code=4).stderr
    assert f"the answer of http://127.0.0.1:{server.server_port} is not an object" in said
    assert "kubectl version" in said


@pytest.mark.parametrize("text", ["[" * 3000, "[]", "\x00\xff", "7", "&a [*a]"])
def test_a_kubeconfig_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_bytes(text.encode("latin-1"))
    said = run("wait", "checkout", "--kubeconfig", str(path), code=4).stderr
    assert "no cluster to read from" in said
    assert len(said) < 1000


@pytest.mark.parametrize("command", [["wait", "checkout"], ["uncovered"], ["adopt"]])
def test_a_context_whose_namespace_is_a_path(
    server: _Server, tmp_path: Path, command: list[str]
) -> None:
    path = written(tmp_path, server.server_port, namespace="../../x\n")
    said = run(*command, "--kubeconfig", str(path), code=2).stderr
    assert "namespace of the kubeconfig's context: '../../x\\n' cannot be a namespace" in said


LONG = "\x1b[2J" * 50_000


@pytest.mark.parametrize(
    ("data", "code", "said"),
    [
        ({**DATA, "mode": LONG}, 4, "data.mode: '\\x1b[2J"),
        ({**DATA, "defaultRing": LONG}, 4, "data.defaultRing: '\\x1b[2J"),
        ({**DATA, "gatedKinds": "=" * 50_000}, 4, "data.gatedKinds: '=="),
        ({**DATA, "gatedKinds": "apps/Deployment=x"}, 4, "Deployment of apps is gated already"),
        ({**DATA, "appVersion": LONG, "gatedKinds": ""}, 0, "and the cluster's is [2J"),
        (
            {**DATA, "builtInKinds": "\n".join(f"K{n}.x" for n in range(9999)), "gatedKinds": ""},
            0,
            "K9.x and 9989 more",
        ),
        ({}, 4, "data.defaultRing: absent"),
        (None, 4, "data.defaultRing: absent"),
        ({**DATA, "mode": 7}, 4, "data.mode: not a text"),
    ],
)
def test_settings_of_the_installation_that_make_no_sense(
    server: _Server, kubeconfig: Path, data: Any, code: int, said: str
) -> None:
    empty = {"items": [], "metadata": {}}
    server.answers = {"/cabgate-installation": {"data": data}, "": empty}
    seen = run("uncovered", "-n", "shop", "--kubeconfig", str(kubeconfig), code=code).stderr
    assert said in seen
    assert len(seen) < 2000
    assert "\x1b" not in seen


def test_a_kind_of_the_installation_that_the_cluster_does_not_know(
    server: _Server, kubeconfig: Path
) -> None:
    """The chart may be told of a kind before its definition is there; who names one is told."""
    empty = {"items": [], "metadata": {}}
    server.answers = {"/cabgate-installation": {"data": DATA}, "": empty}
    command = ["uncovered", "-n", "shop", "--kubeconfig", str(kubeconfig)]
    said = run(*command).stderr
    assert "note: the installation gates Y.x.io, which this cluster does not know" in said
    assert "nothing runs uncovered" in said
    said = run(*command, "--gated-kind", "x.io/Y=spec.template", code=4).stderr
    assert "this cluster has no Y of x.io" in said


full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")


@full
@pytest.mark.parametrize("arguments", [["score", "-f", INTENT], ["--help"], ["--version"]])
def test_an_output_that_cannot_be_written(arguments: list[Any]) -> None:
    with Path("/dev/full").open("wb") as output:
        ended = subprocess.run(
            [CABGATE, *arguments], stdout=output, stderr=subprocess.PIPE, text=True, check=False
        )
    seen = "Error: cannot write the output: No space left on device\n"
    assert (ended.returncode, ended.stderr) == (4, seen)


@full
def test_an_error_that_cannot_be_written() -> None:
    with Path("/dev/full").open("wb") as output:
        ended = subprocess.run([CABGATE, "frob"], stderr=output, check=False)
    assert ended.returncode == 4


def test_help_that_nobody_reads_to_its_end() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as pipe:
        ended = subprocess.run(
            [CABGATE, "--help"], stdout=pipe, stderr=subprocess.PIPE, check=False
        )
    assert (ended.returncode, ended.stderr) == (4, b"")


def test_a_standard_input_that_is_closed() -> None:
    ended = subprocess.run(
        ["sh", "-c", f"{CABGATE} score -f - <&-"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "standard input: cannot be read: it is closed" in ended.stderr
