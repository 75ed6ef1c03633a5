# SPDX-License-Identifier: Apache-2.0
"""A decision of the system bears no signature: that it was legal is what shows that nobody forged
it."""

import pytest

from cabgate.ledger.findings import FindingCode
from cabgate.ledger.verification import verify
from cabgate_samples.models import by_person, by_system, request
from unit.core.ledger.histories import PUBLIC, raw


def found(subject):
    return [each.code for each in verify([], [raw(subject, "u-1")], [], PUBLIC, [])]


@pytest.mark.parametrize(
    "forged",
    [
        request("ManualReview", by_system("AutoApproved")),
        request("ExceptionRequired", by_system("AutoApproved")),
        request("ManualReview", by_person("Rejected"), by_system("Reopened")),
        request("ManualReview", by_system("GlassBroken")),
    ],
)
def test_what_the_system_could_not_decide_is_a_finding(forged):
    assert found(forged).count(FindingCode.ILLEGAL_DECISION) == 1


def test_what_it_could_is_none():
    legal = request("AutoApprove", by_system("AutoApproved"))
    assert FindingCode.ILLEGAL_DECISION not in found(legal)
