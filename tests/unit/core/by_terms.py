# SPDX-License-Identifier: Apache-2.0
"""What is denied and refused by the terms of a request."""

from typing import Any

from cabgate.api import CABException, CABRequest
from cabgate.api.exception import ExceptionDecision
from cabgate.api.request import RequestDecision
from cabgate.lifecycle.state.standing import standing_of
from cabgate.review.votes import check_counted, check_new_voter
from cabgate.writes.exceptions import check_within_terms
from cabgate.writes.overrides import check_overrides_more
from cabgate_samples.models import NOW, by_person, exception, request
from support.freezes import freeze
from support.policies import BOARD, BRIEF, EXCEPTING, vote

CALM = {"name": "calm", "description": "outside of the sale", "attestation": "Required"}

RISKY = request("ExceptionRequired")
ENDED = request("ManualReview", vote("rita"), policy=BRIEF)
"""Approved for 48 hours."""
WATCHED = request("ExceptionRequired", policy=EXCEPTING)
"""Whose exceptions two people approve."""
ONE_VOTE = request("ManualReview", vote("rita"), policy=BOARD)
BOUND_BY_TWO = request(
    "ManualReview",
    vote("rita", "ConditionallyApproved", conditions=[CALM]),
    vote("max"),
    policy=BOARD,
)
HALF_APPROVED = exception(WATCHED, by_person("Approved"), needed=2)


def leaves(count: int, verdict: str = "") -> list[CABException]:
    """So many exceptions for a request, undecided or with a verdict."""
    entries = [by_person(verdict)] if verdict else []
    return [exception(RISKY, *entries, name=f"leave-{n}") for n in range(count)]


def uncounted(of: CABRequest, said: dict[str, Any]) -> None:
    """Decide on a request what counts for nothing by its terms."""
    digest, number = of.spec.evidence_digest, len(of.status.decisions) + 1
    entry = RequestDecision.model_validate({**said, "evidenceDigest": digest, "sequence": number})
    check_counted(of, entry)


def overridden_again() -> None:
    """Override a freeze for the same interval twice."""
    found = standing_of(request("ManualReview", by_person("Approved", overrides=["christmas"])))
    check_overrides_more(["christmas"], found, [freeze()], {}, NOW)


def voted_again() -> None:
    """Approve an exception twice that two people have to."""
    said = {**by_person("Approved"), "evidenceDigest": WATCHED.spec.evidence_digest, "sequence": 2}
    check_new_voter(HALF_APPROVED, ExceptionDecision.model_validate(said))


def asked_for_before_its_request() -> None:
    """Approve an exception that was asked for before its request said how many have to."""
    check_within_terms(exception(WATCHED, constraints={"maxReplicas": 2}), WATCHED)


def asked_for_too_much() -> None:
    """Ask for a longer exception than the change policy allows, without its constraints."""
    check_within_terms(exception(WATCHED, days=60), WATCHED)


BEYOND_TERMS = (asked_for_too_much, asked_for_before_its_request)
"""Exceptions that are not as the terms of their request ask for."""
