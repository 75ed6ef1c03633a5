# SPDX-License-Identifier: Apache-2.0
"""What runs beyond the constraints of the exception that let it in: told of, and never stopped."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from cabgate.api.base import rfc3339
from cabgate.api.conditions import StatusCondition
from cabgate.api.exception import CABException, ExceptionState
from cabgate.gate.commands import list_uncovered
from cabgate.gate.composing import compose
from cabgate.gate.coverage import Uncovered
from cabgate.gate.verdict import Reason
from cabgate.lifecycle.state.states import state_of
from cabgate.rollout.rings import GATED_FROM
from cabgate_kube.k8s_events import News, Reference
from cabgate_kube.resources import EXCEPTIONS
from cabgate_operator.plans.conditions import Wanted, merge_conditions
from cabgate_operator.work.context import Context
from cabgate_operator.work.reports import note_act

CONDITION = Reason.CONSTRAINT_VIOLATED.value
"""Type of the condition of an exception, and reason of the Event: the code of the denial."""

MAX_NAMES = 5
"""Workloads that a condition names."""


async def tell_beyond(
    context: Context,
    exceptions: Iterable[CABException],
    found: Iterable[Uncovered],
    *,
    gated: bool = True,
) -> None:
    """Have the condition of each exception say what runs beyond it, and an Event each time that it
    comes to say something else. One that nothing was ever beyond has no such condition. `found` is
    all that runs uncovered in the namespace of the exceptions, `gated` whether that is gated."""
    beyond: dict[str, list[Uncovered]] = defaultdict(list)
    for each in found:
        if each.beyond is not None:
            beyond[each.beyond.exception].append(each)
    for exception in exceptions:
        own = beyond[exception.metadata.name]
        wanted = wanted_of(exception, own, context.clock(), gated=gated)
        if wanted is not None:
            await _write(context, exception, wanted)


def wanted_of(
    exception: CABException, beyond: Sequence[Uncovered], now: datetime, *, gated: bool = True
) -> Wanted | None:
    """The condition of an exception that some workloads are beyond at a moment, in a namespace that
    is gated or not; None where it says so already, or has none and needs none."""
    stored = stored_condition(exception)
    if beyond:
        wanted = Wanted(CONDITION, True, "Beyond", _message(exception, beyond))
    elif stored is None:
        return None
    else:
        name, state = exception.metadata.name, state_of(exception, now)
        wanted = Wanted(CONDITION, False, "Within", f"What runs under {name} keeps to it.")
        if not gated:
            says = f"The namespace is below ring {GATED_FROM}: what runs there is not looked at."
            wanted = Wanted(CONDITION, False, "NotGated", says)
        elif state is not ExceptionState.APPROVED:
            says = f"Exception {name} is {state.lower()}: nothing is held to its constraints."
            wanted = Wanted(CONDITION, False, state.value, says)
    if stored is None or (stored.status == "True", stored.message) != (
        wanted.holds,
        wanted.message,
    ):
        return wanted
    return None


def stored_condition(exception: CABException) -> StatusCondition | None:
    """The condition as it stands; None where nothing was ever beyond the exception."""
    return next((each for each in exception.status.conditions if each.type == CONDITION), None)


def _message(exception: CABException, beyond: Sequence[Uncovered]) -> str:
    meta = exception.metadata
    first, *others = sorted(beyond, key=lambda each: each.workload)
    more = f" and {len(others) - MAX_NAMES} more" if len(others) > MAX_NAMES else ""
    names = ", ".join(each.workload.argument for each in others[:MAX_NAMES])
    violated = None if first.beyond is None else first.beyond.violation
    admits = f", which admits {violated.admits} ({violated.field})" if violated else ""
    return compose(
        f"{first.workload} runs beyond exception {meta.name}{admits}.",
        ["It keeps running.", *([f"So do {names}{more}."] if others else [])],
        "Bring it back within that, or request another exception; see what else runs uncovered: "
        + list_uncovered(meta.namespace),
    )


async def _write(context: Context, exception: CABException, wanted: Wanted) -> None:
    meta = exception.metadata
    raw = await context.api.get(EXCEPTIONS, meta.namespace, meta.name)
    if raw is None or raw["metadata"].get("uid") != meta.uid:
        return
    status = raw.get("status") or {}
    conditions = merge_conditions(
        status.get("conditions", []), [wanted], meta.generation, context.clock()
    )
    if wanted.holds:
        stored = stored_condition(exception)
        since = "" if stored is None else rfc3339(stored.last_transition_time)
        news = News(CONDITION, wanted.message, (since, wanted.message), warning=True)
        await context.tell(Reference(EXCEPTIONS, meta.namespace, meta.name, meta.uid), news)
    await context.api.replace_status(
        EXCEPTIONS, {**raw, "status": {**status, "conditions": conditions}}
    )
    note_act(f"exception {meta.name}", CONDITION if wanted.holds else wanted.reason)
