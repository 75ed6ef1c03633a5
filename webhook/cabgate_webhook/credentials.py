# SPDX-License-Identifier: Apache-2.0
"""Where the API server is, and how to speak to it: in-cluster or from a kubeconfig.

The `kubernetes` package can do this too, at a price in memory that is more than half of what the
webhook may use: see docs/decisions/0005-webhook-api-client.md.
"""

import base64
import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet mounts the token and the CA of a Pod's service account."""


class CredentialsError(Exception):
    """The API server's address or a credential for it cannot be had; says where it was sought."""


@dataclass
class Credentials:
    """Address of the API server, trust in it, and the token that is sent to it."""

    server: str
    ssl_context: ssl.SSLContext
    token_file: Path | None = None
    """File that the token is read from again whenever it changes."""
    _token: str = ""
    _token_mtime: float = field(default=-1.0)

    def token(self) -> str:
        """The bearer token, as it stands in its file now."""
        if self.token_file is not None:
            mtime = self.token_file.stat().st_mtime
            if mtime != self._token_mtime:
                self._token = self.token_file.read_text(encoding="utf-8").strip()
                self._token_mtime = mtime
        return self._token


def load_credentials(environment: dict[str, str] | None = None) -> Credentials:
    """Credentials from the file in `KUBECONFIG`, or else from the Pod's service account.

    Raises `CredentialsError` if neither is there or complete.
    """
    env = dict(os.environ) if environment is None else environment
    if "KUBECONFIG" in env:
        return _from_kubeconfig(Path(env["KUBECONFIG"]))
    if "KUBERNETES_SERVICE_HOST" in env:
        return _in_cluster(env)
    raise CredentialsError("no API server: neither in a Pod nor is KUBECONFIG set")


def _in_cluster(env: dict[str, str]) -> Credentials:
    host, port = env["KUBERNETES_SERVICE_HOST"], env.get("KUBERNETES_SERVICE_PORT", "443")
    host = f"[{host}]" if ":" in host else host
    try:
        context = ssl.create_default_context(cafile=str(SERVICE_ACCOUNT / "ca.crt"))
    except OSError as error:
        raise CredentialsError(f"{SERVICE_ACCOUNT / 'ca.crt'}: {error}") from None
    return Credentials(f"https://{host}:{port}", context, SERVICE_ACCOUNT / "token")


def _from_kubeconfig(path: Path) -> Credentials:
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        context = _named(config, "contexts", config["current-context"])["context"]
        cluster = _named(config, "clusters", context["cluster"])["cluster"]
        user = _named(config, "users", context["user"])["user"]
        trust = _trust(cluster, path.parent)
        server = str(cluster["server"]).rstrip("/")
        return _with_token(user, server, trust, path)
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise CredentialsError(f"kubeconfig {path}: {error!r}") from None


def _with_token(user: Any, server: str, trust: ssl.SSLContext, path: Path) -> Credentials:
    if "token" in user:
        return Credentials(server, trust, _token=str(user["token"]))
    if "tokenFile" in user:
        # Like kubectl: beside the kubeconfig, where it is not absolute.
        return Credentials(server, trust, path.parent / user["tokenFile"])
    raise CredentialsError(f"kubeconfig {path}: the user has neither token nor tokenFile")


def _named(config: Any, section: str, name: str) -> Any:
    for item in config[section]:
        if item["name"] == name:
            return item
    raise KeyError(f"{section}: {name}")


def _trust(cluster: Any, folder: Path) -> ssl.SSLContext:
    if "certificate-authority-data" in cluster:
        data = base64.b64decode(cluster["certificate-authority-data"]).decode()
        return ssl.create_default_context(cadata=data)
    if "certificate-authority" in cluster:
        return ssl.create_default_context(cafile=str(folder / cluster["certificate-authority"]))
    return ssl.create_default_context()
