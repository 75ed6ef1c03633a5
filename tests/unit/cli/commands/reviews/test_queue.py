# SPDX-License-Identifier: Apache-2.0
"""`kubectl cab queue` and `mine`: what is printed of what kubectl returns."""

import json

import pytest

from cabgate.api import CABRequest
from cabgate_cli.commands.reviews import queue as command
from cabgate_samples.models import NOW, by_person, exception, request
from unit.cli.fake_kubectl import FakeKubectl, installed
from unit.cli.support import run
from unit.core.views.builders import but

ANN = [{"username": "ann"}]


def made(name: str, namespace: str = "shop", **spec: object) -> CABRequest:
    return but(request(name=name, namespace=namespace), submittedBy=ANN, **spec)


@pytest.fixture
def kubectl(monkeypatch: pytest.MonkeyPatch) -> FakeKubectl:
    return installed(monkeypatch, FakeKubectl())


def test_the_queue_of_the_contexts_namespace(kubectl: FakeKubectl) -> None:
    kubectl.objects = [made("near"), made("far", namespace="bank")]
    lines = run("queue").stdout.splitlines()
    assert lines[0].split()[:6] == ["NAME", "AGE", "SCORE", "TIER", "RING", "TARGETS"]
    assert len(lines) == 2
    assert lines[1].split()[0] == "near"
    assert lines[1].endswith("CAB member")


@pytest.mark.parametrize("flags", [["-n", "bank"], ["-A"]])
def test_another_namespace_or_all(kubectl: FakeKubectl, flags: list[str]) -> None:
    kubectl.objects = [made("near"), made("far", namespace="bank")]
    text = run("queue", *flags).stdout
    assert "far" in text
    assert ("near" in text) == (flags == ["-A"])
    assert text.startswith("NAMESPACE") == (flags == ["-A"])
    assert not any(call[0] == "config" for call in kubectl.calls)


def test_what_is_ones_own_is_marked_and_selected(kubectl: FakeKubectl) -> None:
    kubectl.objects = [made("mine"), request(name="other")]
    kubectl.username = "ann"
    assert "yours: you submitted" in run("queue").stdout
    text = run("queue", "--mine").stdout
    assert "mine" in text
    assert "other" not in text


def labelled(each: CABRequest, **labels: str) -> CABRequest:
    meta = each.metadata.model_copy(update={"labels": labels})
    return each.model_copy(update={"metadata": meta})


def test_a_team_selects_its_own_and_the_exceptions_for_these(kubectl: FakeKubectl) -> None:
    ours = labelled(request("ExceptionRequired", name="ours"), team="shop")
    others = request("ExceptionRequired", name="others")
    kubectl.objects = [
        *(labelled(made("near"), team="shop"), labelled(made("far"), team="bank")),
        *(ours, exception(ours, name="our-leave")),
        *(others, exception(others, name="other-leave")),
    ]
    text = run("queue", "-l", "team=shop").stdout
    assert {line.split()[0] for line in text.splitlines()[1:]} == {"near", "cabex/our-leave"}


def test_what_belongs_to_one_record_elsewhere(kubectl: FakeKubectl) -> None:
    kubectl.objects = [made("near", correlationID="CHG-1"), made("far", correlationID="CHG-2")]
    text = run("queue", "--correlation-id", "CHG-1").stdout
    assert [line.split()[0] for line in text.splitlines()[1:]] == ["near"]


@pytest.mark.parametrize("value", ["", "CHG-1,status.state=Approved", "a=b", "x" * 129])
def test_no_correlation_id_selects_by_anything_else(kubectl: FakeKubectl, value: str) -> None:
    assert "--correlation-id" in run("queue", "--correlation-id", value, code=2).stderr
    assert kubectl.calls == []


def test_exceptions_stand_in_it_as_they_are_named_elsewhere(kubectl: FakeKubectl) -> None:
    asked = request("ExceptionRequired")
    kubectl.objects = [asked, exception(asked, name="leave")]
    assert "cabex/leave" in run("queue").stdout


def test_one_that_cannot_be_read_hides_no_other(kubectl: FakeKubectl) -> None:
    broken = made("broken")
    broken = broken.model_copy(update={"spec": broken.spec.model_copy(update={"ring": 9})})
    kubectl.objects = [broken, made("whole")]
    result = run("queue")
    assert "whole" in result.stdout
    assert "note: CABRequest broken cannot be read" in result.stderr


def test_programs_get_json(kubectl: FakeKubectl) -> None:
    kubectl.objects = [made("web-1", summary="New \x1b[31mprices")]
    [row] = json.loads(run("queue", "-o", "json").stdout)
    assert (row["name"], row["tier"], row["submitters"]) == ("web-1", "ManualReview", "ann")
    assert row["summary"] == "New \\u001b[31mprices"
    assert isinstance(row["age"], int)


def test_nothing_waits(kubectl: FakeKubectl) -> None:
    assert run("queue", "-A").stdout == "nothing waits\n"
    assert json.loads(run("queue", "-o", "json").stdout) == []


def test_without_a_name_of_ones_own_nothing_is_marked_and_it_is_said(kubectl: FakeKubectl) -> None:
    kubectl.username = None
    kubectl.objects = [made("web-1")]
    result = run("queue")
    assert "web-1" in result.stdout
    assert "does not say who you are" in result.stderr


def test_what_may_not_be_read_is_no_empty_queue(kubectl: FakeKubectl) -> None:
    kubectl.forbidden = ("cabrequests",)
    result = run("queue", code=4)
    assert "you may not read cabrequests in namespace shop" in result.stderr


def test_a_namespace_cannot_lead_elsewhere(kubectl: FakeKubectl) -> None:
    result = run("queue", "-n", "../../../api/v1/secrets", code=2)
    assert "--namespace" in result.stderr
    assert kubectl.calls == []


def test_watch_prints_it_again_once_it_has_changed(
    kubectl: FakeKubectl, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubectl.objects = [made("first")]
    answers = iter([[made("first")], [made("first"), made("second")]])

    def sleep(seconds: float) -> None:
        try:
            kubectl.objects = list(next(answers))
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr(command.time, "sleep", sleep)
    text = run("queue", "--watch", code=130).stdout
    assert text.count("NAME") == 2
    assert text.count("second") == 1


def test_the_options_of_kubectl_are_handed_along(kubectl: FakeKubectl) -> None:
    run("queue", "--context", "prod", "--kubeconfig", "/k", "--as", "rita", "--as-group", "cab",
        "--as-group", "eu", "--user", "u", "--cluster", "c", "--as-uid", "7")  # fmt: skip
    [options] = kubectl.options
    assert sorted(options) == sorted(
        ["--context=prod", "--kubeconfig=/k", "--as=rita", "--as-group=cab", "--as-group=eu",
         "--user=u", "--cluster=c", "--as-uid=7"]
    )  # fmt: skip


def test_mine_lists_ones_own_decisions_the_latest_first(kubectl: FakeKubectl) -> None:
    asked = request("ExceptionRequired", name="asked")
    kubectl.objects = [
        request("ManualReview", by_person("UnderReview"), name="taken"),
        request("ManualReview", name="open"),
        asked,
        exception(asked, by_person("Approved", NOW.replace(hour=11, minute=59))),
        request("ManualReview", by_person("Approved", NOW.replace(day=1, month=1)), name="old"),
    ]
    lines = run("mine").stdout.splitlines()
    assert [line.split()[2] for line in lines[1:]] == ["cabex/leave", "taken"]
    assert "old" in run("mine", "--since", "90d").stdout
    kubectl.username = "somebody"
    assert run("mine", "-A").stdout == "somebody decided nothing in that time\n"
