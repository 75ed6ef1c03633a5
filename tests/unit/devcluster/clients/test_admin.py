# SPDX-License-Identifier: Apache-2.0
"""The client of the cluster's admin: a server that asks to come again is asked again."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from cabgate_devcluster.clients.admin import AdminClient
from cabgate_devcluster.clients.pki import Authority
from cabgate_devcluster.errors import DevClusterError


@pytest.fixture
def server():
    """An API server that answers what it is told to, one status after the other."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status = self.server.statuses.pop(0)
            body = json.dumps({"status": status}).encode()
            self.send_response(status)
            if status == 429:
                self.send_header("Retry-After", "0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join(60)


@pytest.fixture
def client(server):
    authority = Authority("tests")
    made = AdminClient(
        f"http://127.0.0.1:{server.server_port}", authority.cert_pem, authority.client("admin")
    )
    yield made
    made.close()


def test_a_server_that_asks_to_come_again_is_asked_again(server, client):
    server.statuses = [429, 429, 200]
    assert client.call("GET", "/version") == {"status": 200}


def test_any_other_error_is_told_at_once(server, client):
    server.statuses = [500, 200]
    with pytest.raises(DevClusterError, match="500"):
        client.call("GET", "/version")
    assert server.statuses == [200]
