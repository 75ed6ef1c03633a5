# SPDX-License-Identifier: Apache-2.0
"""Which writes of an outcome are refused: what the operator says is compared with the workload and
its Pods as they are, and incidents are those of whoever reports them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from cabgate.api.exception import CABException
from cabgate.api.intent import DeploymentIntent
from cabgate.api.outcome import (
    MAX_INCIDENTS,
    MAX_INTERRUPTIONS,
    PLURAL,
    REPORT,
    IncidentReport,
    Interruption,
    OutcomeResult,
    RolloutOutcome,
)
from cabgate.api.request import CABRequest
from cabgate.outcomes.occupancy import is_ended
from cabgate.outcomes.pods import PodsNow
from cabgate.outcomes.running import RunningWorkload
from cabgate.outcomes.writing import (
    is_back,
    labels_of,
    reason_of,
    result_of,
    says_what_runs,
    spec_of,
)
from cabgate.review.review import CLOCK_TOLERANCE
from cabgate.rollout.targets import Workload
from cabgate.text.moments import rfc3339
from cabgate.text.refusal import Refusal, RefusalReason

RawObject = Mapping[str, Any]


def check_new_outcome(
    outcome: RolloutOutcome,
    running: RunningWorkload | None,
    intent: DeploymentIntent | None,
    ring: int,
    request: CABRequest | None,
    exception: CABException | None,
) -> None:
    """Raise `Refusal` unless a new outcome says what runs now: `running` is the workload as it is,
    `ring` that of the namespace, and the others are what it names, if they are there."""
    spec = outcome.spec
    if running is None:
        raise _wrong("spec.target", f"there is no {spec.target.kind} {spec.target.name}")
    if not running.rolled_out:
        raise _wrong("spec.target", f"{running.workload} is not available with its present images")
    if intent is None or running.workload not in map(Workload.of, intent.spec.targets):
        raise _wrong("spec.intentName", f"no DeploymentIntent of that name has {running.workload}")
    expected = spec_of(running, ring, spec.intent_name, intent.spec.release)
    for name, field in type(spec).model_fields.items():
        if name not in _NAMED and getattr(spec, name) != getattr(expected, name):
            raise _wrong(f"spec.{field.alias}", f"is not so of {running.workload}")
    if spec.request_name is not None:
        _check_request(spec.intent_name, running, request)
    if spec.exception_name is not None and (
        exception is None or exception.spec.request_ref.name != spec.request_name
    ):
        raise _wrong("spec.exceptionName", "no CABException of that name is for this request")
    if dict(outcome.metadata.labels) != labels_of(spec):
        raise _wrong("metadata.labels", "must name the workload and the release, and nothing else")


_NAMED = frozenset({"request_name", "exception_name"})


def _check_request(intent_name: str, running: RunningWorkload, request: CABRequest | None) -> None:
    reference = None if request is None else request.spec.intent_ref
    if request is None or reference is None or reference.name != intent_name:
        raise _wrong("spec.requestName", "no CABRequest of that name is of this intent")
    if not covers(request, running):
        raise _wrong("spec.requestName", f"does not name all images of {running.workload}")


def covers(request: CABRequest, running: RunningWorkload) -> bool:
    """Whether a request names every image of a workload."""
    named = [t.images for t in request.spec.targets if Workload.of(t) == running.workload]
    return any(set(running.images).issubset(images) for images in named)


def stamped_status(
    old: RolloutOutcome, status: RawObject, username: str, now: datetime, *, by_operator: bool
) -> tuple[dict[str, Any], str]:
    """The status of an outcome as it is to be stored, and what to tell whoever writes it: ends and
    incidents have the time of the webhook, and an incident its author. Raises `Refusal`, and
    `ValidationError` for a report that is none."""
    found = dict(status)
    if by_operator:
        return _on_our_clock(old, found, now), ""
    asked = found.pop("report", None)
    if asked is None:
        return found, ""
    report = IncidentReport.model_validate(asked)
    if any(each.id == report.id for each in old.status.incidents):
        return found, f"incident {report.id} was reported before: nothing is recorded"
    if len(old.status.incidents) >= MAX_INCIDENTS:
        raise Refusal(
            RefusalReason.INVALID,
            f"an outcome lists {MAX_INCIDENTS} incidents, and this one has as many; it counts as "
            "failed wherever incidents count",
            "status.report",
        )
    entry = {**report.to_dict(), "at": rfc3339(now), "by": username}
    found["incidents"] = [*(found.get("incidents") or []), entry]
    return found, f"recorded if this succeeds: incident {report.id}, severity {report.severity}"


def _on_our_clock(old: RolloutOutcome, status: dict[str, Any], now: datetime) -> dict[str, Any]:
    """A status by the operator in which what ends now ends by the webhook's clock, and nothing
    begins later than now: an interruption that is closed early would lengthen a soak."""
    known = old.status.interruptions
    interruptions = [dict(each) for each in status.get("interruptions") or []]
    for place, each in enumerate(interruptions):
        before = known[place] if place < len(known) else None
        if each.get("until") and (before is None or before.until is None):
            each["until"] = rfc3339(now)
        if before is None and str(each.get("from")) > rfc3339(now):
            each["from"] = rfc3339(now)
    if interruptions:
        status["interruptions"] = interruptions
    if status.get("endedAt") and old.status.ended_at is None:
        status["endedAt"] = rfc3339(now)
    return status


def check_incidents(old: RolloutOutcome, new: RolloutOutcome, username: str, now: datetime) -> bool:
    """Raise `Refusal` unless somebody who is not the operator adds incidents of their own to a
    status, and nothing else; whether they add any."""
    count = len(old.status.incidents)
    same = new.status.model_copy(update={"incidents": old.status.incidents})
    if same != old.status or new.status.incidents[:count] != old.status.incidents:
        raise Refusal(
            RefusalReason.WRITTEN_BY_OPERATOR_ONLY,
            "an outcome is written by the operator; to report an incident write status.report, as "
            "cabgate outcome report does",
            "status",
        )
    added = new.status.incidents[count:]
    for each in added:
        if each.by != username or abs(each.at - now) > CLOCK_TOLERANCE:
            raise _wrong(
                "status.incidents",
                "by and at are kept by cabgate's webhook: write status.report and leave them out",
            )
    return bool(added)


def lacks_report(username: str) -> Refusal:
    """The refusal of an incident by somebody who may not report one."""
    return Refusal(
        RefusalReason.NOT_AUTHORIZED,
        f"{username} lacks the RBAC verb {REPORT!r} on {PLURAL}.cabgate.dev in this namespace; the "
        "ClusterRole cabgate-outcome-reporter has it",
        "status.report",
    )


def check_operator_write(
    old: RolloutOutcome,
    new: RolloutOutcome,
    running: RunningWorkload | None,
    pods: PodsNow | None,
    others: Sequence[RolloutOutcome],
    now: datetime,
) -> None:
    """Raise `Refusal` unless the operator's write of a status only adds what is so: `running` is
    the workload as it is, None if it is gone, `pods` what its Pods show, and `others` are the
    outcomes of that workload. Of the last two only what the write needs is asked for:
    `needs_pods`, `needs_others`."""
    before, after = old.status, new.status
    if is_ended(old) and after != before:
        raise _wrong("status", "it has ended: nothing is added but incidents")
    if after.incidents != before.incidents or after.report != before.report:
        raise _wrong("status.incidents", "are written by whoever may report them")
    _check_interruptions(old, after.interruptions, running, now)
    counts = after.pods
    if counts.failed < before.pods.failed or counts.seen < before.pods.seen:
        raise _wrong("status.pods", "counts never fall")
    kept = before.pods.failed_uids
    if counts.failed_uids[: len(kept)] != kept or counts.failed < len(counts.failed_uids):
        raise _wrong("status.pods.failedUIDs", "a Pod that failed stays one")
    if needs_pods(old, new) and not (running and says_what_runs(old, running)):
        raise _wrong("status.pods.seen", f"{old.spec.target.name} runs something else")
    if needs_pods(old, new) and (pods is None or counts.seen > pods.ready):
        shown = 0 if pods is None else pods.ready
        raise _wrong("status.pods.seen", f"{shown} of its Pods with a readiness probe are ready")
    if after.result is not None and not is_ended(old):
        _check_end(old, new, running, others, now)


def needs_pods(old: RolloutOutcome, new: RolloutOutcome) -> bool:
    """Whether a write is judged by the Pods of the workload."""
    return new.status.pods.seen > old.status.pods.seen


def needs_others(old: RolloutOutcome, new: RolloutOutcome) -> bool:
    """Whether a write is judged by the other outcomes of the workload."""
    return new.status.result is not None and not is_ended(old)


def _check_interruptions(
    old: RolloutOutcome,
    after: Sequence[Interruption],
    running: RunningWorkload | None,
    now: datetime,
) -> None:
    field = "status.interruptions"
    before = old.status.interruptions
    if len(after) < len(before):
        raise _wrong(field, "none is removed")
    for was, each in zip(before, after, strict=False):
        if each == was:
            continue
        closed = was.until is None and each == was.model_copy(update={"until": each.until})
        if not closed or each.until is None or abs(each.until - now) > CLOCK_TOLERANCE:
            raise _wrong(field, "none is changed, but for the end of the last one, which is now")
        if running is None or not says_what_runs(old, running) or not is_back(was, running):
            raise _wrong(field, f"{old.spec.target.name} does not run again as the outcome says")
    added = after[len(before) :]
    if len(added) > 1 or any(each.until is not None for each in added):
        raise _wrong(field, "one at a time begins, and has no end yet")
    if added and before and after[len(before) - 1].until is None:
        raise _wrong(field, "the last one has no end yet")
    reason = reason_of(old, running)
    if any(each.reason is not reason for each in added):
        raise _wrong(field, f"the reason must be {reason}, by what runs now")
    if any(each.from_ - now > CLOCK_TOLERANCE for each in added):
        raise _wrong(field, "none begins later than now")


def _check_end(
    old: RolloutOutcome,
    new: RolloutOutcome,
    running: RunningWorkload | None,
    others: Iterable[RolloutOutcome],
    now: datetime,
) -> None:
    at = new.status.ended_at
    if at is None or abs(at - now) > CLOCK_TOLERANCE:
        raise _wrong("status.endedAt", "is when it ended, which is now")
    full = len(old.status.interruptions) >= MAX_INTERRUPTIONS
    apart = [each for each in others if each.metadata.name != old.metadata.name]
    expected = result_of(new, running, apart)
    if new.status.result is not expected and not (
        full and new.status.result is OutcomeResult.FAILED
    ):
        raise _wrong("status.result", f"must be {expected}, by what runs now and what ran before")


def _wrong(field: str, message: str) -> Refusal:
    return Refusal(RefusalReason.WRONG_CONTENT, message, field)
