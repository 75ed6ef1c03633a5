# SPDX-License-Identifier: Apache-2.0
"""Objects as the API server has them, read as what they are."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from cabgate.api import CABException, CABRequest
from cabgate.api.base import Model, first_problem
from cabgate.lifecycle.state.standing import WholeRequest
from cabgate.text.inert import inert
from cabgate_cli.errors import Unavailable, note

Object = Mapping[str, Any]

M = TypeVar("M", bound=Model)


def requests_of(items: Iterable[Object]) -> Iterator[WholeRequest]:
    """Requests, without those that cannot be read, which are told."""
    return (WholeRequest.of(each) for each in readable(CABRequest, items))


def exceptions_of(items: Iterable[Object]) -> list[CABException]:
    """Exceptions, without those that cannot be read, which are told."""
    return list(readable(CABException, items))


def readable(model: type[M], items: Iterable[Object]) -> Iterator[M]:
    """Objects of a kind, without those that cannot be read, which are told."""
    for item in items:
        try:
            yield parsed(model, item)
        except Unavailable as error:
            note(error.message)


def parsed(model: type[M], item: Object) -> M:
    """An object; raises `Unavailable` for one that this version cannot read."""
    try:
        return model.model_validate(item)
    except ValidationError as error:
        first = first_problem(error)
        name = inert(str((item.get("metadata") or {}).get("name")))
        raise Unavailable(
            f"{model.__name__} {name} cannot be read by this version of cabgate: "
            f"{inert(first.path)}: {first.message}"
        ) from None
