# SPDX-License-Identifier: Apache-2.0
"""The page on a port, for a real browser, over an API server that is made up."""

import asyncio
import socket
import threading

import uvicorn

from cabgate_kube.process.http import COMMON, Server
from cabgate_portal.page.local import create_page
from cabgate_portal.page.session import Session
from cabgate_samples.models import NOW, intent, request, target
from support.freezes import DAY, freeze, interval
from unit.portal.fake_api import OURS, FakeApi
from unit.portal.page.opened import as_stored

SUBMITTER = {"username": "tess", "type": "Person"}


class Serving:
    """The page on a port, in a thread."""

    def __init__(self):
        self.api = FakeApi()
        self.session = Session()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self.listening.getsockname()[1]}"
        app = create_page(self.api, self.session, self.host, lambda: NOW)
        self.server = Server(uvicorn.Config(app, **COMMON))
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        asyncio.run(self.server.serve([self.listening]))

    def close(self):
        self.server.should_exit = True
        self.thread.join(60)
        self.listening.close()

    def url(self, path):
        return f"http://{self.host}{self.session.base}{path}"

    def entry(self):
        """Opens the page, once for each browser: the key is good once, so it is made anew."""
        self.session._key = "again"
        return f"http://{self.host}{self.session.base}/?key=again"

    def put(self, gate, evidence, name, text="Two more retries, and a longer timeout"):
        """A request that waits, of an intent, and its path."""
        wanted = intent(
            evidence,
            [target(name, f"registry.example.com/shop/{name}:1.4.2")],
            name=name,
            summary=text,
            correlation_id="CHG-4711",
        )
        found = request(gate, of=wanted)
        made = as_stored("CABRequest", found)
        made["spec"]["submittedBy"] = [SUBMITTER]
        made["status"] = {}
        self.api.put("cabrequests", made)
        self.api.put("deploymentintents", as_stored("DeploymentIntent", wanted))
        return found, f"/requests/{found.metadata.namespace}.{found.metadata.name}"

    def put_exception(self, made):
        """An exception that somebody asked for, and its path."""
        stored = as_stored("CABException", made)
        stored["spec"]["submittedBy"] = [SUBMITTER]
        self.api.put("cabexceptions", stored)
        return f"/exceptions/{made.metadata.namespace}.{made.metadata.name}"

    def put_records(self, records):
        """Records of the ledger."""
        for record in records:
            self.api.objects[f"{OURS}/cabdecisions/{record['metadata']['name']}"] = record

    def patches(self):
        """The decisions that reached the API server."""
        return [each for each in self.api.calls if each[0] == "PATCH"]


def put_freezes(api):
    """A freeze that holds, one that comes, and a window, with titles as long as they may be."""
    labels = {"cabgate.dev/change-policy": "board", "cabgate.dev/ring": "2"}
    meta = {"name": "shop", "labels": labels}
    api.objects["/api/v1/namespaces/shop"] = {"kind": "Namespace", "metadata": meta}
    for each in (
        freeze("christmas", title="Christmas " * 12),
        freeze("stocktaking", interval(3 * DAY, 5 * DAY), title="Stocktaking"),
        freeze("office", interval(-DAY, 9 * DAY), kind="Window", title="Officehours" * 11),
    ):
        api.objects[f"{OURS}/changefreezes/{each['metadata']['name']}"] = each
