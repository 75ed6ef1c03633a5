# SPDX-License-Identifier: Apache-2.0
"""What `kubectl cab queue` lists, without the models as long as they are not needed."""

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import convert

from cabgate.api.stored import ListedRequest, StoredException
from cabgate_kube.listed import ExceptionListed, RequestListed

Object = dict[str, Any]
"""A Kubernetes object as JSON."""


def requests_of(items: Iterable[Object]) -> Iterator[ListedRequest]:
    """Requests, without those that cannot be read, which are told."""
    return _read(RequestListed, "CABRequest", items)


def exceptions_of(items: Iterable[Object]) -> Iterator[StoredException]:
    """Exceptions, without those that cannot be read, which are told."""
    return _read(ExceptionListed, "CABException", items)


def _read(kind: type[Any], model: str, items: Iterable[Object]) -> Iterator[Any]:
    for item in items:
        try:
            yield convert(item, kind)
        except ValueError:  # also of half a character, which is no text
            yield from _by_model(model, item)


def _by_model(model: str, item: Object) -> Iterator[Any]:
    from cabgate import api
    from cabgate_cli.input.stored import readable

    return readable(getattr(api, model), [item])
