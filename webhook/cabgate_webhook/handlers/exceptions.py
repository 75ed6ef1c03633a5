# SPDX-License-Identifier: Apache-2.0
"""Writes of exceptions, their status aside."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from cabgate.api import CABException, CABRequest
from cabgate.lifecycle.limits.budget import check_asking, check_growth
from cabgate.lifecycle.limits.capacity import check_size, stored_bytes
from cabgate.lifecycle.limits.constraints import check_future
from cabgate.lifecycle.state.exception_needs import needed_by
from cabgate.lifecycle.state.standing import RequestStanding, standing_of
from cabgate.review.identity import Machines
from cabgate.rollout.targets import Workload
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate.writes.exceptions import check_takes_exception, check_within_terms
from cabgate_webhook.admission.requests import AdmissionAnswer, AdmissionRequest
from cabgate_webhook.client.apiserver import LiveReads
from cabgate_webhook.handlers.asked import AskedLately
from cabgate_webhook.handlers.records import judge_submitters, stamp_submitters


async def stamp_exception(
    admission: AdmissionRequest, api: LiveReads, machines: Machines
) -> AdmissionAnswer:
    """The patch that makes a new exception say who asks for it and how many have to approve it."""
    answer = stamp_submitters(admission, machines)
    spec = admission.object.get("spec")
    if admission.operation != "CREATE" or not isinstance(spec, Mapping):
        return answer
    wanted = await _needed(admission, api)
    if spec.get("approvalsNeeded") == wanted:
        return answer
    path = "/spec/approvalsNeeded"
    says: dict[str, Any] = {"op": "remove", "path": path}
    if wanted is not None:
        says = {"op": "add", "path": path, "value": wanted}
    return replace(answer, reason="SubmittersStamped", patch=[*(answer.patch or []), says])


async def _needed(admission: AdmissionRequest, api: LiveReads) -> int | None:
    """How many have to approve a new exception; None where one is enough, or its request is not
    there."""
    try:
        name = CABException.model_validate(admission.object).spec.request_ref.name
    except ValidationError:  # the schema says what it is about
        return None
    request = await api.request(admission.namespace, name)
    needed = 1 if request is None else needed_by(request)
    return needed if needed > 1 else None


async def judge_exception(
    admission: AdmissionRequest,
    api: LiveReads,
    machines: Machines,
    now: datetime,
    lately: AskedLately | None = None,
) -> AdmissionAnswer:
    """The answer to a write of an exception: a new one for a request that is not there is let
    through with a warning, since it may be applied together with its intent. Raises `Refusal` for
    a new one whose request takes none, or has too many, and for one that grows where all of its
    namespace take too much. `lately` knows what was let in and is not stored yet."""
    answer = judge_submitters(admission, machines)
    lately = lately or AskedLately()
    if admission.operation != "CREATE":
        growth = stored_bytes(admission.object) - stored_bytes(admission.old_object)
        if growth > 0:  # of its metadata: the spec never changes
            await _check_growth(admission, api, growth, lately)
        return answer
    exception = CABException.model_validate(admission.object)
    check_size(None, exception)
    if exception.spec.constraints is not None:
        check_future(exception.spec.constraints, "spec.constraints", now)
    name, begun = exception.spec.request_ref.name, lately.begin()
    (request, requests), (others, stored) = await asyncio.gather(
        _request_and_others(admission.namespace, name, api),
        api.weighed_exceptions(admission.namespace, [name]),
    )
    if request is not None:
        check_takes_exception(standing_of(request), requests)
        check_within_terms(exception, request, stored=False)
    elif exception.spec.approvals_needed is not None:
        raise Refusal(
            RefusalReason.WRONG_CONTENT,
            "is kept by cabgate's webhook, and there is no such request yet: leave it out",
            "spec.approvalsNeeded",
        )
    # From here to the end nothing is waited for: who comes next knows of this one.
    unseen, more = lately.beside(admission.namespace, stored, begun)
    unseen = [each for each in unseen if each.spec.request_ref.name == name]
    check_asking(exception, [*others, *unseen], sum(stored.values()) + more, now)
    if not admission.dry_run:
        lately.note(exception, stored_bytes(admission.object))
    if request is not None:
        return answer
    warning = (
        f"there is no CABRequest {name} in namespace {admission.namespace}: until there is, nobody "
        "can approve this exception"
    )
    return replace(answer, warnings=[warning])


async def _request_and_others(
    namespace: str, name: str, api: LiveReads
) -> tuple[CABRequest | None, list[RequestStanding]]:
    """The request of a name, and those that may be for the same content."""
    request = await api.request(namespace, name)
    if request is None:
        return None, []
    # The same content has the same targets: the requests of the first of them are enough.
    first = Workload.of(request.spec.targets[0])
    return request, await api.requests_naming(namespace, [first])


async def _check_growth(
    admission: AdmissionRequest, api: LiveReads, growth: int, lately: AskedLately
) -> None:
    """Raise `Refusal` if an exception may not grow by so many bytes."""
    begun = lately.begin()
    _, stored = await api.weighed_exceptions(admission.namespace, [])
    _, more = lately.beside(admission.namespace, stored, begun)
    check_growth(sum(stored.values()) + more, growth)
    if not admission.dry_run:
        lately.note_growth(admission.namespace, growth)
