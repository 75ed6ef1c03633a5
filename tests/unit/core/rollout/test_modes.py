# SPDX-License-Identifier: Apache-2.0
"""Which mode holds in a namespace: never a looser one than the cluster's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.rollout.modes import MODE_LABEL, Mode, effective_mode, mode_of, too_loose

MODES = st.sampled_from(Mode)
STRICTNESS = {Mode.ENFORCE: 2, Mode.WARN: 1, Mode.AUDIT: 0}
VALUES = st.none() | st.sampled_from(["Enforce", "Warn", "Audit"]) | st.text(max_size=8)


def labels(value):
    return {} if value is None else {MODE_LABEL: value}


@given(MODES, VALUES)
def test_a_namespace_is_never_looser_than_its_cluster(cluster, value):
    found = effective_mode(cluster, labels(value))
    assert STRICTNESS[found] >= STRICTNESS[cluster]
    own = mode_of(labels(value))
    assert found is cluster if own is None else STRICTNESS[found] >= STRICTNESS[own]
    assert found in (cluster, own)


@given(st.text(max_size=8).filter(lambda value: value not in set(Mode)))
def test_a_malformed_mode_is_the_strictest(value):
    for cluster in Mode:
        assert effective_mode(cluster, labels(value)) is Mode.ENFORCE


@given(MODES, MODES)
def test_with_labels_unread_what_is_known_counts(cluster, known):
    found = effective_mode(cluster, None, at_least=known)
    assert STRICTNESS[found] == max(STRICTNESS[cluster], STRICTNESS[known])


@pytest.mark.parametrize("cluster", Mode)
def test_what_was_read_counts_more_than_what_was_thought(cluster):
    assert effective_mode(cluster, {}, at_least=Mode.ENFORCE) is cluster
    assert effective_mode(cluster, None) is cluster


@pytest.mark.parametrize("cluster", Mode)
@pytest.mark.parametrize("own", Mode)
def test_a_looser_mode_is_told_not_to_count(cluster, own):
    said = too_loose(cluster, labels(own))
    assert bool(said) is (STRICTNESS[own] < STRICTNESS[cluster])
    if said:
        assert said.startswith(
            f"cabgate.dev/mode={own} does not count: the cluster's mode is {cluster}"
        )
    assert too_loose(cluster, {}) == ""
