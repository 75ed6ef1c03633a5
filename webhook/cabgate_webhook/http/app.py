# SPDX-License-Identifier: Apache-2.0
"""The FastAPI application: every error, delay and doubt becomes a denial that says so."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from fastapi import FastAPI, Request, Response
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from cabgate import GROUP
from cabgate.api.base import problems
from cabgate.api.kinds import GatedKind
from cabgate.gate.composing import compose
from cabgate.ledger.signatures import SigningKeys
from cabgate.review.identity import SERVICE_ACCOUNTS, Machines
from cabgate.rollout.installation import InstallationSettings
from cabgate.rollout.modes import Mode
from cabgate.text.refusal import Cause, Refusal, RefusalReason
from cabgate_kube.clock import Clock, utc_now
from cabgate_kube.installation import OPERATOR
from cabgate_kube.process.bodies import Bodies, BusyError, TooLargeError
from cabgate_kube.process.logs import explained
from cabgate_webhook.admission.caller import Caller
from cabgate_webhook.admission.requests import (
    MAX_BODY_BYTES,
    AdmissionAnswer,
    AdmissionRequest,
    MalformedAdmissionError,
    OversizedAdmissionError,
    answer_body,
    read_admission,
)
from cabgate_webhook.client.apiserver import LiveReads
from cabgate_webhook.client.lookups import BudgetUsedUp, LookupFailed
from cabgate_webhook.handlers.asked import AskedLately
from cabgate_webhook.handlers.exceptions import judge_exception
from cabgate_webhook.handlers.fresh import FreshIntents
from cabgate_webhook.handlers.models import judge_freeze, judge_model, judge_policy
from cabgate_webhook.handlers.modes import LOOKUP_SECONDS, by_mode
from cabgate_webhook.handlers.outcomes import judge_outcome, stamp_outcome
from cabgate_webhook.handlers.records import (
    judge_intent,
    judge_intent_status,
    judge_request,
    stamp_submitters,
)
from cabgate_webhook.handlers.reviews import KINDS, judge_status, stamp_review
from cabgate_webhook.handlers.rollouts import gated_kind, judge_rollout
from cabgate_webhook.handlers.telling import Telling
from cabgate_webhook.handlers.write_turns import WriteTurns
from cabgate_webhook.http.noting import about, note
from cabgate_webhook.metrics import Metrics
from cabgate_webhook.undecided import DOUBTS, Undecided

log = logging.getLogger(__name__)

DEADLINE_SECONDS = 4.0
"""Time for one admission request, shorter than the webhook's `timeoutSeconds` of 5, so that a slow
API server gives a denial that says so."""

BODY_SECONDS = 5.0
"""Time that a client has to send an admission request: what the API server gives the whole call."""

MAX_HELD_BYTES = 64 * 1024 * 1024
"""What the bodies that are being read may take together."""


@dataclass(frozen=True)
class Limits:
    """What one admission request may take, and all of them together."""

    deadline_seconds: float = DEADLINE_SECONDS
    """Time for one admission request."""
    mode_seconds: float = LOOKUP_SECONDS
    """Time to read the mode of its namespace, after that."""
    body_seconds: float = BODY_SECONDS
    """Time that a client has to send it."""
    held_bytes: int = MAX_HELD_BYTES
    """What the bodies that are being read may take together."""


GATE_PATHS = {
    "/validate": (Mode.AUDIT, False),
    "/validate/enforce": (Mode.ENFORCE, False),
    "/validate/freezes": (Mode.AUDIT, True),
    "/validate/enforce/freezes": (Mode.ENFORCE, True),
}
"""Where the entries of the webhook configuration call, with what the API server knows of the
namespace by their selectors: the least mode, and whether it carries a change policy."""

Handler = Callable[[AdmissionRequest], Awaitable[AdmissionAnswer]]


@dataclass(frozen=True)
class Settings:
    """What an installation may choose."""

    keys: SigningKeys
    """What people's decisions are signed with."""
    caller: Caller
    """What shows that the API server sent what is to be signed."""
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
    machines: Machines = SERVICE_ACCOUNTS
    """Which users are machines."""
    excluded: frozenset[str] = frozenset()
    """Namespaces that no policy of ours looks at."""

    @property
    def installation(self) -> InstallationSettings:
        """What others are told as well."""
        return InstallationSettings(self.default_ring, self.mode, self.excluded, self.kinds)


def create_app(
    api: LiveReads,
    settings: Settings,
    metrics: Metrics,
    clock: Clock = utc_now,
    limits: Limits = Limits(),
) -> FastAPI:
    """The application. `clock` tells the time that exceptions end by and decisions are given."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    fresh, lately = FreshIntents(api, clock, metrics, settings.mode), AskedLately()
    turns, telling = WriteTurns(), Telling()

    async def validate(admission: AdmissionRequest, *, freezing: bool = False) -> AdmissionAnswer:
        if admission.group == GROUP and admission.where in ("deploymentintents", "cabexceptions"):
            async with turns.taken(admission.namespace):
                return await _validate(admission, api, settings, clock(), fresh, lately, telling)
        of = admission, api, settings, clock(), fresh, lately, telling
        return await _validate(*of, freezing=freezing)

    async def mutate(admission: AdmissionRequest) -> AdmissionAnswer:
        return await _mutate(admission, api, settings, clock())

    bodies = Bodies(MAX_BODY_BYTES, limits.held_bytes)

    async def receive(
        request: Request, endpoint: str, handler: Handler, at_least: Mode = Mode.AUDIT
    ) -> Response:
        started = time.perf_counter()
        admission = await _received(
            request, bodies, limits.body_seconds, rollout=endpoint == "validate"
        )
        if isinstance(admission, Response):
            return admission
        answer = await answered(admission, handler, limits.deadline_seconds)
        if endpoint == "validate":
            answer = await by_mode(
                answer, admission, api, settings.mode, at_least, seconds=limits.mode_seconds
            )
        seconds = time.perf_counter() - started
        resource = resource_label(admission, settings.kinds)
        metrics.requests.labels(endpoint, resource, answer.verdict, answer.reason).inc()
        metrics.seconds.labels(endpoint).observe(seconds)
        _count(metrics, admission, answer)
        note(admission, endpoint, answer, seconds)
        return Response(answer_body(admission.uid, answer), media_type="application/json")

    def judging(handler: Handler, at_least: Mode) -> Callable[[Request], Awaitable[Response]]:
        async def post(request: Request) -> Response:
            return await receive(request, "validate", handler, at_least)

        return post

    async def post_mutate(request: Request) -> Response:
        return await receive(request, "mutate", mutate)

    # Plain routes: FastAPI's own take twice the time, for what is not used here.
    for path, (at_least, freezing) in GATE_PATHS.items():
        handler = partial(validate, freezing=True) if freezing else validate
        app.add_route(path, judging(handler, at_least), methods=["POST"])
    app.add_route("/mutate", post_mutate, methods=["POST"])

    return app


async def _received(
    request: Request, bodies: Bodies, seconds: float, *, rollout: bool
) -> AdmissionRequest | Response:
    """The admission request that was sent, read as `read_admission` says, or what to answer to one
    that is none or does not come."""
    try:
        async with asyncio.timeout(seconds):
            body = await bodies.read(request)
        return read_admission(body, rollout=rollout)
    except TooLargeError:
        return _error(413, f"an admission request has at most {MAX_BODY_BYTES} bytes")
    except TimeoutError:
        return _error(408, f"the body did not come within {seconds:g} s", close=True)
    except BusyError:
        return _error(503, "too many admission requests are being read: try again", close=True)
    except OversizedAdmissionError as error:
        denial = answer_body(error.uid, _denied(Undecided.TOO_LARGE, str(error)))
        return Response(denial, media_type="application/json")
    except MalformedAdmissionError as error:
        return _error(400, str(error))
    except ClientDisconnect:
        return _error(400, "the body is not complete")


async def answered(
    admission: AdmissionRequest, handler: Handler, seconds: float = DEADLINE_SECONDS
) -> AdmissionAnswer:
    """The handler's answer, or a denial that says why there is none within so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            return await handler(admission)
    except Refusal as refusal:
        return _denied(refusal.reason, refusal.detail, refusal.causes)
    except ValidationError as error:
        causes = [Cause(RefusalReason.INVALID, each.message, each.path) for each in problems(error)]
        wrong = "; ".join(f"{each.field}: {each.message}" for each in causes)
        return _denied(RefusalReason.INVALID, wrong, causes)
    except BudgetUsedUp as error:
        log.warning(
            "budget used up: %s", error.brief, extra=about(admission, RefusalReason.BUDGET_USED_UP)
        )
        return _denied(RefusalReason.BUDGET_USED_UP, str(error))
    except LookupFailed as error:
        log.warning(
            "lookup failed: %s", error.brief, extra=about(admission, Undecided.LOOKUP_FAILED)
        )
        return _denied(Undecided.LOOKUP_FAILED, f"{error}. Nothing was decided: try again.")
    except TimeoutError:
        said = about(admission, Undecided.LOOKUP_TIMED_OUT)
        log.warning("timeout: no answer within %s s", seconds, extra=said)
        return _denied(
            Undecided.LOOKUP_TIMED_OUT,
            f"the API server did not answer cabgate within {seconds:g} s. "
            "Nothing was decided: try again.",
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a denial
        # Not its text, nor a traceback, which ends with it: they may quote what was sent.
        log.error(
            "unexpected error in an admission request: %s",
            explained(error),
            extra=about(admission, Undecided.INTERNAL_ERROR),
        )
        return _denied(
            Undecided.INTERNAL_ERROR,
            "cabgate failed to judge this, and denies what it cannot judge. Its log has the "
            "reason: kubectl logs -n cabgate-system deployment/cabgate-webhook",
        )


async def _validate(
    admission: AdmissionRequest,
    api: LiveReads,
    settings: Settings,
    now: datetime,
    fresh: FreshIntents,
    lately: AskedLately,
    telling: Telling,
    *,
    freezing: bool = False,
) -> AdmissionAnswer:
    kind = gated_kind(admission, settings.kinds)
    if kind is not None:
        ring, machines = settings.default_ring, settings.machines
        of = admission, kind, api, ring, now, machines, settings.kinds, fresh
        return await judge_rollout(*of, freezing=freezing)
    if admission.group == GROUP:
        if admission.subresource == "status" and admission.resource in KINDS:
            return await judge_status(
                admission, api, settings.operator, settings.keys, now, settings.machines
            )
        if admission.where == "deploymentintents/status":
            return await judge_intent_status(admission, api, settings.operator)
        if admission.where == "cabrequests":
            written = admission, api, settings.operator, now
            return await judge_request(*written, settings.excluded, settings.installation)
        if admission.resource == "rolloutoutcomes":
            written = admission, api, settings.operator, now
            return await judge_outcome(*written, settings.installation)
        if admission.where == "cabexceptions":
            return await judge_exception(admission, api, settings.machines, now, lately)
        if admission.where == "riskmodels":
            return await judge_model(admission, api)
        if admission.where == "changepolicies":
            return await judge_policy(admission, api)
        if admission.where == "changefreezes":
            return judge_freeze(admission, now)
        if admission.where == "deploymentintents":
            return await judge_intent(
                *(admission, api, settings.installation, settings.require_digests_from),
                *(settings.machines, telling, now),
            )
    return _unknown(admission)


async def _mutate(
    admission: AdmissionRequest, api: LiveReads, settings: Settings, now: datetime
) -> AdmissionAnswer:
    if admission.group == GROUP:
        if admission.subresource == "status" and admission.resource in KINDS:
            if admission.user.username == settings.operator:
                return AdmissionAnswer(allowed=True, reason="SystemWrite")
            settings.caller.check(admission)
            return await stamp_review(admission, api, settings.keys, now, settings.machines)
        if admission.where == "rolloutoutcomes/status":
            return stamp_outcome(admission, settings.operator, now)
        if admission.where in ("deploymentintents", "cabexceptions"):
            return stamp_submitters(admission, settings.machines, settings.kinds)
    return _unknown(admission)


_OURS = {
    *(f"{plural}/status" for plural in ("cabrequests", "cabexceptions", "deploymentintents")),
    *("cabrequests", "cabexceptions", "deploymentintents", "riskmodels", "changepolicies"),
    *("changefreezes", "rolloutoutcomes", "rolloutoutcomes/status"),
}
"""What the API server asks about of cabgate's own kinds."""


def resource_label(admission: AdmissionRequest, kinds: Sequence[GatedKind]) -> str:
    """The resource of an admission request as the metric has it. One of few, whatever is sent: each
    would be a series for as long as the process lives."""
    kind = gated_kind(admission, kinds)
    if kind is not None:
        name = kind.resource or kind.kind.lower()
        return f"{name}/{admission.subresource}" if admission.subresource else name
    return admission.where if admission.group == GROUP and admission.where in _OURS else "other"


def _unknown(admission: AdmissionRequest) -> AdmissionAnswer:
    return _denied(
        Undecided.UNKNOWN_RESOURCE,
        f"cabgate was asked about {admission.where} of group {admission.group!r}, which it does "
        "not know: its webhook configuration names more than this version serves",
    )


def _denied(reason: str, message: str, causes: Sequence[Cause] = ()) -> AdmissionAnswer:
    text = compose(f"{reason}: {message}")
    return AdmissionAnswer(allowed=False, reason=reason, message=text, causes=causes)


def _count(metrics: Metrics, admission: AdmissionRequest, answer: AdmissionAnswer) -> None:
    """What somebody may have to look after: what a mode let through, and doubts."""
    if answer.mode is not None and not admission.dry_run:
        # Who compares by dry runs, as GitOps tools do all day, would else drown who rolls out.
        metrics.not_enforced(admission.namespace, answer.workload, answer.reason)
    if answer.reason in DOUBTS:
        metrics.in_doubt.labels(answer.reason).inc()


def _error(status: int, message: str, *, close: bool = False) -> Response:
    headers = {"Connection": "close"} if close else None
    return Response(f"{message}\n", status, headers, media_type="text/plain")
