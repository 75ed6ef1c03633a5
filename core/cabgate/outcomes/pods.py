# SPDX-License-Identifier: Apache-2.0
"""The Pods of a workload: which of them count, which are ready, which have failed."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cabgate.api.outcome import MAX_FAILED_UIDS, PodCounts
from cabgate.outcomes.running import RunningWorkload
from cabgate.outcomes.stored import RawObject, entries, moment, part

NOT_READY_FOR = timedelta(minutes=5)
"""For how long a Pod may not be ready before it counts as failed."""

_CANNOT_START = frozenset(
    {
        *("CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "InvalidImageName"),
        *("CreateContainerConfigError", "CreateContainerError", "RunContainerError"),
    }
)
"""Why a container waits that could not be started."""

# Ends the name of a ReplicaSet that a controller makes.
_HASH = "-[bcdfghjklmnpqrstvwxz2456789]{1,12}"


@dataclass(frozen=True)
class PodsNow:
    """The Pods that count of a workload, at a moment."""

    ready: int = 0
    """How many are ready."""
    failed: frozenset[str] = frozenset()
    """The uids of those that have failed."""
    may_fail_at: datetime | None = None
    """When the next of those that are not ready counts as failed, if it stays so."""
    unready_since: datetime | None = None
    """Since when none is ready, of those without a readiness probe too; None where one is, or
    there is none."""

    any_ready: bool = False
    """Whether one is ready, of those without a readiness probe too."""

    def beside(self, others: "PodsNow") -> "PodsNow":
        """These Pods and others together."""
        deadlines = [each for each in (self.may_fail_at, others.may_fail_at) if each is not None]
        unready = [each for each in (self.unready_since, others.unready_since) if each is not None]
        any_ready = self.any_ready or others.any_ready
        return PodsNow(
            self.ready + others.ready,
            self.failed | others.failed,
            min(deadlines, default=None),
            None if any_ready else max(unready, default=None),
            any_ready,
        )


def pods_now(running: RunningWorkload, pods: Iterable[RawObject], now: datetime) -> PodsNow:
    """What the Pods that a workload selects show.

    Those count that its controller made, that run its images, other containers beside these or not,
    one of which has a readiness probe, and that nobody is deleting. A Pod has failed where one of
    its containers ended with an error or could not be started, where all of it did, and where it
    was not ready for `NOT_READY_FOR`.
    """
    ready, failed, deadlines = 0, set(), []
    any_ready, unready = False, []
    for pod in pods:
        metadata, status = part(pod, "metadata"), part(pod, "status")
        if metadata.get("deletionTimestamp") or not _is_own(running, pod):
            continue
        is_ready, since = _readiness(metadata, status)
        any_ready = any_ready or is_ready
        unready += [since] if since is not None else []
        if not _has_probe(running, pod):
            continue
        ready += is_ready
        waits = not is_ready and since is not None and _is_scheduled(status)
        late = since + NOT_READY_FOR if waits and since is not None else None
        if _has_failed(status) or (late is not None and late <= now):
            failed.add(str(metadata.get("uid")))
        elif late is not None:
            deadlines.append(late)
    unready_since = None if any_ready else max(unready, default=None)
    return PodsNow(ready, frozenset(failed), min(deadlines, default=None), unready_since, any_ready)


def counted(before: PodCounts, now: PodsNow) -> PodCounts:
    """What was counted so far with what Pods show now; it only grows."""
    known = before.failed_uids
    new = sorted(now.failed.difference(known))
    kept = [*known, *new][:MAX_FAILED_UIDS]
    failed = before.failed + len(kept) - len(known)
    return PodCounts(
        seen=max(before.seen, now.ready),
        failed=max(failed, len(now.failed)),
        failed_uids=kept,
    )


def _is_own(running: RunningWorkload, pod: RawObject) -> bool:
    """Whether a Pod is of the workload, with the images that it runs now."""
    if not _is_made_by(running, part(pod, "metadata")):
        return False
    images = {str(each.get("image")) for each in _all_containers(pod)}
    images |= set(_image_volumes(pod))
    return images.issuperset(running.images)


def _has_probe(running: RunningWorkload, pod: RawObject) -> bool:
    """Whether a container that the workload asks for has a readiness probe: those that others add
    to a Pod know nothing of it."""
    return any(
        each.get("readinessProbe") and each.get("image") in running.images
        for each in entries(part(pod, "spec"), "containers")
    )


def _is_made_by(running: RunningWorkload, metadata: RawObject) -> bool:
    """Whether the controller of a workload made a Pod: a ReplicaSet of it, or it itself."""
    for owner in entries(metadata, "ownerReferences"):
        if owner.get("controller") is not True:
            continue
        if owner.get("uid") == running.uid:
            return True
        name = str(owner.get("name"))
        if owner.get("kind") == "ReplicaSet":
            return re.fullmatch(re.escape(running.workload.name) + _HASH, name) is not None
    return False


def _readiness(metadata: RawObject, status: RawObject) -> tuple[bool, datetime | None]:
    """Whether a Pod is ready, and since when it is as it is."""
    for each in entries(status, "conditions"):
        if each.get("type") == "Ready":
            since = each.get("lastTransitionTime") or metadata.get("creationTimestamp")
            return each.get("status") == "True", moment(since)
    return False, moment(metadata.get("creationTimestamp"))


def _is_scheduled(status: RawObject) -> bool:
    """Whether a node has a Pod, unless that is not said: one for which there is no room says
    nothing of the release."""
    return not any(
        each.get("type") == "PodScheduled" and each.get("status") == "False"
        for each in entries(status, "conditions")
    )


def _has_failed(status: RawObject) -> bool:
    if status.get("phase") == "Failed":
        return True
    for each in entries(status, "containerStatuses"):
        state, last = part(each, "state"), part(each, "lastState")
        ended = (part(state, "terminated"), part(last, "terminated"))
        if any(end.get("exitCode") not in (None, 0) for end in ended):
            return True
        if part(state, "waiting").get("reason") in _CANNOT_START:
            return True
    return False


def _all_containers(pod: RawObject) -> list[RawObject]:
    spec = part(pod, "spec")
    fields = ("containers", "initContainers", "ephemeralContainers")
    return [each for field in fields for each in entries(spec, field)]


def _image_volumes(pod: RawObject) -> list[str]:
    volumes = entries(part(pod, "spec"), "volumes")
    return [str(part(each, "image").get("reference")) for each in volumes if each.get("image")]
