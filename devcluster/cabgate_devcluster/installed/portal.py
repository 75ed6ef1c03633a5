# SPDX-License-Identifier: Apache-2.0
"""The REST API beside a local cluster, and tokens of users: client certificates end at it."""

import secrets
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path

from cabgate_devcluster.cluster import DevCluster
from cabgate_devcluster.errors import DevClusterError
from cabgate_devcluster.waiting import wait_until

PREFIX = "/api/cab/v1"


def make_tokens(users: Iterable[str]) -> dict[str, str]:
    """A token for each user."""
    return {user: secrets.token_urlsafe(24) for user in users}


def write_tokens(path: Path, tokens: Mapping[str, str]) -> str:
    """Write what kube-apiserver reads tokens from; the argument that tells it so."""
    path.touch(mode=0o600)
    path.write_text("".join(f"{token},{user},{user}\n" for user, token in tokens.items()))
    return f"--token-auth-file={path}"


def start_portal(cluster: DevCluster) -> str:
    """Start it, on loopback and by plain HTTP; returns the URL of its operations once it is ready.
    It ends with the cluster. Raises `DevClusterError` where it does not start."""
    ca = cluster.directory / "portal-ca.crt"
    ca.write_bytes(cluster.ca_pem)
    port, health = cluster.free_port(), cluster.free_port()
    process = cluster.spawn(
        "portal",
        [
            *(sys.executable, "-m", "cabgate_portal.main"),
            *("--api-server", cluster.server, "--api-server-ca", ca),
            *("--port", str(port), "--health-port", str(health), "--health-host", "127.0.0.1"),
            *("--drain-seconds", "0"),
        ],
    )

    def ready() -> bool:
        if not process.running:
            raise DevClusterError(f"the portal ended at its start:\n{process.tail()}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{health}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    wait_until(ready, "the portal is ready")
    return f"http://127.0.0.1:{port}{PREFIX}"
