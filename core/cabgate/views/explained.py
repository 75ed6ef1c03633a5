# SPDX-License-Identifier: Apache-2.0
"""Whether a rollout would be admitted, and what that follows from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cabgate.api.request import CABRequest
from cabgate.api.stored import StoredException
from cabgate.gate.candidates import describe
from cabgate.gate.decide import candidates, decide
from cabgate.gate.verdict import GateVerdict
from cabgate.lifecycle.limits.freezes import freezes_in_force, without_rollbacks
from cabgate.lifecycle.limits.promotion import UNKNOWN, WAIVED, EarlierRings
from cabgate.lifecycle.state.standing import standings_of, standings_of_exceptions
from cabgate.review.identity import SERVICE_ACCOUNTS, Machines
from cabgate.rollout.installation import InstallationSettings
from cabgate.rollout.modes import Mode, effective_mode, too_loose
from cabgate.rollout.rings import GATED_FROM
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.templates import is_required


@dataclass(frozen=True, slots=True)
class Rings:
    """How much namespace and workload ask for."""

    namespace: int
    workload: int
    excluded: bool = False
    """Whether the installation excludes the namespace: then all are 0."""

    @property
    def effective(self) -> int:
        """The larger of the two."""
        return max(self.namespace, self.workload)


@dataclass(frozen=True, slots=True)
class Looked:
    """A request that was looked at."""

    name: str
    state: str
    reason: str
    explanation: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is decided on a rollout, and what it follows from."""

    rollout: Rollout
    rings: Rings
    decision: GateVerdict
    requests: Sequence[Looked]
    mode: Mode = Mode.ENFORCE
    """What becomes of a denial in its namespace."""
    too_loose: str = ""
    """That the namespace asks for a mode that does not count."""

    @property
    def admitted(self) -> bool:
        """Whether the rollout gets through, allowed or not."""
        return self.decision.allowed or self.mode is not Mode.ENFORCE


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a rollout is judged by beside requests and exceptions."""

    settings: InstallationSettings
    namespace_labels: Mapping[str, str]
    labels: Mapping[str, str]
    """Those of the workload, as it is to be."""
    labels_before: Mapping[str, str]
    """Those of the workload as it is stored."""
    freezes: Sequence[Mapping[str, Any]] = ()
    """Every ChangeFreeze, as the API server has it; none where the namespace carries no change
    policy."""
    ran: Sequence[datetime] = ()
    """From when on the workload ran what it is to run, once or several times."""
    earlier_rings: EarlierRings = UNKNOWN
    """What is known of the rings before."""


def rings_of(rollout: Rollout, around: Surroundings) -> Rings:
    """How much namespace and workload ask for."""
    namespace, settings = rollout.namespace, around.settings
    return Rings(
        settings.namespace_ring(namespace, around.namespace_labels),
        settings.workload_ring(namespace, around.labels, around.labels_before),
        excluded=settings.excludes(namespace),
    )


def explained(
    rollout: Rollout,
    around: Surroundings,
    requests: Sequence[CABRequest],
    exceptions: Sequence[StoredException],
    now: datetime,
    machines: Machines = SERVICE_ACCOUNTS,
) -> Explanation:
    """What the gate would decide on a rollout; `requests` are those of its namespace that may name
    its workload, `exceptions` those that may name one of them."""
    settings, labels, rings = around.settings, around.namespace_labels, rings_of(rollout, around)
    freezes = freezes_in_force(around.freezes, labels, rings.effective, now)
    earlier, ran_since = around.earlier_rings, None
    if rings.namespace >= GATED_FROM:
        freezes = without_rollbacks(freezes, around.ran)
        earlier = WAIVED if around.ran else earlier
        ran_since = min(around.ran, default=None)
    standings, asked = standings_of(requests), standings_of_exceptions(exceptions)
    required = is_required(labels, rings.effective)
    looked = [
        Looked(
            look.request.metadata.name,
            look.state,
            look.reason,
            describe(look, rollout, asked, now),
        )
        for look in candidates(
            *(rollout, standings, asked, now),
            ring=rings.effective,
            template_required=required,
            freezes=freezes,
            ran_since=ran_since,
            earlier_rings=earlier,
        )
    ]
    decision = decide(
        *(rollout, rings.effective, standings, asked, now, machines),
        template_required=required,
        freezes=freezes,
        ran_since=ran_since,
        earlier_rings=earlier,
    )
    mode, loose = effective_mode(settings.mode, labels), too_loose(settings.mode, labels)
    return Explanation(rollout, rings, decision, looked, mode, loose)


@dataclass(frozen=True, slots=True)
class WorkloadName:
    """A workload by its parts."""

    group: str
    """Empty for the core group."""
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class RingsView:
    """How much a rollout is asked for: the larger one of namespace and workload counts."""

    effective: int
    namespace: int
    workload: int
    excluded: bool
    """Whether the installation excludes the namespace: then all are 0."""


@dataclass(frozen=True, slots=True)
class ExplainedView:
    """An explanation, for programs."""

    namespace: str
    workload: WorkloadName
    images: tuple[str, ...]
    ring: RingsView
    allowed: bool
    """What the gate decides."""
    mode: str
    """Enforce, Warn or Audit: what becomes of a denial."""
    admitted: bool
    """Whether the rollout gets through, allowed or not."""
    reason: str
    """The gate's code, as `kubectl` shows it."""
    message: str
    warnings: tuple[str, ...]
    requests: tuple[Looked, ...]
    """Those that name the workload, the newest first."""


def explained_view(item: Explanation) -> ExplainedView:
    """An explanation, for programs."""
    workload, rings = item.rollout.workload, item.rings
    return ExplainedView(
        namespace=item.rollout.namespace,
        workload=WorkloadName(workload.group, workload.kind, workload.name),
        images=tuple(item.rollout.images),
        ring=RingsView(rings.effective, rings.namespace, rings.workload, rings.excluded),
        allowed=item.decision.allowed,
        mode=str(item.mode),
        admitted=item.admitted,
        reason=str(item.decision.reason),
        message=item.decision.message,
        warnings=tuple(item.decision.warnings),
        requests=tuple(item.requests),
    )
