# SPDX-License-Identifier: Apache-2.0
"""Records and the objects that they are about: what either says otherwise is found."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from cabgate.api import CABException, CABRequest
from cabgate.api.base import rfc3339
from cabgate.ledger.chain import (
    Head,
    entries_of,
    in_order_of_time,
)
from cabgate.ledger.findings import FindingCode
from cabgate.ledger.verification import verify
from cabgate_samples.models import NOW, by_person, request
from unit.core.ledger.histories import (
    KEYS,
    PUBLIC,
    STORY,
    History,
    Raw,
    forged,
    fresh,
    minutes,
    raw,
)

SUBJECT_CHANGES: dict[str, tuple[Callable[[Raw], None], set[str]]] = {
    "an entry is gone": (lambda s: s["status"]["decisions"].pop(), {"SubjectDiffers"}),
    "all entries are gone": (lambda s: s.pop("status"), {"SubjectDiffers"}),
    "another verdict": (
        lambda s: s["status"]["decisions"][1].update(verdict="Rejected"),
        {"SubjectDiffers"},
    ),
    "another image": (
        lambda s: s["spec"]["targets"][0]["images"].append("evil:1"),
        {"SubjectDiffers", "WrongAssessment"},
    ),
    "another score": (
        lambda s: s["spec"]["assessment"].update(score="1.00"),
        {"SubjectDiffers", "WrongAssessment"},
    ),
    "a lower gate": (
        lambda s: s["spec"]["assessment"].update(gate="AutoApprove"),
        {"SubjectDiffers", "WrongAssessment"},
    ),
    "other evidence": (
        lambda s: s["spec"]["evidence"].update(scope={"affectedComponents": 0}),
        {"WrongAssessment"},
    ),
    "nothing but its uid, so it is another": (
        lambda s: s["metadata"].update(uid="r-9"),
        {"NotRecorded", "WrongSignature"},
    ),
    "no longer readable": (lambda s: s.pop("spec"), {"Unreadable"}),
    "no metadata": (lambda s: s.update(metadata=[]), {"Unreadable"}),
    "the shown state": (lambda s: s["status"].update(state="Rejected"), set()),
}


@pytest.mark.parametrize("what", SUBJECT_CHANGES)
def test_a_subject_that_says_otherwise_is_found(what: str) -> None:
    change, codes = SUBJECT_CHANGES[what]
    history = fresh()
    change(history.requests[0])
    assert history.codes() == codes


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "Unsigned"),
        ({"signature": {"keyID": KEYS.key_id, "value": "A" * 86 + "=="}}, "WrongSignature"),
        ({"signature": {"keyID": "0" * 16, "value": "A" * 86 + "=="}}, "UnknownKey"),
        ({"author": {"type": "System", "username": "rita"}}, "Unsigned"),
    ],
)
def test_a_decision_that_was_forged_is_found(fields: Raw, code: str, *, recorded: bool) -> None:
    history = fresh()
    history.requests[0]["status"]["decisions"].append(forged(**fields))
    if recorded:  # the operator records what it finds
        history = History(history.requests, history.exceptions)
    illegal = {"IllegalDecision"} if fields.get("author", {}).get("type") == "System" else set()
    unrecorded = set() if recorded else {"NotRecorded"}
    assert history.codes() == {code} | illegal | unrecorded


def test_a_signature_cannot_be_moved() -> None:
    """To another subject, another place, another verdict or another text."""
    entry = CABRequest.model_validate(STORY.requests[0]).status.decisions[0]
    assert PUBLIC.check("CABRequest", "r-1", entry) == "Good"
    assert PUBLIC.check("CABException", "r-1", entry) == "Wrong"
    assert PUBLIC.check("CABRequest", "r-2", entry) == "Wrong"
    for field, value in (
        ("sequence", 2),
        ("rationale", "else"),
        ("at", NOW),
        ("evidence_digest", "v1:sha256:" + "0" * 64),
    ):
        assert PUBLIC.check("CABRequest", "r-1", entry.model_copy(update={field: value})) == "Wrong"


def test_a_decision_of_the_last_moments_may_still_be_missing() -> None:
    history = fresh()
    entry = forged(at="2026-03-01T11:59:59Z")
    history.requests[0]["status"]["decisions"].append(entry)
    args = (history.records, history.requests, history.exceptions, PUBLIC, history.heads)
    assert not verify(*args, now=NOW)
    for later in (timedelta(minutes=1), timedelta(minutes=-6)):
        codes = {finding.code for finding in verify(*args, now=NOW + later)}
        assert codes == {FindingCode.NOT_RECORDED, FindingCode.UNSIGNED}


def test_a_decision_may_be_recorded_while_the_cluster_is_read() -> None:
    """Objects are read first, and so may be older than the records."""
    history = fresh()
    last = history.requests[1]["status"]["decisions"].pop()
    args = (history.records, history.requests, history.exceptions, PUBLIC)
    assert [f.code for f in verify(*args, now=NOW)] == [FindingCode.SUBJECT_DIFFERS]
    at = NOW - timedelta(minutes=23)
    assert rfc3339(at) == last["at"]
    for early in (timedelta(seconds=-20), timedelta(minutes=4)):
        assert not verify(*args, now=at - early)


def test_heads_are_published_as_text() -> None:
    head = Head(12, "sha256:" + "a" * 64)
    assert Head.parse(f" {head}\n") == head
    for text in ("", "12", "0 sha256:" + "a" * 64, "x " + "a" * 64, f"{head} more"):
        with pytest.raises(ValueError, match="is no head"):
            Head.parse(text)


def test_what_a_head_that_is_gone_says() -> None:
    history = fresh()
    digest = "sha256:" + "a" * 64
    history.heads = [
        ("shop", Head(7, digest)),
        ("shop", Head(9, digest)),
        ("gone", Head(1, digest)),
    ]
    messages = sorted(finding.message for finding in history.findings())
    assert [message.split(",")[0] for message in messages] == [
        "ends with record 0",
        "ends with record 7",
        f"record 7 is another one than was published: {digest}",
    ]
    del history.records[3]
    history.heads = [("shop", Head(4, digest))]
    assert any("which was published, is missing" in f.message for f in history.findings())


def test_a_verdict_that_nobody_gives_is_found() -> None:
    history = fresh()
    history.records[0]["spec"]["verdict"] = "Blessed"
    history.rebuild()
    assert "Unreadable" in history.codes(heads=False, subjects=False)


def test_what_an_exception_is_about_comes_from_its_request() -> None:
    record = next(r for r in STORY.records if r["spec"]["subject"]["kind"] == "CABException")
    assert (record["spec"]["score"], record["spec"]["gate"]) == ("100.00", "ExceptionRequired")
    history = fresh()
    del history.requests[2]  # gone by now
    assert not history.findings()
    bare = entries_of(CABException.model_validate(history.exceptions[0]))
    assert all("targets" not in content for content in bare)


def test_clocks_do_not_reorder_the_decisions_of_one_subject() -> None:
    subject = request("ManualReview", by_person("UnderReview", minutes(9)), by_person("Approved"))
    found = in_order_of_time([entries_of(CABRequest.model_validate(raw(subject, "r")))])
    assert [content["verdict"] for content in found] == ["UnderReview", "Approved"]
