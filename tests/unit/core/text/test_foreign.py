# SPDX-License-Identifier: Apache-2.0
"""No message has a phrase that a tool acts on, whatever people wrote."""

import ast
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cabgate.api import CABException, CABRequest, ChangePolicy
from cabgate.api.base import rfc3339
from cabgate.api.crds import definitions
from cabgate.api.exception import ExceptionVerdict
from cabgate.api.request import RequestVerdict
from cabgate.api.types import Submitter
from cabgate.gate.checks import ADMITTING
from cabgate.gate.commands import write_intent
from cabgate.gate.composing import warning_lines
from cabgate.gate.verdict import Reason
from cabgate.lifecycle.limits.freezes import FreezeInForce
from cabgate.review.identity import User
from cabgate.review.review import REQUEST_REVIEW, recorded, requested_review, stamped_status
from cabgate.review.reviewers import check_reviewer
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.targets import Workload
from cabgate.rollout.templates import Template
from cabgate.text.foreign import PHRASES, Phrase, printed
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate.writes.image_digests import check_digests
from cabgate_samples.decisions import numbered
from cabgate_samples.models import (
    NOW,
    by_person,
    by_system,
    exception,
    intent,
    newer,
    retrospective,
    rollout,
    target,
)
from cabgate_samples.objects import MIDDLING
from support.examples import examples
from support.policies import BRIEF, vote
from unit.core.denials import facts
from unit.core.standings import candidates, decide, describe, request_for

ROOT = Path(__file__).parents[4]
BLANK = st.sampled_from([" ", "  ", "\n", "\t", "\u00a0", "\u200b ", "\u2028", "\x85", "\r\n"])


@st.composite
def hostile(draw: st.DrawFn) -> str:
    """A text that has phrases, written in many ways, with anything between them."""
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        phrase = draw(st.sampled_from(PHRASES))
        words = phrase.words.split()
        text = words[0] + "".join(draw(BLANK) + word for word in words[1:])
        parts.append(draw(st.sampled_from([text, text.upper(), text.title(), "x" + text + "y"])))
        parts.append(draw(st.text(st.characters(codec="utf-8"), max_size=8)))
    return draw(st.sampled_from(["", "the field ", "immutable "])) + draw(BLANK).join(parts)


def acted_on(text: str) -> list[Phrase]:
    """The phrases that a tool would find, with whatever its language takes for a blank."""
    return [phrase for phrase in PHRASES if re.search(phrase.pattern, text, re.IGNORECASE)]


def test_the_words_of_a_reviewer_that_deleted_a_deployment() -> None:
    said = "The selector field is immutable, so this cannot roll out"
    assert printed(said) == "The selector field is-immutable, so this cannot roll out"
    made = request_for(intent(MIDDLING), ring=2)
    status = {
        "decisions": numbered((by_person("Rejected", rationale=said),), made.spec.evidence_digest)
    }
    rejected = CABRequest.model_validate({**made.to_dict(), "status": status})
    message = decide(rollout(), 2, [rejected], [], NOW).message
    assert "was rejected by rita: The selector field is-immutable, so this" in message


@pytest.mark.parametrize("phrase", PHRASES, ids=[phrase.words for phrase in PHRASES])
def test_each_phrase_is_found_and_is_broken(phrase: Phrase) -> None:
    assert phrase in acted_on(f"a {phrase.words} b")
    assert not acted_on(printed(f"a {phrase.words} b"))
    assert printed(phrase.words).replace("-", " ") == phrase.words.replace("-", " ")


@given(hostile())
def test_what_is_printed_is_one_line_without_a_phrase(text: str) -> None:
    said = printed(text)
    assert not acted_on(said)
    assert said.isprintable()
    assert printed(said) == said


@given(st.text())
def test_what_has_no_phrase_stays_as_it_is(text: str) -> None:
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if not acted_on(line):
        assert printed(text) == line


def test_an_image_with_a_phrase_is_not_changed_in_a_command() -> None:
    workload = Workload("apps", "Deployment", "web")
    command = write_intent("shop", workload, ["registry.example.com/is immutable"])
    assert command == "cabgate intent -n shop -f MANIFEST.yaml"


DENIALS = sorted(
    set(Reason) - ADMITTING - {Reason.PREVIOUS_RING_PENDING, Reason.PREVIOUS_RING_FAILED}
)
"""Those of rings are tried beside their names: no text of anybody is in them."""
QUICK = settings(
    suppress_health_check=[HealthCheck.too_slow], max_examples=examples(60), deadline=None
)


OTHER_TEMPLATE = Template("t1:sha256:" + "1" * 64, [{"hostPID": True}])


def _stored(said: str, user: str, images: list[str], *entries: dict[str, Any],
            evidence: dict[str, Any] | None = None, policy: ChangePolicy | None = None,
            **fields: Any) -> CABRequest:  # fmt: skip
    made = request_for(
        intent(MIDDLING if evidence is None else evidence, [target("checkout", *images) | fields],
               summary=said), ring=4, policy=policy)  # fmt: skip
    for entry in entries:
        entry["author"]["username"] = user
    status = {"decisions": numbered(entries, made.spec.evidence_digest)}
    return CABRequest.model_validate({**made.to_dict(), "status": status})


def _situation(
    reason: Reason, said: str, user: str, images: list[str]
) -> tuple[list[CABRequest], list[CABException]]:
    """Requests and exceptions for which a rollout is denied for a reason."""

    def conditional(**fields: Any) -> dict[str, Any]:
        condition = {"name": "c", "description": said, **fields}
        return by_person("ConditionallyApproved", rationale=said, conditions=[condition])

    entries = {
        Reason.OUTSIDE_WINDOW: [conditional(notAfter=rfc3339(NOW - timedelta(days=1)))],
        Reason.ATTESTATION_MISSING: [conditional(attestation="Required")],
        Reason.REJECTED: [by_person("Rejected", rationale=said)],
        Reason.REVOKED: [by_person("Approved"), by_person("Revoked", rationale=said)],
        Reason.SUPERSEDED: [by_system("Superseded", rationale=said)],
        Reason.FROZEN: [by_person("Approved", rationale=said)],
        Reason.APPROVAL_ENDED: [vote(user, rationale=said, at=NOW - timedelta(days=9))],
    }.get(reason, [])
    if reason is Reason.NO_REQUEST:
        return [], []
    if reason is Reason.GLASS_BROKEN:
        entry = by_person("Approved", rationale=said)
        why = "INC-1: x" + said.translate({10: " ", 13: " "})[:500]  # on one line
        return [retrospective(entry, why=why, by=user, images=images)], []
    risky = reason.startswith("Exception") or reason is Reason.CONSTRAINT_VIOLATED
    named = ["none"] if reason is Reason.IMAGES_NOT_COVERED else images
    says: dict[str, Any] = {}
    if reason is Reason.TEMPLATE_NOT_COVERED:
        says = {"template": "t1:sha256:" + "0" * 64, "templateFields": ["is-immutable=00000000"]}
    if reason is Reason.APPROVAL_ENDED:
        says = {"policy": BRIEF}
    found = _stored(said, user, named, *entries, evidence={} if risky else None, **says)
    if reason is Reason.UNKNOWN_REQUIREMENT:
        found = newer(found, said)
    leave = {
        Reason.EXCEPTION_PENDING: [exception(found)],
        Reason.EXCEPTION_ENDED: [exception(found, days=1, age=timedelta(days=2))],
        Reason.CONSTRAINT_VIOLATED: [
            exception(found, by_person("Approved"), constraints={"maxRing": 2})
        ],
    }.get(reason, [])
    for each in leave:
        each.spec.__dict__.update(reason=said, compensating_controls=[said])
    return [found], leave


@QUICK
@given(st.sampled_from(DENIALS), hostile(), hostile(), st.lists(hostile(), min_size=1, max_size=3,
       unique=True))  # fmt: skip
def test_no_denial_has_a_phrase(reason: Reason, said: str, user: str, images: list[str]) -> None:
    requests, exceptions = _situation(reason, said, user[:512], images)
    # Of a broken glass a text that can be no image is told in another form.
    broken = reason is Reason.GLASS_BROKEN
    what = rollout(*(requests[0].spec.targets[0].images if broken else images))
    if reason is Reason.TEMPLATE_NOT_COVERED:
        what = replace(what, template=OTHER_TEMPLATE)
    freezes = []
    if reason is Reason.FROZEN:
        freezes = [FreezeInForce("christmas", said[:256], NOW, NOW + timedelta(days=1), NOW)]
    decision = decide(what, 4, requests, exceptions, NOW, freezes=freezes)
    assert decision.reason is reason
    assert not acted_on(decision.message), decision.message
    assert not any(acted_on(line) for line in warning_lines(decision.message))
    for look in candidates(what, requests, exceptions, NOW, ring=4, freezes=freezes):
        assert not acted_on(describe(look, what, exceptions, NOW))


@QUICK
@given(hostile())
def test_no_warning_of_what_is_admitted_has_a_phrase(said: str) -> None:
    entry = by_person(
        "ConditionallyApproved",
        rationale=said,
        conditions=[{"name": "c", "description": said}],
    )
    approved = _stored(said, said[:512], ["a"], entry)
    decision = decide(rollout("a"), 2, [approved], [], NOW)
    assert decision.allowed
    assert decision.warnings
    last = approved.status.decisions[-1]
    for text in (*decision.warnings, decision.message, recorded(REQUEST_REVIEW, approved, last)):
        assert not acted_on(text), text


def _refusals(said: str) -> list[str]:
    """Every way that a text of somebody comes into a refusal."""
    user = User(said)
    found = []

    def refused(call: Any, *args: Any) -> None:
        with pytest.raises(Refusal) as raised:
            call(*args)
        found.extend((str(raised.value), raised.value.message))

    for changed in (
        {"holds_verb": False},
        {"submitters": [Submitter(username=said)]},
        {"requesters": frozenset({said})},
        {"impersonates": said},
        {"may_have_broken": True},
        {"decided_elsewhere": said},
    ):
        refused(check_reviewer, user, RequestVerdict.APPROVED, "cabrequests", facts(**changed))
    service = User(f"system:serviceaccount:{said}")
    refused(check_reviewer, service, ExceptionVerdict.APPROVED, "cabexceptions", facts())
    rejected = _stored(said, said, ["a"], by_person("Rejected", rationale=said))
    old = rejected.model_dump(mode="json", by_alias=True, exclude_none=True)
    digest = rejected.spec.evidence_digest

    def write(**review: Any) -> dict[str, Any]:
        return {**old, "status": {**old["status"], "review": review}}

    for review in (
        {"verdict": "Approved", "rationale": said},
        {"verdict": "Approved", "evidenceDigest": said},
        {"verdict": said},
        {"verdict": "Attested", "condition": "c", "rationale": said},
    ):
        refused(stamped_status, REQUEST_REVIEW, old, write(**review), digest, user, NOW)
    refused(requested_review, REQUEST_REVIEW, old, write(verdict="Approved", **{said: 1, "conditions": said}))  # fmt: skip  # noqa: E501
    refused(check_digests, intent(targets=[target("a", said)]), 3, 3)
    refused(_raised, said)
    return found


def _raised(said: str) -> None:
    raise Refusal(RefusalReason.INVALID, f"is {said}", f"spec.{said}")


@QUICK
@given(hostile())
def test_no_refusal_has_a_phrase(said: str) -> None:
    for text in _refusals(said[:500]):
        assert not acted_on(text), text


def _constants(path: Path) -> list[str]:
    """The texts of a module, without docstrings."""
    tree = ast.parse(path.read_text())
    documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in documented
    ]


def test_no_text_of_ours_has_a_phrase() -> None:
    modules = [
        path
        for part in ("core", "kube", "operator", "webhook", "collect", "store", "relay", "cli")
        for path in (ROOT / part).rglob("*.py")
        if path.name != "foreign.py"
    ]
    assert len(modules) > 50
    for path in modules:
        for text in _constants(path):
            assert not acted_on(" ".join(text.split())), (path, text)


def _messages(schema: Any) -> list[str]:
    if isinstance(schema, dict):
        rules = schema.get("x-kubernetes-validations", ())
        own = [rule["message"] for rule in rules]
        return own + [text for value in schema.values() for text in _messages(value)]
    if isinstance(schema, list):
        return [text for value in schema for text in _messages(value)]
    return []


def test_no_rule_of_a_schema_has_a_phrase() -> None:
    messages = [text for definition in definitions() for text in _messages(definition)]
    assert len(messages) > 20
    for text in messages:
        assert not acted_on(text), text


def test_the_page_has_the_same_table() -> None:
    page = (ROOT / "docs/gitops/error-texts.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ")][1:]
    assert rows == [
        f"| `{phrase.words}` | {phrase.project}, `{phrase.where}` | {phrase.action} |"
        for phrase in PHRASES
    ]


def test_a_name_of_a_rollout_cannot_smuggle_one_in() -> None:
    what = Rollout("shop", Workload("apps", "Deployment", "is immutable"), ("a",))
    assert not acted_on(decide(what, 2, [], [], NOW).message)
