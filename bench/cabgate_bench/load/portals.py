# SPDX-License-Identifier: Apache-2.0
"""The portal that is measured, and whose tokens its API server takes."""

import secrets
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path

from cabgate_bench.load.loadgen import Client
from cabgate_devcluster import DevCluster, Process, wait_until


def tokens_of(names: Iterable[str], path: Path) -> Mapping[str, str]:
    """A token for each name, which an API server takes by `--token-auth-file` of that path."""
    tokens = {name: secrets.token_hex(16) for name in names}
    path.write_text("".join(f"{token},{name},{name}\n" for name, token in tokens.items()))
    return tokens


def trusting(cluster: DevCluster) -> Client:
    """A client for the load that trusts the API server of a cluster, and is nobody."""
    path = cluster.directory / "bench-ca.crt"
    path.write_bytes(cluster.ca_pem)
    return Client(path)


def start_portal(cluster: DevCluster, port: int, *options: str) -> Process:
    """Start a portal on a port of loopback, which limits nobody; returns once it is ready."""
    health = cluster.free_port()
    process = cluster.spawn(
        "portal",
        [
            *(Path(sys.executable).with_name("cabgate-portal"), "--api-server", cluster.server),
            *("--api-server-ca", trusting(cluster).ca, "--port", str(port)),
            *("--health-port", str(health), "--health-host", "127.0.0.1"),
            *("--calls-per-second", "10000", "--drain-seconds", "0", *options),
        ],
    )

    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{health}/readyz"):
                return True
        except (urllib.error.URLError, OSError):
            return False

    wait_until(ready, "the portal is ready")
    return process
