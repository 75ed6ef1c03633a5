# SPDX-License-Identifier: Apache-2.0
"""`RolloutOutcome`: what became of a rollout; written by the operator, incidents by who may."""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from cabgate.api.base import (
    Count,
    Image,
    Model,
    ObjectMeta,
    ObjectName,
    Timestamp,
    cel,
    text,
    validations,
)
from cabgate.api.types import MAX_IMAGES, ReleaseName, Username
from cabgate.text.characters import NAME_PATTERN

KIND = "RolloutOutcome"
PLURAL = "rolloutoutcomes"

REPORT = "report"
"""RBAC verb on rolloutoutcomes of who may report an incident."""

RELEASE_LABEL = "cabgate.dev/release"
"""Label of the outcomes of a release, in whatever namespace they are."""

MAX_INTERRUPTIONS = 64
"""Interruptions of one outcome. One that would be interrupted once more ends, as Failed; the next
time that the workload is available is another outcome."""

MAX_INCIDENTS = 64
"""Incidents of one outcome; further reports are refused."""

MAX_FAILED_UIDS = 200
"""Pods that failed whose uids an outcome keeps, so that none counts twice. Once there are so many,
`failed` rises only when more than that fail at one time."""


class OutcomeResult(StrEnum):
    """How a rollout ended."""

    SUCCEEDED = "Succeeded"
    """The workload was deleted while it ran as it should; nothing took its place."""
    FAILED = "Failed"
    """It was unavailable when other images or another template took its place or the workload was
    deleted; or it was interrupted more often than one outcome lists."""
    ROLLED_BACK = "RolledBack"
    """The workload became available again with what it had run before this."""
    REPLACED = "Replaced"
    """The workload became available with something new."""


class InterruptionReason(StrEnum):
    """Why a workload did not run as its outcome says."""

    IMAGES_LEFT = "ImagesLeft"
    """Its pod template had other images, or its containers did something else."""
    UNAVAILABLE = "Unavailable"
    """None of its Pods was available for more than 5 minutes."""
    SCALED_TO_ZERO = "ScaledToZero"
    """None of its Pods was asked for: it was scaled to 0, or no node was left for a DaemonSet."""


class OutcomeTarget(Model):
    """The workload that ran."""

    api_version: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    """API version of the workload, such as apps/v1."""
    kind: Annotated[str, StringConstraints(min_length=1, max_length=63)]
    """Kind of the workload, such as Deployment."""
    name: ObjectName
    """Name of the workload, in the namespace of the outcome."""


RingTemplate = Annotated[str, StringConstraints(pattern=r"^r1:sha256:[0-9a-f]{64}$", max_length=74)]
"""Digest of what the containers of a workload do but for their variables: the same in each ring."""


class RolloutOutcomeSpec(Model):
    """What ran, where, and what let it in; never changes. It began at
    metadata.creationTimestamp."""

    target: OutcomeTarget
    """The workload."""
    images: Annotated[
        list[Image],
        Field(
            min_length=1,
            max_length=MAX_IMAGES,
            json_schema_extra={"x-kubernetes-list-type": "atomic"},
        ),
    ]
    """Every image of its pod template, as it stands there, sorted."""
    template: RingTemplate | None = None
    """Digest of what its containers do but for their variables, in normal form, and of which image
    each of them runs; the number of replicas and when probes ask are not part of it. Absent where
    the template is too large to be compared: no promotion goes by such an outcome."""
    release: ReleaseName | None = None
    """The release unit that its intent names; absent: none, and no promotion goes by it."""
    ring: Annotated[int, Field(ge=0, le=4)]
    """Ring of the namespace, 0 to 4."""
    intent_name: ObjectName
    """Name of the DeploymentIntent whose target it is."""
    request_name: ObjectName | None = None
    """Name of the current CABRequest of that intent, where it names every image that runs."""
    exception_name: ObjectName | None = None
    """Name of the CABException of that request, where one is needed and was active."""


class Interruption(Model):
    """A time in which the workload did not run as the outcome says."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "self.reason == oldSelf.reason"
                " && (!has(oldSelf.until) || (has(self.until) && self.until == oldSelf.until))",
                "an interruption is never changed, but that its end is added",
            ),
            cel("!has(self.until) || self.from <= self.until", "from must not be after until"),
        )
    )

    from_: Annotated[Timestamp, Field(alias="from")]
    """Since when."""
    until: Timestamp | None = None
    """When it ran again, by the webhook's clock; absent: it does not."""
    reason: InterruptionReason
    """ImagesLeft, Unavailable or ScaledToZero."""


Severity = Annotated[int, Field(ge=1, le=4)]
"""How bad it is: 1 is worst, 4 is hardly noticed."""

IncidentID = Annotated[str, *text(128, NAME_PATTERN)]
"""What an incident is called where it is kept: an id is reported once."""


class IncidentReport(Model):
    """The slot of who reports: what is written here becomes an entry of `incidents` in the same
    write, with who wrote it and when."""

    id: IncidentID
    """What the incident is called where it is kept, such as INC-4711; unique within the outcome."""
    severity: Severity
    """1 to 4; 1 is worst."""
    source: Annotated[str, *text(256, NAME_PATTERN)]
    """What noticed it, such as alertmanager, or an address."""


class Incident(IncidentReport):
    """Something that went wrong with the rollout."""

    model_config = ConfigDict(
        json_schema_extra=validations(cel("self == oldSelf", "an incident cannot be changed"))
    )

    at: Timestamp
    """When it was reported, by the webhook's clock."""
    by: Username
    """Who reported it, as the API server authenticated them."""


class PodCounts(Model):
    """How many Pods there were with these images, of those that have a readiness probe."""

    seen: Count = 0
    """The most that were ready at one time."""
    failed: Count = 0
    """How many failed: a container ended with an error or could not be started, or the Pod was not
    ready for more than 5 minutes. Each counts once."""
    failed_uids: Annotated[
        list[Annotated[str, StringConstraints(min_length=1, max_length=64)]],
        Field(
            alias="failedUIDs",
            max_length=MAX_FAILED_UIDS,
            json_schema_extra={"x-kubernetes-list-type": "atomic"},
        ),
    ] = Field(default_factory=list)
    """The uids of those that failed."""


class RolloutOutcomeStatus(Model):
    """What became of it; nothing that stands here is taken back."""

    interruptions: Annotated[
        list[Interruption],
        Field(
            max_length=MAX_INTERRUPTIONS,
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["from"],
            },
        ),
    ] = Field(default_factory=list)
    """When it did not run as it should, in order; the last one may have no end yet."""
    pods: PodCounts = Field(default_factory=PodCounts)
    """Its Pods, counted."""
    report: IncidentReport | None = None
    """What whoever may `report` writes; the webhook makes an entry of `incidents` of it in the same
    write."""
    incidents: Annotated[
        list[Incident],
        Field(
            max_length=MAX_INCIDENTS,
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["id"],
            },
        ),
    ] = Field(default_factory=list)
    """What was reported, in order."""
    result: OutcomeResult | None = None
    """How it ended; absent: it has not ended."""
    ended_at: Timestamp | None = None
    """When the operator saw its end, by the webhook's clock; an interruption may have begun before,
    with which the time that it ran was over."""


def _kept(path: str) -> str:
    """Whether a list of the status is no shorter than before, as CEL."""
    return (
        f"!has(oldSelf.status.{path}) || size(oldSelf.status.{path}) == 0 || (has(self.status)"
        f" && has(self.status.{path}) && size(self.status.{path}) >= size(oldSelf.status.{path}))"
    )


GROWS = cel(
    "!has(oldSelf.status) || ("
    f"({_kept('interruptions')}) && ({_kept('incidents')})"
    " && (!has(oldSelf.status.pods) || (has(self.status) && has(self.status.pods)"
    " && self.status.pods.seen >= oldSelf.status.pods.seen"
    " && self.status.pods.failed >= oldSelf.status.pods.failed)))",
    "status only grows: no interruption and no incident is removed, no count falls",
)
"""At the root, because a transition rule on a field is skipped when its parent is patched away."""

ENDS_ONCE = cel(
    "!has(oldSelf.status) || !has(oldSelf.status.result) || (has(self.status)"
    " && has(self.status.result) && self.status.result == oldSelf.status.result"
    " && has(self.status.endedAt) && self.status.endedAt == oldSelf.status.endedAt)",
    "status.result and status.endedAt never change once they are there",
)


class RolloutOutcome(Model):
    """What became of a rollout: which images a workload ran from when on, whether its Pods failed,
    what interrupted it, how it ended. The operator writes one when a workload of an intent becomes
    available with other images than before, and nobody else but for incidents."""

    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    spec: RolloutOutcomeSpec
    status: RolloutOutcomeStatus = Field(default_factory=RolloutOutcomeStatus)
