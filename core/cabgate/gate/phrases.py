# SPDX-License-Identifier: Apache-2.0
"""What several messages say of a request or a rollout."""

from cabgate.api.request import RequestState
from cabgate.api.stored import Declared, StoredEntry
from cabgate.api.types import ALL_IMAGES
from cabgate.gate.commands import edit_intent, write_intent
from cabgate.gate.composing import shortened
from cabgate.lifecycle.history.precedent import EARLIER_VERDICT
from cabgate.lifecycle.requests.break_glass import FLOOR as BREAK_GLASS
from cabgate.lifecycle.state.standing import RequestStanding
from cabgate.lifecycle.state.states import is_retrospective
from cabgate.review.identity import SERVICE_ACCOUNTS, Machines
from cabgate.review.requesters import only_machines
from cabgate.risk.facts import THIRD_PARTY_IMAGES
from cabgate.risk.image_evidence import STALE_EVIDENCE
from cabgate.risk.improvements import improvements
from cabgate.risk.scoring import CONTRADICTED, NOT_SIGNED, UNVERIFIED
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.targets import Workload
from cabgate.rollout.workloads import ANY_NAME

_ENDED = {
    RequestState.REJECTED: "was rejected",
    RequestState.REVOKED: "is revoked",
    RequestState.SUPERSEDED: "is superseded: its intent was deleted or now says otherwise",
}


def ended(request: RequestStanding) -> str:
    """How a request was rejected, revoked or superseded: by whom, and why."""
    text = _ENDED[request.state]
    verdict = request.verdict
    return text if verdict is None else f"{text} {shortened(_given(verdict), 200)}"


def _given(verdict: StoredEntry) -> str:
    """Who gave a verdict, about which images if it names them, and why."""
    because = f": {verdict.rationale}" if verdict.rationale else ""
    about = ""
    if verdict.images and ALL_IMAGES not in verdict.images:
        more = f" and {len(verdict.images) - 1} more" if len(verdict.images) > 1 else ""
        about = f", image {shortened(verdict.images[0], 100)}{more}"
    return f"by {verdict.author.username}{about}{because}"


def scored(request: Declared) -> str:
    """Score and gate of a request."""
    assessment = request.spec.assessment
    return f"score {assessment.score}, {assessment.gate}"


_SHOWN = frozenset(
    {
        EARLIER_VERDICT,
        BREAK_GLASS,
        STALE_EVIDENCE,
        THIRD_PARTY_IMAGES,
        CONTRADICTED,
        UNVERIFIED,
    }
)
"""Floors that are explained wherever a request is: no way to a lower gate says what they are."""


def assessment_details(request: Declared, machines: Machines = SERVICE_ACCOUNTS) -> list[str]:
    """What a reviewer and a team should know of a request, the most important first."""
    assessment = request.spec.assessment
    way = improvements(assessment)
    in_the_way = () if way is None else way.floors
    details = [
        f"{f.explanation}." for f in assessment.floors if f.name in _SHOWN and f not in in_the_way
    ]
    unsigned = [each.name for each in assessment.factors if each.observed.endswith(NOT_SIGNED)]
    if unsigned:
        details.append(
            f"Counted as missing, since no trusted signature says the same: {', '.join(unsigned)}. "
            "Have the pipeline sign what it read."
        )
    spec = request.spec
    requesters = [*spec.requested_by, *filter(None, [spec.requester])]
    if spec.submitted_by and only_machines(spec.submitted_by, requesters, machines):
        details.append(
            "Only machines submitted it: its intent must name spec.requester before "
            "anybody can approve."
        )
    if assessment.missing:
        details.append(f"Missing evidence: {', '.join(assessment.missing)}.")
    if way is not None:
        details.append(f"{way}.")
    return details


def declare(request: Declared, rollout: Rollout) -> str:
    """How a team declares the images of a rollout: in the intent of a request, or in one to be
    written where the glass was broken instead."""
    if is_retrospective(request):
        return write_intent(rollout.namespace, to_name(rollout), rollout.images)
    return edit_intent(request)


def to_name(rollout: Rollout) -> Workload:
    """The workload that an intent for a rollout is to name: what it was made from, where it says
    so; never the generated name of this one try."""
    prefix, made = rollout.workload, rollout.also
    if prefix.name.endswith(ANY_NAME):
        made = tuple(w for w in made if (w.group, w.kind) != (prefix.group, prefix.kind))
    return made[-1] if made else prefix
