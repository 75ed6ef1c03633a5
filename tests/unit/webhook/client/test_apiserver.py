# SPDX-License-Identifier: Apache-2.0
"""What a newer version wrote and this one cannot read is never taken for nothing."""

import pytest

from cabgate.api import CABRequest
from cabgate_samples.decisions import numbered
from cabgate_samples.models import by_person, request
from cabgate_webhook.client.answers import parsed
from cabgate_webhook.client.lookups import LookupFailed


def test_a_request_with_a_verdict_of_a_newer_version_is_a_doubt_that_names_it():
    found = request("ManualReview")
    entries = numbered((by_person("Suspended"),), found.spec.evidence_digest)
    raw = {**found.to_dict(), "status": {"decisions": entries}}
    with pytest.raises(LookupFailed) as failed:
        parsed(CABRequest, raw)
    assert found.metadata.name in str(failed.value)
    assert "status.decisions.0.verdict" in str(failed.value)
    assert "this version of cabgate" in str(failed.value)
