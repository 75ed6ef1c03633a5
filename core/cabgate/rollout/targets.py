# SPDX-License-Identifier: Apache-2.0
"""Which workload is meant: identity of targets, and the label that finds their requests."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from cabgate.api.kinds import group_of
from cabgate.api.stored import StoredTarget

TARGET_LABEL_PREFIX = "target.cabgate.dev/"
"""Prefix of the labels of a request, one for each target."""


@dataclass(frozen=True, order=True)
class Workload:
    """A workload of a namespace, by group, kind and name: its API version may change in an
    upgrade without it becoming another workload."""

    group: str
    kind: str
    name: str

    @classmethod
    def of(cls, target: StoredTarget) -> "Workload":
        """The workload that a target names."""
        return _workload(target.api_version, target.kind, target.name)

    @property
    def label(self) -> str:
        """Label key that each request for this workload carries."""
        identity = f"{self.group}/{self.kind}/{self.name}"
        return TARGET_LABEL_PREFIX + hashlib.sha256(identity.encode()).hexdigest()[:40]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def argument(self) -> str:
        """The workload as an argument of kubectl: `deployment/name`, with the group where the
        kind alone could mean another."""
        if self.group in ("", "apps", "batch"):
            return f"{self.kind.lower()}/{self.name}"
        # Of a kind that only configuration knows, nobody could tell the kind from small letters.
        kind = self.kind.lower() if self.group == "argoproj.io" else self.kind
        return f"{kind}.{self.group}/{self.name}"


def selectors(workloads: Iterable[Workload]) -> list[str]:
    """The label selectors of lists that find each request which names one of some workloads, each
    once: labels cannot be asked for one or another, but without those that were asked for."""
    labels = sorted({workload.label for workload in workloads})
    return [
        ",".join([label, *(f"!{before}" for before in labels[:place])])
        for place, label in enumerate(labels)
    ]


@lru_cache(maxsize=4096)
def _workload(api_version: str, kind: str, name: str) -> Workload:
    # Requests of many targets are compared target by target: the same few, again and again.
    return Workload(group_of(api_version), kind, name)
