# SPDX-License-Identifier: Apache-2.0
"""Parts of stored objects of others, whatever stands there."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from cabgate.api.base import Timestamp

RawObject = Mapping[str, Any]


def part(obj: Any, field: str) -> RawObject:
    """An object within another; empty where there is none."""
    found = obj.get(field) if isinstance(obj, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def entries(obj: RawObject, field: str) -> list[RawObject]:
    """The objects of a list; none where there is no list."""
    found = obj.get(field)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def number(obj: RawObject, field: str, absent: int = 0) -> int:
    """A number, `absent` where there is none."""
    found = obj.get(field)
    return found if isinstance(found, int) else absent


_MOMENT: TypeAdapter[datetime] = TypeAdapter(Timestamp)


def moment(value: Any) -> datetime | None:
    """A moment as the API server writes it; None for what is none."""
    try:
        return _MOMENT.validate_python(value)
    except ValidationError:
        return None
