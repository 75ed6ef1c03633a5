# SPDX-License-Identifier: Apache-2.0
"""Rings: how much a namespace or a workload asks of a rollout."""

from collections.abc import Mapping

RING_LABEL = "cabgate.dev/ring"
"""Label on namespaces and workloads."""

GATED_FROM = 2
"""Lowest ring whose rollouts need an approval."""

HIGHEST = 4
"""Highest ring; also what a malformed label counts as."""

_RINGS = {str(ring): ring for ring in range(HIGHEST + 1)}


def ring_of(labels: Mapping[str, str] | None, absent: int) -> int:
    """Ring that labels ask for: 0 to 4, `absent` without the label, 4 if it is malformed."""
    value = (labels or {}).get(RING_LABEL)
    if value is None:
        return absent
    return _RINGS.get(value, HIGHEST)


def effective_ring(
    namespace_labels: Mapping[str, str] | None,
    workload_labels: Mapping[str, str] | None,
    default_ring: int,
) -> int:
    """Ring of a rollout: the larger of the namespace's and the workload's."""
    return max(ring_of(namespace_labels, default_ring), ring_of(workload_labels, 0))
