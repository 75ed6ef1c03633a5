# SPDX-License-Identifier: Apache-2.0
"""What is read for the freezes of a namespace."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cabgate.api.changefreeze import PLURAL
from cabgate_webhook.client.apiserver import LiveReads


@dataclass(frozen=True)
class Declared:
    """What is read of a namespace for its freezes."""

    labels: Mapping[str, str]
    """Labels of the namespace."""
    freezes: Sequence[Mapping[str, Any]]
    """Every ChangeFreeze, as the API server has it."""


async def declared_for(namespace: str, api: LiveReads) -> Declared:
    """The labels of a namespace and every freeze, as they are now. Raises `LookupFailed`."""
    reads = (api.namespace_labels(namespace), api.cluster_wide(PLURAL))
    return Declared(*await asyncio.gather(*reads))
