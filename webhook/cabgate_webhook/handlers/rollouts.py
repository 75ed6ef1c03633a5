# SPDX-License-Identifier: Apache-2.0
"""The gate: whether what an object rolls out is admitted."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache, partial
from typing import Any

from cabgate.api import CABException
from cabgate.api.changefreeze import PLURAL as FREEZES
from cabgate.api.kinds import GatedKind
from cabgate.gate.decide import covering, decide
from cabgate.gate.messages import controller_message
from cabgate.gate.unjudged import WITHOUT_A_REQUEST, Unopened, unopened_message
from cabgate.gate.verdict import GateVerdict, Reason
from cabgate.lifecycle.limits.freezes import (
    in_force,
    may_hold,
    read_freezes,
    without_rollbacks,
)
from cabgate.lifecycle.limits.promotion import (
    UNKNOWN,
    WAIVED,
    asks_before,
    places_of,
    to_look_at,
)
from cabgate.lifecycle.state.requirements import says_of_containers
from cabgate.lifecycle.state.standing import (
    RequestStanding,
    standings_of_exceptions,
    takes_exception,
)
from cabgate.review.identity import SERVICE_ACCOUNTS, Machines
from cabgate.rollout.earlier import without_claims
from cabgate.rollout.pods import PodTemplateError
from cabgate.rollout.rings import GATED_FROM, HIGHEST, effective_ring, ring_of
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.targets import Workload
from cabgate.rollout.templates import Template, is_required
from cabgate.rollout.workloads import (
    claimed_maker,
    kind_of,
    reference_of,
    rollout_of,
    template_of,
)
from cabgate_webhook.admission.requests import AdmissionAnswer, AdmissionRequest, metadata_of
from cabgate_webhook.client.ahead import Ahead
from cabgate_webhook.client.apiserver import LiveReads
from cabgate_webhook.handlers.earlier import Earlier, earlier_rings, still_running
from cabgate_webhook.handlers.fresh import FreshIntents

GATED_SUBRESOURCES = frozenset({"", "ephemeralcontainers"})
"""Subresources through which images come in; none means the object itself."""


async def judge_rollout(
    admission: AdmissionRequest,
    kind: GatedKind,
    api: LiveReads,
    default_ring: int,
    now: datetime,
    machines: Machines = SERVICE_ACCOUNTS,
    configured: Sequence[GatedKind] = (),
    fresh: FreshIntents | None = None,
    *,
    freezing: bool = False,
) -> AdmissionAnswer:
    """The answer to a rollout; `configured` are the kinds that are gated beside those that always
    are, `fresh` waits where its intent was just written, `freezing` says that its namespace carries
    a change policy, so that freezes may hold there. Raises `LookupFailed` where the API server
    does not answer."""
    begun = asyncio.get_running_loop().time()
    try:
        rollout, referred = await _rollout(admission, kind, api, configured)
        template = cache(partial(_template, admission, kind, referred))
        as_kept = partial(_template, admission, kind, referred, claims=False)
        earlier = Earlier(api, admission, as_kept)
        look = partial(_look, rollout, template, earlier, default_ring, machines)
        look = partial(look, freezing=freezing)
        maker = _maker(admission, machines, configured)
        async with Ahead(partial(_requests_of, api, admission.namespace, maker)) as of_maker:
            decision, labels, ring = await look(now)
            if fresh is not None and not decision.allowed:
                differs = decision.reason is Reason.TEMPLATE_NOT_COVERED
                meant = replace(rollout, template=template()) if differs else rollout
                declared = await fresh.judged(meant, decision.reason, labels, begun)
                if declared.again is not None:
                    now = declared.again
                    decision, labels, ring = await look(now)
                decision = _of_an_intent(rollout, ring, decision, declared.unopened)
            if decision.reason is Reason.NO_REQUEST and maker is not None:
                requests = await of_maker.found()
                if requests is None:
                    requests = await _requests_of(api, admission.namespace, maker)
                decision = _of_a_controller(
                    admission, rollout, ring, decision, maker, requests, now
                )
    except PodTemplateError as error:
        return AdmissionAnswer(
            allowed=False, reason="MalformedObject", message=f"MalformedObject: {error}"
        )
    return _answer(decision, rollout)


def _maker(
    admission: AdmissionRequest, machines: Machines, configured: Sequence[GatedKind]
) -> Workload | None:
    """The workload that a machine's rollout says it was made from, if it says one."""
    if not machines.include(admission.user.username, admission.user.groups):
        return None
    return claimed_maker(admission.object, configured)


async def _look(
    rollout: Rollout,
    template: Callable[[], Template | None],
    earlier: Earlier,
    default_ring: int,
    machines: Machines,
    now: datetime,
    *,
    freezing: bool,
) -> tuple[GateVerdict, Mapping[str, str], int]:
    """The decision by what is there now, with the labels of the namespace and the ring; labels are
    empty and the ring is the highest where it is admitted whatever they are.

    What the containers do is looked at where a request says it or has to: `template` tells it.
    Freezes are read where it is `freezing`; `earlier` is asked what went before, where something
    approved is kept back for want of that."""
    api, admission = earlier.api, earlier.admission
    namespace = admission.namespace
    stored: Sequence[Mapping[str, Any]] = ()
    async with Ahead(partial(api.listed_exceptions, namespace)) as listed:
        finding = api.requests_naming(namespace, rollout.workloads, at_once=True)
        if freezing:
            requests, stored = await asyncio.gather(finding, api.cluster_wide(FREEZES))
        else:
            requests = await finding
        if any(says_of_containers(request) for request in requests):
            rollout = replace(rollout, template=template())
        # What the highest ring admits, each ring admits where none comes before it, and what is
        # admitted where a template is required is admitted where none is: the namespace need not
        # be read.
        decision = decide(rollout, HIGHEST, requests, (), now, template_required=True)
        freezes = read_freezes(stored)
        free = not may_hold(freezes, now) and not asks_before(requests, HIGHEST)
        if decision.allowed and not decision.warnings and free:
            return decision, {}, HIGHEST
        covered = covering(rollout, requests)
        names = [request.metadata.name for request in covered if takes_exception(request)]
        exceptions: list[CABException] = []
        if names and not decision.allowed:
            labels, exceptions = await asyncio.gather(
                api.namespace_labels(namespace), _exceptions(api, namespace, names, listed)
            )
        else:
            labels = await api.namespace_labels(namespace)
    ring = _ring(labels, admission, default_ring)
    judged = partial(
        decide,
        *(rollout, ring, requests, standings_of_exceptions(exceptions), now, machines),
        template_required=is_required(labels, ring),
    )
    held = in_force(freezes, labels, ring, now)
    decision = judged(freezes=held)
    # A rollback first: it is told by this namespace alone, and waits for no outcome.
    if decision.kept_back and ring_of(labels, default_ring) >= GATED_FROM:
        ran = await earlier.ran(rollout)
        held = without_rollbacks(held, ran)
        decision = judged(
            freezes=held,
            ran_since=min(ran, default=None),
            earlier_rings=WAIVED if ran else UNKNOWN,
        )
        if ran:
            return decision, labels, ring
    if decision.kept_back and (places := places_of(covered, ring)):
        rings = await earlier_rings(api, places, template())
        meeting = to_look_at(covered, ring, rollout.images, rings, now)
        rings = replace(rings, running=await still_running(api, meeting))
        decision = judged(freezes=held, earlier_rings=rings)
    return decision, labels, ring


def _of_an_intent(
    rollout: Rollout, ring: int, decision: GateVerdict, intent: Unopened | None
) -> GateVerdict:
    """The decision, which where it denies for want of a request tells why the intent has none."""
    if intent is None or decision.reason not in WITHOUT_A_REQUEST:
        return decision
    return replace(decision, message=unopened_message(rollout, ring, decision.reason, intent))


async def _exceptions(
    api: LiveReads, namespace: str, names: Sequence[str], listed: Ahead[bytes | None]
) -> list[CABException]:
    """The exceptions for some requests, out of a list that went out before, if one did."""
    return await api.exceptions_for(namespace, names, listed=await listed.found())


async def _requests_of(
    api: LiveReads, namespace: str, maker: Workload | None
) -> list[RequestStanding]:
    """The requests that name the workload that a rollout says it was made from."""
    return [] if maker is None else await api.requests_naming(namespace, [maker])


def _of_a_controller(
    admission: AdmissionRequest,
    rollout: Rollout,
    ring: int,
    decision: GateVerdict,
    maker: Workload,
    requests: Sequence[RequestStanding],
    now: datetime,
) -> GateVerdict:
    """The denial of what a machine makes, which tells of a controller that is not configured if
    the workload that it says it made this from is approved: it is denied all the same."""
    made_from = Rollout(rollout.namespace, maker, rollout.images)
    of_maker = decide(made_from, HIGHEST, requests, (), now, earlier_rings=WAIVED)
    request = of_maker.basis.request
    if request is None or not of_maker.allowed:
        return decision
    message = controller_message(rollout, ring, maker, request, admission.user.username)
    return replace(decision, message=message)


async def _rollout(
    admission: AdmissionRequest, kind: GatedKind, api: LiveReads, configured: Sequence[GatedKind]
) -> tuple[Rollout, Mapping[str, Any] | None]:
    """The rollout, without what its containers do, and the object that its `workloadRef` names."""
    obj, old = _named(admission), admission.old_object or None
    reference = reference_of(kind, obj)
    # What does not exist yet runs nothing, and is gated itself when it comes.
    referred = None if reference is None else await api.workload(admission.namespace, reference)
    return rollout_of(kind, admission.namespace, obj, old, referred, configured), referred


def _template(
    admission: AdmissionRequest,
    kind: GatedKind,
    referred: Mapping[str, Any] | None,
    *,
    claims: bool = True,
) -> Template | None:
    """What the containers of a rollout do, with the claims for volumes beside or without. Of a Pod
    that exists nothing of that can change but containers that are added to it, which a policy of
    the chart looks after. Of what is too large to be compared, something that no approval names.
    Raises `PodTemplateError`."""
    if kind.is_pod and admission.old_object:
        return None
    obj = admission.object
    if admission.is_narrow:
        if admission.pod_templates is None:
            return Template("")
        # Of the same kind, and with no name: that was looked at before.
        obj = json.loads(admission.pod_templates)
    return template_of(kind, obj if claims else without_claims(obj), referred)


def _named(admission: AdmissionRequest) -> Mapping[str, object]:
    """The object, with the name that the URL gives it where it has none itself."""
    metadata = metadata_of(admission.object)
    if metadata.get("name") or not admission.name:
        return admission.object
    return {**admission.object, "metadata": {**metadata, "name": admission.name}}


def _ring(
    namespace_labels: Mapping[str, str], admission: AdmissionRequest, default_ring: int
) -> int:
    """Ring of the rollout; of an update, the larger of before and after, so that no write opens
    the gate for itself."""
    before = ring_of(_labels(admission.old_object), 0)
    return max(before, effective_ring(namespace_labels, _labels(admission.object), default_ring))


def _labels(obj: Mapping[str, object]) -> Mapping[str, str]:
    return metadata_of(obj).get("labels") or {}


def _answer(decision: GateVerdict, rollout: Rollout) -> AdmissionAnswer:
    request = decision.basis.request
    return AdmissionAnswer(
        allowed=decision.allowed,
        reason=decision.reason,
        message=decision.message,
        warnings=decision.warnings,
        correlation_id="" if request is None else request.spec.correlation_id,
        workload=rollout.workloads[-1].argument,
    )


def gated_kind(
    admission: AdmissionRequest, configured: Sequence[GatedKind] = ()
) -> GatedKind | None:
    """The kind whose rollout an admission request is about; None if it is about something else."""
    if admission.subresource not in GATED_SUBRESOURCES:
        return None
    api_version, kind = admission.object.get("apiVersion"), admission.object.get("kind")
    if not isinstance(api_version, str) or not isinstance(kind, str):
        return None
    return kind_of(api_version, kind, configured)
