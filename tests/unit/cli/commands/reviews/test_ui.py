# SPDX-License-Identifier: Apache-2.0
"""`kubectl cab ui`: what it starts, and that it leaves nothing behind."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from cabgate_cli.commands.reviews import ui
from cabgate_devcluster import wait_until
from unit.cli.support import run

pytestmark = pytest.mark.slow

KUBECTL = """#!{python}
import json, os, socketserver, sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path

words = dict(word.split("=", 1) for word in sys.argv[2:])
path = words["--unix-socket"]
Path({seen!r}).write_text(json.dumps({{
    "argv": sys.argv[1:], "mode": os.stat(os.path.dirname(path)).st_mode & 0o777,
    "pid": os.getpid(),
}}))

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        info = {{"userInfo": {{"username": "rita"}}}}
        body = json.dumps({{"items": [], "metadata": {{}}, "status": info}}).encode()
        assert self.headers["Host"] == "localhost" and not self.headers["Authorization"]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer

    def log_message(self, *_): pass

    def address_string(self): return ""

class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

Server(path, Handler).serve_forever()
"""


@pytest.fixture
def kubectl(tmp_path):
    """A folder with a kubectl whose proxy answers that nothing is there."""
    program, seen = tmp_path / "kubectl", tmp_path / "seen.json"
    program.write_text(KUBECTL.format(python=sys.executable, seen=str(seen)))
    program.chmod(0o755)
    return tmp_path


def started(folder, *words, cwd=None):
    env = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "TMPDIR": str(folder)}
    # A shell that starts something in the background has it ignore SIGINT, and all that it starts.
    heeded = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{heeded}; import runpy; runpy.run_module('cabgate_cli', run_name='__main__')"
    argv = [sys.executable, "-c", program, "ui", *words]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env,
                               cwd=cwd, text=True)  # fmt: skip
    return process, process.stdout.readline().strip()


def ended(pid):
    """Whether a process is no more, or nobody has asked yet how it ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return b") Z" in Path(f"/proc/{pid}/stat").read_bytes()


def unserved(url):
    """Whether nobody answers at an address."""
    try:
        httpx.get(url)
    except (httpx.NetworkError, httpx.RemoteProtocolError):
        return True
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_page_is_served_until_it_is_ended_and_nothing_is_left(kubectl, number):
    process, url = started(kubectl, "--context", "prod", "--as", "rita")
    assert url.startswith("http://127.0.0.1:"), process.communicate()
    with httpx.Client(follow_redirects=True, timeout=60) as browser:
        page = browser.get(url)
        assert page.status_code == 200
        assert "Nothing waits" in page.text
        assert "rita" in page.text
    seen = json.loads((kubectl / "seen.json").read_text())
    assert seen["mode"] == 0o700
    assert {"--context=prod", "--as=rita"} <= set(seen["argv"])
    assert seen["argv"][0] == "proxy"
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    wait_until(lambda: ended(seen["pid"]), "kubectl proxy has ended")
    assert not list(kubectl.glob("cabgate-ui-*"))
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_the_page_ends_where_the_command_is_killed(kubectl):
    process, url = started(kubectl)
    process.kill()
    process.wait(60)
    wait_until(lambda: unserved(url), "the page is no longer served")
    # kubectl alone is left, on a socket in a folder that nobody else may enter.
    os.kill(json.loads((kubectl / "seen.json").read_text())["pid"], signal.SIGKILL)
    process.communicate(timeout=60)


def test_the_page_ends_with_kubectl(kubectl):
    process, _ = started(kubectl)
    os.kill(json.loads((kubectl / "seen.json").read_text())["pid"], signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 4
    assert "kubectl proxy ended" in errors


def test_a_port_that_is_taken_is_an_error(kubectl):
    first, url = started(kubectl)
    port = url.split(":")[2].partition("/")[0]
    second, line = started(kubectl, "--port", port)
    _, errors = second.communicate(timeout=60)
    assert (line, second.returncode) == ("", 4)
    assert f"127.0.0.1:{port} cannot be listened on" in errors
    first.terminate()
    first.communicate(timeout=60)


def test_what_cannot_start_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "Install kubectl" in run("ui", code=4).stderr
    program = tmp_path / "kubectl"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    assert "check --kubeconfig and --context" in run("ui", code=4).stderr
    monkeypatch.setattr(ui, "find_spec", lambda name: None if name == "jinja2" else object())
    assert "pip install 'cabgate[portal]'" in run("ui", code=4).stderr


def test_nothing_is_run_from_the_folder_that_somebody_is_in(kubectl, tmp_path):
    folder = tmp_path / "checkout"
    folder.mkdir()
    ran = folder / "ran"
    for name in ("uvicorn", "starlette", "cabgate_portal", "jinja2"):
        (folder / f"{name}.py").write_text(f"open({str(ran)!r}, 'w').close()\n")
    process, url = started(kubectl, cwd=folder)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert not ran.exists()
    assert url.startswith("http://127.0.0.1:"), errors


OURS = "/apis/cabgate.dev/v1alpha1"


@pytest.mark.parametrize(
    ("path", "passed"),
    [
        (f"{OURS}/cabrequests", True),
        (f"{OURS}/namespaces/shop/cabrequests/checkout-1f2e3d4c/status", True),
        (f"{OURS}/namespaces/shop/cabevidences/x.y", True),
        ("/apis/authentication.k8s.io/v1/selfsubjectreviews", True),
        ("/api/v1/namespaces/shop", True),
        ("/api/v1/namespaces/shop/pods/checkout-0", True),
        ("/apis/apps/v1/namespaces/shop/deployments/checkout", True),
        ("/apis/batch/v1/namespaces/shop/cronjobs/nightly", True),
        ("/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/checkout", True),
        ("/api/v1/namespaces/cabgate-system/configmaps/cabgate-installation", True),
        (f"{OURS}/..", False),
        (f"{OURS}/../../../api/v1/namespaces/shop/secrets/x", False),
        (f"{OURS}/%2e%2e/%2e%2e/%2e%2e/api/v1/secrets", False),
        (f"{OURS}/x%2f..%2fy", False),
        (f"{OURS}/namespaces//cabrequests", False),
        (f"{OURS}/cabrequests/", False),
        (f"{OURS}x/cabrequests", False),
        (f"/x{OURS}/cabrequests", False),
        ("/api/v1/namespaces/..", False),
        ("/api/v1/namespaces/%2e%2e", False),
        ("/api/v1/namespaces", True),
        ("/api/v1/namespaces/", False),
        ("/api/v1/namespaces/shop/secrets/x", False),
        ("/api/v1/namespaces/shop/configmaps/cabgate-installation", False),
        ("/api/v1/namespaces/shop/pods/checkout-0/exec", False),
        ("/apis/apps/v1/namespaces/shop/deployments/checkout/scale", False),
        ("/apis/apps/v1/namespaces/shop/deployments", False),
        ("/apis/apps/v1/namespaces/shop/controllerrevisions/x", False),
        ("/apis/apps/%2e%2e/namespaces/shop/deployments/x", False),
    ],
)
def test_kubectl_passes_on_what_the_page_asks_for(path, passed):
    # As kubectl does: each is searched for, and the first that fits lets it through.
    assert any(re.search(each, path) for each in ui.PATHS) is passed
    assert not any("," in each for each in (*ui.PATHS, ui.METHODS))  # which kubectl splits them by


@pytest.mark.parametrize("method", ["DELETE", "PUT", "OPTIONS", "HEAD", "TRACE", "CONNECT", "put"])
def test_kubectl_passes_on_no_other_method(method):
    assert re.search(ui.METHODS, method)
    assert not any(re.search(ui.METHODS, each) for each in ("GET", "POST", "PATCH"))


@pytest.mark.parametrize("words", [("--host", "127.0.0.2"), ("--port", "0"), ("--port", "70000")])
def test_it_listens_nowhere_else(words):
    run("ui", *words, code=2)
