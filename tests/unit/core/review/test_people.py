# SPDX-License-Identifier: Apache-2.0
"""Rings, users, and who submitted."""

from typing import Any

import pytest

from cabgate.api.types import MAX_SUBMITTERS, Submitter
from cabgate.review.identity import User, is_service_account, service_account_of
from cabgate.review.requesters import only_machines
from cabgate.review.submitters import added, submitters_of_update
from cabgate.rollout.rings import RING_LABEL, effective_ring, ring_of
from cabgate.text.refusal import Refusal, RefusalReason
from cabgate_samples.models import intent

ANN, BOB = User("ann", "1"), User("bob", "2")


@pytest.mark.parametrize("ring", range(5))
def test_a_label_names_its_ring(ring: int) -> None:
    assert ring_of({RING_LABEL: str(ring)}, 0) == ring


@pytest.mark.parametrize("label", ["", "5", "-1", "02", "2 ", "two", "1.0", "²", "٢"])
def test_a_malformed_ring_is_the_strictest(label: str) -> None:
    assert ring_of({RING_LABEL: label}, 0) == 4


def test_without_a_label_the_default_counts() -> None:
    assert ring_of({}, 3) == 3
    assert ring_of(None, 1) == 1
    assert ring_of({"other": "4"}, 0) == 0


@pytest.mark.parametrize(
    ("namespace", "workload", "default", "ring"),
    [
        (None, None, 0, 0),
        (None, None, 2, 2),
        ("1", "3", 0, 3),
        ("3", "1", 0, 3),
        ("0", None, 2, 0),  # the namespace was told apart; the default is for those that were not
        (None, "1", 2, 2),  # a workload cannot lower its namespace's ring
        ("x", "0", 0, 4),
        ("0", "x", 0, 4),
    ],
)
def test_the_larger_ring_counts(
    namespace: str | None, workload: str | None, default: int, ring: int
) -> None:
    def labels(value: str | None) -> dict[str, str] | None:
        return None if value is None else {RING_LABEL: value}

    assert effective_ring(labels(namespace), labels(workload), default) == ring


def test_service_accounts_are_known_by_their_names() -> None:
    assert is_service_account("system:serviceaccount:ci:deployer")
    assert not is_service_account("ann")
    assert not is_service_account("system:node:a")
    assert service_account_of("system:serviceaccount:ci:deployer") == ("ci", "deployer")
    for name in ("ann", "system:serviceaccount:ci", "system:serviceaccount::x"):
        assert service_account_of(name) is None


@pytest.mark.parametrize(
    ("name", "uid", "same"),
    [
        ("ann", "1", True),
        ("ann", "9", True),
        ("renamed", "1", True),
        ("bob", "2", False),
        ("bob", "", False),
    ],
)
def test_a_user_is_known_by_name_or_by_uid(name: str, uid: str, same: bool) -> None:
    assert ANN.is_same_as(Submitter(username=name, uid=uid)) is same
    assert not User("x").is_same_as(Submitter(username="y"))


def _intent(submitters: list[str], **fields: Any) -> Any:
    return intent(submittedBy=[{"username": name} for name in submitters], **fields)


def names(old: Any, new: Any, user: User) -> list[str]:
    return [s.username for s in submitters_of_update(old, new, user)]


def test_whoever_changes_the_spec_joins_the_submitters() -> None:
    assert names(_intent(["ann"]), _intent([], summary="more"), BOB) == ["ann", "bob"]
    assert names(_intent(["ann"]), _intent([], summary="more"), ANN) == ["ann"]


def test_an_update_that_changes_nothing_adds_nobody() -> None:
    """Nor can a client strike itself, or another, off the list."""
    assert names(_intent(["ann"]), _intent([]), BOB) == ["ann"]
    assert names(_intent(["ann"]), _intent(["eve"]), BOB) == ["ann"]


@pytest.mark.parametrize("state", ["AutoApproved", "Approved", "ConditionallyApproved", "Rejected",
                                   "Revoked"])  # fmt: skip
def test_the_list_starts_anew_after_a_decision(state: str) -> None:
    old = _intent(["ann"], status={"state": state, "observedGeneration": 7}, generation=7)
    assert names(old, _intent([], summary="next"), BOB) == ["bob"]


@pytest.mark.parametrize(
    ("state", "observed"),
    [("Approved", 6), ("Submitted", 7), ("ExceptionRequired", 7), ("Superseded", 7), (None, 7)],
)
def test_the_list_goes_on_while_nothing_is_decided(state: str | None, observed: int) -> None:
    """Not after a status of an older generation either: it tells of what stood there before."""
    old = _intent(["ann"], status={"state": state, "observedGeneration": observed}, generation=7)
    assert names(old, _intent([], summary="next"), BOB) == ["ann", "bob"]


def test_a_full_list_refuses_another_and_keeps_those_it_has() -> None:
    full = [Submitter(username=f"u{n}") for n in range(MAX_SUBMITTERS)]

    with pytest.raises(Refusal) as refusal:
        added(full, ANN)
    assert refusal.value.reason is RefusalReason.INVALID
    assert refusal.value.field == "spec.submittedBy"
    assert str(refusal.value).startswith("Invalid: spec.submittedBy: 100 users changed this")
    assert [s.username for s in added(full, User("u5"))] == [s.username for s in full]
    assert len(added(full[1:], ANN)) == MAX_SUBMITTERS


@pytest.mark.parametrize(
    ("usernames", "requesters", "alone"),
    [
        (["system:serviceaccount:ci:deployer"], [], True),
        (["system:serviceaccount:ci:a", "system:serviceaccount:ci:b"], [], True),
        (["system:serviceaccount:ci:deployer"], ["ann"], False),
        (["system:serviceaccount:ci:deployer", "ann"], [], False),
        (["ann"], [], False),
        ([], [], True),
    ],
)
def test_machines_alone_need_somebody_who_asked(
    usernames: list[str], requesters: list[str], alone: bool
) -> None:
    submitters = [Submitter(username=name) for name in usernames]
    assert only_machines(submitters, requesters) is alone


def test_a_refusal_without_a_field_names_none() -> None:
    assert str(Refusal(RefusalReason.NOT_CURRENT, "too late")) == "NotCurrent: too late"
