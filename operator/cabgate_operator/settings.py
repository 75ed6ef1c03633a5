# SPDX-License-Identifier: Apache-2.0
"""What is set from outside: once, at the start, by the command line or the environment."""

from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from cabgate.lifecycle.limits.retention import DEFAULT_KEPT
from cabgate.lifecycle.requests.copied_labels import DEFAULT_REQUEST_LABELS
from cabgate.review.identity import Machines, configured_machines
from cabgate.rollout.installation import EXCLUDED, InstallationSettings
from cabgate.rollout.rings import HIGHEST
from cabgate.rollout.workloads import configured_kind, split_kinds
from cabgate_kube.installation import WEBHOOK_NAME
from cabgate_kube.process.settings import (
    EXCLUDED_NAMESPACE,
    MACHINE_GROUP,
    MACHINE_USER_PREFIX,
    PREFIX,
    REQUEST_LABEL,
    MachineGroups,
    MachineUserPrefixes,
    Names,
    RequestLabels,
)


class Settings(BaseSettings):
    """Turn deployment intents into scored requests, and keep their state.

    Any number of replicas may run: one is the leader, the others are on standby. The API server is
    found through the Pod's service account, or KUBECONFIG. Each option is also read from the
    environment: --log-format as CABGATE_LOG_FORMAT. An option wins over a variable.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    default_ring: int = Field(
        default=0, ge=0, le=HIGHEST, description="Ring of a namespace without the ring label."
    )
    host: str = Field(default="", description="Address to listen on; empty: all addresses.")
    health_port: int = Field(
        default=8080,
        ge=0,
        le=65535,
        description="Port of /healthz, /readyz and /metrics, plain HTTP; 0 for none.",
    )
    sweep_seconds: float = Field(
        default=600.0,
        ge=1,
        le=86400,
        description="Resync interval: seconds between two lists of every object, for what the "
        "watches missed.",
    )
    keep_approved: int = Field(
        default=DEFAULT_KEPT,
        ge=1,
        description="Approved requests that are kept for each target: how far back a rollback can "
        "go.",
    )
    # Most of a reconcile is waiting: the API server answers a list only once its cache has caught
    # up with etcd, which takes it up to 100 ms wherever anything is written.
    workers: int = Field(
        default=16,
        ge=1,
        le=64,
        description="Keys that are reconciled at a time, a quarter of them of one namespace.",
    )
    manage_certificates: bool = Field(
        default=False,
        description="Make the webhook's certificates and signing key, and renew the certificates.",
    )
    machine_group: Annotated[MachineGroups, NoDecode] = Field(default=(), description=MACHINE_GROUP)
    machine_user_prefix: Annotated[MachineUserPrefixes, NoDecode] = Field(
        default=(), description=MACHINE_USER_PREFIX
    )
    excluded_namespace: Annotated[Names, NoDecode] = Field(
        default=EXCLUDED, description=EXCLUDED_NAMESPACE
    )
    request_label: Annotated[RequestLabels, NoDecode] = Field(
        default=DEFAULT_REQUEST_LABELS, description=REQUEST_LABEL
    )
    webhook_name: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(WEBHOOK_NAME,),
        min_length=1,
        description="DNS name or address that the API server reaches the webhook by; can be given "
        "more than once, in the variable separated by spaces.",
    )
    log_format: Literal["json", "text"] = Field(
        default="json", description="How a log line is written."
    )

    gated_kind: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Another kind that the webhook gates, as it is configured, GROUP/KIND=PATH: an "
        "intent with a target of a kind that is not gated is never ready. Can be given more than "
        "once, in the variable separated by spaces.",
    )

    @field_validator("gated_kind", mode="before")
    @classmethod
    def _split_kinds(cls, value: object) -> object:
        return split_kinds(value)

    @field_validator("gated_kind")
    @classmethod
    def _check_kinds(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            configured_kind(text)
        return value

    @property
    def machines(self) -> Machines:
        """Which users are machines."""
        return configured_machines(self.machine_group, self.machine_user_prefix)

    @property
    def installation(self) -> InstallationSettings:
        """What it was told that others are told as well."""
        return InstallationSettings(
            default_ring=self.default_ring,
            excluded=frozenset(self.excluded_namespace),
            kinds=tuple(configured_kind(text) for text in self.gated_kind),
        )

    @field_validator("webhook_name", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(value.split()) if isinstance(value, str) else value
