# SPDX-License-Identifier: Apache-2.0
"""What waiting changes: a level adds who decides, takes nobody's right, and decides nothing."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cabgate.api.changepolicy import ChangePolicy
from cabgate.api.request import CABRequest, RequestState
from cabgate.api.terms import EscalationStep
from cabgate.lifecycle.requests.opening import request_for
from cabgate.lifecycle.state.escalation import also_deciding, decides_from, level, reached_at
from cabgate.lifecycle.state.quorum import counted, still_needed, why_not_counted
from cabgate.lifecycle.state.requirements import ESCALATION, QUORUM, unknown_words
from cabgate.lifecycle.state.standing import standing_of
from cabgate.lifecycle.state.states import illegal_entries, state_of
from cabgate_samples.decisions import entry, numbered
from cabgate_samples.models import NOW, intent
from cabgate_samples.objects import MIDDLING
from support.examples import examples
from support.policies import change_policy

S = RequestState
HOUR = timedelta(hours=1)
OPENED = NOW
STEPS = [
    {"after": "4h", "level": 1},
    {"after": "24h", "level": 2, "alsoDecides": "approve-oncall"},
    {"when": {"scoreFrom": "99.00"}, "after": "0s", "level": 3},
]
TWO = {"count": 2, "verb": "approve"}
SENIOR = {"count": 1, "verb": "approve-senior"}


def request(*decisions, rules=(TWO, SENIOR), steps=STEPS):
    made = change_policy("board", *rules, escalation=steps)
    content = request_for(intent(MIDDLING), 2, policy=ChangePolicy.model_validate(made)).to_dict()
    content["metadata"]["creationTimestamp"] = OPENED.isoformat()
    digest = content["spec"]["evidenceDigest"]
    content["status"] = {"decisions": numbered(decisions, digest)}
    return CABRequest.model_validate(content)


def vote(name, hours, *verbs, verdict="Approved"):
    return {**entry("Person", name, verdict, OPENED + hours * HOUR), "verbs": list(verbs)}


def system(verdict, hours):
    return entry("System", "operator", verdict, OPENED + hours * HOUR)


@pytest.mark.parametrize(
    ("hours", "reached", "verbs"),
    [
        (-1, 0, set()),
        (0, 0, set()),
        (3.999, 0, set()),
        (4, 1, set()),
        (23.999, 1, set()),
        (24, 2, {"approve-oncall"}),
        (9999, 2, {"approve-oncall"}),
    ],
)
def test_a_level_is_reached_to_the_second_and_kept(hours, reached, verbs):
    terms, now = request().spec.terms, OPENED + hours * HOUR
    assert level(terms, OPENED, now) == reached
    assert also_deciding(terms, OPENED, now) == verbs
    since = {0: None, 1: OPENED + 4 * HOUR, 2: OPENED + 24 * HOUR}[reached]
    assert reached_at(terms, OPENED, now) == since


def test_nothing_escalates_without_terms_or_before_it_is_stored():
    assert level(None, OPENED, OPENED + 99 * HOUR) == 0
    assert level(request().spec.terms, None, OPENED + 99 * HOUR) == 0
    assert reached_at(None, OPENED, OPENED) is None
    assert decides_from(None, OPENED, "approve-oncall") is None
    assert decides_from(request().spec.terms, OPENED, "approve-senior") is None


def test_a_request_freezes_the_steps_that_are_about_it():
    spec = request().spec
    assert spec.terms.to_dict()["escalation"] == [
        {"afterSeconds": 14400, "level": 1},
        {"afterSeconds": 86400, "level": 2, "alsoDecides": "approve-oncall"},
    ]
    assert spec.requires == [ESCALATION, QUORUM]
    silent = request(steps=STEPS[:1]).spec
    assert silent.requires == [QUORUM], "who is told changes no count"
    unasked = request(rules=({**TWO, "when": {"scoreFrom": "99.00"}},)).spec
    assert (unasked.terms.escalation, unasked.requires) == ([], [])


def test_who_decides_by_then_counts_for_every_rule_and_for_one_person():
    ann, bob = vote("ann", 1, "approve"), vote("olga", 25, "approve-oncall")
    found = standing_of(request(ann, bob))
    assert found.state is S.APPROVED
    alone = standing_of(request(bob))
    asked = alone.votes, alone.opened_at
    assert counted(alone, *asked) == "1/2 approve, 1/1 approve-senior"
    assert still_needed(alone, *asked) == "1 more person with the verb approve"
    late = still_needed(alone, *asked, OPENED + 25 * HOUR)
    assert late == "1 more person with the verb approve or approve-oncall"


ATTACKS = {
    "a vote before the level": [vote("ann", 1, "approve"), vote("olga", 23.9, "approve-oncall")],
    "a vote from before that waits for it": [vote("olga", 1, "approve-oncall"), vote("ann", 30)],
    "the same person twice": [
        *(vote("olga", 25, "approve-oncall"), vote("OLGA", 26, "approve-oncall")),
    ],
    "opened again, which begins anew": [
        *(system("Superseded", 1), system("Reopened", 23)),
        *(vote("ann", 24, "approve", "approve-senior"), vote("olga", 26, "approve-oncall")),
    ],
    "opened again by a clock that is behind": [
        *(system("Superseded", 23), system("Reopened", 22)),
        *(vote("ann", 24, "approve", "approve-senior"), vote("olga", 45, "approve-oncall")),
    ],
    "the system": [vote("ann", 1, "approve"), system("AutoApproved", 99)],
    "time alone": [vote("ann", 1, "approve", "approve-senior")],
    "who submitted": [vote("ann", 1, "approve"), vote("dev", 25, "approve-oncall")],
}  # fmt: skip


@pytest.mark.parametrize("decisions", ATTACKS.values(), ids=ATTACKS)
def test_nobody_is_let_in_sooner_and_nothing_is_approved_by_waiting(decisions):
    made = request(*decisions)
    people = [{"username": "dev", "uid": "d-1", "type": "Person"}]
    spec = {**made.to_dict()["spec"], "submittedBy": people}
    made = CABRequest.model_validate({**made.to_dict(), "spec": spec})
    assert not standing_of(made).is_approved


def test_who_is_too_early_is_told_from_when_on():
    found = standing_of(request())
    early = SimpleNamespace(**vars(request(vote("olga", 1, "approve-oncall")).status.decisions[0]))
    refused = why_not_counted(found, [], found.opened_at, early)
    assert refused.reason == "NotAuthorized"
    moment = (OPENED + 24 * HOUR).isoformat().replace("+00:00", "Z")
    assert refused.message.endswith(f"or wait until {moment}")
    assert [each.verdict for each in illegal_entries(request(vote("olga", 1, "approve-oncall")))]


def test_what_an_older_release_dropped_is_not_guessed():
    """Such as where its definition of the kind was installed for a while, which knows no steps."""
    made = request(vote("ann", 1, "approve")).to_dict()
    del made["spec"]["terms"]["escalation"]
    assert unknown_words(CABRequest.model_validate(made)) == [ESCALATION]
    made = request(vote("ann", 1, "approve")).to_dict()
    made["spec"]["requires"] = [QUORUM]
    assert unknown_words(CABRequest.model_validate(made)) == [ESCALATION]
    assert unknown_words(request()) == []


STEP = st.builds(
    EscalationStep,
    after_seconds=st.integers(0, 10_000),
    level=st.integers(1, 5),
    also_decides=st.sampled_from([None, "approve-a", "approve-b", "approve-c"]),
)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(STEP, max_size=8), st.integers(-9, 11_000), st.integers(0, 11_000))
def test_time_raises_levels_and_takes_no_right_to_decide(steps, first, more):
    terms = SimpleNamespace(approvals=(), escalation=steps)
    one, other = (OPENED + timedelta(seconds=each) for each in (first, first + more))
    assert level(terms, OPENED, one) <= level(terms, OPENED, other)
    assert also_deciding(terms, OPENED, one) <= also_deciding(terms, OPENED, other)
    reached = reached_at(terms, OPENED, other)
    assert (reached is None) == (level(terms, OPENED, other) == 0)
    if reached is not None:
        assert level(terms, OPENED, reached) == level(terms, OPENED, other)
        before = reached - timedelta(seconds=1)
        assert level(terms, OPENED, before) < level(terms, OPENED, other)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from("abc"), st.booleans()), max_size=4))
def test_more_people_may_decide_and_none_fewer(votes):
    """Whatever is approved without escalation is approved with it."""
    decisions = [
        vote(name, hours, *(["approve", "approve-senior"] if holds else ["approve-oncall"]))
        for hours, name, holds in sorted(votes)
    ]
    without, also = request(*decisions, steps=[]), request(*decisions)
    if state_of(without) is S.APPROVED:
        assert state_of(also) is S.APPROVED
