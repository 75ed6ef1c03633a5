# SPDX-License-Identifier: Apache-2.0
"""The worst tenant of the benchmark holds what is let in, and hardly less."""

from cabgate.api import CABException, DeploymentIntent
from cabgate.lifecycle.limits.capacity import (
    MAX_EXCEPTION_BYTES,
    MAX_SPEC_BYTES,
    check_size,
    stored_bytes,
)
from cabgate.lifecycle.requests.opening import request_for
from cabgate.risk.evidence import check_moments
from cabgate.rollout.gated_targets import check_targets
from cabgate.rollout.image_names import check_images
from cabgate_bench.measure.tenants import largest_exception, largest_intent


def test_its_intents_are_let_in_and_ask_for_an_exception():
    raw = largest_intent("i-0", 1)
    raw["metadata"] |= {"uid": "u-1", "generation": 1}
    made = DeploymentIntent.model_validate(raw)
    check_size(None, made)
    check_images(None, made.spec)
    check_moments(None, made.spec)
    check_targets(made, ())
    assert stored_bytes(raw["spec"]) > 0.9 * MAX_SPEC_BYTES
    assert request_for(made, ring=2).spec.assessment.gate == "ExceptionRequired"


def test_its_exceptions_are_let_in():
    raw = largest_exception("i-0-12345678", 1)
    check_size(None, CABException.model_validate(raw))
    assert stored_bytes(raw["spec"]) > 0.8 * MAX_EXCEPTION_BYTES
