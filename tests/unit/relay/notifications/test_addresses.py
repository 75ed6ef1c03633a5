# SPDX-License-Identifier: Apache-2.0
"""Which addresses may be sent to."""

import socket
from ipaddress import ip_network
from typing import Any

import pytest

from cabgate_relay.notifications.addresses import (
    AddressRefusedError,
    checked_socket,
    connected,
    refusal,
)

TEN = [ip_network("10.1.0.0/16")]


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1"),  # noqa: S104
        *("169.254.169.254", "169.254.1.1", "100.100.100.200", "100.64.0.1", "168.63.129.16"),
        *("192.0.0.192", "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1"),
        *("64:ff9b::a00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:a00:1::", "2001:0:1::"),
        *("2001:db8::1", "fec0::1", "::10.0.0.1", "::8.8.8.8", "::ffff:0:10.0.0.1"),
        *("::ffff:0:8.8.8.8", "5f00::1", "3fff::1", "192.88.99.1", "4000::1"),
    ],
)
def test_what_is_inside_is_not_sent_to(address: str) -> None:
    assert "not in allowedAddresses" in refusal(address, [])


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
)
def test_what_is_public_is_sent_to(address: str) -> None:
    assert refusal(address, []) == ""


@pytest.mark.parametrize(
    ("address", "there"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("64:ff9b::a01:203", True),
        ("10.2.0.1", False),
        ("::1", False),
    ],
)
def test_what_is_listed_is_sent_to(address: str, there: bool) -> None:
    assert (refusal(address, TEN) == "") is there


def test_a_socket_is_for_the_address_that_was_checked() -> None:
    info = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 443))
    with pytest.raises(AddressRefusedError, match=r"127\.0\.0\.1 is private"):
        checked_socket(info, [])
    checked_socket(info, [ip_network("127.0.0.0/8")]).close()


async def test_of_several_addresses_the_first_that_may_be_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        answers = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("169.254.169.254", "127.0.0.1")
        ]

        def resolve(*_: Any, **__: Any) -> Any:
            return answers

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        found = await connected("mail.example.com", port, [ip_network("127.0.0.0/8")])
        with found:
            assert found.getpeername() == ("127.0.0.1", port)
        with pytest.raises(AddressRefusedError):
            await connected("mail.example.com", port, [])
