# SPDX-License-Identifier: Apache-2.0
"""Figures of a report: of a quarter that is known by heart, and of random ones beside an oracle."""

import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.api import CABDecision
from cabgate.api.base import rfc3339
from cabgate.reports.counting import percentile
from cabgate.reports.figures import FIGURES
from cabgate.reports.report import By, report

BEGIN = datetime(2026, 7, 1, tzinfo=UTC)
END = datetime(2026, 10, 1, tzinfo=UTC)
SYSTEM = "system:serviceaccount:cabgate-system:cabgate-operator"
DIGEST = "sha256:" + "0" * 64


def at(days: float) -> datetime:
    return BEGIN + timedelta(days=days)


class Ledger:
    """Records of several chains, each appended at its end."""

    def __init__(self) -> None:
        self.records: list[CABDecision] = []
        self._last: Counter[str] = Counter()

    def add(
        self, about: str, verdict: str, days: float, author: str = SYSTEM, **more: Any
    ) -> CABDecision:
        """`about` is NAMESPACE/NAME; an exception's begins with `leave`, or has its `kind`."""
        namespace, _, name = about.partition("/")
        self._last[namespace] += 1
        sequence = self._last[namespace]
        kind = "CABException" if name.startswith("leave") else "CABRequest"
        kind, uid = more.pop("kind", kind), more.pop("uid", about)
        raw = {
            "metadata": {"name": f"{namespace}.{sequence:08}"},
            "spec": {
                "format": 2,
                "subject": {"kind": kind, "namespace": namespace, "name": name, "uid": uid},
                "targets": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "images": ["web:1"]}],  # noqa: E501
                "evidenceDigest": f"v1:{DIGEST}",
                "verdict": verdict,
                "author": {"type": "System" if author == SYSTEM else "Person", "username": author},
                "at": rfc3339(at(days)),
                "entry": 1,
                "sequence": sequence,
                "digest": DIGEST,
                **({"previousDigest": DIGEST} if sequence > 1 else {}),
                **{k: rfc3339(at(v)) if k in ("opened", "taken") else v for k, v in more.items()},
            },
        }  # fmt: skip
        record = CABDecision.model_validate(raw)
        self.records.append(record)
        return record


REQUIRED = {"description": "d", "attestation": "Required"}


def leave(days: int) -> dict[str, Any]:
    return {"exception": {"requestName": "web-1", "durationDays": days}, "ring": 3}


@pytest.fixture
def quarter() -> Ledger:
    """What the table below counts."""
    ledger = Ledger()
    add = ledger.add
    ring2 = {
        "ring": 2,
        "submittedBy": ["tina"],
        "intent": {"name": "web", "uid": "u", "generation": 1},
    }
    by_robot = {**ring2, "submittedBy": ["system:serviceaccount:shop:ci"]}
    add("shop/before", "Approved", -3, "rita", opened=-4, **ring2)
    add("shop/auto", "AutoApproved", 1, opened=1, **by_robot)
    add("shop/slow", "UnderReview", 2, "rita", opened=1, **ring2)
    add("shop/slow", "Approved", 11, "rita", opened=1, taken=2, **ring2)
    add("shop/fast", "ConditionallyApproved", 12, "rita", opened=11.5, conditions=[
        {**REQUIRED, "name": "tested", "notAfter": rfc3339(at(14))},
        {**REQUIRED, "name": "told"},
        {"name": "window", "description": "d"},
    ], **ring2)  # fmt: skip
    add("shop/fast", "Attested", 15, "tina", condition="tested", **ring2)
    add("shop/fast", "Attested", 16, "tina", condition="told", **ring2)
    add("shop/no", "Rejected", 20, "paul", opened=19, **ring2)
    add("shop/slow", "Revoked", 30, "paul", images=["*"], **ring2)
    add("shop/later", "Approved", 200, "paul", opened=80, **ring2)
    add("bank/leave-1", "Approved", 5, "sec", opened=4, **leave(10))
    add("bank/leave-1", "Expired", 14.1, opened=4, **leave(10))
    add("bank/leave-2", "Approved", 30, "sec", opened=29, **leave(20))
    add("bank/leave-2", "Revoked", 40, "sec", opened=29, **leave(20))
    add("bank/leave-3", "Rejected", 41, "sec", opened=40, **leave(5))
    add("bank/leave-4", "Asked", 41, opened=41, **leave(5))
    add("shop/own", "Approved", 70, "tina", opened=69, **ring2)
    add("shop/own", "Reopened", 70, opened=69, **ring2)
    add("bank/leave-5", "Approved", 70, "sec", opened=69, **leave(20))
    add("bank/leave-5", "Reopened", 70, opened=69, **leave(20))
    glass = {"breakGlass": {"ticket": "INC-1"}, "ring": 3}
    add("bank/glass-1", "GlassBroken", 50, **glass)
    add("bank/glass-1", "Approved", 52, "rita", **glass)
    add("bank/glass-2", "GlassBroken", 60, **glass)
    return ledger


def test_a_quarter_that_is_known_by_heart(quarter: Ledger) -> None:
    day = 86400
    expected = {
        "decisions": 4, "approvals": 3, "rejections": 1, "approvalRate": Fraction(3, 4),
        "systemShare": Fraction(1, 3), "revocations": 1, "ownApprovals": 1,
        "machineShare": Fraction(1, 4),
        "openedToDecidedP50": day, "openedToDecidedP90": 10 * day, "openedToDecidedMax": 10 * day,
        "openedToTakenP50": day, "openedToTakenP90": day, "openedToTakenMax": day,
        "takenToDecidedP50": 9 * day, "takenToDecidedP90": 9 * day, "takenToDecidedMax": 9 * day,
        "approvers": 1, "mostOfOneApprover": Fraction(1),
        "freezesOverridden": 0, "promotionsOverridden": 0,
        "conditionsAsked": 2, "conditionsInTime": Fraction(1, 2),
        "exceptionsAsked": 5, "exceptionsGranted": 2, "exceptionsRejected": 1,
        "exceptionsRevoked": 1, "ownExceptions": 1, "exceptionsInForce": 1, "exceptionsRenewed": 1,
        "glassBroken": 2, "glassNotReviewed": 1,
        "glassToReviewP50": 2 * day, "glassToReviewP90": 2 * day, "glassToReviewMax": 2 * day,
        "rolledOut": None, "deploymentFrequency": None, "changesFailed": None,
        "changeFailureRate": None,
        "leadTimeP50": None, "leadTimeP90": None, "leadTimeMax": None,
        "timeToRestoreP50": None, "timeToRestoreP90": None, "timeToRestoreMax": None,
    }  # fmt: skip
    total = report(quarter.records, BEGIN, END).total
    assert {name: value.number for name, value in total.values.items()} == expected
    assert total.values["mostOfOneApprover"].who == "rita"
    assert total.values["rejections"].records == ("shop.00000008",)
    assert total.values["glassNotReviewed"].records == ("bank.00000011",)


def test_each_part_of_the_installation_has_its_own(quarter: Ledger) -> None:
    by = {by: report(quarter.records, BEGIN, END, by).groups for by in By}
    assert [g.name for g in by[By.NAMESPACE]] == ["bank", "shop"]
    assert [g.name for g in by[By.RING]] == ["2", "3"]
    assert [g.name for g in by[By.INTENT]] == ["shop/web", "unknown"]
    assert [g.name for g in by[By.TIER]] == [g.name for g in by[By.SCORE]] == ["unknown"]
    assert [g.name for g in by[By.RELEASE]] == ["unknown"]
    assert by[By.NAMESPACE][1].values["decisions"].number == 4
    assert by[By.NAMESPACE][0].values["glassBroken"].number == 2


def test_an_exception_in_force_is_seen_on_each_of_its_days(quarter: Ledger) -> None:
    total = report(quarter.records, BEGIN, END).total
    by_day = zip(total.scope.days, total.scope.exceptions_by_day, strict=True)
    days = [day for day, number in by_day if number]
    # The first ends with its duration, though that was told later; the second by revocation.
    assert days == [at(n) for n in (*range(5, 14), *range(30, 40))]
    assert sum(sum(numbers.values()) for numbers in total.scope.decisions_by_day) == 4


def test_an_approval_that_was_taken_back_counts_no_more_and_the_next_one_does() -> None:
    ledger = Ledger()
    ledger.add("shop/web", "Approved", 1, "tina", opened=0)
    ledger.add("shop/web", "Reopened", 1, opened=0)
    ledger.add("shop/web", "Approved", 3, "rita", opened=0)
    ledger.add("shop/web", "Superseded", 4, opened=0)
    ledger.add("shop/web", "Reopened", 5, opened=0)  # its intent is back: rita's stays
    ledger.add("bank/leave", "Approved", 1, "tina", opened=0, **leave(20))
    ledger.add("bank/leave", "Reopened", 1, opened=0, **leave(20))
    ledger.add("bank/leave", "Approved", 6, "sec", opened=0, **leave(20))
    total = report(ledger.records, BEGIN, END).total
    assert total.values["approvals"].records == ("shop.00000003",)
    assert total.values["ownApprovals"].records == ("shop.00000001",)
    assert total.values["openedToDecidedMax"].number == 3 * 86400
    assert total.values["exceptionsGranted"].records == ("bank.00000003",)
    assert total.values["ownExceptions"].records == ("bank.00000001",)
    by_day = zip(total.scope.days, total.scope.exceptions_by_day, strict=True)
    assert [day for day, number in by_day if number] == [at(n) for n in range(6, 20)]


def test_each_vote_counts_for_who_gave_it_and_an_override_is_counted_too() -> None:
    ledger = Ledger()
    for who in ("ann", "bob"):
        ledger.add("shop/web", "Approved", 1, who, opened=0, verbs=["approve"])
    ledger.add("shop/api", "Approved", 2, "ann", opened=0)
    ledger.add("shop/api", "Approved", 3, "eve", opened=0, overrides=["christmas"])
    ledger.add("shop/pay", "Approved", 4, "eve", opened=0, overrides=["promotion.ring-3"])
    total = report(ledger.records, BEGIN, END).total
    assert total.values["approvers"].number == 3
    assert total.values["mostOfOneApprover"].number == Fraction(2, 5)
    assert total.values["mostOfOneApprover"].who == "ann"
    assert total.values["freezesOverridden"].records == ("shop.00000004",)
    assert total.values["promotionsOverridden"].records == ("shop.00000005",)


def test_an_exception_of_two_people_is_granted_by_the_second() -> None:
    ledger = Ledger()
    two = leave(20)
    two["exception"]["approvalsNeeded"] = 2
    ledger.add("bank/leave", "Approved", 1, "ann", opened=0, **two)
    ledger.add("bank/leave", "Approved", 2, "ann", opened=0, **two)
    half = report(ledger.records, BEGIN, END).total
    assert half.values["exceptionsGranted"].number == half.values["exceptionsInForce"].number == 0
    ledger.add("bank/leave", "Approved", 6, "bob", opened=0, **two)
    total = report(ledger.records, BEGIN, END).total
    assert total.values["exceptionsGranted"].records == ("bank.00000003",)
    by_day = zip(total.scope.days, total.scope.exceptions_by_day, strict=True)
    assert [day for day, number in by_day if number] == [at(n) for n in range(6, 20)]


def test_of_nothing_there_is_no_share_and_no_time() -> None:
    total = report([], BEGIN, END, outcomes=[]).total
    numbers = {figure.unit.value: set() for figure in FIGURES}
    for figure in FIGURES:
        numbers[figure.unit.value].add(total.values[figure.name].number)
    assert numbers == {"count": {0}, "share": {None}, "seconds": {None}, "per day": {0}}


def test_a_time_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="end after it begins"):
        report([], END, END)


def test_what_is_not_there_of_a_chain_is_said(quarter: Ledger) -> None:
    kept = [r for r in quarter.records if r.metadata.name not in ("shop.00000001", "shop.00000004")]
    found = report(kept, BEGIN, END).missing
    assert [(m.namespace, m.first, m.last) for m in found] == [("shop", 1, 1), ("shop", 4, 4)]


def test_a_record_that_is_given_twice_counts_once(quarter: Ledger) -> None:
    once, twice = (report(r, BEGIN, END) for r in (quarter.records, quarter.records * 2))
    assert once.total.values == twice.total.values
    assert once.records == twice.records


@pytest.mark.parametrize(
    ("numbers", "percent", "expected"),
    [([1], 50, 1), ([1, 2], 50, 1), ([3, 1, 2], 50, 2), (range(1, 11), 90, 9), ([1, 2], 100, 2)],
)
def test_a_percentile_is_one_of_the_numbers(
    numbers: Iterable[int], percent: int, expected: int
) -> None:
    assert percentile(list(numbers), percent) == expected


VERDICTS = [
    "Approved",
    "ConditionallyApproved",
    "AutoApproved",
    "Rejected",
    "Revoked",
    "Superseded",
    "Reopened",
]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["shop/a", "shop/b", "bank/a", "bank/c"]),
        st.sampled_from(VERDICTS),
        st.integers(-20, 110),
        st.sampled_from(["rita", "paul", SYSTEM]),
    ),
    max_size=30,
)


LETTERS = {**dict.fromkeys(VERDICTS[:3], "A"), "Superseded": "S", "Reopened": "R"}


@given(STEPS)
def test_any_ledger_counts_as_an_oracle_does(steps: list[tuple[str, str, int, str]]) -> None:
    ledger = Ledger()
    for about, verdict, days, author in sorted(steps, key=lambda step: step[2]):
        ledger.add(about, verdict, days, author, opened=days - 1)
    found = report(ledger.records, BEGIN, END, By.NAMESPACE)
    in_order = sorted(steps, key=lambda step: step[2])
    taken_back: set[int] = set()
    for about in {step[0] for step in steps}:
        places = [n for n, step in enumerate(in_order) if step[0] == about]
        letters = "".join(LETTERS.get(in_order[n][1], "-") for n in places)
        taken_back |= {places[m.start()] for m in re.finditer(r"A(?=[^AS]*R)", letters)}
    counted = [step for n, step in enumerate(in_order) if n not in taken_back]
    inside = [step for step in counted if 0 <= step[2] < 92]
    numbers = Counter(verdict for _, verdict, _, _ in inside)
    approvals = sum(numbers[verdict] for verdict in VERDICTS[:3])
    values = {name: value.number for name, value in found.total.values.items()}
    own = sum(0 <= in_order[n][2] < 92 for n in taken_back)
    assert values["approvals"] == approvals
    assert values["ownApprovals"] == own
    assert values["decisions"] == approvals + numbers["Rejected"]
    assert values["revocations"] == numbers["Revoked"]
    people = {a for _, v, _, a in inside if v in VERDICTS[:3] and a != SYSTEM}
    assert values["approvers"] == len(people)
    names = {record.metadata.name for record in ledger.records}
    for value in found.total.values.values():
        assert set(value.records) <= names
    for name in ("decisions", "approvals", "rejections", "revocations"):
        parts = [int(group.values[name].number or 0) for group in found.groups]
        assert sum(parts) == values[name]
