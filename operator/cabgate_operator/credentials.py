# SPDX-License-Identifier: Apache-2.0
"""The service account of this Pod: a token and a CA, in files that the kubelet keeps current. Both
are read again when they change: a token lives for an hour, the process for months."""

import asyncio
import contextlib
import logging
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.client.rest import RESTClientObject

from cabgate.logs import fields

log = logging.getLogger(__name__)

FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet mounts them."""

LEFT_SECONDS = 30.0
"""How long connections under an old CA are kept: longer than a call may take."""

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
            ssl.create_default_context(cafile=str(self.ca))
        except (OSError, ValueError) as error:
            about = fields(object=str(self.ca), reason="NewCAUnusable")
            why = type(error).__name__
            log.error("the new CA of the API server cannot be used: %s", why, extra=about)
        else:
            self._ca_version = version


def _version(path: Path) -> Version:
    found = path.stat()
    return found.st_mtime_ns, found.st_ino, found.st_size


def client_of(account: ServiceAccount, configuration: Configuration) -> ApiClient:
    """A client that follows the files of a service account. Raises `OSError` without them."""
    configuration.host = account.server
    configuration.ssl_ca_cert = str(account.ca)

    def refresh(current: Configuration) -> None:
        current.api_key["BearerToken"] = f"Bearer {account.token()}"

    refresh(configuration)  # no token is sent where there was none at first
    # Where mypy is told to look away: the client carries no types there.
    configuration.refresh_api_key_hook = refresh  # type: ignore[assignment]
    client = ApiClient(configuration)
    client.rest_client = _Following(configuration, account)
    return client


class _Following(RESTClientObject):
    """Connections that trust the CA as its file has it now. Those under the one before are left to
    what they are at, and closed later."""

    def __init__(self, configuration: Configuration, account: ServiceAccount) -> None:
        self._account = account
        self._trusted = account.ca_version()
        self._closing: set[asyncio.Task[None]] = set()
        super().__init__(configuration)

    async def request(self, *args: Any, **options: Any) -> Any:
        """One call."""
        version = self._account.ca_version()
        if version != self._trusted:
            self._trusted = version
            self._take_up()
        return await super().request(*args, **options)  # type: ignore[no-untyped-call]

    def _take_up(self) -> None:
        self.ssl_context = RESTClientObject(self.configuration).ssl_context
        old, self.pool_manager = self.pool_manager, None
        if old is not None:
            task = asyncio.create_task(_close_later(old))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        about = fields(object=str(self._account.ca), reason="NewCATrusted")
        log.info("took up a new CA of the API server", extra=about)

    async def close(self) -> None:
        """Close all connections."""
        for task in list(self._closing):
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        await super().close()


async def _close_later(session: Any) -> None:
    try:
        await asyncio.sleep(LEFT_SECONDS)
    finally:
        await session.close()
