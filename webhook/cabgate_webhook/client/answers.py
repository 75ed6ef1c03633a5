# SPDX-License-Identifier: Apache-2.0
"""What the API server answered, decoded; `LookupFailed` says what of it cannot be read."""

import json
from typing import Any, TypeVar

import msgspec
from pydantic import ValidationError

from cabgate.api import CABRequest
from cabgate.api.base import Model, first_problem
from cabgate.lifecycle.state.standing import RequestStanding, standings_of
from cabgate_kube.transport import HttpAnswer
from cabgate_webhook.client.lookups import LookupFailed
from cabgate_webhook.client.stored import decode_requests, split

M = TypeVar("M", bound=Model)

RETRY_SECONDS = 1.0
"""When to try again where the API server does not say. It says whole seconds, 1 as a rule."""


def decoded(method: str, path: str, data: bytes) -> dict[str, Any]:
    """The object of an answer. Raises `LookupFailed` for anything else."""
    try:
        found = json.loads(data)
    except ValueError as error:
        raise LookupFailed(f"{method} {path}: {type(error).__name__}: {error}") from error
    if not isinstance(found, dict):
        raise LookupFailed(f"{method} {path}: the answer is not an object")
    return found


def items_of(path: str, data: bytes | None) -> list[Any]:
    """The items of a list. Raises `LookupFailed` if there is no such list."""
    if data is None:
        raise LookupFailed(f"{path}: not found; are the CRDs installed?")
    items: list[Any] = decoded("GET", path, data).get("items") or []
    return items


def requests_of(path: str, data: bytes | None) -> list[RequestStanding]:
    """Where the requests of a list stand, in its order. Raises `LookupFailed` if one cannot be
    read."""
    found = None if data is None else decode_requests(data)
    if found is not None:
        return found
    return standings_of(parsed(CABRequest, item) for item in items_of(path, data))


class _Metadata(msgspec.Struct):
    labels: dict[str, str] | None = None


class _Labelled(msgspec.Struct):
    metadata: _Metadata


_LABELLED = msgspec.json.Decoder(_Labelled)


def labels_of(path: str, data: bytes) -> dict[str, str]:
    """The labels of an object. Raises `LookupFailed` where that is none."""
    try:
        return _LABELLED.decode(data).metadata.labels or {}
    except msgspec.MsgspecError as error:
        raise LookupFailed(f"GET {path}: {error}") from None


def raw_items(path: str, data: bytes | None) -> list[msgspec.Raw]:
    """The items of a list, not decoded. Raises `LookupFailed` if there is no such list."""
    if data is None:
        raise LookupFailed(f"{path}: not found; are the CRDs installed?")
    try:
        return split(data)
    except ValueError as error:
        raise LookupFailed(f"GET {path}: {type(error).__name__}: {error}") from error


def explained(text: str) -> str:
    """What the body of an error says: the message of a Status, or else its beginning."""
    try:
        message = json.loads(text)["message"]
    except (ValueError, TypeError, LookupError):
        message = text
    return str(message)[:400]


def wait_before_retry(answer: HttpAnswer) -> float:
    """Seconds to wait after a 429, as the API server says it."""
    said = answer.retry_after.strip()
    return float(said[:9]) if said.isdigit() and int(said[:9]) > 0 else RETRY_SECONDS


def parsed(model: type[M], item: Any) -> M:
    """An object as this version understands it. Raises `LookupFailed` if it does not."""
    try:
        return model.model_validate(item)
    except ValidationError as error:
        first = first_problem(error)
        metadata = item.get("metadata") if isinstance(item, dict) else None
        name = metadata.get("name") if isinstance(metadata, dict) else None
        failed = f"{model.__name__} {name} cannot be read by this version of cabgate: {first.path}"
        raise LookupFailed(f"{failed}: {first.message}", f"{failed}: {first.code}") from None
