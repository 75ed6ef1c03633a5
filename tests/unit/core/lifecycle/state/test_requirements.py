# SPDX-License-Identifier: Apache-2.0
"""What an older release does with a request that rests on rules which it does not know: it denies,
and says so; everything else is as before."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api import CABRequest
from cabgate.api.changepolicy import ChangePolicy
from cabgate.gate.candidates import describe
from cabgate.gate.checks import ADMITTING
from cabgate.gate.verdict import Reason
from cabgate.lifecycle.state import requirements
from cabgate.lifecycle.state.requirements import check_known, unknown_words
from cabgate.review.identity import User
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_samples.models import (
    NOW,
    by_person,
    by_system,
    exception,
    intent,
    newer,
    request,
    rollout,
)
from cabgate_webhook.client.stored import decode_requests
from support.policies import BOARD, change_policy, vote
from unit.core.standings import candidates, check_created, check_request_status, decide

DECIDED: dict[str, Callable[[], CABRequest]] = {
    "approved": lambda: request("ManualReview", by_person("Approved")),
    "by score": lambda: request("AutoApprove", by_system("AutoApproved")),
    "waiting": lambda: request("ManualReview"),
    "rejected": lambda: request("ManualReview", by_person("Rejected")),
    "risky": lambda: request("ExceptionRequired"),
}


def test_a_request_rests_on_a_rule_that_older_ones_do_not_know_only_where_it_uses_it() -> None:
    assert {
        *("Escalation", "Exceptions", "PodTemplate", "Promotion", "Quorum", "Validity")
    } == requirements.KNOWN
    assert request("ManualReview").spec.requires == []


@pytest.mark.parametrize("state", DECIDED)
def test_it_admits_nothing_whatever_was_decided(state: str) -> None:
    found = newer(DECIDED[state](), "quorum")
    leave = exception(found, by_person("Approved"))
    decision = decide(rollout(), 2, [found], [leave], NOW)
    assert decision.reason is Reason.UNKNOWN_REQUIREMENT
    assert not decision.allowed
    assert "quorum" in decision.message
    assert "upgrade cabgate's webhook" in decision.message
    (look,) = candidates(rollout(), [found], [leave], NOW)
    assert "does not know: quorum" in describe(look, rollout(), [], NOW)


def test_what_was_approved_without_such_a_rule_is_still_admitted() -> None:
    older = request("ManualReview", by_person("Approved"), name="older")
    found = newer(request("ManualReview", by_person("Approved"), name="newer"), "quorum")
    assert decide(rollout(), 2, [found, older], [], NOW).reason is Reason.REQUEST_APPROVED
    assert decide(rollout(), 1, [found], [], NOW).reason is Reason.RING_NOT_GATED


def test_its_revocation_counts() -> None:
    older = request("ManualReview", by_person("Approved"), name="older")
    revoked = newer(
        request("ManualReview", by_person("Approved"), by_person("Revoked"), name="newer"), "quorum"
    )
    assert not decide(rollout(), 2, [revoked, older], [], NOW).allowed


def test_a_word_that_is_known_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "KNOWN", frozenset({"quorum"}))
    found = newer(request("ManualReview", by_person("Approved")), "quorum")
    assert decide(rollout(), 2, [found], [], NOW).allowed
    check_known(found)
    assert unknown_words(newer(found, "quorum", "soak")) == ["soak"]


@given(
    st.lists(st.sampled_from(["quorum", "soak", "promotion"]), max_size=3),
    st.sampled_from(sorted(DECIDED)),
)
def test_the_narrow_path_sees_every_word(words: list[str], state: str) -> None:
    found = newer(DECIDED[state](), *words)
    stored = found.model_dump(mode="json", by_alias=True, exclude_none=True)
    narrow = decode_requests(json.dumps({"items": [stored]}).encode())
    assert narrow is not None
    by_model = decide(rollout(), 2, [found], [], NOW)
    by_narrow = decide(rollout(), 2, narrow, [], NOW)
    assert (by_narrow.reason, by_narrow.message) == (by_model.reason, by_model.message)
    if words:
        assert by_narrow.reason not in ADMITTING


BOARD_VOTES = (vote("ann"), vote("bob"))


@pytest.mark.parametrize("votes", [BOARD_VOTES[:1], BOARD_VOTES], ids=["one vote", "both"])
@pytest.mark.parametrize("lost", ["terms", "approvals", "requires"])
def test_approvals_whose_terms_an_older_release_dropped_are_never_enough(
    lost: str, votes: tuple[dict[str, Any], ...]
) -> None:
    """A CRD of before that knows no such field prunes it, and nobody can write it again."""
    stored = request("ManualReview", *votes, policy=BOARD).to_dict()
    spec = stored["spec"]
    assert unknown_words(CABRequest.model_validate(stored)) == []
    del (spec["terms"] if lost == "approvals" else spec)[lost]
    found = CABRequest.model_validate(stored)
    decision = decide(rollout(), 2, [found], [], NOW)
    assert decision.reason is Reason.UNKNOWN_REQUIREMENT
    assert "Quorum" in decision.message
    assert "declare other content" in decision.message
    assert "upgrade" not in decision.message
    assert unknown(lambda: check_known(found))


def test_terms_that_ask_for_nobody_are_as_none() -> None:
    senior = ChangePolicy.model_validate(
        change_policy("senior", {"when": {"ringFrom": 4}, "count": 1, "verb": "approve-senior"})
    )
    found = request("ManualReview", by_person("Approved"), policy=senior)
    assert found.spec.terms is not None
    assert decide(rollout(), 2, [found], [], NOW).allowed


def unknown(call: Callable[[], Any]) -> bool:
    try:
        call()
    except Refusal as refusal:
        return refusal.reason is RefusalReason.UNKNOWN_REQUIREMENT
    return False


def test_what_the_operator_writes_of_it_is_refused() -> None:
    found = newer(request("AutoApprove"), "quorum")
    operator = User("system:serviceaccount:cabgate:operator")
    assert unknown(lambda: check_created(found, intent(), [], DEFAULT_RISK_MODEL))
    assert unknown(
        lambda: check_request_status(
            found, found, operator, current=True, model=DEFAULT_RISK_MODEL, now=NOW
        )
    )
