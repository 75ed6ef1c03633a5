# SPDX-License-Identifier: Apache-2.0
"""What the commands share that give a verdict: show, ask, send with the digest that was shown."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import click
from pydantic import ValidationError

from cabgate.api.base import first_problem
from cabgate.api.rationale import RATIONALE, says_nothing
from cabgate.gate.commands import review_of
from cabgate.text.inert import inert
from cabgate.views.verdicts import review_for
from cabgate_cli.errors import BadInput, Refused, Unavailable
from cabgate_cli.exit_codes import ExitCode
from cabgate_cli.input.kubectl.process import Kubectl
from cabgate_cli.input.kubectl.reviewing import Named, Subject, changes_since, named, read_subject
from cabgate_cli.output.objects import write, write_machine
from cabgate_cli.output.views import comparison_text, request_text

Details = Callable[[Subject], Mapping[str, Any]]
"""What a verdict holds besides verdict, rationale and digest."""


def _nothing(subject: Subject) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class Verdict:
    """What is to be said of each of some requests or exceptions."""

    verb: str
    """As the command is called."""
    verdict: str
    details: Details = _nothing
    of_exceptions: bool = True
    """Whether it can be said of an exception."""
    needs_rationale: bool = True
    """Whether it is asked why."""


@dataclass(frozen=True)
class Given:
    """What was given on the command line beside names."""

    because: str | None
    yes: bool
    digests: tuple[str, ...]
    uids: tuple[str, ...]
    show_command: bool
    output: str


@dataclass(frozen=True)
class LookedAt:
    """What one of them was when somebody looked at it; None where nobody says."""

    digest: str | None
    uid: str | None


@dataclass
class Outcome:
    """What became of one of them."""

    name: str
    verdict: str
    outcome: str = "recorded"
    message: str = ""
    code: ExitCode = field(default=ExitCode.OK, repr=False)


def interactive() -> bool:
    """Whether somebody is there to be asked."""
    return sys.stdin.isatty()


def decide(
    kubectl: Kubectl, namespace: str | None, names: Sequence[str], verdict: Verdict, given: Given
) -> ExitCode:
    """Give a verdict on each by itself, and say what became of each; the worst of their codes.

    One that cannot be decided keeps none of the others from it. Raises `BadInput` before anything
    is read where what was given is not enough.
    """
    subjects = [named(name) for name in names]
    _check(subjects, verdict, given)
    place = kubectl.namespace(namespace)
    outcomes = []
    try:
        for index, what in enumerate(subjects):
            looked_at = LookedAt(
                given.digests[index] if given.digests else None,
                given.uids[index] if given.uids else None,
            )
            outcomes.append(_one(kubectl, place, what, verdict, given, looked_at))
    finally:  # also after Ctrl-C: what was recorded before it stays so
        if given.output != "text":
            write_machine([_plain(each, place) for each in outcomes], given.output)
    return max((each.code for each in outcomes), default=ExitCode.OK)


def _check(subjects: Sequence[Named], verdict: Verdict, given: Given) -> None:
    problems = []
    if not verdict.of_exceptions and any(each.exception for each in subjects):
        problems.append(f"NAME: {verdict.verb} is for requests, not for exceptions")
    if given.because is not None and (not given.because.strip() or says_nothing(given.because)):
        problems.append("--because: says nothing: write why you decide so; it is recorded for good")
    if given.digests and len(given.digests) != len(subjects):
        problems.append(
            f"--digest: given {len(given.digests)} times for {len(subjects)} names: one for each, "
            "in their order"
        )
    if given.uids and len(given.uids) != len(subjects):
        problems.append(
            f"--uid: given {len(given.uids)} times for {len(subjects)} names: one for each, in "
            "their order"
        )
    if not interactive() and not given.show_command:
        if any(each.exception for each in subjects) and not given.uids:
            problems.append(
                "--uid: missing: without a terminal to be asked at, name the uid of the exception "
                "that you looked at (kubectl cab show cabex/NAME): its team may have created "
                "another one of its name for the same evidence"
            )
        if not given.digests:
            problems.append(
                "--digest: missing: without a terminal to be asked at, name the evidence digest "
                "that you looked at (kubectl cab show NAME)"
            )
        if given.because is None and verdict.needs_rationale:
            problems.append("--because: missing: without a terminal to be asked at, say why")
    if problems:
        raise BadInput(*problems)


def _one(
    kubectl: Kubectl,
    namespace: str,
    what: Named,
    verdict: Verdict,
    given: Given,
    looked_at: LookedAt,
) -> Outcome:
    outcome = Outcome(str(what), verdict.verdict)
    try:
        subject = read_subject(kubectl, namespace, what)
        _send(kubectl, subject, verdict, given, looked_at, outcome)
    except click.ClickException as error:
        outcome.message = error.message
        outcome.code = ExitCode(error.exit_code)
        outcome.outcome = "refused" if isinstance(error, Refused) else "failed"
        click.echo(f"{what}: {error.message}", err=True)
    return outcome


def _send(
    kubectl: Kubectl,
    subject: Subject,
    verdict: Verdict,
    given: Given,
    looked_at: LookedAt,
    outcome: Outcome,
) -> None:
    what = subject.named
    for_people = given.output == "text" and not given.show_command
    if for_people or (interactive() and not given.show_command):
        # Beside the output where that is for programs: nobody is asked about what they do not see.
        click.echo(request_text(subject.view), err=not for_people)
    if looked_at.digest is not None and looked_at.digest != subject.digest:
        raise _stale(kubectl, subject, looked_at.digest)
    if looked_at.uid is not None and looked_at.uid != subject.uid:
        raise _another(subject, looked_at.uid)
    review = _review(subject, verdict, given)
    words = patch_words(what, subject.namespace, review, subject.uid)
    if given.show_command:
        outcome.outcome, outcome.message = "shown", kubectl.shown(*words)
        if given.output == "text":
            write(outcome.message + "\n")
        return
    if (
        interactive()
        and not given.yes
        and not click.confirm(f"{verdict.verb} {what} in namespace {subject.namespace}?", err=True)
    ):
        outcome.outcome, outcome.code = "declined", ExitCode.NO
        click.echo(f"{what}: nothing was sent", err=True)
        return
    ran = kubectl.run(*words)
    if ran.code != 0:
        outcome.message = inert(ran.errors)
        outcome.outcome = "refused" if ran.denied else "failed"
        outcome.code = ExitCode.NO if ran.denied else ExitCode.UNAVAILABLE
        return
    if for_people:
        write(f"{what} in namespace {subject.namespace}: {review['verdict']}\n")


def patch_words(
    what: Named, namespace: str, review: Mapping[str, Any], uid: str
) -> tuple[str, ...]:
    """The words of the kubectl command that gives a review: what is run, and what is shown.

    The uid has the webhook refuse it on any other object of that name: an exception that its team
    deleted and created anew meanwhile, or a request in the cluster to which another terminal has
    switched the context.
    """
    return (
        *("patch", what.resource, what.name, "-n", namespace),
        *("--subresource=status", "--type=merge", "-p", review_of(review, uid)),
    )


def _review(subject: Subject, verdict: Verdict, given: Given) -> dict[str, Any]:
    """What is written into `status.review`; raises `BadInput` for what the schema would refuse."""
    details = verdict.details(subject)
    rationale = given.because
    if rationale is None and verdict.needs_rationale:
        rationale = RATIONALE if given.show_command else _asked()
    try:
        return review_for(
            *(verdict.verdict, subject.digest, rationale, details),
            of_exception=subject.named.exception,
        )
    except ValidationError as error:
        first = first_problem(error)
        raise BadInput(f"{inert(first.path)}: {first.message}") from None


def _asked() -> str:
    """Why, from somebody who is there; never taken for granted."""
    while True:
        found: str = click.prompt("Reason (stored permanently)", err=True)
        if found.strip() and not says_nothing(found):
            return found.strip()
        click.echo("that says nothing", err=True)


def _stale(kubectl: Kubectl, subject: Subject, digest: str) -> Refused:
    """What is told to somebody who looked at other evidence: what has changed since."""
    head = (
        f"you looked at {inert(digest)}, but the evidence is {subject.digest}: look again. "
        "Nothing was sent."
    )
    try:
        changes = changes_since(kubectl, subject, digest)
    except Unavailable as error:
        return Refused(f"{head} What changed is not known: {error.message}")
    if changes is None:
        return Refused(f"{head} No request of this namespace has the digest that you looked at.")
    return Refused(f"{head}\n{comparison_text(changes)}".rstrip())


def _another(subject: Subject, uid: str) -> Refused:
    """What is told to somebody who looked at another object of the same name."""
    return Refused(
        f"you looked at the one of uid {inert(uid)}, but {subject.named} is that of "
        f"{inert(subject.uid)}: it was deleted and created anew, or is in another cluster. Look "
        "again. Nothing was sent."
    )


def _plain(outcome: Outcome, namespace: str) -> dict[str, Any]:
    found = {key: value for key, value in asdict(outcome).items() if key != "code" and value}
    return {"namespace": namespace, **found}
