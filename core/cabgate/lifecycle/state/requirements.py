# SPDX-License-Identifier: Apache-2.0
"""Rules that a request rests on and that older releases do not know.

Unknown fields are ignored when objects are read, so that a release reads what a newer one wrote. A
rule that makes an approval harder would be ignored with them. So a request that uses one names it
in `spec.requires`, and whoever does not know the word denies.
"""

from cabgate.api.stored import Declared
from cabgate.api.stored_terms import StoredTerms
from cabgate.text.refusal import Refusal, RefusalReason

POD_TEMPLATE = "PodTemplate"
"""That targets say what the containers do, or have to where the gate asks for it: the request was
opened with a template, or in a namespace that asks for one in some ring."""

QUORUM = "Quorum"
"""That the approvals of its terms are needed, more than one, or with other verbs than approve. A
release that does not know of them would take the first one for all."""

ESCALATION = "Escalation"
"""That others decide as well once it has waited for as long as its terms say. A release that does
not know of them would count the approvals otherwise."""

VALIDITY = "Validity"
"""That its approval admits new rollouts for so long as its terms say. A release that does not know
of it would take an approval for one without end."""

EXCEPTIONS = "Exceptions"
"""That an exception for it needs what its terms say. A release that does not know of it would take
the first approval of any exception for enough."""

PROMOTION = "Promotion"
"""That its terms ask what became of the release in the rings before. A release that does not know
of them would admit it into every ring at once."""

_OF_TERMS = frozenset({QUORUM, ESCALATION, VALIDITY, EXCEPTIONS, PROMOTION})

KNOWN: frozenset[str] = _OF_TERMS | {POD_TEMPLATE}
"""The words that this release knows: a rule that is added adds its own."""

ADVICE = (
    "A newer release opened it: upgrade cabgate's webhook to that release (helm upgrade), and try "
    "again."
)
"""What to do where a word is not known."""

ADVICE_ON_TERMS = (
    "An older release that was installed for a while dropped its terms: declare other content, "
    "which opens a new request."
)
"""What to do where a request rests on terms, and does not say which any more."""


def words_of_terms(terms: StoredTerms | None) -> set[str]:
    """The words for what terms ask for."""
    if terms is None:
        return set()
    words = set() if terms.exceptions is None else {EXCEPTIONS}
    if terms.promotion is not None:
        words.add(PROMOTION)
    if not terms.approvals:
        return words
    words.add(QUORUM)
    if any(step.also_decides is not None for step in terms.escalation):
        words.add(ESCALATION)
    if any(need.valid_for_seconds is not None for need in terms.approvals):
        words.add(VALIDITY)
    return words


def says_of_containers(request: Declared) -> bool:
    """Whether a request says what the containers do, or has to where the gate asks for it."""
    said = any(target.template is not None for target in request.spec.targets)
    return said or POD_TEMPLATE in request.spec.requires


def unknown_words(request: Declared) -> list[str]:
    """The rules that a request rests on and that are not known here. Where an older release dropped
    its terms, or the word for them, nobody knows which approvals are enough, or which ring comes
    before."""
    words = set(request.spec.requires)
    return sorted((words - KNOWN) | ((words ^ words_of_terms(request.spec.terms)) & _OF_TERMS))


def advice_on(request: Declared) -> str:
    """What to do where a request rests on a rule that is not known here."""
    return ADVICE if set(request.spec.requires) - KNOWN else ADVICE_ON_TERMS


def check_known(request: Declared) -> None:
    """Raise `Refusal` for a request that rests on a rule which is not known here."""
    words = unknown_words(request)
    if words:
        raise Refusal(
            RefusalReason.UNKNOWN_REQUIREMENT,
            f"request {request.metadata.name} rests on rules that this webhook does not know: "
            f"{', '.join(words[:5])}. "
            f"{advice_on(request)}",
            "spec.requires",
        )
