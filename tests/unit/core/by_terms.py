# SPDX-License-Identifier: Apache-2.0
"""What is denied and refused by the terms of a request."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from cabgate.api import CABException, CABRequest
from cabgate.api.changefreeze import PLURAL as FREEZES
from cabgate.api.changepolicy import PLURAL as POLICIES
from cabgate.api.exception import ExceptionDecision
from cabgate.api.request import RequestDecision
from cabgate.gate.unjudged import Unopened, unopened_message
from cabgate.gate.verdict import Reason
from cabgate.lifecycle.state.standing import standing_of
from cabgate.review.votes import check_counted, check_new_voter
from cabgate.text.refusal import RefusalReason
from cabgate.writes.exceptions import check_within_terms
from cabgate.writes.overrides import (
    check_freezes_there,
    check_held,
    check_overrides_more,
    check_promotions_asked,
)
from cabgate_samples.models import NOW, by_person, exception, request, rollout
from support.freezes import freeze
from support.policies import BOARD, BRIEF, EXCEPTING, LIMITING, vote

CALM = {"name": "calm", "description": "outside of the sale", "attestation": "Required"}

RISKY = request("ExceptionRequired")
ENDED = request("ManualReview", vote("rita"), policy=BRIEF)
"""Approved for 48 hours."""
WATCHED = request("ExceptionRequired", policy=EXCEPTING)
"""Whose exceptions two people approve."""
STRICT = request("ExceptionRequired", policy=LIMITING)
"""Whose exceptions are short, and carry every constraint."""
ONE_VOTE = request("ManualReview", vote("rita"), policy=BOARD)
BOUND_BY_TWO = request(
    "ManualReview",
    vote("rita", "ConditionallyApproved", conditions=[CALM]),
    vote("max"),
    policy=BOARD,
)
HALF_APPROVED = exception(WATCHED, by_person("Approved"), needed=2)


NOT_OPENED = Unopened(
    "checkout",
    "ChangePolicyInvalid",
    "Nobody knows who has to approve, so no CABRequest is opened: ChangePolicy board cannot be "
    "used: spec.approvals[0].verb: Field required. A cluster admin puts that right; the request is "
    "opened then.",
)
UNOPENED = {
    reason: unopened_message(rollout(), 2, reason, NOT_OPENED)
    for reason in (Reason.NO_REQUEST, Reason.IMAGES_NOT_COVERED)
}
"""What is denied under a policy of a later release, although an intent declares it."""


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


def overrides_what_is_not_there() -> None:
    """Override a freeze that nobody declared."""
    check_freezes_there(["easter"], [freeze(), freeze("sale")])


def overrides_no_promotion() -> None:
    """Override a promotion that the request does not ask for."""
    check_promotions_asked(["promotion.ring-4"], ONE_VOTE)


def overrides_by_no_right(plural: str, name: str) -> None:
    """Override something without the verb for it."""
    check_held([name], plural, "shop", "max")


def voted_again() -> None:
    """Approve an exception twice that two people have to."""
    said = {**by_person("Approved"), "evidenceDigest": WATCHED.spec.evidence_digest, "sequence": 2}
    check_new_voter(HALF_APPROVED, ExceptionDecision.model_validate(said))


def asked_for_before_its_request() -> None:
    """Approve an exception that was asked for before its request said how many have to."""
    check_within_terms(exception(WATCHED, constraints={"maxReplicas": 2}), WATCHED)


def asked_for_too_much() -> None:
    """Ask for a longer exception than the change policy allows, without its constraints."""
    check_within_terms(exception(WATCHED, days=60, needed=2), WATCHED, stored=False)


def approved_beyond_its_terms() -> None:
    """Approve an exception that was asked for before its request said what it has to have."""
    check_within_terms(exception(STRICT, days=60), STRICT)


BEYOND_TERMS = (asked_for_too_much, approved_beyond_its_terms, asked_for_before_its_request)
"""Exceptions that are not as the terms of their request ask for."""

OVERRIDING: Mapping[RefusalReason, Sequence[Callable[[], None]]] = {
    RefusalReason.NOT_AUTHORIZED: (
        partial(overrides_by_no_right, FREEZES, "christmas"),
        partial(overrides_by_no_right, POLICIES, "board"),
    ),
    RefusalReason.INVALID: (overrides_what_is_not_there, overrides_no_promotion),
}
"""Approvals that override what they cannot."""
