# SPDX-License-Identifier: Apache-2.0
"""Whether somebody who waits for the approval of an intent goes on waiting."""

from enum import StrEnum

from cabgate.api.intent import DeploymentIntent


class Outcome(StrEnum):
    """What has become of an intent, for a pipeline that waits for its approval."""

    APPROVED = "approved"
    """Its rollout would be admitted now."""
    REFUSED = "refused"
    """Waiting does not help: rejected, revoked, too risky, nothing to score it by."""
    OPEN = "open"
    """A person, a time or the operator is waited for."""


def outcome_of(intent: DeploymentIntent) -> Outcome:
    """What its status says of the content that an intent has now; a status of an earlier content
    says nothing of this."""
    if intent.status.observed_generation != intent.metadata.generation:
        return Outcome.OPEN
    holding = {each.type for each in intent.status.conditions if each.status == "True"}
    if "Ready" in holding:
        return Outcome.APPROVED
    return Outcome.REFUSED if "Stalled" in holding else Outcome.OPEN


def why(intent: DeploymentIntent) -> str:
    """What its condition Ready says, if it is of the content that it has now."""
    if intent.status.observed_generation != intent.metadata.generation:
        return "the operator has not looked at its present content yet"
    found = (each.message for each in intent.status.conditions if each.type == "Ready")
    return next(found, "it has no condition Ready")
