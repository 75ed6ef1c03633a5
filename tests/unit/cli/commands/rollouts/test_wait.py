# SPDX-License-Identifier: Apache-2.0
"""`cabgate wait` ends as the intent does: 0 approved, 1 refused, 3 when the time is up."""

from collections.abc import Iterator
from typing import Any

import pytest

from cabgate.api import DeploymentIntent
from cabgate.lifecycle.state.waiting import outcome_of
from cabgate_cli.commands.rollouts.wait import waited
from cabgate_cli.errors import Unavailable
from cabgate_cli.input.cluster.client import NotFound
from cabgate_cli.input.cluster.gate_source import GateSource
from cabgate_samples.models import intent
from unit.cli.support import run


def having(generation: int = 1, observed: int = 1, **conditions: str) -> DeploymentIntent:
    """An intent of a generation, with conditions of the generation that was looked at."""
    common = {"lastTransitionTime": "2026-03-01T12:00:00Z", "reason": "Why", "message": "Because."}
    found = [{"type": name, "status": status, **common} for name, status in conditions.items()]
    return intent(generation=generation, status={"observedGeneration": observed,
                                                 "conditions": found})  # fmt: skip


APPROVED = having(Ready="True", Reconciling="False", Stalled="False")
REFUSED = having(Ready="False", Reconciling="False", Stalled="True")
OPEN = having(Ready="False", Reconciling="True", Stalled="False")
UNSEEN = intent()
OLD_APPROVAL = having(generation=2, observed=1, Ready="True", Stalled="False")
OLD_REFUSAL = having(generation=2, observed=1, Ready="False", Stalled="True")


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the cluster answers, one after another."""
    answers: list[Any] = []

    def read(self: GateSource, namespace: str, name: str) -> DeploymentIntent:
        assert (namespace, name) == ("shop", "checkout")
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr("cabgate_cli.input.cluster.client.connected", lambda *args: None)
    monkeypatch.setattr(GateSource, "intent", read)
    return answers


@pytest.mark.parametrize(
    ("found", "code", "said"),
    [
        (APPROVED, 0, "approved: Because."),
        (REFUSED, 1, "refused: Because."),
        (OPEN, 3, "waits still, after 0 s: Because."),
        (UNSEEN, 3, "the operator has not looked at its present content yet"),
        (OLD_APPROVAL, 3, "the operator has not looked at its present content yet"),
        (OLD_REFUSAL, 3, "the operator has not looked at its present content yet"),
    ],
)
def test_the_exit_code_says_how_it_ended(stored, found, code, said):
    stored.append(found)
    result = run("wait", "-n", "shop", "checkout", "--timeout", "0s", code=code)
    assert result.stdout.startswith("DeploymentIntent checkout in namespace shop: ")
    assert said in result.stdout


def test_what_cannot_be_read_is_no_answer(stored):
    stored.append(NotFound("DeploymentIntent shop/checkout not found."))
    result = run("wait", "-n", "shop", "checkout", code=4)
    assert "not found" in result.stderr


class Clock:
    """Time that passes while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def ended(*answers: Any, seconds: float = 60.0) -> DeploymentIntent:
    clock, left = Clock(), iter(answers)
    return waited(lambda: answered(left), outcome_of, seconds, clock, clock.sleep)


def answered(left: Iterator[Any]) -> DeploymentIntent:
    found = next(left)
    if isinstance(found, Exception):
        raise found
    assert isinstance(found, DeploymentIntent)
    return found


def test_it_looks_until_the_intent_is_decided():
    assert ended(UNSEEN, OPEN, OLD_APPROVAL, APPROVED) is APPROVED
    assert ended(OPEN, REFUSED, APPROVED) is REFUSED


def test_it_ends_when_the_time_is_up():
    assert ended(*[OPEN] * 100, seconds=10.0) is OPEN


def test_an_api_server_that_is_away_for_a_moment_ends_no_wait():
    assert ended(OPEN, Unavailable("HTTP 500."), Unavailable("HTTP 500."), APPROVED) is APPROVED


def test_an_intent_that_is_gone_ends_it():
    with pytest.raises(NotFound):
        ended(OPEN, NotFound("gone"), APPROVED)


@pytest.mark.parametrize("value", ["", "30", "m", "1.5h", "-1m", "30 m", "5w"])
def test_what_is_no_duration_is_told(value):
    result = run("wait", "-n", "shop", "checkout", f"--timeout={value}", code=2)
    assert "not a duration; allowed: such as 90s, 30m, 1h30m" in result.stderr
