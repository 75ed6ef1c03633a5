# SPDX-License-Identifier: Apache-2.0
"""Small inputs that were found to fail, applied as they were written."""

from pathlib import Path

import pytest
import yaml

from cabgate.api import DeploymentIntent
from cabgate.api.types import Submitter, SubmitterType, Tier
from cabgate.review.identity import SERVICE_ACCOUNTS
from cabgate.review.requesters import only_machines
from cabgate.review.submitters import check_requester
from cabgate.risk.image_evidence import STALE_EVIDENCE, UNNAMED_IMAGES
from cabgate.rollout.gated_targets import check_targets
from cabgate.text.refusal import Refusal, RefusalReason
from unit.core.standings import request_for

CASES = Path(__file__).parent / "cases"


def intents(name):
    """The intents of a file, as an API server would have stored them."""
    documents = yaml.safe_load_all((CASES / f"{name}.yaml").read_text())
    return [
        DeploymentIntent.model_validate(
            {**each, "metadata": {**each["metadata"], "namespace": "shop", "uid": "u"}}
        )
        for each in documents
    ]


def test_the_next_release_is_not_approved_on_the_reports_of_the_last_one():
    [last], [following] = intents("release-of-three"), intents("next-release-old-reports")
    first = request_for(last, 2)
    second = request_for(following, 2, [first])
    assert second.spec.assessment.gate is Tier.MANUAL_REVIEW
    floors = {floor.name: floor.explanation for floor in second.spec.assessment.floors}
    assert STALE_EVIDENCE in floors
    assert UNNAMED_IMAGES in floors
    assert first.metadata.name in floors[STALE_EVIDENCE]


@pytest.mark.parametrize("asked", intents("machine-requesters"), ids=lambda i: i.metadata.name)
def test_neither_blanks_nor_the_machine_itself_count_as_a_person(asked):
    machine = "system:serviceaccount:shop:ci"
    submitters = [Submitter(username=machine, type=SubmitterType.MACHINE)]
    with pytest.raises(Refusal) as refusal:
        check_requester(None, asked, submitters, SERVICE_ACCOUNTS)
    assert refusal.value.field == "spec.requester"
    assert only_machines(submitters, [asked.spec.requester])


@pytest.mark.parametrize("asked", intents("never-matching-targets"), ids=lambda i: i.metadata.name)
def test_what_can_never_match_is_refused(asked):
    with pytest.raises(Refusal) as refusal:
        check_targets(asked)
    assert refusal.value.reason is RefusalReason.TARGET_NOT_GATED
    assert refusal.value.field.startswith("spec.targets[0].")
