# SPDX-License-Identifier: Apache-2.0
"""Rules that take where requests stand, for tests that hold requests as they are stored: each is
called with what the test has, and gets of it what its own annotations ask for."""

from collections.abc import Callable, Iterator
from functools import wraps
from inspect import signature
from typing import Any

from cabgate.api import CABException, CABRequest
from cabgate.gate import candidates as gate_candidates
from cabgate.gate import coverage, phrases
from cabgate.gate import decide as gate
from cabgate.lifecycle.history import precedent, revocations, same_content
from cabgate.lifecycle.limits import budget, flapping, retention
from cabgate.lifecycle.requests import assessment, endings, opening
from cabgate.lifecycle.state import standing, validity, waiting
from cabgate.lifecycle.state.standing import ExceptionStanding, WholeRequest, standing_of
from cabgate.review import races
from cabgate.writes import declared, exceptions, lifting, revoking, system


def of_stored(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that takes stored requests where another one takes standings, or whole ones."""
    parameters = signature(function)

    @wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        bound = parameters.bind(*args, **kwargs)
        for name, value in bound.arguments.items():
            bound.arguments[name] = _as(str(parameters.parameters[name].annotation), value)
        return function(*bound.args, **bound.kwargs)

    return called


def _as(annotation: str, value: Any) -> Any:
    if "WholeRequest" in annotation:
        return _each(WholeRequest.of, value)
    if "ExceptionStanding" in annotation:
        return _each(ExceptionStanding.of, value, CABException)
    return _each(standing_of, value) if "RequestStanding" in annotation else value


def _each(make: Callable[[Any], Any], value: Any, stored: type = CABRequest) -> Any:
    if isinstance(value, stored):
        return make(value)
    if isinstance(value, list | Iterator):
        return [_each(make, item, stored) for item in value]
    return tuple(_each(make, item, stored) for item in value) if type(value) is tuple else value


decide = of_stored(gate.decide)
covering = of_stored(gate.covering)
describe = of_stored(gate_candidates.describe)
describe_exception = of_stored(gate_candidates.describe_exception)
candidates = of_stored(gate.candidates)
uncovered = of_stored(coverage.uncovered)
ended = of_stored(phrases.ended)
standing_verdict = of_stored(precedent.standing_verdict)
decided_elsewhere = of_stored(precedent.decided_elsewhere)
standing_refusals = of_stored(precedent.standing_refusals)
earlier_verdict = of_stored(precedent.earlier_verdict)
overruled_by = of_stored(same_content.overruled_by)
approvals_of = of_stored(revocations.approvals_of)
assessment_of = of_stored(assessment.assessment_of)
floors_now = of_stored(assessment.floors_now)
ended_by = of_stored(endings.ended_by)
request_for = of_stored(opening.request_for)
reopens_at = of_stored(flapping.reopens_at)
removable = of_stored(retention.removable)
outcome_of_request = of_stored(waiting.outcome_of_request)
check_opening = of_stored(budget.check_opening)
closed_window = of_stored(validity.closed_window)
takes_exception = of_stored(standing.takes_exception)
exception_admits = of_stored(standing.exception_admits)
approver_of = of_stored(races.approver_of)
is_noticed = of_stored(races.is_noticed)
own_approver = of_stored(races.own_approver)
waits_for_notice = of_stored(races.waits_for_notice)
check_not_approver = of_stored(races.check_not_approver)
lifted_by = of_stored(lifting.lifted_by)
with_lifts = of_stored(lifting.with_lifts)
warnings_of_approval = of_stored(lifting.warnings_of_approval)
Surroundings = of_stored(revoking.Surroundings)
check_created = of_stored(system.check_created)
check_request_status = of_stored(system.check_request_status)
told_of_intent = of_stored(declared.told_of_intent)
check_takes_exception = of_stored(exceptions.check_takes_exception)


def verdict_on(request: CABRequest) -> Any:
    return standing_of(request).verdict


def revocation_of(request: CABRequest) -> Any:
    return standing_of(request).revocation


def decided_at(request: CABRequest) -> Any:
    return standing_of(request).decided_at


def taken_at(request: CABRequest) -> Any:
    return standing_of(request).taken_at


def unattested(request: CABRequest) -> list[Any]:
    return list(standing_of(request).unattested)
