# SPDX-License-Identifier: Apache-2.0
"""What the tests of views share."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from cabgate.api import CABException, CABRequest
from cabgate.lifecycle.state.standing import WholeRequest


def whole(*requests: CABRequest) -> list[WholeRequest]:
    return [WholeRequest.of(each) for each in requests]


def but(of: CABRequest, **spec: Any) -> CABRequest:
    """A request with fields of its spec replaced."""
    return CABRequest.model_validate(
        {**of.model_dump(by_alias=True), "spec": {**of.spec.model_dump(by_alias=True), **spec}}
    )


def exception_but(of: CABException, **spec: Any) -> CABException:
    """An exception with fields of its spec replaced."""
    return of.model_copy(update={"spec": of.spec.model_copy(update=spec)})


def texts(view: Any) -> Iterator[str]:
    """Every text of a view."""
    if isinstance(view, str):
        yield view
    elif is_dataclass(view):
        for each in fields(view):
            yield from texts(getattr(view, each.name))
    elif isinstance(view, list | tuple):
        for item in view:
            yield from texts(item)
