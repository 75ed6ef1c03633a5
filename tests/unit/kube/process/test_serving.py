# SPDX-License-Identifier: Apache-2.0
"""Connections of a server that anybody calls, without a network."""

import asyncio
import gc
import weakref

import pytest
import uvicorn
from uvicorn.server import ServerState

from cabgate_kube.process.health import Pages, health_config
from cabgate_kube.process.http import COMMON
from cabgate_kube.process.serving import protocol_of

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self):
        super().__init__()
        self.written = b""
        self.closed = False

    def get_extra_info(self, name, default=None):
        return default

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass

    def write(self, data):
        self.written += data

    def is_closing(self):
        return self.closed

    def close(self):
        self.closed = True

    abort = close


class Served:
    """A server whose application answers when it is let."""

    def __init__(self, limit=500):
        self.dropped = []
        self.asked = 0
        self.go = asyncio.Event()
        self.go.set()
        protocol = protocol_of(limit, self.dropped.append)
        self.config = uvicorn.Config(self.app, http=protocol, interface="asgi3", **COMMON)
        self.state = ServerState()

    async def app(self, _scope, _receive, send):
        self.asked += 1
        await self.go.wait()
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def connect(self):
        return connect(self.config, self.state)


def connect(config, state):
    if not config.loaded:
        config.load()
    protocol = config.http_protocol_class(config=config, server_state=state, app_state={})
    protocol.connection_made(Transport())
    return protocol


async def turns():
    for _ in range(5):
        await asyncio.sleep(0)


async def nothing():
    return []


@pytest.mark.parametrize("pieces", [[2 * REQUEST], [REQUEST, REQUEST], [REQUEST, b"GET /h"]])
@pytest.mark.parametrize("health", [True, False])
async def test_a_client_that_does_not_wait_for_its_answer_is_closed(pieces, health):
    if health:
        pages = Pages(list, nothing, lambda: b"")
        config, state = health_config(pages, host="", port=0), ServerState()
    else:
        served = Served()
        config, state = served.config, served.state
    connection = connect(config, state)
    for piece in pieces:
        connection.data_received(piece)
    assert connection.transport.closed
    assert not connection.pipeline
    assert connection.transport.written == b""  # it would be taken for the first one's answer
    connection.connection_lost(None)


async def test_one_that_waits_for_it_may_send_the_next_at_once():
    served = Served()
    connection = served.connect()
    for count in range(1, 4):
        connection.data_received(REQUEST[:20])
        connection.data_received(REQUEST[20:])
        await turns()
        assert connection.transport.written.count(b"HTTP/1.1 401") == served.asked == count
    assert not connection.transport.closed
    connection.connection_lost(None)


async def test_a_body_that_cannot_be_read_gets_no_answer_of_another_request():
    served = Served()
    connection = served.connect()
    connection.data_received(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    connection.data_received(b"no chunk\r\n")
    assert connection.transport.closed
    assert connection.transport.written == b""
    connection.connection_lost(None)


async def test_those_who_asked_once_and_sit_there_keep_nobody_out():
    served = Served(limit=3)
    held = [served.connect() for _ in range(3)]
    for each in held:
        each.data_received(REQUEST)
        await turns()
        await asyncio.sleep(0.002)
    newcomer = served.connect()
    assert [each.transport.closed for each in held] == [True, False, False]
    assert not newcomer.transport.closed
    another = served.connect()  # rather than one that has asked, one that has not
    assert newcomer.transport.closed
    assert not another.transport.closed
    assert served.dropped == ["limit", "limit"]
    for each in (*held, newcomer, another):
        each.connection_lost(None)


async def test_no_request_under_way_is_lost_to_a_newcomer():
    served = Served(limit=3)
    served.go.clear()
    held = [served.connect() for _ in range(3)]
    for each in held:
        each.data_received(REQUEST)
    newcomer = served.connect()
    assert newcomer.transport.closed
    assert not any(each.transport.closed for each in held)
    served.go.set()
    await turns()
    for each in (*held, newcomer):
        each.connection_lost(None)


@pytest.mark.parametrize("lost", [None, ConnectionResetError()], ids=["closed", "reset"])
@pytest.mark.parametrize("asks", [True, False])
async def test_nothing_is_kept_of_a_connection_that_is_lost(lost, asks):
    """Whoever connects and resets again and again takes no memory for as long as idle ones have."""
    served = Served()
    connection = served.connect()
    if asks:
        connection.data_received(REQUEST)
        await turns()
    connection.connection_lost(lost)
    await turns()
    kept = weakref.ref(connection)
    del connection
    gc.collect()
    assert kept() is None
