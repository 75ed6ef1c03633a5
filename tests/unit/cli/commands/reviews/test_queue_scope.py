# SPDX-License-Identifier: Apache-2.0
"""`kubectl cab queue`: where nothing waits, what is one's own, and a watch that goes on."""

import json

import pytest
import yaml

from cabgate.api import CABRequest
from cabgate_cli.commands.reviews import queue as command
from cabgate_cli.input.kubectl.process import Kubectl, Ran
from cabgate_samples.models import request
from unit.cli.fake_kubectl import FakeKubectl, installed
from unit.cli.support import run
from unit.core.views.builders import but

ROBOT = "system:serviceaccount:shop:ci"


def made(name: str, **spec: object) -> CABRequest:
    return but(request(name=name), **spec)


@pytest.fixture
def kubectl(monkeypatch: pytest.MonkeyPatch) -> FakeKubectl:
    return installed(monkeypatch, FakeKubectl())


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "nothing waits in namespace shop; -A looks everywhere\n"),
        (["-n", "bank"], "nothing waits in namespace bank; -A looks everywhere\n"),
        (["-A"], "nothing waits\n"),
        (["-A", "--mine"], "nothing of yours waits\n"),
        (["--mine"], "nothing of yours waits in namespace shop; -A looks everywhere\n"),
    ],
)
def test_where_nothing_waits_is_said(kubectl: FakeKubectl, flags: list[str], said: str) -> None:
    assert run("queue", *flags).stdout == said


def test_what_a_machine_submitted_is_its_own(kubectl: FakeKubectl) -> None:
    kubectl.objects = [
        made("by-ci", submittedBy=[{"username": ROBOT, "type": "Machine"}], requester="bob"),
        made("by-ann", submittedBy=[{"username": "ann"}]),
    ]
    kubectl.username = ROBOT
    lines = run("queue", "--mine").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["by-ci"]
    assert lines[1].endswith("(not you: you are a machine)")


def test_whose_is_whose_cannot_be_told_without_a_name(kubectl: FakeKubectl) -> None:
    kubectl.username = None
    kubectl.objects = [made("web-1")]
    result = run("queue", "--mine", code=4)
    assert "does not say who you are" in result.stderr
    assert result.stdout == ""


@pytest.fixture
def watching(kubectl: FakeKubectl, monkeypatch: pytest.MonkeyPatch) -> FakeKubectl:
    """The first look finds one request, the second fails, the third finds two."""
    kubectl.objects = [made("first")]
    steps = iter(["away", "back"])
    answered = kubectl.run
    state = {"away": False}

    def sleep(seconds: float) -> None:
        step = next(steps, None)
        if step is None:
            raise KeyboardInterrupt
        state["away"] = step == "away"
        kubectl.objects = [made("first"), made("second")]

    def ran(each: Kubectl, *args: str, quiet: bool = False) -> Ran:
        if state["away"] and args[0] == "get":
            return Ran(1, "", "Unable to connect to the server: EOF\n")
        return answered(each, *args, quiet=quiet)

    monkeypatch.setattr(Kubectl, "run", ran)
    monkeypatch.setattr(command.time, "sleep", sleep)
    return kubectl


@pytest.mark.usefixtures("watching")
def test_an_api_server_that_is_away_for_a_moment_ends_no_watch() -> None:
    result = run("queue", "--watch", code=130)
    assert "It is tried again." in result.stderr
    assert result.stdout.count("second") == 1


@pytest.mark.usefixtures("watching")
@pytest.mark.parametrize("output", ["json", "yaml"])
def test_each_print_of_a_watch_is_a_document(output: str) -> None:
    text = run("queue", "--watch", "-o", output, code=130).stdout
    if output == "yaml":
        first, second = yaml.safe_load_all(text)
    else:
        first, end = json.JSONDecoder().raw_decode(text)
        second = json.loads(text[end:])
    assert [len(first), len(second)] == [1, 2]


def test_a_right_that_is_taken_away_ends_a_watch(
    kubectl: FakeKubectl, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubectl.objects = [made("first")]

    def sleep(seconds: float) -> None:
        kubectl.forbidden = ("cabrequests",)

    monkeypatch.setattr(command.time, "sleep", sleep)
    assert "you may not read" in run("queue", "--watch", code=4).stderr
