# SPDX-License-Identifier: Apache-2.0
"""The ledger under random tampering: whatever is changed is found, and nothing else is."""

import copy
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api import CABException, CABRequest
from cabgate.api.base import rfc3339
from cabgate.ledger.chain import (
    Head,
    append,
    entries_of,
    in_order_of_time,
    record_digest,
    record_name,
    record_object,
)
from cabgate.ledger.findings import ADVICE, Finding, FindingCode
from cabgate.ledger.signatures import (
    KeyFileError,
    PublicKeys,
    SigningKeys,
    check_signature,
    needs_signature,
    public_pem,
)
from cabgate.ledger.verification import verify
from cabgate.text.refusal import Refusal
from cabgate_samples.models import NOW, by_person, by_system, exception, intent, request
from cabgate_samples.objects import GOOD, MIDDLING

Raw = dict[str, Any]

PRIVATE = Ed25519PrivateKey.generate()
PLAIN = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
KEYS = SigningKeys(PRIVATE.private_bytes(*PLAIN).decode())
PUBLIC = PublicKeys(public_pem(PRIVATE.public_key()))
OTHER = SigningKeys(Ed25519PrivateKey.generate().private_bytes(*PLAIN).decode())


def raw(subject: CABRequest | CABException, uid: str, keys: SigningKeys = KEYS) -> Raw:
    """A subject as the API server has it, with what people said signed."""
    dumped = subject.to_dict()
    dumped["metadata"]["uid"] = uid
    entries = {e.sequence: e for e in subject.status.decisions}
    for entry in dumped.get("status", {}).get("decisions", []):
        parsed = entries[entry["sequence"]]
        if needs_signature(parsed):
            entry["signature"] = keys.sign(type(subject).__name__, uid, parsed).to_dict()
    return dumped


class History:
    """A ledger, what it is about, and copies of its heads."""

    def __init__(self, requests: list[Raw], exceptions: list[Raw]) -> None:
        self.requests, self.exceptions = requests, exceptions
        self.records: list[Raw] = []
        by_name = {r["metadata"]["name"]: CABRequest.model_validate(r) for r in requests}
        contents = [entries_of(r) for r in by_name.values()]
        for found in exceptions:
            parsed = CABException.model_validate(found)
            contents.append(entries_of(parsed, by_name[parsed.spec.request_ref.name]))
        head = None
        for content in in_order_of_time(contents):
            record = append(head, content)
            head = Head.of(record)
            self.records.append(record_object(record))
        self.heads = [] if head is None else [("shop", head)]

    def findings(self, *, heads: bool = True, subjects: bool = True) -> list[Finding]:
        requests, exceptions = (self.requests, self.exceptions) if subjects else ([], [])
        return verify(self.records, requests, exceptions, PUBLIC, self.heads if heads else [])

    def codes(self, *, heads: bool = True, subjects: bool = True) -> set[str]:
        found = self.findings(heads=heads, subjects=subjects)
        assert all(finding.where and finding.message and finding.advice for finding in found)
        return {finding.code.value for finding in found}

    def rebuild(self) -> None:
        """Positions, links and digests made to fit again, as a careful forger would."""
        previous = None
        for number, record in enumerate(self.records, 1):
            spec = record["spec"]
            spec["sequence"] = number
            spec.pop("previousDigest", None)
            if previous is not None:
                spec["previousDigest"] = previous
            previous = spec["digest"] = record_digest(spec)
            record["metadata"]["name"] = record_name("shop", number)


def minutes(number: int) -> Any:
    return NOW - timedelta(minutes=30 - number)


def story() -> History:
    """Seven decisions, human and not, on three objects."""
    approved = request(
        "ManualReview",
        by_person("UnderReview", minutes(1)),
        by_person(
            "ConditionallyApproved",
            minutes(4),
            conditions=[{"name": "watch", "description": "watch it"}],
        ),
    )
    auto = request(
        "AutoApprove", by_system("AutoApproved", minutes(2)), by_person("Revoked", minutes(7))
    )
    needy = request("ExceptionRequired")
    leave = exception(
        needy, by_person("Approved", minutes(3)), by_person("Revoked", minutes(6)), age=timedelta(1)
    )
    superseded = request(
        "ManualReview",
        by_system("Superseded", minutes(5)),
        of=intent(MIDDLING, name="other"),
    )
    return History(
        [raw(approved, "r-1"), raw(auto, "r-2"), raw(needy, "r-3"), raw(superseded, "r-4")],
        [raw(leave, "x-1")],
    )


STORY = story()
POSITIONS = st.integers(0, len(STORY.records) - 1)


def fresh() -> History:
    return copy.deepcopy(STORY)


def test_an_untouched_ledger_is_clean() -> None:
    assert len(STORY.records) == 7
    assert not fresh().findings()
    verdicts = [record["spec"]["verdict"] for record in STORY.records]
    assert verdicts[:4] == ["UnderReview", "AutoApproved", "Approved", "ConditionallyApproved"]
    assert [record["spec"]["sequence"] for record in STORY.records] == list(range(1, 8))
    for before, after in zip(STORY.records, STORY.records[1:], strict=False):
        assert after["spec"]["previousDigest"] == before["spec"]["digest"]


def test_the_order_in_which_records_are_read_does_not_matter() -> None:
    history = fresh()
    history.records = [*reversed(history.records), copy.deepcopy(history.records[2])]
    assert not history.findings()


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        return [path]
    return [leaf for key, item in items for leaf in _leaves(item, (*path, key))]


def _parent(value: Any, path: tuple[Any, ...]) -> Any:
    for part in path[:-1]:
        value = value[part]
    return value


def _other(value: Any) -> Any:
    """Another value that the schema takes, if there is one."""
    if isinstance(value, int):
        return value + 1
    swaps = {"Person": "System", "System": "Person", "Approved": "Rejected", "0": "1"}
    if value in swaps:
        return swaps[value]
    last = "1" if value[-1:] == "0" else "0"
    return value[:-1] + last


@given(st.data())
def test_every_changed_field_of_a_record_is_found(data: st.DataObject) -> None:
    history = fresh()
    record = history.records[data.draw(POSITIONS)]
    path = data.draw(st.sampled_from(_leaves(record["spec"])))
    parent = _parent(record["spec"], path)
    if data.draw(st.booleans()):
        del parent[path[-1]]
    else:
        parent[path[-1]] = _other(parent[path[-1]])
    assert history.codes(heads=False, subjects=False) & {
        "ChangedRecord",
        "Unreadable",
    }


@given(st.data())
def test_a_changed_field_with_every_digest_made_to_fit_is_found(data: st.DataObject) -> None:
    """By a copy of the head always; by the signature if it is what a person said."""
    history = fresh()
    number = data.draw(POSITIONS)
    spec = history.records[number]["spec"]
    paths = [p for p in _leaves(spec) if p[0] not in ("digest", "previousDigest", "sequence")]
    path = data.draw(st.sampled_from(paths))
    parent = _parent(spec, path)
    person = spec["author"]["type"] == "Person"
    parent[path[-1]] = _other(parent[path[-1]])
    history.rebuild()
    assert history.codes(subjects=False) & {"HeadGone", "Unreadable"}
    signed = {"author", "at", "verdict", "rationale", "conditions", "entry", "signature"}
    if person and (path[0] in signed or path == ("subject", "uid")):
        assert history.codes(heads=False, subjects=False)


@given(st.sets(POSITIONS, min_size=1))
def test_deleted_records_are_found(numbers: set[int]) -> None:
    history = fresh()
    history.records = [r for n, r in enumerate(history.records) if n not in numbers]
    assert history.codes(subjects=False)
    assert "NotRecorded" in history.codes(heads=False)
    last = set(range(min(numbers), 7)) == numbers  # a cut: only a copy of the head tells
    assert bool(history.codes(heads=False, subjects=False)) is not last
    history.rebuild()
    assert "HeadGone" in history.codes(subjects=False)
    assert "NotRecorded" in history.codes(heads=False)


@given(st.permutations(range(7)))
def test_reordered_records_are_found(order: list[int]) -> None:
    history = fresh()
    history.records = [history.records[n] for n in order]
    if order == sorted(order):
        return
    for number, record in enumerate(history.records, 1):  # only the names
        record["metadata"]["name"] = record_name("shop", number)
    assert "Misnamed" in history.codes(heads=False, subjects=False)
    for number, record in enumerate(history.records, 1):  # and the positions
        record["spec"]["sequence"] = number
    assert "ChangedRecord" in history.codes(heads=False, subjects=False)
    history.rebuild()
    assert "HeadGone" in history.codes(subjects=False)
    if order[-1] == 6 and order[0] == 1:
        assert history.codes(heads=False, subjects=False) <= {"OutOfOrder"}


def test_decisions_of_one_subject_in_the_wrong_order_are_found() -> None:
    history = fresh()
    own = [n for n, r in enumerate(history.records) if r["spec"]["subject"]["uid"] == "r-1"]
    first, second = own
    records = history.records
    records[first], records[second] = records[second], records[first]
    history.rebuild()
    assert history.codes(heads=False) == {"OutOfOrder"}


@given(POSITIONS, POSITIONS)
def test_a_record_that_stands_twice_is_found(number: int, place: int) -> None:
    history = fresh()
    history.records.insert(place, copy.deepcopy(history.records[number]))
    history.rebuild()
    assert "RecordedTwice" in history.codes(heads=False, subjects=False)


@given(POSITIONS)
def test_a_fork_is_found(number: int) -> None:
    history = fresh()
    forged = copy.deepcopy(history.records[number])
    forged["spec"]["rationale"] = "another"
    forged["spec"]["digest"] = record_digest(forged["spec"])
    history.records.append(forged)
    assert "Fork" in history.codes(heads=False, subjects=False)


def test_a_record_of_another_chain_is_found() -> None:
    history = fresh()
    moved = history.records[6]
    moved["spec"]["subject"]["namespace"] = "elsewhere"
    moved["spec"]["digest"] = record_digest(moved["spec"])
    codes = history.codes(heads=False, subjects=False)
    assert {"Misnamed", "MissingRecord"} <= codes


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


def forged(**fields: Any) -> Raw:
    entry = {
        "sequence": 3,
        "verdict": "Revoked",
        "author": {"type": "Person", "username": "rita"},
        "at": "2026-03-01T11:59:00Z",
        "rationale": "because",
        "evidenceDigest": STORY.requests[0]["spec"]["evidenceDigest"],
    }
    return {**entry, **fields}


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


@pytest.mark.parametrize("number", [0, 5])
def test_records_that_cannot_be_read_are_found(number: int) -> None:
    history = fresh()
    history.records[number] = {"kind": "CABDecision"}
    assert {"Unreadable", "MissingRecord"} <= history.codes(heads=False)


JUNK: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "Person"]),
    ),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@given(st.data())
def test_whatever_an_export_holds_there_is_an_answer(data: st.DataObject) -> None:
    history = fresh()
    everything = [history.records, history.requests, history.exceptions]
    for _ in range(data.draw(st.integers(1, 3))):
        items = data.draw(st.sampled_from(everything))
        item = data.draw(st.sampled_from(items))
        path = data.draw(st.sampled_from(_leaves(item) or [()]))
        path = path[: data.draw(st.integers(1, max(len(path), 1)))]
        if path:
            _parent(item, path)[path[-1]] = data.draw(JUNK)
    history.codes()
    verify(*everything, PUBLIC, now=NOW)


def test_a_verdict_that_nobody_gives_is_found() -> None:
    history = fresh()
    history.records[0]["spec"]["verdict"] = "Blessed"
    history.rebuild()
    assert "Unreadable" in history.codes(heads=False, subjects=False)


def test_a_first_record_with_one_before_it_is_found() -> None:
    history = fresh()
    history.records[0]["spec"]["previousDigest"] = "sha256:" + "0" * 64
    assert "BrokenLink" in history.codes(heads=False)


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


# Keys


def test_each_key_of_the_file_is_accepted_and_the_first_signs() -> None:
    both = SigningKeys(
        Ed25519PrivateKey.generate().private_bytes(*PLAIN).decode()
        + PRIVATE.private_bytes(*PLAIN).decode()
    )
    entry = CABRequest.model_validate(STORY.requests[0]).status.decisions[0]
    check_signature(both, "CABRequest", "r-1", entry)
    assert both.key_id != KEYS.key_id
    assert both.public.ids == sorted([both.key_id, KEYS.key_id])
    mine = entry.model_copy(update={"signature": both.sign("CABRequest", "r-1", entry)})
    check_signature(both, "CABRequest", "r-1", mine)
    with pytest.raises(Refusal, match="signed by cabgate's webhook"):
        check_signature(OTHER, "CABRequest", "r-1", mine)


def test_key_files_that_cannot_be_used_are_refused_without_being_shown() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    curve = other.private_bytes(*PLAIN).decode()
    locked = PRIVATE.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    ).decode()
    public = public_pem(PRIVATE.public_key())
    broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    for pem, says in (
        ("", "no PEM block"),
        (curve, "another kind"),
        (locked, "without password"),
        (public, "no private key"),
        (broken, "no private key"),
    ):
        with pytest.raises(KeyFileError, match=says) as error:
            SigningKeys(pem)
        assert "AAAA" not in str(error.value)
    for pem, says in ((broken, "no public key"), (curve, "no public key")):
        with pytest.raises(KeyFileError, match=says):
            PublicKeys(pem)
    assert PublicKeys("no block").ids == []


def test_every_finding_has_advice() -> None:
    assert set(ADVICE) == set(FindingCode)
    assert GOOD  # the story rests on it


def test_every_finding_is_explained_in_the_docs() -> None:
    page = (Path(__file__).resolve().parents[4] / "docs" / "ledger.md").read_text()
    explained = set(re.findall(r"^\| `([A-Z][A-Za-z]+)` \|", page, re.MULTILINE))
    assert explained == {code.value for code in FindingCode}
