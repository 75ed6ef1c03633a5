# SPDX-License-Identifier: Apache-2.0
"""Approvals that admit new rollouts for so long as their terms say."""

from datetime import timedelta
from typing import Any

import pytest

from cabgate.api import CABRequest, ChangePolicy, DeploymentIntent
from cabgate.gate.verdict import Reason
from cabgate.lifecycle.state.requirements import QUORUM, VALIDITY, unknown_words
from cabgate_samples.models import IMAGE, NOW, intent, rollout, target
from cabgate_samples.models import request as sample
from cabgate_samples.objects import MIDDLING
from support.policies import BRIEF, change_policy
from support.policies import vote as given
from unit.core.standings import decide

R = Reason
HOUR = timedelta(hours=1)


def policy(*rules: dict[str, Any]) -> ChangePolicy:
    return ChangePolicy.model_validate(change_policy("brief", *rules))


def need(count: int = 1, verb: str = "approve", valid: str | None = None) -> dict[str, Any]:
    return {"count": count, "verb": verb} | ({} if valid is None else {"validFor": valid})


def vote(who: str, verdict: str = "Approved", **more: Any) -> dict[str, Any]:
    return given(who, verdict, **{"at": NOW, **more})


def approved(*votes: dict[str, Any], under: ChangePolicy = BRIEF) -> CABRequest:
    return sample("ManualReview", *(votes or [vote("ann")]), policy=under)


def reason(found: CABRequest, after: timedelta, **more: Any) -> Reason:
    return decide(rollout(), 2, [found], [], NOW + after, **more).reason


def test_an_approval_admits_new_rollouts_until_its_validity_is_over() -> None:
    found = approved()
    admitted = [reason(found, each) for each in (timedelta(), 48 * HOUR - timedelta(seconds=1))]
    assert admitted == [R.REQUEST_APPROVED] * 2
    assert [reason(found, each) for each in (48 * HOUR, 9999 * HOUR)] == [R.APPROVAL_ENDED] * 2


@pytest.mark.parametrize(
    ("ran", "expected"),
    [
        (HOUR, R.REQUEST_APPROVED),
        (48 * HOUR, R.REQUEST_APPROVED),
        (48 * HOUR + timedelta(seconds=1), R.APPROVAL_ENDED),
    ],
)
def test_what_ran_before_its_end_rolls_back(ran: timedelta, expected: Reason) -> None:
    assert reason(approved(), 90 * HOUR, ran_since=NOW + ran) is expected


def test_without_a_validity_it_is_for_ever() -> None:
    found = approved(under=policy(need()))
    assert reason(found, timedelta(days=9999)) is R.REQUEST_APPROVED
    assert found.spec.requires == [QUORUM]


def test_of_several_rules_the_shortest_validity_holds_from_the_last_approval_on() -> None:
    rules = [need(1), need(2, valid="48h"), need(1, "approve-senior", "1h")]
    under = policy(*rules)
    early = vote("ann", verbs=("approve",))
    found = approved(early, vote("bob"), under=under)
    terms = found.spec.terms
    assert terms is not None
    frozen = [(each.count, each.verb, each.valid_for_seconds) for each in terms.approvals]
    assert frozen == [(2, "approve", 48 * 3600), (1, "approve-senior", 3600)]
    assert reason(found, HOUR) is R.APPROVAL_ENDED
    assert reason(found, HOUR / 2) is R.REQUEST_APPROVED


def test_two_rules_of_a_verb_are_one_need_that_is_no_weaker_than_either() -> None:
    for rules in ([need(2), need(1, valid="1h")], [need(1, valid="1h"), need(2)]):
        terms = approved(under=policy(*rules)).spec.terms
        assert terms is not None
        (only,) = terms.approvals
        assert (only.count, only.valid_for_seconds) == (2, 3600)


def test_an_override_of_a_freeze_or_an_attestation_does_not_prolong_it() -> None:
    later = {"at": NOW + 24 * HOUR}
    again = vote("eve", overrides=["christmas"], **later)
    assert reason(approved(vote("ann"), again), 48 * HOUR) is R.APPROVAL_ENDED
    bound = [{"name": "night", "description": "at night", "attestation": "Required"}]
    first = vote("ann", "ConditionallyApproved", rationale="if", conditions=bound)
    attested = vote("eve", "Attested", condition="night", **later)
    del attested["verbs"]
    assert reason(approved(first, attested), HOUR) is R.REQUEST_APPROVED
    assert reason(approved(first, attested), 48 * HOUR) is R.APPROVAL_ENDED


def test_another_approval_for_the_same_images_admits() -> None:
    ended, lasting = approved(), sample("ManualReview", vote("ann"), name="lasting")
    assert decide(rollout(), 2, [ended, lasting], [], NOW + 90 * HOUR).allowed


def test_what_it_does_not_name_is_told_as_ever() -> None:
    other = sample("ManualReview", vote("ann"), policy=BRIEF, targets=[target("checkout", IMAGE)])
    found = decide(rollout("other:2"), 2, [other], [], NOW + 90 * HOUR)
    assert found.reason is R.IMAGES_NOT_COVERED


def test_a_release_that_does_not_know_the_word_denies_and_so_does_one_whose_terms_were_cut() -> (
    None
):
    found = approved()
    assert found.spec.requires == [QUORUM, VALIDITY]
    raw = found.to_dict()
    del raw["spec"]["terms"]["approvals"][0]["validForSeconds"]
    assert unknown_words(CABRequest.model_validate(raw)) == [VALIDITY]
    raw = found.to_dict()
    raw["spec"]["requires"] = [QUORUM]
    assert unknown_words(CABRequest.model_validate(raw)) == [VALIDITY]


def test_the_next_step_is_to_declare_it_anew() -> None:
    said = decide(rollout(), 2, [approved()], [], NOW + 48 * HOUR).message
    assert "until 2026-03-03T12:00:00Z" in said
    assert said.endswith("kubectl edit deploymentintent checkout -n shop")


NEW_EVIDENCE = intent({**MIDDLING, "scope": {"affectedComponents": 12}})


@pytest.mark.parametrize(
    ("gate", "of", "expected"),
    [
        ("ManualReview", NEW_EVIDENCE, R.REVIEW_PENDING),
        ("ExceptionRequired", None, R.EXCEPTION_REQUIRED),
    ],
)
def test_new_evidence_that_waits_is_told_before_what_ended(
    gate: str, of: DeploymentIntent | None, expected: Reason
) -> None:
    """Else whoever declared it anew, as the denial says, is told to do so again."""
    ended, anew = approved(), sample(gate, name="anew", of=of)
    for found in ([ended, anew], [anew, ended]):
        verdict = decide(rollout(), 2, found, [], NOW + 90 * HOUR)
        assert verdict.reason is expected
        assert "anew" in verdict.message


def test_what_ended_is_told_before_new_evidence_that_was_rejected() -> None:
    rejected = sample("ManualReview", vote("bob", "Rejected"), name="anew", of=NEW_EVIDENCE)
    verdict = decide(rollout(), 2, [rejected, approved()], [], NOW + 90 * HOUR)
    assert verdict.reason is R.APPROVAL_ENDED
