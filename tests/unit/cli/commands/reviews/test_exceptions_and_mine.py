# SPDX-License-Identifier: Apache-2.0
"""`kubectl cab wait` for an exception, and how far back `mine` looks."""

import json
from datetime import timedelta
from typing import Any

import pytest

from cabgate_samples.models import by_person, exception, request
from unit.cli.fake_kubectl import FakeKubectl, installed
from unit.cli.support import run

ASKED = request("ExceptionRequired", name="web-1")
NOW_WAIT = ["--for=decided", "--timeout", "0s"]


@pytest.fixture
def kubectl(monkeypatch: pytest.MonkeyPatch) -> FakeKubectl:
    return installed(monkeypatch, FakeKubectl([ASKED]))


@pytest.mark.parametrize(
    ("decisions", "days", "code", "said"),
    [
        ([], 30, 3, "waits still, after 0 s: Pending"),
        ([by_person("Approved")], 30, 0, "approved: Approved by rita: because"),
        ([by_person("Rejected")], 30, 1, "refused: Rejected by rita: because"),
        ([by_person("Approved"), by_person("Revoked")], 30, 1, "refused: Revoked by rita: because"),
        ([by_person("Approved")], 1, 1, "refused: Expired"),
    ],
)
def test_an_exception_is_waited_for(
    kubectl: FakeKubectl, decisions: list[dict[str, Any]], days: int, code: int, said: str
) -> None:
    leave = exception(ASKED, *decisions, days=days, age=timedelta(days=2))
    kubectl.objects = [ASKED, leave]
    result = run("wait", "cabex/leave", *NOW_WAIT, code=code)
    assert result.stdout.startswith("CABException leave in namespace shop: ")
    assert said in result.stdout
    found = json.loads(run("wait", "cabex/leave", *NOW_WAIT, "-o", "json", code=code).stdout)
    assert found["exception"] == "leave"


def test_a_request_that_an_active_exception_admits_is_decided(kubectl: FakeKubectl) -> None:
    kubectl.objects = [ASKED, exception(ASKED, by_person("Approved"))]
    result = run("wait", "cabreq/web-1", *NOW_WAIT)
    assert "approved: ExceptionRequired, with an active exception" in result.stdout


def test_an_intent_is_no_exception(kubectl: FakeKubectl) -> None:
    assert "NAME: " in run("wait", "cabex/leave", code=2).stderr
    assert kubectl.calls == []


@pytest.mark.parametrize("since", ["999999d", "999999d" * 2000])
def test_mine_looks_back_as_far_as_there_is_time(kubectl: FakeKubectl, since: str) -> None:
    kubectl.objects = [request("ManualReview", by_person("Approved"), name="web-1")]
    assert "web-1" in run("mine", "--since", since).stdout


@pytest.mark.parametrize(
    ("flags", "where"), [([], " in namespace shop; -A looks everywhere"), (["-A"], "")]
)
def test_where_one_decided_nothing_is_said(
    kubectl: FakeKubectl, flags: list[str], where: str
) -> None:
    assert run("mine", *flags).stdout == f"rita decided nothing in that time{where}\n"


def test_ones_own_name_is_shown_inert(kubectl: FakeKubectl) -> None:
    kubectl.username = "rita\x1b[31m"
    assert run("mine", "-A").stdout == "rita\\u001b[31m decided nothing in that time\n"


def test_diff_of_an_exception_is_that_of_its_request(kubectl: FakeKubectl) -> None:
    kubectl.objects = [ASKED, exception(ASKED)]
    text = run("diff", "cabex/leave", code=1).stdout
    assert text == run("diff", "web-1", code=1).stdout
    assert "changes against" in text


def test_waiting_for_a_decision_takes_the_options_of_kubectl(kubectl: FakeKubectl) -> None:
    run("wait", "web-1", *NOW_WAIT, "--as", "rita", "--user", "admin", code=3)
    assert kubectl.options == {("--user=admin", "--as=rita")}


@pytest.mark.parametrize("option", ["--as", "--as-group", "--as-uid", "--user", "--cluster"])
def test_waiting_for_an_intent_acts_as_nobody_else(option: str) -> None:
    result = run("wait", "checkout", option, "rita", code=2)
    assert f"{option}: only with --for=decided" in result.stderr
