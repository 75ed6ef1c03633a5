# SPDX-License-Identifier: Apache-2.0
"""Kubeconfig files that embed their credentials, so that one file is all that a client needs."""

import base64
from pathlib import Path
from typing import Any

import yaml

from cabgate_devcluster.clients.pki import KeyPair, write_private


def certificate_credentials(pair: KeyPair) -> dict[str, str]:
    """Return the `user` part of a kubeconfig for a client certificate."""
    return {
        "client-certificate-data": _base64(pair.cert_pem),
        "client-key-data": _base64(pair.key_pem),
    }


def token_credentials(token: str) -> dict[str, str]:
    """Return the `user` part of a kubeconfig for a bearer token."""
    return {"token": token}


def write_kubeconfig(
    path: Path, *, server: str, ca_pem: bytes, user: str, credentials: dict[str, str]
) -> Path:
    """Write a kubeconfig with one cluster, one user and one context, mode 0600; return `path`."""
    document: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "devcluster",
                "cluster": {"server": server, "certificate-authority-data": _base64(ca_pem)},
            }
        ],
        "users": [{"name": user, "user": credentials}],
        "contexts": [
            {
                "name": "devcluster",
                "context": {"cluster": "devcluster", "user": user, "namespace": "default"},
            }
        ],
        "current-context": "devcluster",
        "preferences": {},
    }
    write_private(path, yaml.safe_dump(document, sort_keys=False).encode())
    return path


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
