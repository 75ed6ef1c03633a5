# SPDX-License-Identifier: Apache-2.0
"""The audit of dependencies, with the real uv and a database of the test's."""

import importlib.util
import json
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UV = shutil.which("uv") or str(ROOT / ".uv" / "bin" / "uv")
KNOWS_AUDIT = (
    subprocess.run([UV, "help", "audit"], capture_output=True, check=False).returncode == 0
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not KNOWS_AUDIT, reason="this uv is too old to audit"),
]


def audit(*options):
    spec = importlib.util.spec_from_file_location("audit", ROOT / "tools" / "audit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main([UV, *options])


class Database(BaseHTTPRequestHandler):
    """Speaks OSV; knows a vulnerability of the packages in `bad`."""

    bad: frozenset[str] = frozenset()

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        known = [{"id": "OSV-1", "modified": "2026-01-01T00:00:00Z"}]
        found = [{"vulns": known} if q["package"]["name"] in self.bad else {} for q in asked]
        self._answer({"results": found})

    def do_GET(self):
        moment = "2026-01-01T00:00:00Z"
        affected = [{"package": {"ecosystem": "PyPI", "name": name}} for name in self.bad]
        seen = {"id": "OSV-1", "modified": moment, "summary": "it leaks", "affected": affected}
        self._answer(seen)

    def _answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def database():
    """Starts a database that knows of some packages; returns its URL."""
    servers = []

    def start(*bad):
        handler = type("Handler", (Database,), {"bad": frozenset(bad)})
        server = HTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_known_vulnerability_fails_and_is_named(database, capsys):
    assert audit("--service-url", database("kopf")) == 1
    said = capsys.readouterr().out
    assert "kopf" in said
    assert "OSV-1: it leaks" in said


def test_without_one_all_is_well(database, capsys):
    assert audit("--service-url", database()) == 0
    assert "no known vulnerabilities" in capsys.readouterr().out


def test_without_a_database_it_is_said_that_nothing_was_looked_up(capsys):
    assert audit("--service-url", "http://127.0.0.1:9") == 0
    assert capsys.readouterr().out.startswith("NOT AUDITED")
