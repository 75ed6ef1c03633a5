# SPDX-License-Identifier: Apache-2.0
"""Ports that are handed out stay those of whoever asked."""

import socket
import sys

import pytest

from cabgate_devcluster.servers.ports import Ports


def _server(port):
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    made.listen()
    return made


@pytest.fixture
def ports():
    made = Ports()
    yield made
    made.release()


@pytest.mark.skipif(
    sys.platform != "linux", reason="other kernels refuse a held port to its server"
)
def test_a_port_is_kept_while_its_server_is_away_and_nobody_else_finds_it_free(ports):
    port = ports.free()
    for _ in range(2):  # it may end and begin again
        with _server(port), socket.create_connection(("127.0.0.1", port), timeout=60):
            pass
        with pytest.raises(OSError, match="in use"), socket.socket() as other:
            other.bind(("127.0.0.1", port))


def test_what_is_released_is_free(ports):
    port = ports.free()
    ports.release()
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))


def test_no_port_is_given_twice(ports):
    given = [ports.free() for _ in range(50)]
    assert len(set(given)) == len(given)
