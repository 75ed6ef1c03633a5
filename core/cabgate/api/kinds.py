# SPDX-License-Identifier: Apache-2.0
"""The kinds that are gated everywhere: the one list of them.

The schema of an intent's targets, the gate, the operator and the command line take it from here,
and `make manifests` writes it into the chart, whose rules, policies and roles range over it.
"""

from dataclasses import dataclass


def group_of(api_version: str) -> str:
    """API group of an `apiVersion`; empty for the core group."""
    return api_version.rpartition("/")[0]


@dataclass(frozen=True)
class GatedKind:
    """A kind whose objects run Pods."""

    api_version: str
    """Version to name it by; the gate looks at the group alone."""
    kind: str
    resource: str
    """Plural name, as in rules and URLs; empty where it is not known."""
    short: str = ""
    """How kubectl shortens it; empty where it does not."""
    templates: tuple[str, ...] = ("spec.template",)
    """Paths of its pod templates: field names with dots between, `[*]` after that of a list. An
    empty path is the object itself."""
    subresources: tuple[str, ...] = ("status",)
    """Subresources through which its labels can change."""
    breakable: bool = True
    """Whether the annotation of break-glass counts on it."""

    @property
    def group(self) -> str:
        """Its API group; empty for the core group."""
        return group_of(self.api_version)

    @property
    def words(self) -> frozenset[str]:
        """What people call it, in small letters: kind, plural and short name."""
        singular = self.kind.lower()
        return frozenset({singular, self.resource or f"{singular}s", self.short} - {""})

    @property
    def is_pod(self) -> bool:
        """Whether it is the Pod itself, not something that makes Pods."""
        return (self.group, self.kind) == ("", "Pod")

    @property
    def has_definition(self) -> bool:
        """Whether a CustomResourceDefinition makes it, so that a cluster may be without it: those
        have a group with a dot in it."""
        return "." in self.group


BUILT_IN = (
    GatedKind("apps/v1", "Deployment", "deployments", "deploy"),
    GatedKind("apps/v1", "StatefulSet", "statefulsets", "sts"),
    GatedKind("apps/v1", "DaemonSet", "daemonsets", "ds"),
    GatedKind("apps/v1", "ReplicaSet", "replicasets", "rs"),
    GatedKind("v1", "ReplicationController", "replicationcontrollers", "rc"),
    GatedKind("batch/v1", "Job", "jobs"),
    GatedKind(
        "batch/v1", "CronJob", "cronjobs", "cj", templates=("spec.jobTemplate.spec.template",)
    ),
    GatedKind(
        *("v1", "Pod", "pods", "po"),
        templates=("",),
        subresources=("status", "ephemeralcontainers", "resize"),
        breakable=False,
    ),
    # Runs nothing by itself; a Rollout may refer to one.
    GatedKind(
        *("v1", "PodTemplate", "podtemplates"),
        templates=("template",),
        subresources=(),
        breakable=False,
    ),
    GatedKind("argoproj.io/v1alpha1", "Rollout", "rollouts", "ro"),
)
"""The kinds that are gated everywhere."""
