# SPDX-License-Identifier: Apache-2.0
"""Conditions of a status, as Kubernetes has them."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from cabgate.api.base import Model, Timestamp


class StatusCondition(Model):
    """metav1.Condition."""

    type: Annotated[str, StringConstraints(min_length=1, max_length=316)]
    """Name of the condition, in CamelCase."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    observed_generation: Annotated[int, Field(ge=0, le=2**53)] = 0
    """Generation of the object that this condition was computed from."""
    last_transition_time: Timestamp
    """When `status` last changed."""
    reason: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$", max_length=256)
    ]
    """Machine-readable reason, in CamelCase."""
    message: Annotated[str, StringConstraints(max_length=4096)]
    """What a person should know, and what to do next."""


Conditions = Annotated[
    list[StatusCondition],
    Field(
        max_length=16,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
    ),
]
"""The conditions of an object."""
