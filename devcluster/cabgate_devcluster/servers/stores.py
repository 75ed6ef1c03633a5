# SPDX-License-Identifier: Apache-2.0
"""What keeps the objects of the API server: etcd, or kine, which speaks etcd's protocol and keeps
them in SQLite, as k3s does."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cabgate_devcluster.errors import DevClusterError
from cabgate_devcluster.programs.binaries import Binaries, locate_program
from cabgate_devcluster.servers.layout import Layout
from cabgate_devcluster.servers.probe import Probe

VARIABLE = "DEVCLUSTER_STORE"
"""Environment variable that names the store; etcd without it. Not CABGATE_...: webhook and operator
inherit it, and refuse settings that they do not know."""


@dataclass(frozen=True)
class Store:
    """One program that can keep them. It goes by the name "etcd" in a cluster, whichever it is."""

    command: Callable[[Binaries, Layout, Sequence[str]], list[str]]
    """Its command line, with further flags last, so that they win."""
    ready: Callable[[Layout, Probe], tuple[bool, str]]
    """Whether it answers, and what it answered or what went wrong; never raises."""
    kept_in: str
    """What its data folder has in it once it has run: by that a snapshot of it is known."""


def chosen(environ: Mapping[str, str] | None = None) -> Store:
    """Return the store that the environment names; `DevClusterError` if it names another."""
    name = (os.environ if environ is None else environ).get(VARIABLE) or "etcd"
    if name not in STORES:
        raise DevClusterError(f"{VARIABLE}={name}: no such store; there are {', '.join(STORES)}")
    return STORES[name]


def _etcd(binaries: Binaries, layout: Layout, args: Sequence[str]) -> list[str]:
    client = f"https://127.0.0.1:{layout.etcd_port}"
    peer = f"https://127.0.0.1:{layout.etcd_peer_port}"
    pki = layout.pki
    return [
        str(binaries.etcd),
        "--name=devcluster",
        f"--data-dir={layout.etcd_data}",
        # Its data is worth nothing after the run; fsync is most of the time of a write.
        "--unsafe-no-fsync",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=devcluster={peer}",
        # The only member waits for nobody: the default lets a second pass before it leads.
        "--heartbeat-interval=20",
        "--election-timeout=200",
        "--log-format=console",
        # Loopback is open to every user of the machine, so etcd asks for certificates too.
        f"--cert-file={pki / 'etcd.crt'}",
        f"--key-file={pki / 'etcd.key'}",
        f"--trusted-ca-file={pki / 'etcd-ca.crt'}",
        "--client-cert-auth",
        f"--peer-cert-file={pki / 'etcd.crt'}",
        f"--peer-key-file={pki / 'etcd.key'}",
        f"--peer-trusted-ca-file={pki / 'etcd-ca.crt'}",
        "--peer-client-cert-auth",
        *args,
    ]


def _kine(_: Binaries, layout: Layout, args: Sequence[str]) -> list[str]:
    if args:
        raise DevClusterError(f"kine takes no flags of etcd: {' '.join(args)}")
    layout.etcd_data.mkdir(mode=0o700, exist_ok=True)
    # As kine has it by default; but its data is worth nothing after the run, so nothing is synced.
    how = "_journal_mode=WAL&_busy_timeout=30000&_synchronous=OFF&_txlock=immediate"
    pki = layout.pki
    return [
        str(locate_program("kine")),
        f"--listen-address=127.0.0.1:{layout.etcd_port}",
        f"--endpoint=sqlite://{layout.etcd_data / _DATABASE}?{how}",
        "--metrics-bind-address=0",
        f"--server-cert-file={pki / 'etcd.crt'}",
        f"--server-key-file={pki / 'etcd.key'}",
        # With it kine asks for certificates, as etcd does.
        f"--trusted-ca-file={pki / 'etcd-ca.crt'}",
    ]


def _answers(_: Layout, probe: Probe) -> tuple[bool, str]:
    return probe.ask("/readyz")


def _greets(_: Layout, probe: Probe) -> tuple[bool, str]:
    """Whether kine listens, which it does once its database is ready; it speaks gRPC alone."""
    return probe.greet("h2")


_DATABASE = "state.db"

STORES = {
    "etcd": Store(_etcd, _answers, "member"),
    "kine": Store(_kine, _greets, _DATABASE),
}
