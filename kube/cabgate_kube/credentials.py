# SPDX-License-Identifier: Apache-2.0
"""Where the API server is, and the credentials for it: those of the Pod's service account, whose
files the kubelet keeps current, or else those of a kubeconfig."""

import logging
import os
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
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

    `ca` is a file of CA certificates, `ca_pem` are such certificates, and without either those of
    the machine are trusted; `identity` is a client certificate and its key, each a file or PEM.
    With `socket` the server is reached by that Unix socket, as `kubectl proxy --unix-socket`
    listens. The CA is read again when its file changes, the token whenever it is asked for. Raises
    `OSError` for files that cannot be used, `ValueError` for a CA without a certificate.
    """

    def __init__(
        self,
        server: str,
        ca: Path | None = None,
        *,
        ca_pem: str | None = None,
        authorization: Callable[[], str] = lambda: "",
        identity: tuple[Path | bytes, Path | bytes] | None = None,
        socket: Path | None = None,
    ) -> None:
        self.server = server
        self.socket = socket
        self.ca = ca
        self.identity = identity
        self._ca_pem = ca_pem
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
        if self._ca_pem == "":  # the machine's own would be trusted
            raise ValueError("the certificate-authority-data is empty")
        try:
            context = ssl.create_default_context(
                cafile=None if self.ca is None else str(self.ca), cadata=self._ca_pem
            )
        except OSError as error:
            raise OSError(f"{self.ca}: {error}") from None
        if self.identity is not None:
            _identify(context, self.identity)
        return context


def _identify(context: ssl.SSLContext, identity: tuple[Path | bytes, Path | bytes]) -> None:
    """Give a context its client certificate, which Python takes from files alone."""
    with TemporaryDirectory() as folder:  # that nobody else can look into, and only for this
        certificate, key = (
            _written(part, Path(folder, name))
            for name, part in zip(("tls.crt", "tls.key"), identity, strict=True)
        )
        context.load_cert_chain(certificate, key)


def _written(part: Path | bytes, to: Path) -> str:
    """The file of a part, after it was written if it is in none."""
    if isinstance(part, Path):
        return str(part)
    to.write_bytes(part)
    return str(to)


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
        found = configured(path)
    except UNUSABLE as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from None
    settings = found.settings
    if not settings.verify_ssl:
        raise ValueError("insecure-skip-tls-verify is not supported; name a certificate-authority")
    authorization = _of(settings, found.token)
    if found.identity is None and not authorization():
        raise ValueError("the user of the current context has no credentials")
    return Access(
        settings.host.rstrip("/"),
        found.ca,
        ca_pem=found.ca_pem,
        authorization=authorization,
        identity=found.identity,
    )


def _of(found: Any, token: str | Path | None) -> Callable[[], str]:
    """The header by a token or the file of it, or else by a configuration of the `kubernetes`
    package, which renews what plugins gave."""
    if isinstance(token, Path):
        return TokenFile(token)
    if token:
        header = f"Bearer {token}"
        return lambda: header
    return lambda: str(found.get_api_key_with_prefix("BearerToken") or "")
