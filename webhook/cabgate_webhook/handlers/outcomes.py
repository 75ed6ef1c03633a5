# SPDX-License-Identifier: Apache-2.0
"""Writes of outcomes: the operator's are compared with what runs, everybody else reports
incidents."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from cabgate.api import CABException, CABRequest, RolloutOutcome
from cabgate.api.outcome import PLURAL, REPORT
from cabgate.outcomes.pods import PodsNow, pods_now
from cabgate.outcomes.running import RunningWorkload
from cabgate.outcomes.writing import workload_of
from cabgate.rollout.installation import InstallationSettings
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate.writes.outcomes import (
    check_incidents,
    check_new_outcome,
    check_operator_write,
    lacks_report,
    needs_others,
    needs_pods,
    stamped_status,
)
from cabgate_webhook.admission.requests import AdmissionAnswer, AdmissionRequest
from cabgate_webhook.client.apiserver import LiveReads
from cabgate_webhook.handlers.guarded import check_untied, judge_metadata
from cabgate_webhook.handlers.running import running_now


def stamp_outcome(admission: AdmissionRequest, operator: str, now: datetime) -> AdmissionAnswer:
    """The patch that makes an entry of `status.incidents` of a report, with who reports it, and
    sets what ends to the time of now. Raises `Refusal`."""
    old = RolloutOutcome.model_validate(admission.old_object)
    status = admission.object.get("status")
    if not isinstance(status, Mapping):
        return AdmissionAnswer(allowed=True, reason="Unchanged")
    by_operator = admission.user.username == operator
    made, message = stamped_status(
        old, status, admission.user.username, now, by_operator=by_operator
    )
    patch = [{"op": "add", "path": "/status", "value": made}] if made != status else []
    warnings = [message] if message else []
    return AdmissionAnswer(allowed=True, reason="OutcomeStamped", patch=patch, warnings=warnings)


async def judge_outcome(
    admission: AdmissionRequest,
    api: LiveReads,
    operator: str,
    now: datetime,
    installation: InstallationSettings,
) -> AdmissionAnswer:
    """The answer to a write of an outcome or of its status. Raises `Refusal`."""
    if admission.subresource == "status":
        return await _judge_status(admission, api, operator, now)
    if admission.operation != "CREATE":
        return judge_metadata(admission, "an outcome")
    if admission.user.username != operator:
        raise Refusal(
            RefusalReason.WRITTEN_BY_OPERATOR_ONLY,
            "outcomes are created by the operator, once a workload of an intent is available",
        )
    outcome = RolloutOutcome.model_validate(admission.object)
    check_untied(admission, "an outcome", "workload")
    namespace, spec = admission.namespace, outcome.spec
    labels, intent, running, request, exception = await asyncio.gather(
        api.namespace_labels(namespace),
        api.intent(namespace, spec.intent_name),
        running_now(api, namespace, workload_of(spec.target)),
        _request(namespace, spec.request_name, api),
        _exception(namespace, spec.request_name, spec.exception_name, api),
    )
    ring = installation.namespace_ring(namespace, labels)
    check_new_outcome(outcome, running, intent, ring, request, exception)
    return AdmissionAnswer(allowed=True, reason="OutcomeBegun")


async def _judge_status(
    admission: AdmissionRequest, api: LiveReads, operator: str, now: datetime
) -> AdmissionAnswer:
    old = RolloutOutcome.model_validate(admission.old_object)
    new = RolloutOutcome.model_validate(admission.object)
    user, namespace = admission.user, admission.namespace
    if user.username != operator:
        if check_incidents(old, new, user.username, now):
            name = old.metadata.name
            of = {"verb": REPORT, "resource": PLURAL, "namespace": namespace, "name": name}
            if not await api.may(user, **of):
                raise lacks_report(user.username)
            return AdmissionAnswer(allowed=True, reason="IncidentReported")
        return AdmissionAnswer(allowed=True, reason="Unchanged")
    workload = workload_of(old.spec.target)
    try:
        running = await running_now(api, namespace, workload)
    except Refusal:
        running = None  # what cannot be read runs nothing that an outcome says
    pods: PodsNow | None = None
    others: Sequence[RolloutOutcome] = ()
    if running is not None and needs_pods(old, new):
        pods = await _pods(namespace, running, api, now)
    if needs_others(old, new):
        others = await api.outcomes(namespace, workload.label)
    check_operator_write(old, new, running, pods, others, now)
    return AdmissionAnswer(allowed=True, reason="SystemWrite")


async def _pods(namespace: str, running: RunningWorkload, api: LiveReads, now: datetime) -> PodsNow:
    """What the Pods of a workload show now, of which each page is forgotten before the next."""
    found = PodsNow()
    async for page in api.pods(namespace, running.selector):
        found = found.beside(pods_now(running, page, now))
    return found


async def _request(namespace: str, name: str | None, api: LiveReads) -> CABRequest | None:
    return None if name is None else await api.request(namespace, name)


async def _exception(
    namespace: str, request: str | None, name: str | None, api: LiveReads
) -> CABException | None:
    if name is None or request is None:
        return None
    found: list[Any] = await api.exceptions_for(namespace, [request])
    return next((each for each in found if each.metadata.name == name), None)
