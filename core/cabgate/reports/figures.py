# SPDX-License-Identifier: Apache-2.0
"""The figures of a report: each with its meaning."""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

from cabgate.api.decision import SubjectKind
from cabgate.api.exception import ExceptionVerdict
from cabgate.api.request import RequestVerdict
from cabgate.reports.counting import (
    RENEWED_WITHIN,
    Unit,
    Value,
    approvers,
    by_machines,
    changes_failed,
    changes_with,
    conditions_asked,
    conditions_kept,
    count_of,
    exceptions_asked,
    exceptions_granted,
    exceptions_with,
    freezes_overridden,
    most_in_force,
    most_of_one,
    not_reviewed,
    percentile_of,
    promotions_overridden,
    renewed,
    rolled_out,
    rolled_out_a_day,
    share_of,
    taken_back,
)
from cabgate.reports.lives import APPROVED, DECIDED
from cabgate.reports.rollouts import ROLLED_BACK_WITHIN
from cabgate.reports.scope import Scope, Times


@dataclass(frozen=True)
class Figure:
    """A figure. `title` and `meaning` are what people read."""

    name: str
    section: str
    title: str
    unit: Unit
    meaning: str
    of: Callable[[Scope], Value]


CHANGES, PEOPLE = "Changes", "Reviews by people"
EXCEPTIONS, GLASS = "Exceptions", "Broken glass"
ROLLOUTS = "Rollouts"

_APPROVED, _DECIDED = changes_with(*APPROVED), changes_with(*DECIDED)
_BY_SYSTEM = changes_with(RequestVerdict.AUTO_APPROVED.value)


def _spread(
    name: str, section: str, title: str, meaning: str, times: Callable[[Scope], Times]
) -> list[Figure]:
    ways = ((50, "P50", "median"), (90, "P90", "90 % within"), (100, "Max", "longest"))
    return [
        Figure(
            *(f"{name}{end}", section, f"{title}, {said}", Unit.SECONDS, meaning),
            percentile_of(times, percent),
        )
        for percent, end, said in ways
    ]


FIGURES: tuple[Figure, ...] = (
    Figure(
        *("decisions", CHANGES, "Decisions", Unit.COUNT),
        "Approvals and rejections of requests; reviews of broken glass are none of them.",
        _DECIDED,
    ),
    Figure(
        *("approvals", CHANGES, "Approvals", Unit.COUNT),
        "Approved, ConditionallyApproved and AutoApproved.",
        _APPROVED,
    ),
    Figure(
        *("rejections", CHANGES, "Rejections", Unit.COUNT),
        "Rejected.",
        changes_with(RequestVerdict.REJECTED.value),
    ),
    Figure(
        *("approvalRate", CHANGES, "Approved of those decided", Unit.SHARE),
        "Approvals, divided by decisions.",
        share_of(_APPROVED, _DECIDED),
    ),
    Figure(
        *("systemShare", CHANGES, "Approved by score", Unit.SHARE),
        "AutoApproved, divided by approvals.",
        share_of(_BY_SYSTEM, _APPROVED),
    ),
    Figure(
        *("revocations", CHANGES, "Revocations", Unit.COUNT),
        "Approvals of requests that somebody took back, for all images or some.",
        changes_with(RequestVerdict.REVOKED.value),
    ),
    Figure(
        *("ownApprovals", CHANGES, "Approvals of their own, taken back", Unit.COUNT),
        "Approvals by somebody who became a submitter in the same moment. The operator took each "
        "back before it counted; no other figure counts them.",
        taken_back(SubjectKind.REQUEST),
    ),
    Figure(
        *("machineShare", CHANGES, "Submitted by machines alone", Unit.SHARE),
        "Decisions on what only service accounts submitted, divided by those whose records say who "
        "submitted. Machines by configuration are not known to the ledger.",
        by_machines,
    ),
    *_spread(
        "openedToDecided",
        PEOPLE,
        "Opened to decided",
        "Time from a request's creation to its first decision, where a person gave it.",
        attrgetter("opened_to_decided"),
    ),
    *_spread(
        "openedToTaken",
        PEOPLE,
        "Opened to taken",
        "Time from its creation until a reviewer took it, where one did before the decision.",
        attrgetter("opened_to_taken"),
    ),
    *_spread(
        "takenToDecided",
        PEOPLE,
        "Taken to decided",
        "Time from then to that decision.",
        attrgetter("taken_to_decided"),
    ),
    Figure(
        *("approvers", PEOPLE, "People who approved", Unit.COUNT),
        "User names among the authors of approvals of requests, each of those that one needed.",
        approvers,
    ),
    Figure(
        *("mostOfOneApprover", PEOPLE, "Approvals by one person", Unit.SHARE),
        "The most that one person gave of the approvals of people, and who.",
        most_of_one,
    ),
    Figure(
        *("freezesOverridden", PEOPLE, "Freezes overridden", Unit.COUNT),
        "Approvals of requests that let them into a freeze.",
        freezes_overridden,
    ),
    Figure(
        *("promotionsOverridden", PEOPLE, "Promotions overridden", Unit.COUNT),
        "Approvals of requests that let them into a ring before the ring before it was done.",
        promotions_overridden,
    ),
    Figure(
        *("conditionsAsked", PEOPLE, "Conditions to attest", Unit.COUNT),
        "Conditions of approvals that somebody had to attest.",
        conditions_asked,
    ),
    Figure(
        *("conditionsInTime", PEOPLE, "Attested in time", Unit.SHARE),
        "Those that were attested by their notAfter, or else by the end of the report.",
        conditions_kept,
    ),
    Figure(
        *("exceptionsAsked", EXCEPTIONS, "Asked for", Unit.COUNT),
        "Exceptions that were created.",
        exceptions_asked,
    ),
    Figure(
        *("exceptionsGranted", EXCEPTIONS, "Granted", Unit.COUNT),
        "Approved, by as many as each needed.",
        exceptions_granted,
    ),
    Figure(
        *("exceptionsRejected", EXCEPTIONS, "Rejected", Unit.COUNT),
        "Rejected.",
        exceptions_with(ExceptionVerdict.REJECTED.value),
    ),
    Figure(
        *("exceptionsRevoked", EXCEPTIONS, "Revoked", Unit.COUNT),
        "Revoked before their end.",
        exceptions_with(ExceptionVerdict.REVOKED.value),
    ),
    Figure(
        *("ownExceptions", EXCEPTIONS, "Approvals of their own, taken back", Unit.COUNT),
        "Approvals of exceptions by somebody who became a submitter in the same moment. The "
        "operator took each back; no other figure counts them.",
        taken_back(SubjectKind.EXCEPTION),
    ),
    Figure(
        *("exceptionsInForce", EXCEPTIONS, "In force on one day, at most", Unit.COUNT),
        "The most that admitted rollouts on a day: from their approval to the end of their "
        "duration, or to their revocation.",
        most_in_force,
    ),
    Figure(
        *("exceptionsRenewed", EXCEPTIONS, "Renewed", Unit.COUNT),
        f"Granted for a workload for which another was in force within {RENEWED_WITHIN.days} days "
        "before.",
        renewed,
    ),
    Figure(
        *("glassBroken", GLASS, "Broken", Unit.COUNT),
        "Rollouts past the gate by break-glass.",
        lambda scope: count_of(e for _, e in scope.broken),
    ),
    Figure(
        *("glassNotReviewed", GLASS, "Not reviewed", Unit.COUNT),
        "Those that nobody had reviewed by the end of the report.",
        not_reviewed,
    ),
    *_spread(
        "glassToReview",
        GLASS,
        "Broken to reviewed",
        "Time from the record of it to the decision of its review.",
        attrgetter("glass_to_review"),
    ),
    Figure(
        *("rolledOut", ROLLOUTS, "Rolled out", Unit.COUNT),
        "Changes that became available on a workload, in any ring, as outcomes say: what names its "
        "request. What was rolled back to, what no request asked for and what ran already is none. "
        "A cluster keeps the last outcomes of each workload alone, an event store all of them.",
        rolled_out,
    ),
    Figure(
        *("deploymentFrequency", ROLLOUTS, "Rolled out a day", Unit.PER_DAY),
        "These, divided by the days of the report.",
        rolled_out_a_day,
    ),
    *_spread(
        "leadTime",
        ROLLOUTS,
        "Opened to rolled out",
        "Time from a request's creation until what it asks for became available.",
        attrgetter("lead_times"),
    ),
    Figure(
        *("changesFailed", ROLLOUTS, "Failed", Unit.COUNT),
        "Those of them whose outcome says Failed, that were rolled back within "
        f"{ROLLED_BACK_WITHIN.days} days, or that an incident of severity 1 or 2 is tied to, "
        "whenever that was seen.",
        changes_failed,
    ),
    Figure(
        *("changeFailureRate", ROLLOUTS, "Failed of those rolled out", Unit.SHARE),
        "Failed, divided by rolled out.",
        share_of(changes_failed, rolled_out),
    ),
    *_spread(
        "timeToRestore",
        ROLLOUTS,
        "Failed to replaced",
        "Time from when one was seen to fail (its first severe incident, or since when it was "
        "unavailable at its end) until its workload became available with something else.",
        attrgetter("times_to_restore"),
    ),
)
"""Every figure, in the order of a report."""
