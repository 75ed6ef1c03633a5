# SPDX-License-Identifier: Apache-2.0
"""The port of probes, with clients on it that are up to no good."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from threading import Thread
from typing import Any

import pytest

from cabgate_devcluster import wait_until
from cabgate_kube.process.health import MAX_CONNECTIONS, Pages, health_config
from cabgate_kube.process.http import Server
from support.sitters import asked, is_closed, sit


async def nothing() -> list[str]:
    return []


PAGES = Pages(list, nothing, lambda: b"up 1\n")


@contextlib.contextmanager
def served(**options: Any) -> Iterator[int]:
    """Port of the pages of a process, served in a thread of their own."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        server = Server(health_config(PAGES, host="", port=0, **options))
        thread = Thread(target=lambda: asyncio.run(server.serve([bound])))
        thread.start()
        try:
            wait_until(lambda: server.started, timeout=60, what="it listens")
            yield int(bound.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def port() -> Iterator[int]:
    with served() as port:
        yield port


def test_clients_that_sit_on_connections_do_not_keep_a_kubelet_from_its_answer() -> None:
    dropped: list[str] = []
    options = {"connection_seconds": 600.0, "dropped": dropped.append}
    with served(**options) as port, contextlib.ExitStack() as stack:
        held = sit(stack, port, 2 * MAX_CONNECTIONS)
        for _ in range(20):
            assert asked(port) == 200
        wait_until(
            lambda: sum(map(is_closed, held)) >= MAX_CONNECTIONS, timeout=60, what="the oldest went"
        )
    assert set(dropped) == {"probe-limit"}


def test_nobody_sits_there_for_long() -> None:
    with served(connection_seconds=1.0) as port, contextlib.ExitStack() as stack:
        held = sit(stack, port, 12)
        wait_until(lambda: all(map(is_closed, held)), timeout=60, what="they were closed")
        wait_until(lambda: asked(port) == 200, timeout=60, what="there is an answer")


def test_other_pages_and_verbs_are_refused(port: int) -> None:
    for path, method, status in (
        ("/", "GET", 404),
        ("/healthz", "POST", 405),
        ("/healthz", "HEAD", 200),
    ):
        connection = HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request(method, path)
        answer = connection.getresponse()
        assert answer.status == status, (method, path)
        assert answer.headers["Connection"] == "close"
        connection.close()
