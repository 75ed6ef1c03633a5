# SPDX-License-Identifier: Apache-2.0
"""An approval lifts the refusals that it names, and no other: nobody undoes by accident what they
cannot have heard of."""

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api.changepolicy import ChangePolicy
from cabgate.api.exception import ExceptionVerdict
from cabgate.api.request import RequestVerdict
from cabgate.api.types import MAX_LIFTS, Checked
from cabgate.gate.verdict import Reason
from cabgate.ledger.chain import entries_of
from cabgate.ledger.signatures import SigningKeys, Verification
from cabgate.lifecycle.limits.retention import removable
from cabgate.lifecycle.state.standing import standing_of
from cabgate.rollout.targets import Workload
from cabgate_samples.models import (
    NOW,
    by_person,
    by_system,
    exception,
    intent,
    noticed,
    request,
    rollout,
    target,
)
from cabgate_samples.objects import MIDDLING
from support.policies import change_policy, vote
from unit.core.standings import (
    Surroundings,
    approvals_of,
    decide,
    earlier_verdict,
    lifted_by,
    warnings_of_approval,
    with_lifts,
)

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
T = NOW - HOUR
BAD = [target("checkout", "bad")]
NOTHING = Checked()


def made(name, *entries, number, images=("bad",)):
    """A request of its own content, which a person decides."""
    content = {**MIDDLING, "scope": {"affectedComponents": 7, "linesChanged": number}}
    content["testResults"] = {**MIDDLING["testResults"], "passed": 100 + number}
    targets = [target("checkout", *images)]
    return noticed(request("ManualReview", *entries, of=intent(content, targets), name=name))


def revoked(name="revoked", at=T, number=1):
    entries = by_person("Approved", at - DAY), by_person("Revoked", at, images=["bad"])
    return made(name, *entries, number=number)


def rejected(name="rejected", at=T, number=2):
    return made(name, by_person("Rejected", at), number=number)


def naming(*names, count=None):
    """What an approval says that lifts the refusals of these requests."""
    return {"checked": {"refusals": len(names) if count is None else count, "lifts": list(names)}}


def approved(checked, at=T + SECOND, name="again", verdict="Approved", **more):
    return made(name, by_person(verdict, at, **checked, **more), number=3)


def by_score():
    return request("AutoApprove", by_system("AutoApproved", NOW), targets=BAD, name="score")


def said(*requests, exceptions=()):
    return decide(rollout("bad"), 2, requests, exceptions, NOW)


CHECKED = [
    (naming("revoked"), True),
    (naming("other", "revoked"), True),
    (naming(), False),
    (naming("other"), False),
    (naming(count=70), False),
    ({"checked": {"submittedBy": ["ann"], "intentGeneration": 3}}, True),  # of an older release
    ({}, True),
]


@pytest.mark.parametrize(("checked", "lifts"), CHECKED)
def test_a_revocation_is_lifted_by_an_approval_that_names_it(checked, lifts):
    no, again = revoked(), approved(checked)
    assert said(no, again).allowed is lifts
    assert said(no, again, by_score()).allowed is lifts
    if not lifts:
        assert said(no, again).reason is Reason.REVOKED
    around = Surroundings([no, again], [], NOW)
    workload = Workload("apps", "Deployment", "checkout")
    covering = around.others(made("more", number=9), workload).covering(["bad"])
    assert (covering is not None) is lifts


@pytest.mark.parametrize(("checked", "lifts"), CHECKED)
def test_a_rejection_as_well(checked, lifts):
    no = rejected("revoked")
    found = earlier_verdict(no.spec.targets, [no, approved(checked)])
    assert (found is None) is lifts


@pytest.mark.parametrize("shift", [-1, 0])
def test_to_name_it_is_not_enough_where_it_came_no_later(shift):
    again = approved(naming("revoked"), at=T + shift * SECOND)
    assert not said(revoked(), again).allowed
    assert earlier_verdict(again.spec.targets, [rejected("revoked"), again]) is not None


@pytest.mark.parametrize(("checked", "lifts"), CHECKED)
def test_the_same_holds_on_conditions_and_for_an_exception(checked, lifts):
    watch = [{"name": "watch", "description": "someone watches"}]
    again = approved(checked, verdict="ConditionallyApproved", conditions=watch)
    assert said(revoked(), again).allowed is lifts
    risky = request("ExceptionRequired", targets=BAD, name="risky")
    leave = exception(risky, by_person("Approved", T + SECOND, **checked))
    assert said(revoked(), risky, exceptions=[leave]).allowed is lifts


@pytest.mark.parametrize(("checked", "lifts"), CHECKED)
def test_what_lifts_a_refusal_stays_when_old_requests_go(checked, lifts):
    again = approved(checked)
    found = removable([revoked(), again], [], {}, NOW, kept=0)
    assert ([each.metadata.name for each in found] == []) is lifts


def test_each_refusal_keeps_the_approval_that_names_it():
    one, two = revoked("one", T, 1), revoked("two", T + HOUR / 2, 2)
    first = made("first", by_person("Approved", T + SECOND, **naming("one")), number=4)
    later = made("later", by_person("Approved", NOW, **naming("two")), number=5)
    assert removable([one, two, first, later], [], {}, NOW, kept=0) == []
    assert said(one, two, first, later).allowed
    assert not said(one, two, later).allowed


def test_an_approval_says_what_it_lifts_the_latest_first():
    waits = made("waits", number=9)
    others = [rejected(at=T - HOUR), revoked(), waits]
    found = with_lifts(NOTHING, waits, RequestVerdict.APPROVED, others)
    assert (found.refusals, found.lifts) == (2, ["revoked", "rejected"])
    for verdict in (RequestVerdict.CONDITIONALLY_APPROVED, ExceptionVerdict.APPROVED):
        assert with_lifts(NOTHING, waits, verdict, others).lifts == ["revoked"]
    # That nothing stood against it is said too: it is not the same as to say nothing.
    none = with_lifts(NOTHING, waits, RequestVerdict.APPROVED, [waits])
    assert (none.refusals, none.lifts) == (0, [])
    assert none.to_dict()["refusals"] == 0
    assert Checked.model_validate(none.to_dict()) == none
    for verdict in (RequestVerdict.REJECTED, RequestVerdict.REVOKED, RequestVerdict.UNDER_REVIEW):
        assert with_lifts(NOTHING, waits, verdict, others) == NOTHING


def test_more_than_one_approval_may_name_stay_and_the_reviewer_is_told():
    waits = made("waits", number=900)
    many = [revoked(f"no-{n:03}", T + n * SECOND, n + 10) for n in range(MAX_LIFTS + 6)]
    checked = with_lifts(NOTHING, waits, RequestVerdict.APPROVED, many)
    assert (checked.refusals, len(checked.lifts)) == (MAX_LIFTS + 6, MAX_LIFTS)
    assert checked.lifts[0] == many[-1].metadata.name
    seen = warnings_of_approval(waits, RequestVerdict.APPROVED, many)
    assert seen[-1].startswith("does not lift 6 earlier refusals")
    entry = by_person("Approved", NOW - SECOND, checked=checked.to_dict())
    first = made("first", entry, number=901)
    assert not said(*many, first).allowed
    rest = with_lifts(NOTHING, waits, RequestVerdict.APPROVED, [*many, first])
    assert (rest.refusals, len(rest.lifts)) == (6, 6)
    last = made("last", by_person("Approved", NOW, checked=rest.to_dict()), number=902)
    assert said(*many, first, last).allowed


@pytest.mark.parametrize("names", [[], ["one"], [f"{n:03}{'x' * 250}" for n in range(MAX_LIFTS)]])
def test_what_it_lifts_is_signed_and_stands_in_the_record(names):
    """Of a long list its beginning and the digest of all of it; and that there is nothing, too."""
    keys = SigningKeys(ed25519())
    checked = Checked(submitted_by=["ann"], refusals=len(names), lifts=names)

    def entry(**said):
        more = {"checked": {**checked.to_dict(), **said}}
        [found] = made("r", by_person("Approved", NOW, **more), number=1).status.decisions
        return found.model_copy(update={"signature": signature})

    signature = None
    signature = keys.sign("CABRequest", "u-1", entry())
    assert keys.public.check("CABRequest", "u-1", entry()) is Verification.GOOD
    others = [{"refusals": None}, {"refusals": len(names) + 1}, {"lifts": ["other"]}]
    if names:
        others += [{"lifts": []}, {"lifts": names[:-1]}, {"lifts": [*names[:-1], "other"]}]
    for other in others:
        wrong = entry(**other)
        assert keys.public.check("CABRequest", "u-1", wrong) is Verification.WRONG, other
    decided = made("r", by_person("Approved", NOW, checked=checked.to_dict()), number=1)
    meta = decided.metadata.model_copy(update={"uid": "u-1"})
    [content] = entries_of(decided.model_copy(update={"metadata": meta}))
    said = content["checked"]
    assert said["refusals"] == len(names)
    assert said.get("lifts", []) == names[: len(said.get("lifts", []))]
    whole = said.get("lifts", []) == names
    assert whole is ("checked" not in [each["field"] for each in content.get("cut", [])])


def ed25519():
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@st.composite
def histories(draw):
    """Refusals of one image, and approvals that name some of them, at about the same time."""
    found = []
    for number in range(draw(st.integers(1, 5))):
        at = T + draw(st.integers(-2, 2)) * SECOND
        kind = draw(st.sampled_from([revoked, rejected, "approved"]))
        if kind != "approved":
            found.append(kind(f"r{number}", at, number))
            continue
        of = draw(st.lists(st.sampled_from([f"r{n}" for n in range(5)]), unique=True))
        checked = draw(st.sampled_from([naming(*of), {}]))
        found.append(made(f"r{number}", by_person("Approved", at, **checked), number=number))
    return found


@given(histories())
def test_what_an_approval_says_by_the_gate_s_own_account_is_admitted(requests):
    """Whatever stands: an approval in knowledge of all of it lifts it, one without does not."""
    waits = made("waits", number=90)
    checked = with_lifts(NOTHING, waits, RequestVerdict.APPROVED, requests)
    standing = lifted_by(waits, RequestVerdict.APPROVED, requests)
    assert (earlier_verdict(waits.spec.targets, requests) is None) == (not standing)
    knowing = made("knows", by_person("Approved", NOW, checked=checked.to_dict()), number=91)
    assert said(*requests, knowing).allowed
    assert earlier_verdict(waits.spec.targets, [*requests, knowing]) is None
    unaware = made("unaware", by_person("Approved", NOW, **naming()), number=91)
    found = said(*requests, unaware)
    stands = any(each.entry.verdict is RequestVerdict.REVOKED for each in standing)
    assert found.allowed is not stands


@given(histories())
def test_names_only_ever_deny_more_than_time_alone(requests):
    old = []
    for each in requests:
        entries = [e.model_copy(update={"checked": None}) for e in each.status.decisions]
        status = each.status.model_copy(update={"decisions": entries})
        old.append(each.model_copy(update={"status": status}))
    if said(*requests).allowed:
        assert said(*old).allowed


TWO = ChangePolicy.model_validate(change_policy("two"))


def of_two(*votes):
    content = intent({**MIDDLING, "scope": {"affectedComponents": 7, "linesChanged": 3}}, BAD)
    return noticed(request("ManualReview", *votes, of=content, name="again", policy=TWO))


def by(who, at, verdict="Approved", **more):
    more |= {"conditions": [{"name": "n", "description": "d"}]} if "Cond" in verdict else {}
    return vote(who, verdict, at=at, **more)


@pytest.mark.parametrize("second", ["Approved", "ConditionallyApproved"])
def test_of_two_approvals_the_first_has_to_know_what_they_lift(second):
    no = revoked()
    later = by("carol", T + 2 * SECOND, second, **naming("revoked"))
    assert said(no, of_two(by("ann", T - SECOND, **naming()), later)).reason is Reason.REVOKED
    both = of_two(by("ann", T + SECOND, **naming("revoked")), later)
    assert said(no, both).allowed
    # What holds on conditions, by whichever of them, lifts nothing for others.
    checkout = Workload("apps", "Deployment", "checkout")
    assert bool(approvals_of([both], {(checkout, "bad")})) is (second == "Approved")


@pytest.mark.parametrize("second", [RequestVerdict.APPROVED, RequestVerdict.CONDITIONALLY_APPROVED])
def test_a_second_approval_says_what_it_really_lifts(second):
    no, waits = revoked(), of_two(by("ann", T - SECOND, **naming()))
    votes = standing_of(waits).votes
    assert with_lifts(NOTHING, waits, second, [no, waits], votes).lifts == []
    [warned] = warnings_of_approval(waits, second, [no, waits], votes)
    assert warned.startswith("does not lift what rita revoked at")
    assert "reject this one, and declare other content" in warned
    knew = of_two(by("ann", T + SECOND, **naming("revoked")))
    votes = standing_of(knew).votes
    assert with_lifts(NOTHING, knew, second, [no, knew], votes).lifts == ["revoked"]
    [warned] = warnings_of_approval(knew, second, [no, knew], votes)
    assert warned.startswith("lifts what rita revoked at")
