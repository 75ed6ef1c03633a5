# SPDX-License-Identifier: Apache-2.0
"""A Job under a generated name is covered by what was approved for its prefix, also when a queue
starts it later; nothing else is."""

from typing import Any

import pytest

from cabgate.gate.verdict import Reason
from cabgate.rollout.workloads import kind_of, rollout_of
from cabgate_samples.models import NAMESPACE, NOW, by_person, request, target
from unit.core.standings import decide

TRAIN = request(
    "ManualReview",
    by_person("Approved"),
    targets=[target("train-*", "train:1", kind="Job", apiVersion="batch/v1")],
)


def job(image: str = "train:1", kind: str = "Job", **metadata: Any) -> dict[str, Any]:
    spec = {"containers": [{"name": "a", "image": image}]}
    return {"kind": kind, "metadata": metadata, "spec": {"template": {"spec": spec}}}


def decided(new: dict[str, Any], old: dict[str, Any] | None = None, kind: str = "Job") -> Reason:
    gated = kind_of("batch/v1" if kind == "Job" else "apps/v1", kind)
    assert gated is not None
    return decide(rollout_of(gated, NAMESPACE, new, old), 2, [TRAIN], [], NOW).reason


GENERATED = {"name": "train-x7k2p", "generateName": "train-"}
BY_REVISION = {"name": "train-1a2b3c", "generateName": "train-"}


@pytest.mark.parametrize("metadata", [GENERATED, BY_REVISION])
def test_it_is_created_and_changed_under_one_approval(metadata: dict[str, str]) -> None:
    assert decided(job(**metadata)) is Reason.REQUEST_APPROVED
    assert decided(job(**metadata), job(**metadata)) is Reason.REQUEST_APPROVED


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (job("other:1", **GENERATED), job(**GENERATED)),
        (job(name="train-x7k2p"), job(name="train-x7k2p")),
        (job(**GENERATED), job(name="train-x7k2p")),
        (job(name="other", generateName="train-"), job(name="other", generateName="train-")),
    ],
)
def test_nothing_else_is(new: dict[str, Any], old: dict[str, Any]) -> None:
    assert decided(new, old) in (Reason.NO_REQUEST, Reason.IMAGES_NOT_COVERED)


def test_of_no_other_kind() -> None:
    made = job(kind="Deployment", **GENERATED)
    assert decided(made, made, kind="Deployment") is Reason.NO_REQUEST


def test_what_was_revoked_for_a_name_is_not_created_by_way_of_its_prefix() -> None:
    alone = request(
        "ManualReview",
        by_person("Approved"),
        by_person("Revoked", images=["*"]),
        targets=[target("train-7", "train:1", kind="Job", apiVersion="batch/v1")],
        name="alone-12345678",
    )
    gated = kind_of("batch/v1", "Job")
    assert gated is not None
    new = job(name="train-7", generateName="train-")
    said = decide(rollout_of(gated, NAMESPACE, new), 2, [TRAIN, alone], [], NOW)
    assert said.reason is Reason.REVOKED
    other = job(name="train-8", generateName="train-")
    said = decide(rollout_of(gated, NAMESPACE, other), 2, [TRAIN, alone], [], NOW)
    assert said.reason is Reason.REQUEST_APPROVED
