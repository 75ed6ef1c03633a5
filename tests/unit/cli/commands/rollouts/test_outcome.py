# SPDX-License-Identifier: Apache-2.0
"""`cabgate outcome`: what became of rollouts, and an incident of one."""

import json

import pytest

from unit.cli.fake_kubectl import FakeKubectl, installed
from unit.cli.support import run
from unit.core.outcomes.outcomes import outcome_of

REPORT = ["outcome", "report", "web-1", "--severity", "2", "--id", "INC-1", "--source", "pager"]


@pytest.fixture
def kubectl(monkeypatch: pytest.MonkeyPatch) -> FakeKubectl:
    found = [outcome_of(name="web-1", release="shop", pods=(3, 1)), outcome_of(name="web-2")]
    return installed(monkeypatch, FakeKubectl(list(found)))


def test_outcomes_are_listed_with_how_long_they_ran_and_how_well(kubectl: FakeKubectl) -> None:
    lines = run("outcome", "list").stdout.splitlines()
    assert lines[0].split()[:6] == ["NAMESPACE", "NAME", "WORKLOAD", "RELEASE", "RING", "SOAK"]
    first = next(line for line in lines if "web-1" in line)
    assert "deployment/web" in first
    assert "3 seen, 1 failed" in first
    assert "66.66 %" in first
    assert "0.00 %" not in next(line for line in lines if "web-2" in line), "nothing was seen"


def test_those_of_one_release_are_selected(kubectl: FakeKubectl) -> None:
    rows = json.loads(run("outcome", "list", "--release", "shop", "-o", "json").stdout)
    assert [row["name"] for row in rows] == ["web-1"]
    assert "there is no outcome" in run("outcome", "list", "--release", "other").stdout


def test_a_report_is_a_patch_of_its_slot(kubectl: FakeKubectl) -> None:
    said = run(*REPORT).stdout
    assert said == "web-1 in namespace shop, of deployment/web: incident INC-1\n"
    (call,) = [each for each in kubectl.calls if each[0] == "patch"]
    assert call[1:3] == ("rolloutoutcome", "web-1")
    assert json.loads(call[-1]) == {
        "status": {"report": {"id": "INC-1", "severity": 2, "source": "pager"}}
    }
    assert json.loads(run(*REPORT, "-o", "json").stdout)["severity"] == 2


def test_a_report_that_is_refused_is_an_answer_and_one_that_fails_is_none(
    kubectl: FakeKubectl,
) -> None:
    kubectl.denial = "admission webhook denied the request: NotAuthorized: ..."
    assert "nothing was recorded" in run(*REPORT, code=1).stderr
    kubectl.denial = "Unable to connect to the server"
    assert "nothing was recorded" in run(*REPORT, code=4).stderr


def test_what_is_wrong_in_a_report_is_said_before_anything_is_sent(kubectl: FakeKubectl) -> None:
    words = [*REPORT[:-1], " "]
    assert "--source: must not be blank" in run(*words, code=2).stderr
    assert not [each for each in kubectl.calls if each[0] == "patch"]


def test_there_has_to_be_an_outcome(kubectl: FakeKubectl) -> None:
    words = [each if each != "web-1" else "web-9" for each in REPORT]
    assert "not found" in run(*words, code=4).stderr
