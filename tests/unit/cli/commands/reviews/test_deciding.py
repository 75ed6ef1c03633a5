# SPDX-License-Identifier: Apache-2.0
"""`kubectl cab approve` and the other verdicts: what is shown, asked and sent."""

import json
import shlex
from typing import Any

import pytest

from cabgate.api import CABRequest
from cabgate_cli.commands.reviews import deciding
from cabgate_samples.models import OTHER_DIGEST, by_person, exception, intent, request
from cabgate_samples.objects import MIDDLING
from unit.cli.fake_kubectl import FakeKubectl, installed
from unit.cli.support import run
from unit.core.views.builders import but

DBA = [{"name": "dba", "description": "the DBA is there", "attestation": "Required"}]
WAITS = but(request(name="web-1"), submittedBy=[{"username": "ann"}])
DIGEST = WAITS.spec.evidence_digest
DENIAL = (
    'Error from server (Forbidden): admission webhook "review.cabgate.dev" denied the request: '
    "SelfApproval: rita submitted this\n"
)


@pytest.fixture
def kubectl(monkeypatch: pytest.MonkeyPatch) -> FakeKubectl:
    return installed(monkeypatch, FakeKubectl([WAITS, intent(MIDDLING)]))


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deciding, "interactive", lambda: True)


@pytest.mark.usefixtures("terminal")
def test_it_is_shown_asked_and_sent_with_the_digest_that_was_shown(kubectl: FakeKubectl) -> None:
    result = run("approve", "web-1", stdin="Read the report\ny\n")
    assert "CABRequest          shop/web-1  Submitted" in result.stdout
    assert "52.50  ManualReview" in result.stdout
    assert "changes against" in result.stdout
    review = {"verdict": "Approved", "rationale": "Read the report", "evidenceDigest": DIGEST}
    assert kubectl.patches == [("cabrequest", "web-1", review)]


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("answer", ["...\n\nBecause\nn\n", "Because\n\n"])
def test_whoever_does_not_say_yes_sends_nothing(kubectl: FakeKubectl, answer: str) -> None:
    result = run("approve", "web-1", stdin=answer, code=1)
    assert "nothing was sent" in result.stderr
    assert kubectl.patches == []


@pytest.mark.usefixtures("terminal")
def test_a_rationale_that_says_nothing_is_asked_for_again(kubectl: FakeKubectl) -> None:
    result = run("approve", "web-1", "--yes", stdin="...\n<why>\nBecause\n")
    assert result.stderr.count("that says nothing") == 2
    assert kubectl.patches[0][2]["rationale"] == "Because"


@pytest.mark.usefixtures("terminal")
def test_several_are_shown_and_asked_for_each_by_itself(kubectl: FakeKubectl) -> None:
    kubectl.objects.append(but(request(name="web-2"), submittedBy=[]))
    result = run("approve", "web-1", "web-2", stdin="One\nn\nTwo\ny\n", code=1)
    assert result.stdout.count("evidence digest") == 2
    assert [(name, review["rationale"]) for _, name, review in kubectl.patches] == [
        ("web-2", "Two")
    ]


@pytest.mark.usefixtures("terminal")
def test_one_that_is_not_there_keeps_no_other_from_being_decided(kubectl: FakeKubectl) -> None:
    result = run("approve", "absent", "web-1", "--because", "Read it", "--yes", code=4)
    assert "cabrequest shop/absent not found" in result.stderr
    assert len(kubectl.patches) == 1


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (["approve", "web-1", "--yes", "--because", "Fine"], "--digest: missing"),
        (["approve", "web-1", "--digest", DIGEST], "--because: missing"),
        (["take", "web-1"], "--digest: missing"),
        (["reject", "web-1", "web-2", "--because", "No", "--digest", DIGEST], "1 times for 2"),
        (["approve", "web-1", "--because", "...", "--digest", DIGEST], "says nothing"),
        (["approve", "web-1", "--because", " ", "--digest", DIGEST], "says nothing"),
        (["take", "cabex/leave", "--digest", DIGEST], "not for exceptions"),
        (["approve", "pod/web-1", "--because", "No", "--digest", DIGEST], "unknown kind"),
        (["approve", "Web_1", "--because", "No", "--digest", DIGEST], "cannot be a name"),
        (["approve", "web-1", "--because", "No", "--digest", DIGEST, "--condition", "x"], "NAME="),
        (["approve", "web-1", "--because", "No", "--digest", DIGEST, "--attestation", "dba"],
         "dba: unknown condition"),
    ],
)  # fmt: skip
def test_what_is_not_enough_is_told_before_anything_is_read(
    kubectl: FakeKubectl, arguments: list[str], missing: str
) -> None:
    result = run(*arguments, code=2)
    assert missing in result.stderr
    assert kubectl.calls == []


def test_without_a_terminal_the_digest_decides(kubectl: FakeKubectl) -> None:
    run("approve", "web-1", "--because", "Read it", "--digest", DIGEST)
    assert kubectl.patches[0][2]["evidenceDigest"] == DIGEST


def test_a_stale_digest_is_refused_with_what_changed(kubectl: FakeKubectl) -> None:
    before = request(of=intent({**MIDDLING, "scope": {"affectedComponents": 12}}), name="web-0")
    kubectl.objects.append(before)
    looked_at = before.spec.evidence_digest
    result = run("approve", "web-1", "--because", "Read it", "--digest", looked_at, code=1)
    assert f"you looked at {looked_at}, but the evidence is {DIGEST}" in result.stderr
    assert "scope.affectedComponents: 12 -> 1" in result.stderr
    assert kubectl.patches == []


def test_a_stale_digest_of_nothing_is_refused_too(kubectl: FakeKubectl) -> None:
    result = run("approve", "web-1", "--because", "Read it", "--digest", OTHER_DIGEST, code=1)
    assert "No request of this namespace has the digest" in result.stderr
    assert kubectl.patches == []


@pytest.mark.parametrize(
    ("denial", "code"),
    [(DENIAL, 1), ("Error from server (Forbidden): you cannot patch\n", 4)],
)
def test_a_refusal_of_the_gate_is_an_answer_and_no_right_is_none(
    kubectl: FakeKubectl, denial: str, code: int
) -> None:
    kubectl.denial = denial
    run("approve", "web-1", "--because", "Read it", "--digest", DIGEST, code=code)


def test_programs_get_what_became_of_each(kubectl: FakeKubectl) -> None:
    kubectl.denial = DENIAL
    result = run("approve", "web-1", "--because", "x", "--digest", DIGEST, "-o", "json", code=1)
    [outcome] = json.loads(result.stdout)
    assert (outcome["name"], outcome["outcome"]) == ("CABRequest web-1", "refused")
    assert "SelfApproval" in outcome["message"]


@pytest.mark.usefixtures("terminal")
def test_what_is_asked_about_is_seen_also_where_the_output_is_for_programs(
    kubectl: FakeKubectl,
) -> None:
    result = run("approve", "web-1", "-o", "json", stdin="Because\ny\n")
    assert json.loads(result.stdout)[0]["outcome"] == "recorded"
    assert "52.50  ManualReview" in result.stderr
    assert len(kubectl.patches) == 1


@pytest.mark.parametrize(
    ("arguments", "verdict", "more"),
    [
        (["reject"], "Rejected", {}),
        (["take"], "UnderReview", {}),
        (["revoke", "--image", "web:1", "--image", "web:2"], "Revoked",
         {"images": ["web:1", "web:2"]}),
        (["approve", "--condition", "watch=Two hours", "--not-before", "watch=2026-03-01T20:00:00Z",
          "--attestation", "watch"], "ConditionallyApproved",
         {"conditions": [{"name": "watch", "description": "Two hours", "attestation": "Required",
                          "notBefore": "2026-03-01T20:00:00Z"}]}),
        (["attest", "--condition", "dba"], "Attested", {"condition": "dba"}),
        (["approve", "--override", "christmas"], "Approved", {"overrides": ["christmas"]}),
    ],
)  # fmt: skip
def test_each_verb_sends_its_verdict(
    kubectl: FakeKubectl, arguments: list[str], verdict: str, more: dict[str, object]
) -> None:
    verb, *options = arguments
    run(verb, "web-1", *options, "--because", "Since", "--digest", DIGEST)
    [(_, _, review)] = kubectl.patches
    assert review == {"verdict": verdict, "rationale": "Since", "evidenceDigest": DIGEST, **more}


def attested(conditions: list[dict[str, str]]) -> CABRequest:
    return request(
        "ManualReview", by_person("ConditionallyApproved", conditions=conditions), name="web-1"
    )


def test_the_only_condition_that_waits_is_the_one_that_is_meant(kubectl: FakeKubectl) -> None:
    kubectl.objects = [attested(DBA)]
    run("attest", "web-1", "--because", "Tried", "--digest", DIGEST)
    assert kubectl.patches[0][2]["condition"] == "dba"
    kubectl.objects = [attested([*DBA, {**DBA[0], "name": "ops"}])]
    result = run("attest", "web-1", "--because", "Tried", "--digest", DIGEST, code=2)
    assert "--condition: missing; allowed: dba, ops" in result.stderr


def test_an_exception_is_decided_for_the_digest_of_its_request(kubectl: FakeKubectl) -> None:
    asked = request("ExceptionRequired", name="asked")
    kubectl.objects = [asked, of_uid(exception(asked), "u-1")]
    digest = asked.spec.evidence_digest
    decided = ["approve", "cabex/leave", "--because", "The flag is off", "--digest", digest]
    result = run(*decided, "--uid", "u-1")
    assert "CABException        leave  Pending" in result.stdout
    assert "uid                 u-1" in result.stdout
    [(resource, name, review)] = kubectl.patches
    assert (resource, name, review["evidenceDigest"]) == ("cabexception", "leave", digest)


def of_uid(of: Any, uid: str) -> Any:
    return of.model_copy(update={"metadata": of.metadata.model_copy(update={"uid": uid})})


def test_an_exception_of_the_same_name_and_evidence_that_nobody_looked_at_is_refused(
    kubectl: FakeKubectl,
) -> None:
    asked = request("ExceptionRequired", name="asked")
    kubectl.objects = [asked, of_uid(exception(asked, days=90), "u-2")]
    digest = asked.spec.evidence_digest
    decided = ["approve", "cabex/leave", "--because", "The flag is off", "--digest", digest]
    result = run(*decided, "--uid", "u-1", code=1)
    assert "it was deleted and created anew" in result.stderr
    assert "--uid: missing" in run(*decided, code=2).stderr
    assert kubectl.patches == []


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("name", ["cabex/leave", "asked"])
def test_what_is_sent_is_for_the_object_that_was_shown_and_no_other(
    kubectl: FakeKubectl, name: str
) -> None:
    asked = of_uid(request("ExceptionRequired", by_person("Approved"), name="asked"), "u-r")
    kubectl.objects = [asked, of_uid(exception(asked), "u-x")]
    run("revoke", name, "--because", "Bad", "--yes", stdin="y\n")
    [sent] = [json.loads(call[-1]) for call in kubectl.calls if call[0] == "patch"]
    assert sent["metadata"] == {"uid": "u-x" if name == "cabex/leave" else "u-r"}


def test_the_command_that_is_shown_is_the_one_that_would_run(kubectl: FakeKubectl) -> None:
    options = ["--because", 'It\'s "fine"; $HOME', "--context", "my prod"]
    shown = run("approve", "web-1", "--show-command", *options).stdout
    assert kubectl.patches == []
    run("approve", "web-1", "--digest", DIGEST, *options)
    [ran] = [call for call in kubectl.calls if call[0] == "patch"]
    assert shlex.split(shown) == ["kubectl", *ran, "--context=my prod"]


def test_a_command_that_is_shown_has_a_place_for_the_rationale(kubectl: FakeKubectl) -> None:
    assert '"rationale":"<why>"' in run("reject", "web-1", "--show-command").stdout


def test_what_others_may_not_be_read_is_said_and_no_obstacle(kubectl: FakeKubectl) -> None:
    kubectl.forbidden = ("deploymentintents", "cabexceptions")
    result = run("approve", "web-1", "--because", "Read it", "--digest", DIGEST)
    assert "whether its intent still asks for it is not known" in result.stderr
    assert len(kubectl.patches) == 1


def test_show_and_diff(kubectl: FakeKubectl) -> None:
    kubectl.objects.append(
        request("ManualReview", by_person("Approved"), name="web-0",
                of=intent({**MIDDLING, "scope": {"affectedComponents": 12}}))
    )  # fmt: skip
    assert "next                kubectl cab approve web-1 -n shop" in run("show", "web-1").stdout
    view = json.loads(run("show", "web-1", "-o", "json").stdout)
    assert (view["evidenceDigest"], view["changes"]["against"]) == (DIGEST, "web-0")
    text = run("diff", "web-1", code=1).stdout
    assert "scope.affectedComponents: 12 -> 1" in text
    assert "web-0, Approved by rita" in text
    run("diff", "absent", code=4)
    run("diff", "cabex/leave", code=4)
    same = but(WAITS).model_copy(update={"metadata": WAITS.metadata.model_copy(
        update={"name": "web-9"})})  # fmt: skip
    kubectl.objects = [same, request("ManualReview", by_person("Approved"), name="web-8")]
    assert "are the same" in run("diff", "web-9").stdout


@pytest.mark.parametrize(
    ("decision", "code", "said"),
    [("Approved", 0, "approved: Approved by rita: because"),
     ("Rejected", 1, "refused: Rejected by rita: because"),
     (None, 3, "waits still, after 0 s")],
)  # fmt: skip
def test_wait_for_a_decision(
    kubectl: FakeKubectl, decision: str | None, code: int, said: str
) -> None:
    decisions = [by_person(decision)] if decision else []
    kubectl.objects = [request("ManualReview", *decisions, name="web-1")]
    result = run("wait", "web-1", "--for=decided", "--timeout", "0s", code=code)
    assert said in result.stdout


def test_wait_for_a_request_that_an_exception_admits(kubectl: FakeKubectl) -> None:
    asked = request("ExceptionRequired", name="web-1")
    kubectl.objects = [asked]
    run("wait", "web-1", "--for=decided", "--timeout", "0s", code=3)


def test_wait_for_one_that_is_not_there(kubectl: FakeKubectl) -> None:
    run("wait", "absent", "--for=decided", "--timeout", "0s", code=4)
