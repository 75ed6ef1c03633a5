# SPDX-License-Identifier: Apache-2.0
"""What is set from outside: once, at the start, by the command line or the environment."""

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import click
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from cabgate.retention import DEFAULT_KEPT
from cabgate.rings import HIGHEST

PREFIX = "CABGATE_OPERATOR_"
"""How the names of the environment variables begin; the rest is the key in capitals."""

# A Service called cabgate-operator puts variables of this form into every Pod of its namespace.
_OF_A_SERVICE = re.compile(r"(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)")


class Settings(BaseSettings):
    """Every key of the operator."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    default_ring: int = Field(
        default=0, ge=0, le=HIGHEST, description="Ring of a namespace without the ring label."
    )
    health_port: int = Field(
        default=8080,
        ge=0,
        le=65535,
        description="Port of /healthz, /readyz and /metrics; 0 for none.",
    )
    sweep_seconds: float = Field(
        default=600.0, ge=1, le=86400, description="Seconds between two looks at every object."
    )
    keep_approved: int = Field(
        default=DEFAULT_KEPT,
        ge=1,
        description="Approved requests of each target that stay: how far back a rollback can go.",
    )
    workers: int = Field(
        default=4, ge=1, le=64, description="Keys that are reconciled at the same time."
    )


def read(options: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> Settings:
    """The settings: what the command line gave, else the environment, else the defaults.

    Raises `ValueError` that names every key that is unknown or has a bad value.
    """
    given = os.environ if environment is None else environment
    unknown = sorted(name for name in given if _is_unknown(name))
    if unknown:
        known = ", ".join(PREFIX + key.upper() for key in Settings.model_fields)
        raise ValueError(f"unknown: {', '.join(unknown)}; known are {known}")
    try:
        return Settings(**{key: value for key, value in options.items() if value is not None})
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        raise ValueError(
            "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in found)
        ) from None


def _is_unknown(name: str) -> bool:
    if not name.startswith(PREFIX):
        return False
    key = name.removeprefix(PREFIX)
    return key.lower() not in Settings.model_fields and not _OF_A_SERVICE.fullmatch(key)


def options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each key."""
    for key, field in reversed(Settings.model_fields.items()):
        text = f"{field.description} [default: {field.default:g}; {PREFIX}{key.upper()}]"
        option = click.option(f"--{key.replace('_', '-')}", type=field.annotation, help=text)
        command = option(command)
    return command
