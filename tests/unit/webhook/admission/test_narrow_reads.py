# SPDX-License-Identifier: Apache-2.0
"""What is usual is decoded narrowly, and what is not is left to the models."""

import json
from typing import Annotated

import pytest
from annotated_types import MultipleOf
from pydantic import StringConstraints

from cabgate.api import CABRequest
from cabgate.api.base import Model
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.targets import Workload
from cabgate_samples.models import NOW, by_person, by_system, request, target
from cabgate_webhook.admission.narrow import decode_rollout
from cabgate_webhook.client.stored import UnknownRuleError, decode_requests, struct_of
from unit.core.standings import decide
from unit.webhook.stored_reviews import ATTESTED, CHECKED, OBLIGATION, SHORT


def listed(*requests, **changes):
    dumped = [
        r.model_dump(mode="json", by_alias=True, exclude_none=True) | changes for r in requests
    ]
    return json.dumps({"items": dumped}).encode()


def test_what_is_usual_is_decoded_narrowly():
    conditional = by_person("ConditionallyApproved", conditions=[OBLIGATION, ATTESTED])
    found = decode_requests(
        listed(
            request("AutoApprove", by_system("AutoApproved")), request("ManualReview", conditional)
        )
    )
    assert not any(isinstance(item, CABRequest) for item in found)
    assert [item.metadata.namespace for item in found] == ["shop", "shop"]
    assert found[1].conditions[1].needs_attestation
    assert decode_requests(b'{"items": []}') == []


@pytest.mark.parametrize("lifts", [[], ["r-0"], ["no"]])
async def test_what_an_approval_lifts_is_read_narrowly_as_well(lifts):
    targets = [target("web", "web:1")]
    no = request("ManualReview", by_person("Approved", NOW - 4 * SHORT), by_person("Revoked"),
                 targets=targets, name="r-0")  # fmt: skip
    entry = by_person("Approved", NOW - SHORT, checked={**CHECKED, "lifts": lifts})
    again = request("ManualReview", entry, targets=[*targets, target("api")], name="r-1")
    narrow, whole = decode_requests(listed(no, again)), [no, again]
    assert not any(isinstance(item, CABRequest) for item in narrow)
    rollout = Rollout("shop", Workload("apps", "Deployment", "web"), ("web:1",))
    found = {decide(rollout, 2, each, [], NOW).allowed for each in (narrow, whole)}
    assert found == {"r-0" in lifts}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b'{"items": null}',
        b'{"items": [{}]}',
        listed(request(), status={"decisions": None}),
        listed(request(), metadata={"name": "x", "creationTimestamp": "2026-03-01T11:00:00.5Z"}),
        listed(request(), metadata={"name": "x", "creationTimestamp": "2026-03-01T11:00:00+01:00"}),
        listed(request())[:-2] + b', {"metadata": {"annotations": {"a": "\xff"}}}]}',
    ],
)
def test_what_is_not_usual_is_left_to_the_models(data):
    assert decode_requests(data) is None


@pytest.mark.parametrize("junk", [b'"\xff"', b'"\\ud800"', b"NaN", b"[" * 2000 + b"]" * 2000])
def test_what_is_skipped_in_a_review_is_left_to_json_if_it_is_not_plain(junk):
    obj = json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "x": "X"}).encode()
    body = b'{"request": {"object": ' + obj + b"}}"
    assert decode_rollout(body) is not None
    assert decode_rollout(body.replace(b'"X"', junk)) is None


def test_every_rule_of_a_model_is_kept_or_refused_to_be():
    class Even(Model):
        number: Annotated[int, MultipleOf(2)]

    class Ending(Model):
        text: Annotated[str, StringConstraints(pattern="x$")]

    for model in (Even, Ending):
        with pytest.raises(UnknownRuleError):
            struct_of(model)
