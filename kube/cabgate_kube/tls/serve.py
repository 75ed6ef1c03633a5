# SPDX-License-Identifier: Apache-2.0
"""The serving certificate: files that change while the process runs, as a Secret's do."""

import asyncio
import hashlib
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from cabgate_kube.clock import Clock
from cabgate_kube.process.logs import fields
from cabgate_kube.tls.rotate import Validity, serving_doubt

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
"""Time between two looks at the files."""

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Ciphers of TLS 1.2: forward secrecy and authenticated encryption. TLS 1.3 has no others."""


class CertificateError(Exception):
    """Files that are no usable certificate and key; the message says which and why."""


@dataclass(frozen=True)
class Files:
    """Where certificate and key are, and the CA of clients where they are asked for one."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def resolved(self) -> "Files":
        """The files that the names lead to now.

        Kubernetes changes a mounted Secret by turning one symlink: what was resolved stays of one
        making, even if that happens in between.
        """
        ca = None if self.client_ca is None else self.client_ca.resolve()
        return Files(self.certificate.resolve(), self.key.resolve(), ca)

    def fingerprint(self) -> bytes:
        """Changes when the content of a file does. Raises `OSError`."""
        digest = hashlib.sha256()
        for path in (self.certificate, self.key, self.client_ca):
            content = b"" if path is None else path.read_bytes()
            digest.update(len(content).to_bytes(8, "big") + content)
        return digest.digest()


class ServingCertificate:
    """A TLS context whose certificate follows files. Raises `CertificateError` when made.

    Each new content becomes a context of its own, which new connections are handed at the start of
    their handshake. So a pair that cannot be used changes nothing, and a CA of clients that went is
    not trusted any more; both would not hold for files loaded into a context that is in use.
    """

    def __init__(
        self, files: Files, clock: Clock, not_usable: Callable[[], None] = lambda: None
    ) -> None:
        """`not_usable` is called for each new content that cannot be used."""
        self._files = files
        self._clock = clock
        self._not_usable = not_usable
        self._seen = self._fingerprint()
        self._inner, self.validity = load(files.resolved())
        self.context = _context()
        """What the server is given."""
        if files.client_ca is not None:
            self.context.verify_mode = ssl.CERT_REQUIRED
        self.context.sni_callback = self._choose

    def _choose(
        self, connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _outer: ssl.SSLContext
    ) -> None:
        connection.context = self._inner

    def seconds_left(self) -> float:
        """Time until the certificate in use ends; negative once it has."""
        return (self.validity.end - self._clock()).total_seconds()

    def doubt(self) -> str | None:
        """What is wrong with serving it now, if anything."""
        return serving_doubt(self.validity, self._clock())

    def look(self) -> bool:
        """Take up what the files hold, if that is new; whether it was.

        What cannot be used is logged and counted once, and the old one stays.
        """
        seen = self._fingerprint()
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            self._inner, self.validity = load(self._files.resolved())
        except CertificateError as error:
            self._not_usable()
            log.error(
                "the new certificate cannot be used, the old one stays: %s",
                error,
                extra=fields(ends=self.validity.end.isoformat()),
            )
            return False
        log.info("loaded a new certificate", extra=fields(ends=self.validity.end.isoformat()))
        return True

    async def watch(self) -> None:
        """Look at the files again and again."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def _fingerprint(self) -> bytes:
        try:
            return self._files.resolved().fingerprint()
        except OSError as error:
            return str(error).encode()


def load(files: Files) -> tuple[ssl.SSLContext, Validity]:
    """A context that serves these files, and how long its certificate holds.

    Raises `CertificateError`.
    """
    context = _context()
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
        validity = _validity(files.certificate)
    except (OSError, ValueError) as error:
        raise CertificateError(f"{files.certificate} with {files.key}: {_said(error)}") from None
    if files.client_ca is not None:
        try:
            context.load_verify_locations(files.client_ca)
        except (OSError, ValueError) as error:
            raise CertificateError(f"{files.client_ca}: {_said(error)}") from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context, validity


def _validity(path: Path) -> Validity:
    leaf = x509.load_pem_x509_certificate(path.read_bytes())
    return Validity(leaf.not_valid_before_utc, leaf.not_valid_after_utc)


def _no_password() -> str:
    raise ValueError("the key is encrypted; it has to be without a password")


def _said(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "no PEM of a certificate or key").replace("_", " ").lower()
        return f"they cannot be used together: {reason}"
    return str(error)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    # A resumed session would be served by the context that it began with.
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    return context
