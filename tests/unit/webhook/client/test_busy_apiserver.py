# SPDX-License-Identifier: Apache-2.0
"""An API server that is too busy (429): a read is tried again when it says, within the time of a
review, and what writes is not."""

import asyncio
import contextlib
import json

import pytest

from cabgate.review.identity import User
from cabgate_kube.credentials import Access
from cabgate_webhook.client.apiserver import LiveReads
from cabgate_webhook.client.lookups import LookupFailed
from cabgate_webhook.http.app import DEADLINE_SECONDS

LABELS = json.dumps({"metadata": {"labels": {"cabgate.dev/ring": "2"}}}).encode()
BUSY = json.dumps({"kind": "Status", "message": "too many requests"}).encode()


def answer(status, body, headers=""):
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def busy(headers="Retry-After: 1\r\n"):
    return answer("429 Too Many Requests", BUSY, headers)


class Asked:
    """A server that gives these answers in turn, the last for good."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.targets = []
        self.asked = 0
        """How often it was asked."""

    async def serve(self, reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = [n for n in head.split(b"\r\n") if n.startswith(b"Content-Length: ")]
                await reader.readexactly(int(length[0][16:]) if length else 0)
                self.asked += 1
                self.targets.append(head.split(b" ")[1])
                more = len(self._answers) > 1
                writer.write(self._answers.pop(0) if more else self._answers[0])
        writer.close()


class Time:
    """Time that passes when somebody waits."""

    def __init__(self):
        self.now = 0.0
        self.waits = []

    def monotonic(self):
        return self.now

    async def sleep(self, seconds):
        self.waits.append(seconds)
        self.now += seconds


async def asking(server, call):
    """What came of a call of the webhook's, and the seconds that it waited between its tries."""
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    time = Time()
    credentials = Access(f"http://127.0.0.1:{port}")
    try:
        async with LiveReads(
            credentials, monotonic=time.monotonic, sleep=time.sleep, read_seconds=60
        ) as api:
            try:
                found = await call(api)
            except LookupFailed as error:
                found = error
    finally:
        listening.close()
    return found, time.waits


def labels(api):
    return api.namespace_labels("shop")


@pytest.mark.parametrize("headers", ["Retry-After: 1\r\n", "retry-after: 1\r\n", ""])
async def test_a_read_is_tried_again_when_the_api_server_says(headers):
    found, waits = await asking(Asked(busy(headers), answer("200 OK", LABELS)), labels)
    assert found == {"cabgate.dev/ring": "2"}
    assert waits == [1]


async def test_a_cache_that_is_behind_is_asked_again():
    """The API server's: it says so with 504 where nothing else has what was asked for."""
    behind = answer("504 Gateway Timeout", BUSY, "Retry-After: 1\r\n")
    found, waits = await asking(Asked(behind, answer("200 OK", LABELS)), labels)
    assert found == {"cabgate.dev/ring": "2"}
    assert waits == [1]


async def test_readiness_reads_with_a_selector_as_the_gate_does():
    """Without one a list passes by the cache that the gate's lists wait for."""
    server = Asked(busy(), answer("200 OK", b'{"items": []}'))
    found, waits = await asking(server, lambda api: api.can_read())
    assert (found, waits) == (None, [1])
    assert all(
        b"/namespaces/" in target and b"labelSelector=" in target for target in server.targets
    )


async def test_it_is_tried_as_often_as_there_is_time():
    server = Asked(busy(), busy(), answer("200 OK", LABELS))
    assert await asking(server, labels) == ({"cabgate.dev/ring": "2"}, [1, 1])
    assert server.asked == 3


async def test_an_api_server_that_stays_busy_gives_a_denial_that_says_so_in_time():
    found, waits = await asking(Asked(busy()), labels)
    assert isinstance(found, LookupFailed)
    assert str(found) == "GET /api/v1/namespaces/shop: HTTP 429: too many requests"
    assert waits == [1, 1, 1]
    assert sum(waits) < DEADLINE_SECONDS


@pytest.mark.parametrize("when", ["60", "4", "9" * 400])
async def test_nobody_waits_for_what_would_come_too_late(when):
    server = Asked(busy(f"Retry-After: {when}\r\n"))
    found, waits = await asking(server, labels)
    assert "HTTP 429" in str(found)
    assert (server.asked, waits) == (1, [])


@pytest.mark.parametrize("when", ["0", "-1", "soon", "Wed, 21 Oct 2015 07:28:00 GMT"])
async def test_what_is_no_number_of_seconds_is_one(when):
    server = Asked(busy(f"Retry-After: {when}\r\n"), answer("200 OK", LABELS))
    assert await asking(server, labels) == ({"cabgate.dev/ring": "2"}, [1])


async def test_other_answers_and_other_verbs_are_not_tried_again():
    server = Asked(answer("503 Service Unavailable", BUSY, "Retry-After: 1\r\n"))
    found, waits = await asking(server, labels)
    assert "HTTP 503" in str(found)
    assert (server.asked, waits) == (1, [])
    server = Asked(busy())
    found, waits = await asking(
        server,
        lambda api: api.may(User("rita"), verb="approve", resource="cabrequests", namespace="x"),
    )
    assert "HTTP 429" in str(found)
    assert (server.asked, waits) == (1, [])
