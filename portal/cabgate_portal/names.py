# SPDX-License-Identifier: Apache-2.0
"""What a client may name. All that becomes part of a path of the API server goes through here:
`..` or a slash in a name would be another call than the one that is meant."""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

from cabgate.api.base import SUBDOMAIN
from cabgate.api.values import is_correlation_id
from cabgate_portal.problems import Problem

MAX_NAMESPACE, MAX_NAME = 63, 253

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(SUBDOMAIN)


@dataclass(frozen=True)
class Id:
    """A request or an exception, as `{id}` in a path: `namespace.name`."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}.{self.name}"


def id_of(text: str) -> Id:
    """What an id names. A namespace has no dot, so it ends at the first one. Raises `Problem`."""
    namespace, dot, name = text.partition(".")
    if not dot or not _is_namespace(namespace) or not is_name(name):
        raise Problem(
            404,
            "NoSuchId",
            "an id is namespace.name, such as shop.checkout-1f2e3d4c",
            field="id",
        )
    return Id(namespace, name)


def _is_namespace(text: str) -> bool:
    return len(text) <= MAX_NAMESPACE and _LABEL.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether a text can be the name of an object."""
    return len(text) <= MAX_NAME and _SUBDOMAIN.fullmatch(text) is not None


def _namespace(value: str) -> str:
    if not _is_namespace(value):
        raise ValueError("is no namespace: 1 to 63 lower-case letters, digits and -")
    return value


def _name(value: str) -> str:
    if not is_name(value):
        raise ValueError("is no name: 1 to 253 lower-case letters, digits, - and .")
    return value


def _correlation_id(value: str) -> str:
    if not is_correlation_id(value):
        raise ValueError("is no correlation id: 1 to 128 letters, digits and . _ : / -")
    return value


Namespace = Annotated[str, AfterValidator(_namespace)]
"""The name of a namespace."""

Name = Annotated[str, AfterValidator(_name)]
"""The name of an object."""

CorrelationId = Annotated[str, AfterValidator(_correlation_id)]
"""An identifier that ties a rollout to records elsewhere."""
