# SPDX-License-Identifier: Apache-2.0
"""What people read: one message under 1 KiB, the reason first, the next command last."""

import json
import re
import textwrap
from collections.abc import Sequence
from datetime import datetime

from cabgate.api.base import rfc3339, trimmed
from cabgate.api.request import RequestState
from cabgate.api.stored import Declared, StoredEntry
from cabgate.api.types import ALL_IMAGES, Gate
from cabgate.gate.commands import (
    approve_exception,
    approve_request,
    attest,
    edit_intent,
    list_intents,
    show_request,
    write_exception,
    write_intent,
    write_intent_of_file,
)
from cabgate.gate.decision import Basis, Reason
from cabgate.lifecycle.break_glass import FLOOR as BREAK_GLASS
from cabgate.lifecycle.precedent import EARLIER_VERDICT
from cabgate.lifecycle.requirements import ADVICE, unknown_words
from cabgate.lifecycle.revocations import Revocation
from cabgate.lifecycle.standing import RequestStanding, closed_window
from cabgate.lifecycle.states import expires_at, is_retrospective
from cabgate.review.identity import SERVICE_ACCOUNTS, Machines
from cabgate.review.submitters import only_machines
from cabgate.risk.image_evidence import STALE_EVIDENCE
from cabgate.risk.improvements import improvements
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.targets import Workload
from cabgate.rollout.workloads import ANY_NAME
from cabgate.text.foreign import printed

WARNING_WIDTH = 240
"""Length of a warning, in characters: where there are many, the API server cuts each at 256."""

MAX_BYTES = 1000
"""Longest message of a denial, in bytes: under 1 KiB with what kubectl and controllers put before
it."""


_ASKS_FOR_IMAGES = (Reason.NO_REQUEST, Reason.IMAGES_NOT_COVERED)


def decision_message(
    rollout: Rollout,
    ring: int,
    reason: Reason,
    basis: Basis,
    now: datetime,
    machines: Machines = SERVICE_ACCOUNTS,
) -> str:
    """The message of a decision: reason code, what was tried, why, what to do next."""
    tried = _tried(rollout, ring, reason)
    if reason is Reason.RING_NOT_GATED:
        return f"{tried} needs no approval."
    if reason is Reason.NO_NEW_IMAGE:
        return f"{tried} brings no image that was not admitted before."
    if reason in _ASKS_FOR_IMAGES and not all(map(trimmed, rollout.images)):
        return compose(
            f"{tried} has an image that is blank, which no intent can name.",
            [],
            "Write the image into the pod template: see its containers and image volumes.",
        )
    if reason is Reason.NO_REQUEST:
        return compose(*_without_request(tried, rollout))
    request = basis.request
    if request is None:
        raise ValueError(f"{reason} rests on no request")
    return compose(*_about(tried, rollout, reason, basis, request, now, machines))


def _without_request(tried: str, rollout: Rollout) -> tuple[str, list[str], str]:
    """Head, details and next step where no request names a workload; what is mostly missing, an
    intent, comes first."""
    command = write_intent(rollout.namespace, _to_name(rollout), rollout.images)
    of_file = write_intent_of_file(rollout.namespace)
    several, begin = f" For several workloads, {of_file} writes one.", "Begin with"
    if command == of_file:
        several, begin = "", "Begin with one for all workloads of a file"
    return (
        f"{tried} has no CABRequest.",
        [
            f"Write an intent, complete its evidence and apply it.{several}",
            "If a DeploymentIntent names this one already, its request is being opened, or the "
            "intent's condition Ready says why not.",
        ],
        f"{begin}: {command}",
    )


def controller_message(
    rollout: Rollout, ring: int, maker: Workload, request: Declared, username: str
) -> str:
    """The message of `NoRequest` for what a controller made of a workload that is approved, and
    that nobody named to this installation."""
    return compose(
        f"{_tried(rollout, ring, Reason.NO_REQUEST)} has no CABRequest, but {maker}, which it says "
        f"it was made from, is approved by {request.metadata.name}.",
        ["Whoever can act as a user named there is past the gate."],
        f"{shortened(username, 200)} asked. If that is the controller of {maker.kind}s, a cluster "
        f"admin names it in the chart's values: controllers: {json.dumps([username])}",
    )


def _tried(rollout: Rollout, ring: int, reason: Reason) -> str:
    return f"{reason}: {rollout.workload} in namespace {rollout.namespace} (ring {ring})"


def _about(
    tried: str,
    rollout: Rollout,
    reason: Reason,
    basis: Basis,
    request: RequestStanding,
    now: datetime,
    machines: Machines,
) -> tuple[str, list[str], str]:
    """Head, details and next step of a message that tells of a request."""
    name = request.metadata.name
    head = f"{tried}: request {name}"
    if reason is Reason.REQUEST_APPROVED:
        return f"{head} is {request.state}.", [], ""
    if reason is Reason.IMAGES_NOT_COVERED:
        images = ", ".join(shortened(image, 160) for image in basis.uncovered[:3])
        more = f" and {len(basis.uncovered) - 3} more" if len(basis.uncovered) > 3 else ""
        return (
            f"{head} does not name image {images}{more}.",
            [],
            "Images are compared exactly. Name them in spec.targets, with evidence for them: "
            + _declare(request, rollout),
        )
    if reason is Reason.GLASS_BROKEN:
        return (
            f"{head} ({request.state}) reviews a broken glass: what went past the gate then, "
            "and no later rollout.",
            ["Or break the glass again, with other words: the same words twice break nothing."],
            "Declare in an intent what runs, with evidence for it: " + _declare(request, rollout),
        )
    if basis.exception is not None:
        return _about_exception(head, reason, basis, request, machines)
    if reason in (Reason.OUTSIDE_WINDOW, Reason.ATTESTATION_MISSING):
        return _about_conditions(head, reason, request, now)
    if reason is Reason.UNKNOWN_REQUIREMENT:
        words = ", ".join(unknown_words(request)[:5])
        return (
            f"{head} rests on rules that this webhook does not know: {words}.",
            [],
            f"{ADVICE} See: {show_request(request)}",
        )
    if basis.revocation is not None:
        return _about_revocation(head, basis.revocation, request)
    detail = assessment_details(request, machines)
    by_score = request.spec.assessment.gate is Gate.AUTO_APPROVE
    if reason is Reason.REVIEW_PENDING and by_score and request.state is RequestState.SUBMITTED:
        # Nobody has to decide, so nobody is asked to.
        return (
            f"{head} waits for cabgate's operator, which approves it by its score "
            f"({scored(request)}) if nothing has come to stand against it.",
            [],
            "Try again in a moment; if it stays so, its condition Decided says who decides, or the "
            f"operator is not running: {show_request(request)} -o yaml",
        )
    if reason is Reason.REVIEW_PENDING:
        return (
            f"{head} waits for a CAB member ({scored(request)}).",
            detail,
            "Someone who did not submit it approves with: " + approve_request(request),
        )
    if reason is Reason.EXCEPTION_REQUIRED:
        return (
            f"{head} is too risky to approve ({scored(request)}).",
            detail,
            "Improve the evidence, or request an exception, which a security reviewer decides: "
            + write_exception(request),
        )
    # What would better the score does not help against what somebody found wrong.
    return f"{head} {ended(request)}.", [], _after_refusal(request)


def _declare(request: Declared, rollout: Rollout) -> str:
    """How a team declares the images of a rollout: in the intent of a request, or in one to be
    written where the glass was broken instead."""
    if is_retrospective(request):
        return write_intent(rollout.namespace, _to_name(rollout), rollout.images)
    return edit_intent(request)


def _about_revocation(
    head: str, revocation: Revocation, request: RequestStanding
) -> tuple[str, list[str], str]:
    """Of an approval that does not count for an image which was revoked under another request."""
    other = revocation.request
    return (
        f"{head} is {request.state}, but image {shortened(revocation.image, 160)} of "
        f"{revocation.workload} was revoked at {rfc3339(revocation.at)}.",
        [
            f"Request {other.metadata.name} {ended(other)}.",
            "Only a person's approval after that counts.",
        ],
        "Roll out another image, or declare new evidence for a person to approve: "
        + edit_intent(request),
    )


def _about_conditions(
    head: str, reason: Reason, request: RequestStanding, now: datetime
) -> tuple[str, list[str], str]:
    window = closed_window(request, now)
    if reason is Reason.OUTSIDE_WINDOW and window is not None:
        early = window.not_before is not None and now < window.not_before
        moment = window.not_before if early else window.not_after
        opens = "admits from" if early else "admitted until"
        return (
            f"{head} is approved on condition {window.name}, which {opens} "
            f"{rfc3339(moment) if moment else ''}.",
            [f"{shortened(window.description, 200)}."],
            "Roll out again then; see " + show_request(request)
            if early
            else "Declare it anew, with new evidence: " + edit_intent(request),
        )
    waiting = request.unattested[0]
    return (
        f"{head} is approved on condition {waiting.name}, which nobody has attested.",
        [f"{shortened(waiting.description, 200)}."],
        "A CAB member who did not submit it attests with: " + attest(request, waiting.name),
    )


def _about_exception(
    head: str, reason: Reason, basis: Basis, request: RequestStanding, machines: Machines
) -> tuple[str, list[str], str]:
    exception = basis.exception
    if exception is None:
        raise ValueError(f"{reason} rests on no exception")
    name, end = exception.metadata.name, rfc3339(expires_at(exception))
    if reason is Reason.EXCEPTION_ACTIVE:
        return f"{head} is under exception {name} until {end}.", [], ""
    if reason is Reason.EXCEPTION_PENDING:
        return (
            f"{head} needs an exception ({scored(request)}), and {name} waits for a security "
            "reviewer.",
            assessment_details(request, machines),
            "Someone who did not submit it approves with: " + approve_exception(exception, request),
        )
    return (
        f"{head} needs an exception ({scored(request)}), and {name} ended at {end}.",
        assessment_details(request, machines),
        "Improve the evidence, or request another exception: "
        + write_exception(request, exception),
    )


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


def _after_refusal(request: RequestStanding) -> str:
    if request.state is RequestState.SUPERSEDED:
        # The intent may be gone.
        return "Roll out what is declared, or declare this again; see: " + list_intents(request)
    return "Change what was found wrong and declare the new evidence: " + edit_intent(request)


def scored(request: Declared) -> str:
    """Score and gate of a request."""
    assessment = request.spec.assessment
    return f"score {assessment.score}, {assessment.gate}"


def assessment_details(request: Declared, machines: Machines = SERVICE_ACCOUNTS) -> list[str]:
    """What a reviewer and a team should know of a request, the most important first."""
    assessment = request.spec.assessment
    way = improvements(assessment)
    in_the_way = () if way is None else way.floors
    shown = (EARLIER_VERDICT, BREAK_GLASS, STALE_EVIDENCE)
    details = [
        f"{f.explanation}." for f in assessment.floors if f.name in shown and f not in in_the_way
    ]
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


def warnings_for(reason: Reason, basis: Basis) -> tuple[str, ...]:
    """What to tell whoever rolls out, although the rollout is admitted."""
    request, exception = basis.request, basis.exception
    if reason is Reason.EXCEPTION_ACTIVE and exception is not None:
        end = rfc3339(expires_at(exception))
        return (f"admitted under exception {exception.metadata.name}, which ends at {end}",)
    if reason is not Reason.REQUEST_APPROVED or request is None:
        return ()
    return tuple(
        printed(
            f"request {request.metadata.name} is approved on condition {condition.name}: "
            f"{shortened(condition.description, 200)}"
        )
        for condition in request.conditions
        if condition.is_obligation
    )


_OF_FILE = re.compile(re.escape(write_intent_of_file("@")).replace("@", r"\S+"))
_JOINT = "\0"
"""In place of a blank where a line is not to end; no message holds it."""


def warning_lines(denial: str) -> tuple[str, ...]:
    """A denial as warnings to whoever is let through all the same: its text in pieces between
    words, and each of its commands in one."""
    found = re.fullmatch(r"(.*:) ((?:kubectl|cabgate) .*)", denial)
    text, command = (found[1], found[2]) if found else (denial, "")
    text = _OF_FILE.sub(lambda match: match[0].replace(" ", _JOINT), text)
    lines = textwrap.wrap(text, WARNING_WIDTH, break_long_words=False, break_on_hyphens=False)
    shown = (line.replace(_JOINT, " ") for line in lines)
    return ("cabgate denies this where it enforces:", *shown, *filter(None, [command]))


def compose(
    head: str, details: Sequence[str] = (), next_step: str = "", limit: int = MAX_BYTES
) -> str:
    """A message of at most `limit` bytes: head and next step whole where they fit, of the details
    as many as have room."""
    room = limit - len(next_step.encode()) - 1
    message = shortened(head, max(room, 200))
    for detail in details:
        left = room - len(message.encode()) - 1
        if left >= 40:
            message += " " + shortened(detail, left)
    return shortened(f"{message} {next_step}".strip(), limit)


def sentence(text: str) -> str:
    """The text with a full stop, where it does not end as a sentence does."""
    return text if text.rstrip().endswith((".", "!", "?", "…")) else f"{text}."


def shortened(text: str, size: int) -> str:
    """The text as messages print it, of at most so many bytes, with a mark where it was cut."""
    text = printed(text)
    data = text.encode()
    if len(data) <= size:
        return text
    return data[: size - 3].decode(errors="ignore") + "..."


def _to_name(rollout: Rollout) -> Workload:
    """The workload that an intent for a rollout is to name: what it was made from, where it says
    so; never the generated name of this one try."""
    prefix, made = rollout.workload, rollout.also
    if prefix.name.endswith(ANY_NAME):
        made = tuple(w for w in made if (w.group, w.kind) != (prefix.group, prefix.kind))
    return made[-1] if made else prefix
