# SPDX-License-Identifier: Apache-2.0
"""Whatever others wrote: nothing that a view shows is obeyed by a terminal, or seen by nobody."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api import CABException, CABRequest
from cabgate.review.identity import User
from cabgate.text.characters import is_hidden
from cabgate.text.inert import first_words, inert
from cabgate.views.compare import compare
from cabgate.views.queue import queue
from cabgate.views.show import show
from cabgate_samples.models import NOW, by_person, exception, request
from unit.core.views.builders import texts, whole

ATTACKS = (
    "\x1b[2J\x1b[1;31mApproved\x1b[0m",
    "\x1b]0;title\x07",
    "\x9b31mred",
    "abc\u202egpj.exe",
    "\u2066left\u2069",
    "one\ntwo\r\nName: other",
    "zero\u200bwidth\ufeff",
    "\u115f\u3164\u2800",
    "tag\U000e0041",
    "tab\there\x00",
    "\ud800",
)

hostile = st.one_of(
    st.sampled_from(ATTACKS),
    st.text(st.one_of(st.sampled_from("".join(ATTACKS)), st.characters()), min_size=1, max_size=40),
).filter(lambda text: text.strip() != "")


def is_inert(text: str) -> bool:
    return all(c.isprintable() and not is_hidden(c) for c in text)


@given(hostile)
def test_a_text_is_inert_and_stays_so(text: str) -> None:
    once = inert(text)
    assert is_inert(once)
    assert inert(once) == once


@pytest.mark.parametrize("attack", ATTACKS)
def test_each_attack_is_written_out(attack: str) -> None:
    assert is_inert(inert(attack))
    assert inert(attack) != attack


def test_what_only_looks_alike_is_told_apart() -> None:
    assert inert("web:1") != inert("web\u200b:1")
    assert inert("web\u200b:1") == "web\\u200b:1"


@given(hostile, st.integers(10, 40))
def test_first_words_have_room(text: str, room: int) -> None:
    assert len(first_words(text, room)) <= room
    assert is_inert(first_words(text, room))


@pytest.mark.parametrize(
    ("text", "room", "shown"),
    [
        ("all of it", 20, "all of it"),
        ("the first words", 12, "the first..."),
        ("onewordthatislong", 10, "oneword..."),
    ],
)
def test_first_words_end_at_a_word(text: str, room: int, shown: str) -> None:
    assert first_words(text, room) == shown


def poisoned(value: Any, word: str, path: str = "") -> Any:
    """A value in which each text that somebody writes holds a word."""
    fixed = {"verdict", "at", "evidenceDigest", "gate", "state", "creationTimestamp", "type",
             "digest", "score", "weight", "risk", "contribution", "sha256", "status", "name",
             "namespace", "attestation", "correlationID", "requires", "uid"}  # fmt: skip
    if isinstance(value, dict):
        return {
            key: item if key in fixed and path != "spec" else poisoned(item, word, key)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [poisoned(item, word, path) for item in value]
    return f"{word}{value}"[:200] if isinstance(value, str) else value


CONDITIONS = [{"name": "dba", "description": "there", "attestation": "Required"}]


def attacked(word: str) -> tuple[CABRequest, CABException, CABRequest]:
    """A request, an exception for it and an approved request, with a word in every text."""
    asked = request("ExceptionRequired").model_dump(mode="json", by_alias=True, exclude_none=True)
    asked["spec"] |= {"summary": "sum", "requester": "bob", "submittedBy": [{"username": "ann"}]}
    asked["spec"]["evidence"] = {
        "artifacts": [{"name": "web", "uri": "https://a", "images": ["web:1"]}],
        "deploymentPlan": {"uri": "https://b"},
        "scanResults": {"scanner": "trivy"},
    }
    asked["status"]["decisions"] = [
        {"sequence": 1, "evidenceDigest": asked["spec"]["evidenceDigest"],
         **by_person("Revoked", images=["web:1"])}
    ]  # fmt: skip
    before = request(
        "ManualReview", by_person("ConditionallyApproved", conditions=CONDITIONS), name="before"
    ).model_dump(mode="json", by_alias=True, exclude_none=True)
    leave = exception(request("ExceptionRequired")).model_dump(
        mode="json", by_alias=True, exclude_none=True
    )
    leave["spec"]["submittedBy"] = [{"username": "ann"}]
    for each in (asked, before, leave):
        each["spec"] = poisoned(each["spec"], word, "spec")
        each["status"] = poisoned(each["status"], word)
        for entry in each["status"]["decisions"]:
            entry["author"]["username"] = word + "rita"
    asked["spec"]["evidenceDigest"] = request("ExceptionRequired").spec.evidence_digest
    before["spec"]["evidenceDigest"] = request("ManualReview").spec.evidence_digest
    for each in (asked, before):
        each["spec"]["correlationID"] = "CAB-1"
    leave["spec"]["requestRef"]["name"] = asked["metadata"]["name"]
    return (
        CABRequest.model_validate(asked),
        CABException.model_validate(leave),
        CABRequest.model_validate(before),
    )


@given(hostile.filter(lambda word: not any("\ud800" <= c <= "\udfff" for c in word)))
def test_no_view_shows_what_a_terminal_obeys(word: str) -> None:
    asked, leave, before = attacked(word)
    views: list[Any] = queue([asked, before], [leave], NOW, User(word + "ann"))
    changes = compare(whole(asked)[0], whole(before)[0])
    views += [changes, show(whole(asked)[0], [leave], NOW, changes=changes)]
    views += [show(whole(before)[0], [], NOW), show(whole(asked)[0], [], NOW, exception=leave)]
    shown = [text for view in views for text in texts(view)]
    assert len(shown) > 60
    assert [text for text in shown if not is_inert(text)] == []
