# SPDX-License-Identifier: Apache-2.0
"""What comes in an odd moment, or in odd pieces, between kubectl and whoever decides."""

import json
import subprocess
from typing import Any, cast

import click
import pytest

from cabgate_cli.commands.reviews import deciding
from cabgate_cli.input.kubectl import process as module
from cabgate_samples.models import request
from unit.cli.fake_kubectl import FakeKubectl, installed
from unit.cli.support import run


@pytest.fixture
def kubectl(monkeypatch: pytest.MonkeyPatch) -> FakeKubectl:
    waiting = [request(name="web-1"), request(name="web-2")]
    return installed(monkeypatch, FakeKubectl([*waiting]))


def test_programs_get_what_was_recorded_before_an_interruption(
    kubectl: FakeKubectl, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([True])

    def confirm(*args: Any, **more: Any) -> bool:
        try:
            return next(answers)
        except StopIteration:
            raise click.Abort from None

    monkeypatch.setattr(deciding, "interactive", lambda: True)
    monkeypatch.setattr(click, "confirm", confirm)
    result = run("approve", "web-1", "web-2", "--because", "Read it", "-o", "json", code=130)
    assert [each["name"] for each in json.loads(result.stdout)] == ["CABRequest web-1"]
    assert len(kubectl.patches) == 1


@pytest.mark.parametrize("namespace", ["--all", "../../x", "Shop"])
def test_a_context_whose_namespace_can_be_none(kubectl: FakeKubectl, namespace: str) -> None:
    kubectl.namespace = namespace
    result = run("queue", code=2)
    assert f"namespace of the kubeconfig's context: {namespace!r} cannot be" in result.stderr
    assert [call[0] for call in kubectl.calls] == ["config"]


def test_a_letter_that_comes_in_two_pieces_stays_one(capsys: pytest.CaptureFixture[str]) -> None:
    text = "Warning: d\u00e9j\u00e0 vu"
    pieces = [text.encode()[:11], text.encode()[11:]]

    class Pieces:
        def read1(self, size: int) -> bytes:
            return pieces.pop(0) if pieces else b""

    class Process:
        stderr = Pieces()

    process = cast("subprocess.Popen[bytes]", Process())
    module._passed_on(process, [], quiet=False)
    assert capsys.readouterr().err == text
