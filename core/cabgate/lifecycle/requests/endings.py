# SPDX-License-Identifier: Apache-2.0
"""Where an approval by score ends: one rule for the operator, which ends it, and for the webhook,
which recomputes that. A person's approval stands: nobody but a person takes it back."""

from collections.abc import Iterable, Sequence

from cabgate.api.intent import DeploymentIntent
from cabgate.api.request import RequestState
from cabgate.lifecycle.history.precedent import standing_verdict
from cabgate.lifecycle.requests.opening import has_other_evidence, is_current
from cabgate.lifecycle.state.standing import RequestStanding, WholeRequest
from cabgate.lifecycle.state.states import age_of
from cabgate.risk.evidence import evidence_digest
from cabgate.risk.image_evidence import brings_reports_of_others


def successor_of(
    intent: DeploymentIntent, others: Iterable[RequestStanding]
) -> RequestStanding | None:
    """The request that stands for what an intent declares now, if there is one: its own, or one of
    another intent for the very same content that was refused."""
    found = list(others)
    own = next((each for each in found if is_current(each, intent)), None)
    return standing_verdict(evidence_digest(intent.spec), found) or own


def ended_by(
    request: WholeRequest,
    intent: DeploymentIntent | None,
    others: Sequence[RequestStanding],
) -> RequestStanding | None:
    """The request by which the images of an approval by score are judged now, so that it ends; None
    if it stands.

    It ends where its intent declares other evidence for its images, and only once the request for
    that can be decided or is: one that is superseded itself, and waits to be reopened, opens
    nothing, and until then what was approved before admits. Evidence that brings the reports of
    other images, as StaleEvidence has it, says nothing of these: they went back, and the reports
    were left in place. `others` are the requests of the namespace that name one of its workloads.
    """
    if intent is None or request.standing.state is not RequestState.AUTO_APPROVED:
        return None
    successor = successor_of(intent, others)
    if successor is None or successor.state is RequestState.SUPERSEDED:
        return None
    if not has_other_evidence(request.stored, intent):
        return None
    earlier = [each for each in others if age_of(each) < age_of(successor)]
    if brings_reports_of_others(request.stored.spec, intent.spec.evidence, earlier):
        return None
    return successor
