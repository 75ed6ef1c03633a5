# SPDX-License-Identifier: Apache-2.0
"""A rollout: what somebody tries to run."""

from collections.abc import Iterable
from dataclasses import dataclass

from cabgate.api.stored import StoredTarget
from cabgate.rollout.targets import Workload
from cabgate.rollout.templates import Template


@dataclass(frozen=True)
class Scale:
    """How many replicas an object says."""

    replicas: int | None
    """None where it says none: its kind has none, or it is left to whoever reads it."""


@dataclass(frozen=True)
class Rollout:
    """What somebody tries to roll out."""

    namespace: str
    workload: Workload
    images: tuple[str, ...]
    """Every image of the pod template; of a Pod that exists, those that are new."""
    also: tuple[Workload, ...] = ()
    """Workloads that an approval may name instead: the CronJob that a Job is run from by hand, the
    workload that an Argo Rollout refers to, that from which a running Pod was made."""
    template: Template | None = None
    """What its containers do; None where that was not asked or cannot change, as of a Pod that
    exists: then whatever an approval says of it fits."""
    scale: Scale | None = None
    """Its replicas; None where that was not asked, as of what an intent declares."""

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """Every workload that an approval of it may name."""
        return (self.workload, *self.also)

    def images_in(self, targets: Iterable[StoredTarget]) -> set[str]:
        """The images that some targets name for its workload."""
        return {image for target in self.targets_in(targets) for image in target.images}

    def targets_in(self, targets: Iterable[StoredTarget]) -> list[StoredTarget]:
        """Those of some targets that name its workload."""
        return [target for target in targets if Workload.of(target) in self.workloads]
