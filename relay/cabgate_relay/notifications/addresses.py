# SPDX-License-Identifier: Apache-2.0
"""Which addresses messages may be sent to: whoever writes a URL must not reach by it what is inside
of the cluster, on the node or at the cloud's metadata service. The address that is checked is the
one that is connected to, at each connection, so that a name may not change in between."""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Any

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_UNICAST = ip_network("2000::/3")
"""All of IPv6 that is public. The rest is reserved, local, or IPv4 in a form that nobody needs."""

_METADATA = (ip_network("168.63.129.16/32"), ip_network("192.0.0.0/24"))
"""Of Azure and of Oracle's cloud, which not every Python knows for what they are. The others' are
link-local or private."""

_TRANSLATED = ip_network("64:ff9b::/96")
"""NAT64: the last four bytes are an IPv4 address."""

_NOT_SENT_TO = (
    ip_network("2002::/16"),
    ip_network("2001::/32"),
    ip_network("192.88.99.0/24"),
)
"""What stands for other addresses in ways that nobody needs here: 6to4, Teredo, relays of 6to4."""

_EXAMPLES = ip_network("3fff::/20")
"""Of documentation, which not every Python knows for it."""


class AddressRefusedError(OSError):
    """An address that may not be sent to."""


def refusal(text: str, allowed: Sequence[Network]) -> str:
    """Why an address may not be sent to; empty if it may."""
    address = _meant(ip_address(text.partition("%")[0]))
    if any(address in network for network in allowed if network.version == address.version):
        return ""
    found = (
        ("private, loopback, link-local or reserved", not _is_public(address)),
        ("multicast", address.is_multicast),
        ("a metadata service", any(address in network for network in _METADATA)),
        ("a translation of another address", any(address in net for net in _NOT_SENT_TO)),
    )
    why = next((name for name, holds in found if holds), "")
    return f"address {address} is {why}, and not in allowedAddresses" if why else ""


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and (address not in _UNICAST or address in _EXAMPLES):
        return False
    return address.is_global


def _meant(address: Address) -> Address:
    """The address that is reached in the end."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _TRANSLATED:
            return IPv4Address(address.packed[-4:])
    return address


def checked_socket(info: Sequence[Any], allowed: Sequence[Network]) -> socket.socket:
    """A socket for an address, as `getaddrinfo` tells of it. Raises `AddressRefusedError`."""
    family, kind, protocol, _, where = info
    why = refusal(str(where[0]), allowed)
    if why:
        raise AddressRefusedError(why)
    return socket.socket(family, kind, protocol)


async def connected(host: str, port: int, allowed: Sequence[Network]) -> socket.socket:
    """A socket that is connected to a host, at the first address of it that may be sent to and
    answers. Raises `OSError`, of which `AddressRefusedError` is one."""
    loop = asyncio.get_running_loop()
    infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failed: OSError = OSError("no address")
    for info in infos:
        try:
            found = checked_socket(info, allowed)
        except OSError as error:
            failed = error
            continue
        try:
            found.setblocking(False)
            await loop.sock_connect(found, info[4])
        except OSError as error:
            found.close()
            failed = error
        except BaseException:
            found.close()
            raise
        else:
            return found
    raise failed
