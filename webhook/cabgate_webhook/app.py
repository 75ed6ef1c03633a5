# SPDX-License-Identifier: Apache-2.0
"""The FastAPI application: every error, delay and doubt becomes a denial that says so."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from cabgate import GROUP
from cabgate.messages import compose
from cabgate.modes import Mode
from cabgate.refusal import Refusal, RefusalReason
from cabgate.signatures import SigningKeys
from cabgate.workloads import GatedKind
from cabgate_webhook.admission import (
    MAX_BODY_BYTES,
    Answer,
    MalformedReviewError,
    Review,
    answer_body,
    read_review,
)
from cabgate_webhook.apiserver import ApiServer, LookupFailed
from cabgate_webhook.metrics import Metrics
from cabgate_webhook.models import judge_model
from cabgate_webhook.modes import by_mode
from cabgate_webhook.records import (
    judge_exception,
    judge_intent,
    judge_intent_status,
    judge_request,
    stamp_submitters,
)
from cabgate_webhook.reviews import KINDS, judge_status, stamp_review
from cabgate_webhook.rollouts import gated_kind, judge_rollout

log = logging.getLogger(__name__)

OPERATOR = "system:serviceaccount:cabgate-system:cabgate-operator"
"""User name of the operator as it is installed."""

DEADLINE_SECONDS = 4.0
"""Time for one review, shorter than the webhook's `timeoutSeconds` of 5, so that a slow API
server gives a denial that says so."""

Clock = Callable[[], datetime]
Handler = Callable[[Review], Awaitable[Answer]]


@dataclass(frozen=True)
class Settings:
    """What an installation may choose."""

    keys: SigningKeys
    """What people's decisions are signed with."""
    operator: str = OPERATOR
    """User name of the operator."""
    default_ring: int = 0
    """Ring of a namespace without the ring label, 0 to 4."""
    kinds: tuple[GatedKind, ...] = ()
    """Kinds that are gated beside those that always are."""
    mode: Mode = Mode.ENFORCE
    """The cluster's mode."""
    require_digests_from: int | None = None
    """Lowest ring whose intents name images by digest, 0 to 4; None if none has to."""


class TooLargeError(Exception):
    """A body over the limit."""


def utc_now() -> datetime:
    """The time, by this machine's clock."""
    return datetime.now(UTC)


def create_app(api: ApiServer, settings: Settings, clock: Clock = utc_now) -> FastAPI:
    """The application. `clock` tells the time that exceptions end by and decisions are given."""
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with api:
            yield

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)

    async def validate(review: Review) -> Answer:
        return await _validate(review, api, settings, clock())

    async def mutate(review: Review) -> Answer:
        return await _mutate(review, api, settings, clock())

    async def admission(
        request: Request, endpoint: str, handler: Handler, at_least: Mode = Mode.AUDIT
    ) -> Response:
        started = time.perf_counter()
        try:
            review = read_review(await _body(request))
        except TooLargeError:
            return _error(413, f"a review has at most {MAX_BODY_BYTES} bytes")
        except MalformedReviewError as error:
            return _error(400, str(error))
        except ClientDisconnect:
            return _error(400, "the body is not complete")
        answer = await answered(review, handler)
        if endpoint == "validate":
            answer = await by_mode(answer, review, api, settings.mode, at_least)
        known = review.group == GROUP or gated_kind(review, settings.kinds) is not None
        resource = review.where if known else "other"
        metrics.reviews.labels(endpoint, resource, answer.verdict, answer.reason).inc()
        metrics.seconds.labels(endpoint).observe(time.perf_counter() - started)
        return Response(answer_body(review.uid, answer), media_type="application/json")

    @app.post("/validate")
    async def _post_validate(request: Request) -> Response:
        return await admission(request, "validate", validate)

    @app.post("/validate/enforce")
    async def _post_validate_enforce(request: Request) -> Response:
        """For the entries of the webhook configuration that select namespaces in mode Enforce."""
        return await admission(request, "validate", validate, Mode.ENFORCE)

    @app.post("/mutate")
    async def _post_mutate(request: Request) -> Response:
        return await admission(request, "mutate", mutate)

    _add_probes(app, api, metrics)
    return app


def _add_probes(app: FastAPI, api: ApiServer, metrics: Metrics) -> None:
    @app.get("/healthz")
    async def _healthz() -> Response:
        return Response("ok\n", media_type="text/plain")

    @app.get("/readyz")
    async def _readyz() -> Response:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await api.can_read()
        except (LookupFailed, TimeoutError) as error:
            return Response(f"not ready: {error}\n", status_code=503, media_type="text/plain")
        return Response("ok\n", media_type="text/plain")

    @app.get("/metrics")
    async def _metrics() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)


async def answered(review: Review, handler: Handler) -> Answer:
    """The handler's answer, or a denial that says why there is none."""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await handler(review)
    except Refusal as refusal:
        return _denied(refusal.reason, str(refusal).removeprefix(f"{refusal.reason}: "))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        return _denied(RefusalReason.INVALID, f"{path}: {first['msg']}")
    except LookupFailed as error:
        log.warning("lookup failed: %s", error)
        return _denied("LookupFailed", f"{error}. Nothing was decided: try again.")
    except TimeoutError:
        log.warning("no answer within %s s: %s %s", DEADLINE_SECONDS, review.where, review.name)
        return _denied(
            "LookupTimedOut",
            f"the API server did not answer cabgate within {DEADLINE_SECONDS:g} s. "
            "Nothing was decided: try again.",
        )
    except Exception:
        log.exception("fault in the review of %s %s", review.where, review.name)
        return _denied(
            "InternalError",
            "cabgate failed to judge this, and denies what it cannot judge. Its log has the "
            "reason: kubectl logs -n cabgate-system deployment/cabgate-webhook",
        )


async def _validate(review: Review, api: ApiServer, settings: Settings, now: datetime) -> Answer:
    kind = gated_kind(review, settings.kinds)
    if kind is not None:
        return await judge_rollout(review, kind, api, settings.default_ring, now)
    if review.group == GROUP:
        if review.subresource == "status" and review.resource in KINDS:
            return await judge_status(review, api, settings.operator, settings.keys, now)
        if review.where == "deploymentintents/status":
            return await judge_intent_status(review, api, settings.operator)
        if review.where == "cabrequests":
            return await judge_request(review, api, settings.operator)
        if review.where == "cabexceptions":
            return await judge_exception(review, api)
        if review.where == "riskmodels":
            return await judge_model(review, api)
        if review.where == "deploymentintents":
            digests_from = settings.require_digests_from
            return await judge_intent(review, api, settings.default_ring, digests_from)
    return _unknown(review)


async def _mutate(review: Review, api: ApiServer, settings: Settings, now: datetime) -> Answer:
    if review.group == GROUP:
        if review.subresource == "status" and review.resource in KINDS:
            if review.user.username == settings.operator:
                return Answer(allowed=True, reason="SystemWrite")
            return await stamp_review(review, api, settings.keys, now)
        if review.where in ("deploymentintents", "cabexceptions"):
            return stamp_submitters(review)
    return _unknown(review)


def _unknown(review: Review) -> Answer:
    return _denied(
        "UnknownResource",
        f"cabgate was asked about {review.where} of group {review.group!r}, which it does not "
        "know: its webhook configuration names more than this version serves",
    )


def _denied(reason: str, message: str) -> Answer:
    return Answer(allowed=False, reason=reason, message=compose(f"{reason}: {message}"))


def _error(status: int, message: str) -> Response:
    return Response(f"{message}\n", status_code=status, media_type="text/plain")


async def _body(request: Request) -> bytes:
    """The body, read only as far as the limit goes."""
    chunks = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise TooLargeError
        chunks.append(chunk)
    return b"".join(chunks)
