# SPDX-License-Identifier: Apache-2.0
"""That a request covers what the containers of a rollout do, where it says so or has to."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from cabgate.api.request import RequestState
from cabgate.api.stored import StoredTarget
from cabgate.gate.commands import update_template
from cabgate.gate.record import ArgoHealth, Covering, Parts, Record, Situation
from cabgate.gate.verdict import Look, Reason
from cabgate.lifecycle.state.requirements import says_of_containers
from cabgate.lifecycle.state.standing import RequestStanding
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.templates import differing
from cabgate.text.foreign import printed

MAX_FIELDS = 8
"""Fields that a text names."""


def check(found: Covering) -> Look | None:
    """That the targets which say what the containers do, or have to, say something else.

    A target that says nothing covers the images alone. Where a template is required that is enough
    only of a request from before it was required there, and only as long as nobody has decided on
    one that says what these images are to do. That holds also where the containers do what they did
    before, as in a Pod that exists: any template fits then, but none does not.
    """
    rollout, request = found.rollout, found.request
    own = rollout.template
    silent = not found.template_required or not (
        says_of_containers(request) or found.template_decided
    )
    named = rollout.targets_in(request.spec.targets)
    fitting = [
        each
        for each in named
        if (silent if each.template is None else own is None or each.template == own.digest)
    ]
    if fitting and set(rollout.images) <= {image for each in fitting for image in each.images}:
        return None
    return Look(
        request,
        request.state,
        Reason.TEMPLATE_NOT_COVERED,
        differing=_differing(rollout, named),
    )


def is_decided(rollout: Rollout, requests: Iterable[RequestStanding]) -> bool:
    """Whether somebody, or the score, has ever decided on a request for a workload that names every
    image of a rollout and says what they are to do, or it needs an exception."""
    for request in requests:
        if not (
            request.was_approved
            or request.is_refused
            or request.state is RequestState.EXCEPTION_REQUIRED
        ):
            continue
        saying = [
            each for each in rollout.targets_in(request.spec.targets) if each.template is not None
        ]
        if saying and set(rollout.images) <= {image for each in saying for image in each.images}:
            return True
    return False


def _differing(rollout: Rollout, named: Sequence[StoredTarget]) -> tuple[str, ...]:
    """The paths of what is other than in the first target that says anything."""
    saying = next((each for each in named if each.template is not None), None)
    if saying is None or rollout.template is None:
        return ()
    return tuple(differing(rollout.template, saying.template_fields))


def _says_nothing(request: RequestStanding, rollout: Rollout) -> bool:
    return all(each.template is None for each in rollout.targets_in(request.spec.targets))


def _listed(fields: Sequence[str]) -> str:
    more = f" and {len(fields) - MAX_FIELDS} more" if len(fields) > MAX_FIELDS else ""
    return printed(", ".join(fields[:MAX_FIELDS])) + more


def _message(found: Situation) -> Parts:
    rollout, request, fields = found.rollout, found.request, found.basis.differing
    if _says_nothing(request, rollout):
        what = "does not say what the containers do, as the label of this namespace asks."
        details = []
    else:
        what = "does not cover what the containers do."
        details = [f"Other than it says: {_listed(fields)}."] if fields else []
    return (
        f"{found.head} {what}",
        details,
        "Roll out what it covers, or declare this, with evidence for it: "
        + update_template(request),
    )


def _line(look: Look, rollout: Rollout, now: datetime) -> str:
    if _says_nothing(look.request, rollout):
        return "does not say what the containers do, which is asked for here"
    if not look.differing:
        return "does not cover what the containers do"
    return f"does not cover what the containers do: other are {_listed(look.differing)}"


RECORDS = (
    Record(
        Reason.TEMPLATE_NOT_COVERED,
        _message,
        _line,
        health=ArgoHealth.PROGRESSING,
        says="a request names the workload and its images, and other commands, variables, volumes "
        "or rights of the containers; it names the fields, never a value",
        to_do="roll out what is approved, or run the command, which brings the intent up to date",
    ),
)
