# SPDX-License-Identifier: Apache-2.0
"""Whom Enforce would hit, from events of the API server's audit log."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cabgate.reports.denials import Denial, UnreadableEventError, denial_of, summed
from cabgate.rollout.modes import Mode

_numbers = itertools.count(1)
AT = datetime(2026, 11, 28, 9, 30, tzinfo=UTC)


def event(webhook: str = "rollouts.cabgate.dev", **changes: Any) -> dict[str, Any]:
    noted = {"reason": "NoRequest", "denial": "NoRequest: none", "mode": "Audit"}
    noted["workload"] = "deployment/web"
    return {
        "kind": "Event",
        "auditID": f"id-{next(_numbers)}",
        "responseStatus": {"code": 201},
        "stage": "ResponseComplete",
        "requestURI": "/apis/apps/v1/namespaces/shop/deployments?fieldManager=kubectl",
        "verb": "create",
        "user": {"username": "tess"},
        "objectRef": {"resource": "deployments", "namespace": "shop", "name": "web"},
        "requestReceivedTimestamp": "2026-11-28T09:30:00.123456Z",
        "annotations": {f"{webhook}/{name}": text for name, text in noted.items() if text},
        **changes,
    }


def noted(**changes: str) -> dict[str, str]:
    of = "rollouts.cabgate.dev"
    texts = {"reason": "NoRequest", "denial": "NoRequest: none", **changes}
    return {f"{of}/{name}": text for name, text in texts.items()}


@pytest.mark.parametrize(
    "webhook",
    [
        "rollouts.cabgate.dev",
        "enforced-rollouts.cabgate.dev",
        "labelled-rollouts.cabgate.dev",
    ],
)
def test_whichever_webhook_was_asked(webhook: str) -> None:
    found = denial_of(event(webhook, auditID="a1"))
    at = AT + timedelta(microseconds=123456)
    message = "NoRequest: none"
    assert found == Denial(
        "a1", at, "shop", "deployment/web", "NoRequest", Mode.AUDIT, "tess", message
    )


@pytest.mark.parametrize(
    "other",
    [
        event(stage="ResponseStarted"),
        event(responseStatus={"code": 409}),
        event(requestURI="/apis/apps/v1/namespaces/shop/deployments?dryRun=All"),
        event(annotations={"rollouts.cabgate.dev/reason": "RequestApproved"}),
        event(annotations={"reviews.cabgate.dev/denial": "DigestMismatch: no"}),
        event(annotations=None),
        {},
    ],
    ids=[
        "not ended",
        "refused by others",
        "a dry run",
        "admitted",
        "a review",
        "no annotations",
        "empty",
    ],
)
def test_what_is_no_denial_of_a_rollout(other: dict[str, Any]) -> None:
    assert denial_of(other) is None


def test_one_without_a_mode_was_denied() -> None:
    found = denial_of(event(annotations=noted(workload="job/x")))
    assert found is not None
    assert (found.mode, found.workload) == (Mode.ENFORCE, "job/x")


def test_where_no_workload_is_known_the_object_is_named() -> None:
    found = denial_of(event(annotations=noted(workload="")))
    assert found is not None
    assert found.workload == "deployments/web"


def test_who_is_impersonated_is_who_rolls_out() -> None:
    found = denial_of(event(impersonatedUser={"username": "flux"}))
    assert found is not None
    assert found.user == "flux"


@pytest.mark.parametrize(
    "changes",
    [
        {"objectRef": None},
        {"objectRef": {"resource": "deployments"}},
        {"user": {}},
        {"requestReceivedTimestamp": "yesterday"},
        {"requestReceivedTimestamp": "2026-11-28T09:30:00"},
        {"requestURI": "//[x"},
        {"user": {"username": ["a"]}},
        {"objectRef": {"resource": "deployments", "namespace": {}}},
        {"annotations": noted(mode="Loose")},
        {"annotations": [*noted()]},
        {"annotations": {**noted(), "rollouts.cabgate.dev/reason": 5}},
    ],
)
def test_what_lacks_something_is_an_error(changes: dict[str, Any]) -> None:
    with pytest.raises(UnreadableEventError):
        denial_of(event(**changes))


denials = st.builds(
    Denial,
    event=st.integers().map(str),
    at=st.integers(0, 5).map(lambda hours: AT + timedelta(hours=hours)),
    namespace=st.sampled_from(["shop", "pay"]),
    workload=st.sampled_from(["deployment/a", "deployment/b"]),
    reason=st.sampled_from(["NoRequest", "ImageNotCovered"]),
    mode=st.sampled_from(Mode),
    user=st.sampled_from(["tess", "tom"]),
    message=st.just("no"),
)


@given(st.lists(denials, unique_by=lambda each: each.event))
def test_each_is_counted_once_and_the_order_of_the_log_is_nothing(some: list[Denial]) -> None:
    rows = summed(some)
    assert sum(row.times for row in rows) == len(some)
    assert summed(reversed(some)) == rows
    assert summed([*some, *some]) == rows, "files that overlap"
    for row in rows:
        about = (row.namespace, row.workload, row.reason, row.mode)
        of = [d for d in some if (d.namespace, d.workload, d.reason, d.mode) == about]
        assert (row.times, row.users) == (len(of), {each.user for each in of})
        assert (row.first, row.last) == (min(d.at for d in of), max(d.at for d in of))
    assert [row.times for row in rows] == sorted((row.times for row in rows), reverse=True)
