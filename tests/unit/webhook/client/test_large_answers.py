# SPDX-License-Identifier: Apache-2.0
"""Answers of the API server that hold more than a review usually reads: they are read one at a
time, up to a bound, and nobody else waits for them."""

import asyncio
import contextlib
import json

import pytest

from cabgate.rollout.targets import Workload
from cabgate_kube.credentials import Access
from cabgate_samples.models import NAMESPACE, by_system, request
from cabgate_webhook.client.apiserver import LiveReads
from cabgate_webhook.client.lookups import LARGE_BYTES, READ_BYTES, BudgetUsedUp

WEB = Workload("apps", "Deployment", "checkout")


class Server:
    """Answers every list of a namespace with the bytes that the test says for it."""

    def __init__(self, **sizes):
        self._sizes = sizes
        self.asked = []

    async def serve(self, reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                namespace = head.split(b"/namespaces/")[1].split(b"/")[0].decode()
                self.asked.append(namespace)
                body = listing(self._sizes[namespace])
                writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode())
                writer.write(body)
                await writer.drain()
        writer.close()


def listing(size):
    item = request("AutoApprove", by_system("AutoApproved")).model_dump(
        mode="json", by_alias=True, exclude_none=True
    )
    item["metadata"]["annotations"] = {"note": ""}
    empty = len(json.dumps({"items": [item]}))
    item["metadata"]["annotations"] = {"note": "x" * max(0, size - empty)}
    return json.dumps({"items": [item]}).encode()


async def reading(call, **sizes):
    server = Server(**sizes)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        async with LiveReads(Access(f"http://127.0.0.1:{port}"), read_seconds=60) as api:
            return await call(api), server
    finally:
        listening.close()


@pytest.mark.parametrize(
    ("size", "calls"), [(READ_BYTES, 1), (READ_BYTES + 1, 2), (LARGE_BYTES, 2)]
)
async def test_what_is_stored_is_read_though_it_is_large(size, calls):
    """What an older release let in goes on to admit what it admitted."""
    found, server = await reading(lambda api: api.requests_naming(NAMESPACE, [WEB]), shop=size)
    assert len(found) == 1
    assert len(server.asked) == calls


async def test_more_than_that_is_a_denial_that_names_itself():
    with pytest.raises(BudgetUsedUp) as failed:
        await reading(lambda api: api.requests_naming(NAMESPACE, [WEB]), shop=LARGE_BYTES + 1)
    assert "comes to more than 16 MiB" in str(failed.value)
    assert "delete exceptions" in str(failed.value)


async def test_who_reads_little_is_answered_while_others_read_much():
    async def both(api):
        many = [asyncio.create_task(api.requests_naming(f"big-{n}", [WEB])) for n in range(3)]
        await asyncio.gather(*(api.requests_naming(NAMESPACE, [WEB]) for _ in range(5)))
        return [len(found) for found in await asyncio.gather(*many)]

    sizes = {f"big-{n}": 2 * READ_BYTES for n in range(3)}
    found, _ = await reading(both, shop=1000, **sizes)
    assert found == [1, 1, 1]
