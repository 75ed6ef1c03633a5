# SPDX-License-Identifier: Apache-2.0
"""What is written of a workload: a new outcome, and how those that are there go on and end.

Each step is small, and comes to the same when it is done again: an operator that was killed between
two of them goes on where it was.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from cabgate.api.outcome import (
    MAX_INTERRUPTIONS,
    RELEASE_LABEL,
    Interruption,
    InterruptionReason,
    OutcomeResult,
    OutcomeTarget,
    RolloutOutcome,
    RolloutOutcomeSpec,
    RolloutOutcomeStatus,
)
from cabgate.outcomes.occupancy import is_ended, open_interruption
from cabgate.outcomes.pods import PodsNow, counted
from cabgate.outcomes.running import RunningWorkload
from cabgate.rollout.targets import Workload

UNAVAILABLE_AFTER = timedelta(minutes=5)
"""For how long none of its Pods may be available before that is an interruption."""

MAX_NAME = 180
"""Characters of the name of a workload that the name of its outcome repeats."""


def workload_of(target: OutcomeTarget) -> Workload:
    """The workload that an outcome is about."""
    return Workload(target.api_version.rpartition("/")[0], target.kind, target.name)


def spec_of(
    running: RunningWorkload,
    ring: int,
    intent_name: str,
    release: str | None,
    request_name: str | None = None,
    exception_name: str | None = None,
) -> RolloutOutcomeSpec:
    """What an outcome says of what runs."""
    return RolloutOutcomeSpec(
        target=OutcomeTarget(
            api_version=running.kind.api_version,
            kind=running.workload.kind,
            name=running.workload.name,
        ),
        images=list(running.images),
        template=running.template,
        release=release,
        ring=ring,
        intent_name=intent_name,
        request_name=request_name,
        exception_name=exception_name,
    )


def labels_of(spec: RolloutOutcomeSpec) -> dict[str, str]:
    """The labels by which an outcome is found: by its workload, and by its release."""
    labels = {workload_of(spec.target).label: ""}
    return labels if spec.release is None else {**labels, RELEASE_LABEL: spec.release}


def name_of(spec: RolloutOutcomeSpec, uid: str, before: Sequence[RolloutOutcome]) -> str:
    """Name of a new outcome: of what it says, the uid of the workload and the last outcome before.
    Whoever writes it once more, after a crash, takes the same name; whoever writes it after
    another one takes a new one."""
    newest = max((age_of_outcome(each)[0] for each in before), default=0.0)
    # Of several that began in one second nobody knows which was the last.
    last = sorted(each.metadata.name for each in before if age_of_outcome(each)[0] == newest)
    about = [
        spec.target.to_dict(),
        spec.images,
        *(spec.template, spec.release, spec.ring, spec.intent_name, uid),
        last,
    ]
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]
    return f"{spec.target.name[:MAX_NAME].rstrip('-.')}-{digest}"


def says_what_runs(outcome: RolloutOutcome, running: RunningWorkload | None) -> bool:
    """Whether an outcome is about what a workload runs: the same images, containers that do the
    same, and the same object, not one of its name that was created later."""
    if running is None:
        return False
    began, created = outcome.metadata.creation_timestamp, running.created
    return (
        tuple(outcome.spec.images) == running.images
        and outcome.spec.template == running.template
        and (began is None or created is None or created <= began)
    )


def runs_still(outcome: RolloutOutcome, running: RunningWorkload | None) -> bool:
    """Whether a workload runs what an outcome of it says, and some of it is available."""
    if running is None or not says_what_runs(outcome, running):
        return False
    return running.observed and running.available > 0


Place = tuple[int, str | None, str]
"""Ring, release and intent of an outcome: where another begins although the same runs."""


def present(
    place: Place, running: RunningWorkload, outcomes: Iterable[RolloutOutcome]
) -> RolloutOutcome | None:
    """The outcome among those of a workload that goes on with what runs and where."""
    same = [
        each
        for each in outcomes
        if not is_ended(each) and says_what_runs(each, running) and place_of(each.spec) == place
    ]
    return max(same, key=age_of_outcome, default=None)


def place_of(spec: RolloutOutcomeSpec) -> Place:
    """Where an outcome is."""
    return spec.ring, spec.release, spec.intent_name


def result_of(
    outcome: RolloutOutcome, running: RunningWorkload | None, others: Iterable[RolloutOutcome]
) -> OutcomeResult:
    """How an outcome ends for which there is another now, or whose workload is gone (None)."""
    interruption = open_interruption(outcome)
    if interruption is not None and interruption.reason is InterruptionReason.UNAVAILABLE:
        return OutcomeResult.FAILED
    if running is None:
        return OutcomeResult.SUCCEEDED
    came_back = not _ran_the_same(outcome, running) and any(
        is_ended(each) and _ran_the_same(each, running) for each in others
    )
    return OutcomeResult.ROLLED_BACK if came_back else OutcomeResult.REPLACED


def _ran_the_same(outcome: RolloutOutcome, running: RunningWorkload) -> bool:
    ran = tuple(outcome.spec.images), outcome.spec.template
    return ran == (running.images, running.template)


def ended(outcome: RolloutOutcome, result: OutcomeResult, now: datetime) -> RolloutOutcomeStatus:
    """Its status with its end."""
    return outcome.status.model_copy(update={"result": result, "ended_at": now})


def gone_on(
    outcome: RolloutOutcome,
    running: RunningWorkload,
    pods: PodsNow | None,
    unavailable_since: datetime | None,
    now: datetime,
) -> RolloutOutcomeStatus:
    """The status of an outcome that has not ended, by what its workload runs now.

    `pods` is what its Pods show, None where they were not looked at; `unavailable_since` since when
    none of them is available, as far as that is known. What cannot be listed any more ends it, as
    Failed.
    """
    status = outcome.status
    interruption = open_interruption(outcome)
    if not says_what_runs(outcome, running):
        return left(outcome, now)
    if pods is not None:  # also those of an outage
        status = status.model_copy(update={"pods": counted(status.pods, pods)})
    if interruption is not None:
        if is_back(interruption, running):
            closed = interruption.model_copy(update={"until": now})
            update = {"interruptions": [*status.interruptions[:-1], closed]}
            return status.model_copy(update=update)
        return status
    if running.scaled_down:
        counts = outcome.model_copy(update={"status": status})
        return _interrupted(counts, InterruptionReason.SCALED_TO_ZERO, now, now)
    since = unavailable_since if is_unavailable(running) else None
    if since is not None and now - since >= UNAVAILABLE_AFTER:
        counts = outcome.model_copy(update={"status": status})
        return _interrupted(counts, InterruptionReason.UNAVAILABLE, since, now)
    return status


def left(outcome: RolloutOutcome, now: datetime) -> RolloutOutcomeStatus:
    """The status of an outcome whose workload runs something else, or what nobody can read."""
    if open_interruption(outcome) is None:
        return _interrupted(outcome, InterruptionReason.IMAGES_LEFT, now, now)
    return outcome.status


def is_unavailable(running: RunningWorkload) -> bool:
    """Whether none of its Pods is available although some are asked for, as its controller says of
    the present template."""
    return running.observed and running.available == 0 and not running.scaled_down


def reason_of(outcome: RolloutOutcome, running: RunningWorkload | None) -> InterruptionReason:
    """Why an interruption that begins now is one, by what its workload is now."""
    if running is None or not says_what_runs(outcome, running):
        return InterruptionReason.IMAGES_LEFT
    return (
        InterruptionReason.SCALED_TO_ZERO if running.scaled_down else InterruptionReason.UNAVAILABLE
    )


def is_back(interruption: Interruption, running: RunningWorkload) -> bool:
    """Whether what interrupted a workload is over, which has the template of its outcome."""
    if interruption.reason is InterruptionReason.IMAGES_LEFT:
        return running.rolled_out  # as long as others are left, these may be what is available
    if interruption.reason is InterruptionReason.SCALED_TO_ZERO:
        # From then on it may be unavailable: else an outage after it would be no failure.
        return running.observed and not running.scaled_down
    return running.observed and running.available > 0


def _interrupted(
    outcome: RolloutOutcome, reason: InterruptionReason, since: datetime, now: datetime
) -> RolloutOutcomeStatus:
    status = outcome.status
    if len(status.interruptions) >= MAX_INTERRUPTIONS:
        return ended(outcome, OutcomeResult.FAILED, now)
    last = status.interruptions[-1].until if status.interruptions else None
    begun = last or outcome.metadata.creation_timestamp or since
    found = Interruption(from_=max(since, begun), reason=reason)
    if status.interruptions and found.from_ <= status.interruptions[-1].from_:
        # One second has room for one: the API server tells them apart by their beginning.
        found = found.model_copy(
            update={"from_": status.interruptions[-1].from_ + timedelta(seconds=1)}
        )
    return status.model_copy(update={"interruptions": [*status.interruptions, found]})


def age_of_outcome(outcome: RolloutOutcome) -> tuple[float, bool, str]:
    """What sorts outcomes of one workload by when they began, the oldest first."""
    began = outcome.metadata.creation_timestamp
    since = 0.0 if began is None else began.timestamp()
    return since, not is_ended(outcome), outcome.metadata.name
