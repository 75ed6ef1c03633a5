# SPDX-License-Identifier: Apache-2.0
"""A decision on the page while the API server hangs, is too busy or gives up: nothing typed is
lost, nothing is sent twice, and that it may have been recorded is said where it may have been."""

import asyncio
import html
import json
import re

import pytest

from cabgate_kube.transport import ConnectionFailed, HttpAnswer
from cabgate_portal import client
from cabgate_samples.models import exception
from cabgate_samples.objects import BAD
from unit.portal.fake_api import status
from unit.portal.page.opened import Opened, as_stored

WHY = "typed for <an> hour"
TYPED = {
    "request": {
        "verb": "approve",
        "condition2.name": "watch",
        "condition2.description": "Watch \u202e it",
        "condition2.attestation": "Required",
    },
    "exception": {"verb": "approve", "maxReplicas": "2", "window1.until": "2026-03-01T22:00:00Z",
                  "window1.from": "2026-03-01T20:00:00Z"},
}  # fmt: skip

HANGS = "hangs"
UNAVAILABLE = HttpAnswer(503, status(503, "ServiceUnavailable", "the server is overloaded"))
TOO_LONG = HttpAnswer(504, status(504, "Timeout", "request did not complete within 60s"))
WEBHOOK = HttpAnswer(504, status(504, "Timeout", 'failed calling webhook "decisions"'))
FAILED = HttpAnswer(500, status(500, "InternalError", 'failed calling webhook "decisions": x'))
BROKEN = HttpAnswer(500, status(500, "InternalError", "etcdserver: request timed out"))
EMPTY = HttpAnswer(200, b"")
GONE = ConnectionFailed("gone")


class Faulty:
    """A page with a form that is filled in, and an API server that can be made to fail."""

    def __init__(self, what):
        self.opened = Opened(evidence=BAD) if what == "exception" else Opened()
        self.path = self.opened.path
        if what == "exception":
            asked = as_stored("CABException", exception(self.opened.request))
            asked["spec"]["submittedBy"] = self.opened.object["spec"]["submittedBy"]
            self.opened.api.put("cabexceptions", asked)
            self.path = "/exceptions/shop.leave"
        self.typed = TYPED[what]
        self.faults = {}
        self._call = self.opened.api.call
        self.opened.api.call = self._faulty

    async def _faulty(self, method, target, **options):
        fault = self.faults.get(method)
        if fault is None:
            return await self._call(method, target, **options)
        self.opened.api.calls.append((method, target))
        if fault == HANGS:
            await asyncio.Event().wait()
        if isinstance(fault, Exception):
            raise fault
        return fault

    async def open(self):
        await self.opened.open()
        self.form = {**await self.opened.form(self.path), **self.typed, "rationale": WHY}
        return self

    async def send(self, form=None):
        return await self.opened.post(form or self.form, self.path)

    def sent(self):
        return [each for each in self.opened.api.calls if each[0] == "PATCH"]


@pytest.fixture(params=["request", "exception"])
async def faulty(request, monkeypatch):
    monkeypatch.setattr(client, "TIMEOUT_SECONDS", 0.1)
    return await Faulty(request.param).open()


def fields(text):
    """What the form of a page would send, with the verb of a button."""
    text = text.partition('class="decide"')[2].partition("</form>")[0]
    found = dict(re.findall(r'<input [^>]*name="([^"]+)"[^>]* value="([^"]*)"', text))
    unticked = re.findall(r'<input type="checkbox" name="([^"]+)" value="[^"]*">', text)
    why = re.search(r'<textarea id="rationale"[^>]*>\n(.*?)</textarea>', text, re.DOTALL)
    found = {name: value for name, value in found.items() if name not in unticked}
    return {name: html.unescape(value) for name, value in {**found, "rationale": why[1]}.items()}


def nothing_is_lost(answer, faulty):
    kept = fields(answer.text)
    expected = {name: value for name, value in faulty.form.items() if name != "verb"}
    assert {name: kept.get(name) for name in expected} == expected
    assert f'value="{faulty.form["verb"]}"' in answer.text
    return kept


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        (HANGS, 502, "It may have been recorded"),
        (GONE, 502, "It may have been recorded"),
        (TOO_LONG, 502, "It may have been recorded"),
        (BROKEN, 502, "It may have been recorded"),
        (EMPTY, 502, "It may have been recorded"),
        (UNAVAILABLE, 503, "Nothing was recorded"),
        (WEBHOOK, 504, "Nothing was recorded"),
        (FAILED, 502, "Nothing was recorded"),
    ],
    ids=["hangs", "gone", "504", "500", "empty", "503", "504 of a webhook", "500 of a webhook"],
)  # fmt: skip
@pytest.mark.parametrize("reads", [None, HANGS, UNAVAILABLE], ids=["", "as all else", "503 then"])
async def test_what_becomes_of_a_write(faulty, fault, code, words, reads):
    """Whether or not the request can be read and shown again afterwards."""

    class Failing(dict):
        """Reads fail as well, once it was sent."""

        def get(self, method):
            return fault if method == "PATCH" else reads if faulty.sent() else None

    faulty.faults = Failing()
    answer = await faulty.send()
    assert answer.status_code == code, answer.text
    said = html.unescape(re.sub(r"<[^>]*>", "", answer.text))
    if reads is None:
        assert words in said
        assert ("It may have been recorded" in said) is (words == "It may have been recorded")
    else:
        assert ("may have been recorded" in said) is (words == "It may have been recorded")
    nothing_is_lost(answer, faulty)
    assert len(faulty.sent()) == 1


@pytest.mark.parametrize(
    ("fault", "code"), [(HANGS, 503), (GONE, 503), (UNAVAILABLE, 503), (TOO_LONG, 504)]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_cannot_be_read_is_not_decided(faulty, fault, code, method):
    """GET reads what is decided on, POST is who decides."""
    faulty.faults = {method: fault}
    answer = await faulty.send()
    assert answer.status_code == code, answer.text
    kept = nothing_is_lost(answer, faulty)
    assert faulty.sent() == []

    # Sent again, once it answers, from what is shown.
    faulty.faults = {}
    again = await faulty.send({**kept, "verb": faulty.form["verb"]})
    assert again.status_code == 303, again.text
    assert len(faulty.sent()) == 1
    review = json.loads(faulty.opened.api.bodies[-1])["status"]["review"]
    assert review["rationale"] == WHY
    assert {"conditions", "constraints"} & set(review)
