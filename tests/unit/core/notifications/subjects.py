# SPDX-License-Identifier: Apache-2.0
"""Requests and exceptions with uids of their own, as an API server gives them."""

from typing import Any, TypeVar

from cabgate.api import CABException, CABRequest
from cabgate_samples.models import exception, request, retrospective

S = TypeVar("S", CABRequest, CABException)


def with_uid(subject: S) -> S:
    """The same with a uid that its kind, namespace and name tell."""
    meta = subject.metadata
    uid = f"uid-{type(subject).__name__}-{meta.namespace}-{meta.name}"
    return subject.model_copy(update={"metadata": meta.model_copy(update={"uid": uid})})


def asked(*words: Any, **more: Any) -> CABRequest:
    """A request with a uid."""
    return with_uid(request(*words, **more))


def leave(*words: Any, **more: Any) -> CABException:
    """An exception with a uid."""
    return with_uid(exception(*words, **more))


def broken(*words: Any, **more: Any) -> CABRequest:
    """The request of a broken glass with a uid."""
    return with_uid(retrospective(*words, **more))


def frozen_intent(freeze: str) -> dict[str, Any]:
    """An intent that says which freeze keeps back what is approved."""
    since = "2026-01-01T00:00:00Z"
    ready = {"type": "Ready", "status": "False", "reason": "Frozen", "message": "it holds"}
    status = {"requestName": "web", "frozen": {"name": freeze, "since": since}}
    conditions = {"conditions": [{**ready, "lastTransitionTime": since}]}
    return {"metadata": {"name": "web", "namespace": "shop"}, "status": {**status, **conditions}}
