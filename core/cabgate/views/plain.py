# SPDX-License-Identifier: Apache-2.0
"""Views for programs: what `-o json` prints and what the REST API answers."""

from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from typing import Any

from cabgate.text.moments import rfc3339


def plain(value: Any) -> Any:
    """A view as JSON values: the names of fields as Kubernetes writes them, durations in whole
    seconds, moments as RFC 3339."""
    if is_dataclass(value) and not isinstance(value, type):
        return {_camel(each.name): plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, timedelta):
        return int(value.total_seconds())
    if isinstance(value, datetime):
        return rfc3339(value)
    return str(value) if isinstance(value, str) else value


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))
