# SPDX-License-Identifier: Apache-2.0
"""A digest is kept with what it was computed of, and never told of anything else."""

import copy

import pytest

from cabgate.api.intent import DeploymentIntent, DeploymentIntentSpec
from cabgate.risk.evidence import evidence_digest
from unit.operator.support import BAD, GOOD, intent, request


def fresh(spec: DeploymentIntentSpec) -> DeploymentIntentSpec:
    return DeploymentIntentSpec.model_validate_json(spec.model_dump_json(by_alias=True))


@pytest.mark.parametrize("deep", [False, True])
def test_a_copy_with_other_parts_has_another_digest(deep: bool) -> None:
    low, high = intent(GOOD).spec, intent(BAD).spec
    assert evidence_digest(low) != evidence_digest(high)
    (target,) = low.targets
    other = target.model_copy(update={"images": [*target.images, "evil:1"]})
    for update in ({"evidence": high.evidence}, {"targets": [other]}):
        changed = low.model_copy(update=update, deep=deep)
        assert evidence_digest(changed) == evidence_digest(fresh(changed)) != evidence_digest(low)


def test_a_break_of_the_glass_is_another_digest_though_all_else_is_the_same() -> None:
    spec = request(GOOD).spec
    broken = spec.model_construct(**{**dict(spec), "break_glass": spec.intent_ref})
    assert evidence_digest(spec) != evidence_digest(broken)
    changed = spec.model_copy(update={"break_glass": spec.intent_ref})
    assert evidence_digest(changed) == evidence_digest(broken)


def test_what_is_kept_is_no_part_of_the_object() -> None:
    digested, other = intent(GOOD), intent(GOOD)
    digest = evidence_digest(digested.spec)
    assert digested == other
    assert digested.to_dict() == other.to_dict()
    assert digested.model_dump_json() == other.model_dump_json()
    assert repr(digested) == repr(other)
    for same in (copy.copy(digested), copy.deepcopy(digested)):
        assert evidence_digest(same.spec) == digest


def test_nobody_can_write_it_into_an_object() -> None:
    body = intent(GOOD).to_dict()
    parts = {"kept_digest": [["x"], "v1:sha256:" + "0" * 64]}
    written = DeploymentIntent.model_validate({**body, "spec": {**body["spec"], **parts}})
    assert evidence_digest(written.spec) == evidence_digest(intent(GOOD).spec)
