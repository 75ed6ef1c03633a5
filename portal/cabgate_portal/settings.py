# SPDX-License-Identifier: Apache-2.0
"""The settings of the portal's process: every one is an option and an environment variable, and
docs/configuration.md has it."""

from ipaddress import ip_address
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, FilePath, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from cabgate.review.identity import Machines, configured_machines
from cabgate_kube.process.settings import (
    MACHINE_GROUP,
    MACHINE_USER_PREFIX,
    PREFIX,
    MachineGroups,
    MachineUserPrefixes,
    option_of,
)
from cabgate_kube.process.urls import https_url

PORT = Field(ge=1, le=65535)


class PortalSettings(BaseSettings):
    """Serve cabgate's REST API, and with --oidc-issuer the page.

    Every call goes to the API server with the bearer token of whoever makes it: the process has no
    credentials of its own. Each option is also read from the environment: --log-format as
    CABGATE_LOG_FORMAT. An option wins over a variable.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    api_server: str = Field(
        default="https://kubernetes.default.svc",
        description="URL of the API server, https://HOST[:PORT].",
    )
    api_server_ca: FilePath = Field(
        description="CA certificates of the API server, PEM; read again when the file changes."
    )
    certificate: FilePath | None = Field(
        default=None,
        description="TLS certificate chain, PEM; read again when it changes, like the key. Without "
        "it the portal serves plain HTTP, on a loopback address alone.",
    )
    key: FilePath | None = Field(default=None, description="TLS private key, PEM.")
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: Annotated[int, PORT] = Field(default=8444, description="Port of the REST API.")
    health_host: str = Field(
        default="", description="Address of the health port; empty: all addresses."
    )
    health_port: Annotated[int, PORT] = Field(
        default=8080, description="Port of /healthz, /readyz and /metrics, plain HTTP."
    )
    page_url: str = Field(
        default="",
        description="URL that people open the page by, https://HOST[:PORT]; with --oidc-issuer.",
    )
    oidc_issuer: str = Field(
        default="",
        description="Serve the page, too, with login by this OpenID Connect issuer: its https:// "
        "URL, as its tokens have it. The API server has to trust it.",
    )
    oidc_client_id: str = Field(
        default="",
        description="Client id of the page at the issuer, which is the audience of its tokens. "
        "Its redirect URI is PAGE_URL/oidc/callback.",
    )
    oidc_client_secret_file: FilePath | None = Field(
        default=None,
        description="File with the client's secret; without it the client is a public one.",
    )
    oidc_scopes: str = Field(
        default="openid profile email",
        description="Scopes that are asked for, separated by spaces; openid is among them.",
    )
    oidc_ca: FilePath | None = Field(
        default=None,
        description="CA certificates of the issuer, PEM; without it those of the machine.",
    )
    cookie_key_file: FilePath | None = Field(
        default=None,
        description="File with the keys that seal what browsers keep, one a line, each 32 bytes in "
        "base64: the first seals, each opens. All replicas have the same.",
    )
    calls_per_second: float = Field(
        default=10.0,
        gt=0,
        le=10_000,
        description="Calls a second that one token may make, on average.",
    )
    max_connections: int = Field(
        default=500, ge=10, le=100_000, description="Connections that are kept open."
    )
    machine_group: Annotated[MachineGroups, NoDecode] = Field(default=(), description=MACHINE_GROUP)
    machine_user_prefix: Annotated[MachineUserPrefixes, NoDecode] = Field(
        default=(), description=MACHINE_USER_PREFIX
    )
    drain_seconds: float = Field(
        default=10.0,
        ge=0,
        le=300,
        description="Graceful shutdown: how long after SIGTERM calls are served, until the "
        "cluster sends them elsewhere.",
    )
    log_format: Literal["json", "text"] = Field(
        default="json", description="How a log line is written."
    )

    @property
    def machines(self) -> Machines:
        """Which users are machines, for what is shown of who may decide."""
        return configured_machines(self.machine_group, self.machine_user_prefix)

    @field_validator("api_server", "page_url")
    @classmethod
    def _check_server(cls, value: str) -> str:
        url = urlsplit(https_url(value)) if value else None
        if url is not None and (url.path not in ("", "/") or url.query):
            raise ValueError("has a path or a query: https://HOST[:PORT]")
        return value.rstrip("/")

    @field_validator("oidc_issuer")
    @classmethod
    def _check_issuer(cls, value: str) -> str:
        if value and urlsplit(https_url(value)).query:
            raise ValueError("has a query, which no issuer has")
        return value

    @model_validator(mode="after")
    def _check_login(self) -> Self:
        """A login is whole or there is none."""
        if not self.oidc_issuer:
            given = [name for name in _LOGIN if getattr(self, name)]
            if given:
                raise ValueError(f"{option_of(given[0])}: is for the page: give --oidc-issuer, too")
            return self
        missing = [name for name in _LOGIN if not getattr(self, name)]
        if missing:
            raise ValueError(f"{option_of(missing[0])}: is needed with --oidc-issuer")
        if "openid" not in self.oidc_scopes.split():
            raise ValueError("--oidc-scopes: has to have openid: there is no ID token without")
        if self.page_url != self.page_url.lower() or self.page_url.endswith(":443"):
            raise ValueError(
                "--page-url: write it as browsers do, in lower case and without the port 443"
            )
        return self

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("--certificate and --key: give both, or neither on a loopback address")
        if self.certificate is None and not _is_loopback(self.host):
            raise ValueError(
                "--host: without --certificate and --key only a loopback address is allowed, such "
                "as 127.0.0.1: tokens would be sent in the clear"
            )
        return self


_LOGIN = ("page_url", "oidc_client_id", "cookie_key_file")
"""What a login needs, beside its issuer."""


def _is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone. A name could lead anywhere."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
