# SPDX-License-Identifier: Apache-2.0
"""What is set from outside: once, at the start, by the command line or the environment."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from cabgate_kube.process.settings import PREFIX

ClusterName = Annotated[
    str, StringConstraints(pattern=r"^[a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?$", max_length=63)
]
"""What a cluster is called in a store."""


class Settings(BaseSettings):
    """Carry every record of a cluster's ledger to an event store, to SIEMs, or to both.

    Any number of replicas may run: one is the leader, the others are on standby. `cabgate-relay
    prepare` makes the tables in PostgreSQL; an SQLite file is made at the start. The API server is
    found through the Pod's service account, or KUBECONFIG. Each option is also read from the
    environment: --store as CABGATE_STORE. An option wins over a variable.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    store: str = Field(
        default="",
        description="URL of the event store, postgresql://role@host/database or "
        "sqlite:////absolute/file. With a password in it, give it by the variable. Empty: none.",
    )
    sinks: Path | None = Field(
        default=None,
        description="File that says which SIEMs records are sent to, and how; see docs/siem.md.",
    )
    cluster: ClusterName = Field(
        description="Name of this cluster in the store and in what is sent. Never change it."
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
        description="Seconds between two comparisons of the whole ledger with what arrived.",
    )
    notifications: Path | None = Field(
        default=None,
        description="File of the channels that people are notified by; none: nobody is.",
    )
    log_format: Literal["json", "text"] = Field(
        default="json", description="How a log line is written."
    )

    @model_validator(mode="after")
    def _goes_somewhere(self) -> Self:
        if not self.store and self.sinks is None and self.notifications is None:
            raise ValueError(
                "neither --store (CABGATE_STORE) nor --sinks (CABGATE_SINKS) nor --notifications "
                "(CABGATE_NOTIFICATIONS) is set: there is nothing to do"
            )
        return self
