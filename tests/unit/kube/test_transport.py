# SPDX-License-Identifier: Apache-2.0
"""Kept connections, against a server that does what the test says: no answer is lost, given to
another, or asked for twice where asking twice would do something twice."""

import asyncio
import contextlib
import gc

import pytest

from cabgate_kube.credentials import Access
from cabgate_kube.transport import (
    MAX_CONNECTIONS,
    MAX_HEAD_BYTES,
    ConnectionFailed,
    Connections,
)
from support.waiting import until


def answer(body=b"ok", status="200 OK", headers=""):
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


class Server:
    """A server on loopback; `behave(connection, request, writer)` does the answering, with the
    number of the connection and of the request on it, from 1."""

    def __init__(self, behave):
        self._behave = behave
        self.requests, self.heads = [], []
        self.connections = self.ended = 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.pool = Connections(Access(self.url))
        return self

    async def __aexit__(self, *_):
        self.pool.close()
        self._server.close()

    async def _serve(self, reader, writer):
        self.connections += 1
        connection, asked = self.connections, 0
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = [n for n in head.split(b"\r\n") if n.startswith(b"Content-Length: ")]
                body = await reader.readexactly(int(length[0][16:])) if length else b""
                asked += 1
                self.heads.append(head)
                self.requests.append(head.split(b" HTTP")[0] + body)
                await self._behave(connection, asked, writer)
        self.ended += 1
        writer.close()

    async def get(self, target="/", method="GET", body=b""):
        return await self.pool.call(method, target, headers={"A": "b"}, body=body)


async def served(behave, test):
    async with asyncio.timeout(60), Server(behave) as server:
        return await test(server)


async def well(_connection, _request, writer):
    writer.write(answer())


async def test_calls_one_after_another_share_a_connection():
    async def test(server):
        for _ in range(5):
            assert (await server.get()).body == b"ok"
        assert server.connections == 1

    await served(well, test)


async def test_calls_at_a_time_each_get_their_own_answer_over_no_more_connections_than_allowed():
    async def slow_echo(connection, _request, writer):
        last[connection] = server_of[0].requests[-1]
        await asyncio.sleep(0.01)
        writer.write(answer(last[connection]))

    server_of, last = [None], {}

    async def test(server):
        server_of[0] = server
        answers = await asyncio.gather(*(server.get(f"/{n}") for n in range(300)))
        assert [found.body for found in answers] == [f"GET /{n}".encode() for n in range(300)]
        assert server.connections <= MAX_CONNECTIONS

    await served(slow_echo, test)


async def closing_after_each(_connection, _request, writer):
    """The server answers and closes without having said that it would."""
    writer.write(answer())
    await writer.drain()
    writer.close()


async def closing_under_the_second(_connection, request, writer):
    """The server takes the second request of a connection and closes instead of answering."""
    if request == 1:
        writer.write(answer())
    else:
        writer.close()


@pytest.mark.parametrize("behave", [closing_after_each, closing_under_the_second])
async def test_a_read_on_a_connection_that_was_closed_under_it_is_tried_once_more(behave):
    async def test(server):
        for _ in range(6):
            assert (await server.get()).body == b"ok"

    await served(behave, test)


async def test_a_read_that_finds_its_connection_about_to_end_goes_over_another():
    """The event loop tells of an end one turn after it has seen it."""

    async def test(server):
        await server.get()
        server.pool._idle[0]._transport.close()
        assert (await server.get()).body == b"ok"
        assert server.connections == len(server.requests) == 2

    await served(well, test)


async def test_a_call_that_may_not_be_sent_leaves_nothing_behind_that_is_logged():
    """As each write of a replica that leads no more."""

    class NotAllowedError(Exception):
        pass

    def refuse():
        raise NotAllowedError

    async def test(server):
        seen = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, about: seen.append(about))
        with pytest.raises(NotAllowedError):
            await server.pool.call("POST", "/w", headers={}, check=refuse)
        await until(lambda: server.ended, "the connection is closed")
        gc.collect()
        assert (server.requests, seen) == ([], [])

    await served(well, test)


async def test_a_write_is_sent_once_whatever_becomes_of_it():
    async def test(server):
        assert (await server.get()).status == 200
        with pytest.raises(ConnectionFailed, match="closed before the answer"):
            await server.get("/w", "POST", b"{}")
        assert server.requests == [b"GET /", b"POST /w{}"]

    await served(closing_under_the_second, test)


async def test_a_server_that_always_closes_is_asked_once_on_a_new_connection():
    async def never(_connection, _request, writer):
        writer.close()

    async def test(server):
        with pytest.raises(ConnectionFailed, match="closed before the answer"):
            await server.get()
        assert len(server.requests) == 1

    await served(never, test)


async def test_an_answer_that_breaks_off_is_an_error_and_is_not_asked_for_again():
    async def broken(_connection, request, writer):
        writer.write(answer() if request == 1 else answer(b"x" * 99)[:60])
        if request > 1:
            await writer.drain()
            writer.close()

    async def test(server):
        await server.get()
        with pytest.raises(ConnectionFailed, match="within the answer"):
            await server.get()
        assert len(server.requests) == 2

    await served(broken, test)


async def test_the_answer_to_a_call_that_was_given_up_is_nobody_elses():
    given_up = asyncio.Event()

    async def late(_connection, request, writer):
        if request == 2:
            await given_up.wait()
        writer.write(answer(b"late" if request == 2 else b"in time"))

    async def test(server):
        await server.get()
        call = asyncio.create_task(server.get())
        await until(lambda: len(server.requests) == 2, "the call is under way")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        given_up.set()
        await until(lambda: server.ended == 1, "the late answer met a closed connection")
        assert (await server.get()).body == b"in time"
        assert server.connections == 2

    await served(late, test)


@pytest.mark.parametrize(
    "sent",
    [
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * (MAX_HEAD_BYTES + 1),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_what_is_no_answer_is_an_error(sent):
    async def nonsense(_connection, _request, writer):
        writer.write(sent)

    async def test(server):
        with pytest.raises(ConnectionFailed):
            await server.get()

    await served(nonsense, test)


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate, gzip"])
async def test_what_was_compressed_although_nobody_asked_is_refused_as_that(encoding):
    """It would be read as an answer that is no JSON, in every sweep anew."""

    async def compressed(_connection, _request, writer):
        writer.write(answer(b"\x1f\x8b\x08", headers=f"Content-Encoding: {encoding}\r\n"))

    async def test(server):
        with pytest.raises(ConnectionFailed, match=f"encoded as {encoding.lower()}"):
            await server.get()

    await served(compressed, test)


async def test_a_proxy_on_the_way_is_told_that_nothing_is_to_be_compressed():
    async def plain(_connection, _request, writer):
        writer.write(answer(headers="Content-Encoding: identity\r\n"))

    async def test(server):
        assert (await server.get()).body == b"ok"
        assert b"\r\nAccept-Encoding: identity\r\n" in server.heads[0]

    await served(plain, test)


async def test_what_comes_behind_an_answer_is_not_taken_for_the_next_one():
    async def twice(_connection, request, writer):
        writer.write(answer(b"first") + (answer(b"forged") if request == 1 else b""))

    async def test(server):
        assert (await server.get()).body == b"first"
        await until(lambda: server.ended == 1, "the connection is given up")
        assert (await server.get()).body == b"first"

    await served(twice, test)


@pytest.mark.parametrize(
    ("behave", "connections"),
    [("HTTP/1.1 200 OK\r\nConnection: close\r\n", 3), ("HTTP/1.1 200 OK\r\n", 1)],
)
async def test_a_connection_is_kept_unless_the_server_says_otherwise(behave, connections):
    async def chunked(_connection, _request, writer):
        writer.write(behave.encode() + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")

    async def test(server):
        for _ in range(3):
            assert (await server.get()).body == b"ok"
        assert server.connections == connections

    await served(chunked, test)


async def test_a_server_behind_a_path_is_asked_below_that_path():
    """As Rancher serves many API servers under one name."""

    async def test(server):
        pool = Connections(Access(server.url + "/k8s/clusters/c-1"))
        await pool.call("GET", "/api/v1/namespaces?limit=1", headers={})
        pool.close()
        assert server.requests == [b"GET /k8s/clusters/c-1/api/v1/namespaces?limit=1"]

    await served(well, test)


async def test_nothing_gets_into_the_head_of_a_request_by_a_name():
    async def test(server):
        with pytest.raises(ValueError, match="line break"):
            await server.get("/a\r\nAuthorization: other")
        assert server.requests == []

    await served(well, test)
