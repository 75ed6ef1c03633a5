# SPDX-License-Identifier: Apache-2.0
"""The service account of this Pod: a token and a CA, in files that the kubelet keeps current. Both
are read again when they change: a token lives for an hour, the process for months."""

import contextlib
import logging
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import kopf
import yaml

from cabgate_kube.process.logs import PlainError, fields

log = logging.getLogger(__name__)

FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet mounts them."""

Version = tuple[int, int, int]
"""What differs once a file was changed, or another one stands in its place."""


class ServiceAccount:
    """Where the API server is, and the credentials for it as they are now."""

    def __init__(self, server: str, folder: Path = FOLDER) -> None:
        self.server = server
        self.ca = folder / "ca.crt"
        self._token_file = folder / "token"
        self._token, self._token_version = "", (0, 0, 0)
        self._ca_seen = self._ca_version = (0, 0, 0)

    @classmethod
    def of_this_pod(cls, env: Mapping[str, str] = os.environ) -> "ServiceAccount | None":
        """That of the Pod; None outside of one."""
        host, port = env.get("KUBERNETES_SERVICE_HOST"), env.get("KUBERNETES_SERVICE_PORT", "443")
        if not host:
            return None
        # By its address, which needs no DNS.
        return cls(f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}")

    def token(self) -> str:
        """The token that the file holds; the one before while it holds none.

        Raises `OSError` if there never was one.
        """
        try:
            version = _version(self._token_file)
            if version != self._token_version:
                text = self._token_file.read_text(encoding="utf-8").strip()
                if not text:
                    raise OSError(f"{self._token_file} is empty")
                self._token, self._token_version = text, version
        except OSError:
            if not self._token:
                raise
        return self._token

    def headers(self) -> Mapping[str, str]:
        """The token as a header. Raises `OSError` if there never was one."""
        return {"Authorization": f"Bearer {self.token()}"}

    def trust(self) -> ssl.SSLContext:
        """Trust in the CA that the file holds. Raises `OSError`."""
        return ssl.create_default_context(cafile=str(self.ca))

    def ca_version(self) -> Version:
        """What differs once the file of the CA was changed into another that can be used."""
        with contextlib.suppress(OSError):  # not there for a moment
            version = _version(self.ca)
            if version != self._ca_seen:
                self._ca_seen = version
                self._try_ca(version)
        return self._ca_version

    def _try_ca(self, version: Version) -> None:
        try:
            self.trust()
        except (OSError, ValueError) as error:
            about = fields(object=str(self.ca), reason="NewCAUnusable")
            why = type(error).__name__
            log.error("the new CA of the API server cannot be used: %s", why, extra=about)
        else:
            self._ca_version = version


def _version(path: Path) -> Version:
    found = path.stat()
    return found.st_mtime_ns, found.st_ino, found.st_size


class Kubeconfig:
    """Access by the current context of the files in KUBECONFIG, as kopf reads them."""

    def __init__(self, info: kopf.ConnectionInfo) -> None:
        self.server = info.server
        self._info = info

    def headers(self) -> Mapping[str, str]:
        """Headers that say who calls."""
        return self._info.as_http_headers()

    def trust(self) -> ssl.SSLContext:
        """Trust in the API server, and the certificate of the one who calls."""
        return self._info.as_ssl_context()

    def ca_version(self) -> Version:
        """Always the same: such a file is read once."""
        return (0, 0, 0)


class Access(Protocol):
    """Where the API server is, and the credentials for it as they are now."""

    @property
    def server(self) -> str:
        """Its URL."""

    def headers(self) -> Mapping[str, str]:
        """Headers that say who calls. Raises `OSError`."""

    def trust(self) -> ssl.SSLContext:
        """Trust in the API server, for new connections. Raises `OSError`."""

    def ca_version(self) -> Version:
        """What differs once `trust` would give another one."""


class AccessError(PlainError):
    """There is no way to an API server; says where one was sought."""


def access_of(env: Mapping[str, str] = os.environ) -> Access:
    """Access by the service account in a cluster, else by KUBECONFIG.

    Raises `AccessError`.
    """
    account = ServiceAccount.of_this_pod(env)
    try:
        if account is not None:
            account.headers()  # none is sent where there never was a token
            account.trust()
            return account
        info = kopf.login_with_kubeconfig(settings=kopf.OperatorSettings())
        if info is not None:
            found = Kubeconfig(info)
            found.trust()
            return found
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError, kopf.LoginError) as error:
        where = "the service account" if account is not None else "KUBECONFIG"
        raise AccessError(f"no API server: cannot use {where}: {error}") from None
    raise AccessError("no API server: neither in a Pod nor is KUBECONFIG set")
