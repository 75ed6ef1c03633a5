# SPDX-License-Identifier: Apache-2.0
"""The page in memory, over an API server that is made up, and a browser that has opened it."""

import re

import httpx

from cabgate_portal.page.local import create_page
from cabgate_portal.page.session import Session
from cabgate_samples.models import NOW, intent, request
from cabgate_samples.objects import MIDDLING
from unit.portal.fake_api import FakeApi

HOST = "127.0.0.1:4711"

OWN = {"Sec-Fetch-Site": "same-origin", "Origin": f"http://{HOST}"}
"""What a browser sends with a form of the page."""


def as_stored(kind, model):
    """A model as the API server has it."""
    obj = {"apiVersion": "cabgate.dev/v1alpha1", "kind": kind, **model.to_dict()}
    obj["metadata"].setdefault("uid", f"uid-of-{obj['metadata']['name']}")
    return obj


def put_waiting(api, wanted):
    """Store an intent and its request, which waits: that as a model and as it is stored, and the
    path of its page."""
    made = request("ManualReview", of=wanted)
    obj = as_stored("CABRequest", made)
    obj["spec"]["submittedBy"] = [
        {"username": "ann", "type": "Person", "at": "2026-03-01T10:00:00Z"}
    ]
    api.put("deploymentintents", as_stored("DeploymentIntent", wanted))
    api.put("cabrequests", obj)
    return made, obj, f"/requests/{obj['metadata']['namespace']}.{obj['metadata']['name']}"


class Opened:
    """A page, its API server, and a client with the cookie."""

    def __init__(self, *, summary="Two more retries", evidence=MIDDLING):
        self.api = FakeApi()
        self.session = Session()
        self.app = create_page(self.api, self.session, HOST, lambda: NOW)
        self.client = self.browser()
        wanted = intent(evidence, summary=summary)
        self.request, self.object, self.path = put_waiting(self.api, wanted)
        self.digest = self.request.spec.evidence_digest

    def browser(self):
        """A client without a cookie."""
        transport = httpx.ASGITransport(self.app)
        return httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}")

    async def open(self):
        """Exchange the key for the cookie."""
        answer = await self.client.get(self.session.entry())
        assert answer.status_code == 303, answer.text
        return self

    async def get(self, path, **options):
        return await self.client.get(self.session.base + path, **options)

    async def form(self, path=None):
        """The hidden fields of the form of a page."""
        text = (await self.get(path or self.path)).text
        found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', text)
        return dict(found)

    async def post(self, fields, path=None, headers=OWN, **options):
        return await self.client.post(
            self.session.base + (path or self.path), data=fields, headers=headers, **options
        )
