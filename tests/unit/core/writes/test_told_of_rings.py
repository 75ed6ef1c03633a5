# SPDX-License-Identifier: Apache-2.0
"""What whoever declares an intent reads of the rings before."""

from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate_samples.models import intent
from cabgate_samples.objects import MIDDLING
from support.promotion import policy
from unit.core.standings import told_of_intent


def warning(**spec):
    return told_of_intent(intent(MIDDLING, **spec), 3, [], DEFAULT_RISK_MODEL, policy=policy())


def test_an_intent_without_a_release_is_told_that_nothing_of_it_is_promoted():
    """Its request is opened without one, and waits for good."""
    said = "The change policy asks what became of it in the ring before, into ring 3, and "
    assert f"{said}checkout names no release: spec.release." in warning()
    assert "release" not in warning(release="shop")
