# SPDX-License-Identifier: Apache-2.0
"""TLS handshakes in memory, and folders that change as the kubelet changes a mounted Secret."""

import itertools
import ssl

_numbers = itertools.count(1)


def handshake(server, client, name="localhost"):
    """The client's end of a connection, once both sides have agreed. Raises `ssl.SSLError`."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    left = list(ends)
    for _ in range(20):
        for end in list(left):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            left.remove(end)
        if not left:
            # With TLS 1.3 the client is done before the server has looked at its certificate.
            ends[1].write(b"x")
            assert ends[0].read(1) == b"x"
            return ends[0]
    raise AssertionError("no end of the handshake")


def turn(folder, files):
    """Put files (names and contents) into a folder, all at once: a symlink is turned."""
    folder.mkdir(exist_ok=True)
    made = folder / f"..{next(_numbers)}"
    made.mkdir()
    for name, content in files.items():
        (made / name).write_bytes(content)
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(f"..data/{name}")
    draft = folder / "..data_tmp"
    draft.symlink_to(made.name)
    draft.replace(folder / "..data")
