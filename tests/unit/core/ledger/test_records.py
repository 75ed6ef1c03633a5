# SPDX-License-Identifier: Apache-2.0
"""What records say, and that none is ever longer than 6 KB: it stays for good."""

import copy
import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cabgate.api import CABException, CABRequest
from cabgate.api.decision import CABDecision, SubjectKind
from cabgate.api.request import RequestDecision
from cabgate.ledger.chain import Head, append, entries_of, record_object
from cabgate.ledger.pruning import export_line
from cabgate.ledger.records import decided, may_be_submitted, submitted
from cabgate.ledger.shortening import MAX_RECORD, MAX_TEXT, shortened, shortened_entry
from cabgate.ledger.signatures import Verification, payload
from cabgate.ledger.verification import verify
from cabgate.text.canonical import canonical_json
from cabgate_samples.models import NOW, by_person, by_system, exception, intent, request, target
from support.examples import examples
from unit.core.ledger.histories import KEYS, PUBLIC, Raw, raw

DIGEST = "sha256:" + "a" * 64
LAST = Head(99_999_998, DIGEST)
ME = "system:serviceaccount:cabgate-system:cabgate-operator"

LETTERS = st.sampled_from(["a", "é", "😀", "\x01", '"', "\\", " ", "x" * 3 + " "])


def stored(subject: Any, uid: str = "r-1") -> Any:
    """A subject with a uid, as every stored one has."""
    meta = subject.metadata.model_copy(update={"uid": uid})
    return subject.model_copy(update={"metadata": meta})


def words(size: int) -> st.SearchStrategy[str]:
    """Texts of one length in characters, of characters that take one to six bytes as JSON."""
    return LETTERS.map(lambda letter: "k" + (letter * size)[: size - 1])


@st.composite
def worst(draw: st.DrawFn) -> tuple[Raw, Raw]:
    """A request and an exception for it, each field as long as the schema takes, or short."""

    def long(size: int) -> str:
        return draw(words(size)) if draw(st.booleans()) else "short"

    def many(size: int, most: int) -> list[str]:
        count = draw(st.sampled_from([1, 3, most]))
        letter = draw(LETTERS)
        return [(f"{number}-" + letter * size)[:size] for number in range(count)]

    made = raw(request("ManualReview", by_person("UnderReview")), "u" * 64)
    spec = made["spec"]
    made["metadata"]["name"] = draw(st.sampled_from(["n" * 253, "web"]))
    made["metadata"]["namespace"] = draw(st.sampled_from(["s" * 63, "shop"]))
    if draw(st.booleans()):
        spec["intentRef"] = {"name": "i" * 253, "uid": "u" * 64, "generation": 2**53 - 1}
    else:
        del spec["intentRef"]
        ticket, by = long(64), long(512)
        spec["breakGlass"] = {"ticket": ticket, "reason": long(512), "by": by, "uid": "u" * 64}
    # That fifty targets of fifty images each are cut does not show more than eight of them.
    count, images = draw(st.sampled_from([(1, 1), (1, 7), (1, 50), (8, 2), (50, 1)]))
    name = "t" * draw(st.sampled_from([3, 250]))
    spec["targets"] = [
        {**target(f"{name}{number}"), "images": many(512, images)} for number in range(count)
    ]
    spec["correlationID"] = "c" * 128
    spec["summary"] = long(4096)
    spec["submittedBy"] = [{"username": name, "uid": "u" * 256} for name in many(512, 100)]
    spec["requester"] = long(512)
    spec["requestedBy"] = many(512, 100)
    assessment = spec["assessment"]
    factor = {**assessment["factors"][0], "name": long(256), "explanation": long(4096)}
    assessment["factors"] = [factor] * draw(st.sampled_from([5, 32]))
    floor = {"name": long(256), "gate": "ExceptionRequired", "explanation": long(4096)}
    assessment["floors"] = [floor] * draw(st.sampled_from([0, 32]))
    assessment["riskModel"] = {"name": "m" * 253, "version": long(256), "digest": DIGEST}
    entry = made["status"]["decisions"][0]
    entry |= {
        "author": {
            "type": "Person",
            "username": long(512),
            "uid": long(256),
            "credentialID": long(256),
            "groups": many(256, 64),
        },
        "verdict": draw(st.sampled_from(["ConditionallyApproved", "Revoked"])),
        "rationale": long(4096),
        "conditions": [
            {
                "name": "c" * 63,
                "description": long(4096),
                "notBefore": "2026-03-01T12:00:00Z",
                "notAfter": "2026-03-02T12:00:00Z",
                "attestation": "Required",
            }
        ]
        * draw(st.sampled_from([0, 16])),
        "condition": "c" * 63,
        "checked": {
            "submittedBy": many(512, 302),
            "requestedBy": many(512, 302),
            "intentGeneration": 2**53 - 1,
        },
        "images": many(512, 100),
    }
    entry.pop("signature")
    leave = raw(exception(CABRequest.model_validate(made), by_person("Approved")), "x" * 64)
    leave["metadata"] |= {"name": "e" * 253, "namespace": made["metadata"]["namespace"]}
    leave["spec"] |= {
        "requestRef": {"name": made["metadata"]["name"]},
        "reason": long(4096),
        "compensatingControls": [long(4096)] * draw(st.sampled_from([1, 32])),
        "submittedBy": [{"username": name} for name in many(512, 100)],
    }
    said = leave["status"]["decisions"][0]
    said |= {key: entry[key] for key in ("author", "rationale", "checked")}
    said.pop("signature")
    for kind, subject in (("CABRequest", made), ("CABException", leave)):
        model = CABRequest if kind == "CABRequest" else CABException
        parsed: Any = model.model_validate(subject)
        signature = KEYS.sign(kind, subject["metadata"]["uid"], parsed.status.decisions[0])
        subject["status"]["decisions"][0]["signature"] = signature.to_dict()
    return made, leave


@settings(max_examples=examples(10), deadline=None)
@given(worst())
def test_a_record_has_at_most_6_kb_whatever_the_schema_takes(made: tuple[Raw, Raw]) -> None:
    """And its signature verifies by itself, and it says what it was made from."""
    asked, leave = CABRequest.model_validate(made[0]), CABException.model_validate(made[1])
    contents = [*decided(asked), *decided(leave, asked), *decided(leave)]
    undecided = asked.model_copy(update={"status": asked.status.model_copy(
        update={"decisions": [], "state": "Submitted"})})  # fmt: skip
    pending = leave.model_copy(update={"status": leave.status.model_copy(
        update={"decisions": []})})  # fmt: skip
    for each in (submitted(undecided, undecided, ME), submitted(pending, undecided, ME)):
        assert each is not None or undecided.spec.break_glass is not None
        contents += [each] if each else []
    for content in contents:
        record = append(LAST, content)
        stored = record_object(record)
        assert len(export_line(stored)) <= MAX_RECORD
        assert CABDecision.model_validate(stored).spec.to_dict() == stored["spec"]
        assert stored["spec"] == {**content, **_place(stored)}
    [first] = decided(asked)
    record = record_object(append(None, first))
    assert verify([record], [made[0]], [], PUBLIC) == _assessment_aside(made[0])
    assert not verify([record], [], [], PUBLIC)
    [first] = decided(leave, asked)
    record = record_object(append(None, first))
    assert not verify([record], [], [made[1]], PUBLIC)
    assert not verify([record], [], [], PUBLIC)


def _place(stored: Raw) -> Raw:
    return {k: stored["spec"][k] for k in ("sequence", "previousDigest", "digest")}


def _assessment_aside(subject: Raw) -> Any:
    """What is wrong with a request that nobody scored, and nothing else."""
    return [f for f in verify([], [subject], [], PUBLIC) if f.code == "WrongAssessment"]


def test_a_short_decision_is_signed_as_it_always_was() -> None:
    entry = request("ManualReview", by_person("Approved")).status.decisions[0]
    assert b'"cut"' not in payload("CABRequest", "r-1", entry)
    assert KEYS.sign("CABRequest", "r-1", entry).to_dict().keys() == {"keyID", "value"}


def test_a_long_text_is_cut_at_512_characters_and_leaves_its_digest() -> None:
    text = "é" * 4000
    made = raw(request("ManualReview", by_person("Approved", rationale=text)), "r-1")
    [content] = decided(CABRequest.model_validate(made))
    assert content["rationale"] == text[:MAX_TEXT]
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert content["cut"] == [{"field": "rationale", "sha256": digest, "size": 4000}]
    record = record_object(append(None, content))
    assert not verify([record], [made], [], PUBLIC)
    for change in (
        {"rationale": text[:511]},
        {"cut": []},
        {"cut": [{**content["cut"][0], "sha256": "0" * 64}]},
    ):
        forged = record_object(append(None, {**content, **change}))
        assert "WrongSignature" in {f.code for f in verify([forged], [], [], PUBLIC)}


def test_the_beginning_of_a_decision_is_not_taken_for_all_of_it() -> None:
    """Who writes past the webhook cannot put the short form in the place of what was signed."""
    made = raw(request("ManualReview", by_person("Approved", rationale="a" * 4000)), "r-1")
    [entry] = CABRequest.model_validate(made).status.decisions
    assert PUBLIC.check("CABRequest", "r-1", entry) is Verification.GOOD
    short = shortened_entry(entry.to_dict())
    seen = RequestDecision.model_validate(short)
    assert PUBLIC.check("CABRequest", "r-1", seen) is Verification.WRONG
    assert PUBLIC.check("CABRequest", "r-1", seen, short["cut"]) is Verification.GOOD


def test_a_long_decision_that_an_older_release_signed_is_recorded_whole() -> None:
    made = raw(request("ManualReview", by_person("Approved", rationale="a" * 4000)), "r-1")
    del made["status"]["decisions"][0]["signature"]["form"]
    [content] = decided(CABRequest.model_validate(made))
    assert content["rationale"] == "a" * 4000
    assert not verify([record_object(append(None, content))], [made], [], PUBLIC)


def test_a_record_by_an_operator_of_before_of_a_decision_by_a_webhook_of_now_verifies() -> None:
    """While both releases run: that operator left out what it did not know."""
    made = raw(request("ManualReview", by_person("Approved", rationale="a" * 4000)), "r-1")
    assert made["status"]["decisions"][0]["signature"]["form"] == 2
    [content] = entries_of(CABRequest.model_validate(made), form=1)
    assert "form" not in content["signature"]
    assert not verify([record_object(append(None, content))], [made], [], PUBLIC)


@pytest.mark.parametrize(
    ("count", "width", "whole"), [(1, 50, True), (50, 50, True), (50, 74, True), (50, 80, False)]
)
def test_images_are_there_in_full_up_to_4_kb(count: int, width: int, *, whole: bool) -> None:
    images = [f"registry/web:{number:03}".ljust(width, "x") for number in range(count)]
    targets = [target("web-1", *images[:25])]
    if images[25:]:
        targets.append(target("web-2", *images[25:]))
    asked = request("AutoApprove", by_system("AutoApproved"), targets=targets)
    [content] = decided(stored(asked))
    assert ("targets" in content) is whole
    assert ("workloads" in content) is not whole
    if not whole:
        assert content["workloads"] == [f"apps/v1 Deployment web-{n}" for n in (1, 2)]
        digest = hashlib.sha256(canonical_json(targets)).hexdigest()
        assert content["cut"] == [{"field": "targets", "size": 2, "sha256": digest}]


def test_a_record_answers_an_auditor() -> None:
    made = intent(
        None,
        summary="new tax rates",
        submittedBy=[{"username": "ann"}],
        requester="bob",
        requestedBy=["bob"],
    )
    asked = request(
        "AutoApprove",
        by_person("UnderReview", NOW),
        by_person("Approved", NOW),
        of=made,
    )
    taken, approved = decided(stored(asked))
    assert taken["taken"] == approved["taken"] == "2026-03-01T12:00:00Z"
    assert approved["opened"] == "2026-03-01T11:00:00Z"
    assert approved["ring"] == 2
    assert approved["intent"] == {"name": "checkout", "uid": "u-1", "generation": 1}
    assert approved["submittedBy"] == ["ann"]
    assert (approved["requester"], approved["requestedBy"]) == ("bob", ["bob"])
    assert approved["summary"] == "new tax rates"
    assert [f["name"] for f in approved["factors"]][:2] == ["testCoverage", "securityFindings"]
    assert approved["factors"][0].keys() == {"name", "risk", "contribution"}
    needy = request("ExceptionRequired")
    [leave] = decided(stored(exception(needy, by_person("Approved"))), needy)
    assert leave["exception"] == {
        "requestName": needy.metadata.name,
        "reason": "outage",
        "compensatingControls": ["watched"],
        "durationDays": 30,
    }
    assert leave["floors"][0].keys() == {"name", "gate", "explanation"}


def test_a_submission_is_recorded_while_nothing_is_decided() -> None:
    opened = stored(request("ManualReview"))
    content = submitted(opened, opened, ME)
    assert content is not None
    said = content["verdict"], content["entry"], content["at"], content["author"]["username"]
    assert said == ("Opened", 0, "2026-03-01T11:00:00Z", ME)
    leave = stored(exception(request("ExceptionRequired")))
    asked = submitted(leave, request("ExceptionRequired"), ME)
    assert asked is not None
    assert (asked["verdict"], asked["exception"]["reason"]) == ("Asked", "outage")
    decided_on = request("ManualReview", by_person("UnderReview"))
    by_score = stored(request("AutoApprove"))
    assert submitted(decided_on, decided_on, ME) is None
    assert submitted(by_score, by_score, ME) is None
    assert submitted(leave, None, ME) is None
    for subject, kind in ((opened, "CABRequest"), (leave, "CABException")):
        assert may_be_submitted(SubjectKind(kind), subject.to_dict())
    for no in (decided_on, by_score):
        assert not may_be_submitted(SubjectKind.REQUEST, no.to_dict())
    left_to_people = by_score.model_copy(
        update={"status": by_score.status.model_copy(update={"state": "Submitted"})}
    )
    assert submitted(left_to_people, left_to_people, ME) is not None


def test_a_submission_decides_nothing_and_is_checked() -> None:
    opened = raw(request("ManualReview"), "r-1")
    parsed = CABRequest.model_validate(opened)
    content = submitted(parsed, parsed, ME)
    assert content is not None
    record = record_object(append(None, content))
    later = raw(request("ManualReview", by_person("UnderReview")), "r-1")
    follows = decided(CABRequest.model_validate(later))[0]
    second = record_object(append(Head(1, record["spec"]["digest"]), follows))
    assert not verify([record, second], [later], [], PUBLIC)
    for change, code in (
        ({"verdict": "Approved"}, "Unsigned"),
        ({"author": {"type": "Person", "username": "rita"}}, "Unsigned"),
        ({"summary": "other"}, "SubjectDiffers"),
    ):
        forged = record_object(append(None, {**content, **change}))
        assert code in {f.code for f in verify([forged], [opened], [], PUBLIC)}


LONG = words(5000) | st.lists(words(600), max_size=40)


@given(st.dictionaries(st.sampled_from(["a", "b"]), LONG), st.integers(0, 4000))
def test_what_fits_is_left_alone_and_what_is_cut_is_told(content: Raw, room: int) -> None:
    found = shortened(content, content, room)
    again = shortened(copy.deepcopy(content), content, room)
    assert found == again
    seen = {each["field"] for each in found.cut}
    assert seen == {k for k in content if content[k] != found.fields.get(k) and content[k] != []}


def test_a_record_of_a_newer_format_is_named() -> None:
    made = raw(request("ManualReview", by_person("Approved")), "r-1")
    [content] = decided(CABRequest.model_validate(made))
    newer = record_object(append(None, {**content, "format": 3}))
    [finding] = verify([newer], [], [], PUBLIC)
    assert (finding.code, "newer release" in finding.message) == ("Unreadable", True)
