# SPDX-License-Identifier: Apache-2.0
"""Where the API server is, and how to speak to it: in-cluster or from a kubeconfig.

The `kubernetes` package can do this too, at a price in memory that is more than half of what the
webhook may use: see docs/decisions/0005-webhook-api-client.md.
"""

import base64
import contextlib
import logging
import os
import ssl
from pathlib import Path
from typing import Any

import yaml

log = logging.getLogger(__name__)

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet mounts the token and the CA of a Pod's service account."""


class CredentialsError(Exception):
    """The API server's address or a credential for it cannot be had; says where it was sought."""


class Credentials:
    """Address of the API server, trust in it, and the token that is sent to it.

    Token and CA are read again from their files whenever those change.
    """

    def __init__(
        self, server: str, ca: Path | str | None, *, token: str = "", token_file: Path | None = None
    ) -> None:
        """`ca` is a file of CA certificates or their text; without it the machine's are trusted.

        Raises `OSError` if it holds none.
        """
        self.server = server
        self._ca = ca
        self._ca_seen = _seen(ca) if isinstance(ca, Path) else None
        self._trust = _trusting(ca)
        self._token = token
        self._token_file = token_file
        self._token_seen: _Seen | None = None

    def token(self) -> str:
        """The bearer token, as it stands in its file now. Raises `OSError` and `ValueError`."""
        if self._token_file is not None:
            seen = _seen(self._token_file)
            if seen != self._token_seen:
                self._token = self._token_file.read_text(encoding="utf-8").strip()
                self._token_seen = seen
        return self._token

    def trust(self) -> ssl.SSLContext:
        """Trust in the CA as it stands in its file now; in the one before, if that one cannot be
        read."""
        if isinstance(self._ca, Path):
            with contextlib.suppress(OSError):
                seen = _seen(self._ca)
                if seen != self._ca_seen:
                    self._ca_seen = seen
                    self._take_up(self._ca)
        return self._trust

    def _take_up(self, ca: Path) -> None:
        try:
            self._trust = _trusting(ca)
        except (OSError, ValueError) as error:
            log.error("the new CA of the API server cannot be used, the old one stays: %s", error)
        else:
            log.info("loaded a new CA of the API server from %s", ca)


_Seen = tuple[int, int, int]


def _seen(path: Path) -> _Seen:
    """What differs once a file was changed, or another one stands in its place."""
    found = path.stat()
    return found.st_mtime_ns, found.st_ino, found.st_size


def _trusting(ca: Path | str | None) -> ssl.SSLContext:
    if ca is None:
        return ssl.create_default_context()
    if isinstance(ca, str):
        return ssl.create_default_context(cadata=ca)
    try:
        return ssl.create_default_context(cafile=str(ca))
    except OSError as error:
        raise OSError(f"{ca}: {error}") from None


def load_credentials(
    environment: dict[str, str] | None = None, account: Path = SERVICE_ACCOUNT
) -> Credentials:
    """Credentials from the file in `KUBECONFIG`, or else from the Pod's service account, whose
    folder `account` is.

    Raises `CredentialsError` if neither is there or complete.
    """
    env = dict(os.environ) if environment is None else environment
    if "KUBECONFIG" in env:
        return _from_kubeconfig(Path(env["KUBECONFIG"]))
    if "KUBERNETES_SERVICE_HOST" in env:
        return _in_cluster(env, account)
    raise CredentialsError("no API server: neither in a Pod nor is KUBECONFIG set")


def _in_cluster(env: dict[str, str], account: Path) -> Credentials:
    host, port = env["KUBERNETES_SERVICE_HOST"], env.get("KUBERNETES_SERVICE_PORT", "443")
    host = f"[{host}]" if ":" in host else host
    try:
        return Credentials(
            f"https://{host}:{port}",
            account / "ca.crt",
            token_file=account / "token",
        )
    except OSError as error:
        raise CredentialsError(str(error)) from None


def _from_kubeconfig(path: Path) -> Credentials:
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        context = _named(config, "contexts", config["current-context"])["context"]
        cluster = _named(config, "clusters", context["cluster"])["cluster"]
        user = _named(config, "users", context["user"])["user"]
        server = str(cluster["server"]).rstrip("/")
        return _with_token(user, server, _ca_of(cluster, path.parent), path)
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise CredentialsError(f"kubeconfig {path}: {error!r}") from None


def _with_token(user: Any, server: str, ca: Path | str | None, path: Path) -> Credentials:
    if "token" in user:
        return Credentials(server, ca, token=str(user["token"]))
    if "tokenFile" in user:
        # Like kubectl: beside the kubeconfig, where it is not absolute.
        return Credentials(server, ca, token_file=path.parent / user["tokenFile"])
    raise CredentialsError(f"kubeconfig {path}: the user has neither token nor tokenFile")


def _named(config: Any, section: str, name: str) -> Any:
    for item in config[section]:
        if item["name"] == name:
            return item
    raise KeyError(f"{section}: {name}")


def _ca_of(cluster: Any, folder: Path) -> Path | str | None:
    if "certificate-authority-data" in cluster:
        return base64.b64decode(cluster["certificate-authority-data"]).decode()
    if "certificate-authority" in cluster:
        return folder / str(cluster["certificate-authority"])
    return None
