# SPDX-License-Identifier: Apache-2.0
"""Where the API server is, and the credentials for it: those of the Pod's service account, whose
files the kubelet keeps current, or else those of a kubeconfig."""

import logging
import os
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cabgate_kube.process.logs import PlainError, fields

log = logging.getLogger(__name__)
_SILENT = logging.getLogger(f"{__name__}.silent")
_SILENT.disabled = True

FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet mounts token and CA of a Pod's service account."""


class AccessError(PlainError):
    """There is no way to an API server; says where one was sought and what is wrong there."""


class Access:
    """The API server at a URL, trust in it, and the credentials that are sent to it.

    `ca` is a file of CA certificates, without which those of the machine are trusted; `identity`
    the files of a client certificate and its key. The CA is read again when its file changes, the
    token whenever it is asked for. Raises `OSError` for files that cannot be used.
    """

    def __init__(
        self,
        server: str,
        ca: Path | None = None,
        *,
        authorization: Callable[[], str] = lambda: "",
        identity: tuple[Path, Path] | None = None,
    ) -> None:
        self.server = server
        self.ca = ca
        self.identity = identity
        self._authorization = authorization
        self.tells = True
        """Whether a new CA is logged: of two accesses of one process by one of them."""
        self._ca_seen = None if ca is None else _version(ca)
        self._trust = self._trusting()

    def authorization(self) -> str:
        """The header of that name as it is now, such as `Bearer x`; empty if none is sent.

        Raises `OSError` if there never was a token.
        """
        return self._authorization()

    def headers(self) -> Mapping[str, str]:
        """Headers that say who calls. Raises `OSError`."""
        value = self.authorization()
        return {"Authorization": value} if value else {}

    def trust(self) -> ssl.SSLContext:
        """Trust in the CA as it stands in its file now; in the one before while that cannot be
        used. Another context is another CA."""
        if self.ca is None:
            return self._trust
        try:
            seen = _version(self.ca)
        except OSError:  # not there for a moment
            return self._trust
        if seen != self._ca_seen:
            self._ca_seen = seen
            self._take_up(self.ca)
        return self._trust

    def _take_up(self, ca: Path) -> None:
        about = {"object": str(ca)}
        logger = log if self.tells else _SILENT
        try:
            self._trust = self._trusting()
        except (OSError, ValueError) as error:
            logger.error(
                "the new CA of the API server cannot be used, the old one stays: %s",
                type(error).__name__,
                extra=fields(**about, reason="NewCAUnusable"),
            )
        else:
            logger.info(
                "loaded a new CA of the API server", extra=fields(**about, reason="NewCATrusted")
            )

    def _trusting(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
        except OSError as error:
            raise OSError(f"{self.ca}: {error}") from None
        if self.identity is not None:
            context.load_cert_chain(*self.identity)
        return context


class TokenFile:
    """A token in a file: each call gives the header for what it holds, or held last where it holds
    none. A token lives for an hour, the process for months."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._token, self._version = "", (0, 0, 0)

    def __call__(self) -> str:
        """The header. Raises `OSError` if there never was a token."""
        try:
            version = _version(self._path)
            if version != self._version:
                text = self._path.read_text(encoding="utf-8").strip()
                if not text:
                    raise OSError(f"{self._path} is empty")
                self._token, self._version = text, version
        except OSError:
            if not self._token:
                raise
        return f"Bearer {self._token}"


def _version(path: Path) -> tuple[int, int, int]:
    """What differs once a file was changed, or another one stands in its place."""
    found = path.stat()
    return found.st_mtime_ns, found.st_ino, found.st_size


def access_of(env: Mapping[str, str] = os.environ) -> Access:
    """Access by the service account in a cluster, else by the files in KUBECONFIG.

    Raises `AccessError`.
    """
    inside, kubeconfig = "KUBERNETES_SERVICE_HOST" in env, env.get("KUBECONFIG", "")
    if not inside and not kubeconfig:
        raise AccessError("no API server: neither in a Pod nor is KUBECONFIG set")
    try:
        found = _service_account(env) if inside else _kubeconfig(kubeconfig)
        found.headers()  # none is sent where there never was a token
    except (OSError, ValueError) as error:
        where = "the service account" if inside else f"kubeconfig {kubeconfig}"
        raise AccessError(f"no API server: cannot use {where}: {error}") from None
    return found


def _service_account(env: Mapping[str, str]) -> Access:
    host, port = env["KUBERNETES_SERVICE_HOST"], env.get("KUBERNETES_SERVICE_PORT", "443")
    # By its address, which needs no DNS.
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    return Access(server, FOLDER / "ca.crt", authorization=TokenFile(FOLDER / "token"))


def _kubeconfig(path: str) -> Access:
    """Access by the current context. Raises `ValueError` for what is no usable kubeconfig."""
    # Not at the top: in a Pod nobody needs it, and it is 10 MB.
    from cabgate_kube.kubeconfig import UNUSABLE, configured

    try:
        found, token_file = configured(path)
    except UNUSABLE as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from None
    if not found.verify_ssl:
        raise ValueError("insecure-skip-tls-verify is not supported; name a certificate-authority")
    if found.cert_file and not found.key_file:
        raise ValueError("the user of the current context has a client-certificate, no client-key")
    identity = (Path(found.cert_file), Path(found.key_file)) if found.cert_file else None
    ca = Path(found.ssl_ca_cert) if found.ssl_ca_cert else None
    authorization = _of(found) if token_file is None else TokenFile(token_file)
    if token_file is None and identity is None and not authorization():
        raise ValueError("the user of the current context has no credentials")
    return Access(found.host.rstrip("/"), ca, authorization=authorization, identity=identity)


def _of(found: Any) -> Callable[[], str]:
    """The header by a configuration of the `kubernetes` package, which renews what plugins gave."""
    return lambda: str(found.get_api_key_with_prefix("BearerToken") or "")
