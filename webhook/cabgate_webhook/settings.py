# SPDX-License-Identifier: Apache-2.0
"""The settings of the webhook's process: every one is an option and an environment variable, and
docs/configuration.md has it."""

from typing import Annotated, Literal

from pydantic import Field, FilePath, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from cabgate.review.identity import Machines, configured_machines
from cabgate.rollout.installation import EXCLUDED
from cabgate.rollout.rings import HIGHEST
from cabgate.rollout.workloads import configured_kind, split_kinds
from cabgate_kube.installation import OPERATOR
from cabgate_kube.process.settings import (
    EXCLUDED_NAMESPACE,
    MACHINE_GROUP,
    MACHINE_USER_PREFIX,
    PREFIX,
    MachineGroups,
    MachineUserPrefixes,
    Names,
)

PORT = Field(ge=1, le=65535)


class WebhookSettings(BaseSettings):
    """Serve cabgate's admission webhook.

    The API server is found through the Pod's service account, or KUBECONFIG. Each option is also
    read from the environment: --log-format as CABGATE_LOG_FORMAT. An option wins over a variable.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        extra="forbid",
        frozen=True,
    )

    certificate: FilePath = Field(
        description="TLS certificate chain, PEM; read again when it changes, like the key."
    )
    key: FilePath = Field(description="TLS private key, PEM.")
    client_ca: FilePath | None = Field(
        default=None,
        description="CA certificates, PEM: only clients with a certificate of theirs are served. "
        "Without it everybody who reaches the port is.",
    )
    signing_key: FilePath = Field(
        description="Ed25519 private keys, PEM: the first signs people's decisions, the others "
        "are accepted."
    )
    admission_proof: FilePath = Field(
        description="Shared secret that proves that a request comes from the API server: the value "
        "of Secret cabgate-admission-proof, at least 32 bytes; read for each request."
    )
    host: str = Field(default="0.0.0.0", description="Address to listen on, for both ports.")  # noqa: S104 - a Pod is reached from elsewhere
    port: Annotated[int, PORT] = Field(default=8443, description="Port of admission, HTTPS.")
    health_port: Annotated[int, PORT] = Field(
        default=8080, description="Port of /healthz, /readyz and /metrics, plain HTTP."
    )
    operator: str = Field(default=OPERATOR, min_length=1, description="The operator's user name.")
    default_ring: int = Field(
        default=0, ge=0, le=HIGHEST, description="Ring of a namespace without the ring label."
    )
    gated_kind: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Another kind to gate, and where its pod template stands, as "
        "GROUP/KIND=PATH; can be given more than once, in the variable separated by spaces.",
    )
    mode: Literal["Enforce", "Warn", "Audit"] = Field(
        default="Enforce",
        description="What happens to a denied rollout; a namespace's label can only be stricter.",
    )
    require_digests_from: int | None = Field(
        default=None,
        ge=0,
        le=HIGHEST,
        description="Lowest ring whose intents must name images by digest; none has to if it is "
        "not given.",
    )
    machine_group: Annotated[MachineGroups, NoDecode] = Field(default=(), description=MACHINE_GROUP)
    machine_user_prefix: Annotated[MachineUserPrefixes, NoDecode] = Field(
        default=(), description=MACHINE_USER_PREFIX
    )
    excluded_namespace: Annotated[Names, NoDecode] = Field(
        default=EXCLUDED, description=EXCLUDED_NAMESPACE
    )
    drain_seconds: float = Field(
        default=10.0,
        ge=0,
        le=300,
        description="Graceful shutdown: how long after SIGTERM requests are served, until the "
        "cluster sends them elsewhere.",
    )
    max_connections: int = Field(
        default=500, ge=10, le=100_000, description="Connections that admission keeps open."
    )
    log_format: Literal["json", "text"] = Field(
        default="json", description="How a log line is written."
    )

    @field_validator("gated_kind", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return split_kinds(value)

    @property
    def machines(self) -> Machines:
        """Which users are machines."""
        return configured_machines(self.machine_group, self.machine_user_prefix)

    @field_validator("gated_kind")
    @classmethod
    def _check_kinds(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            configured_kind(text)
        return value
