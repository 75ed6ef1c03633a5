# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C before there is a program, and how the two scripts begin it."""

import sys
from types import ModuleType

import pytest

from cabgate_cli import start
from cabgate_cli.exit_codes import ExitCode


class Interrupted(ModuleType):
    """A module that somebody interrupts while it is imported."""

    def __getattr__(self, name: str) -> object:
        raise KeyboardInterrupt


@pytest.mark.parametrize("script", [start.main, start.plugin])
def test_an_interrupt_while_the_program_is_imported_is_told_in_a_word(
    script: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "cabgate_cli.main", Interrupted("cabgate_cli.main"))
    with pytest.raises(SystemExit) as ended:
        script()  # type: ignore[operator]
    assert ended.value.code == ExitCode.INTERRUPTED
    assert capsys.readouterr().err == "interrupted\n"


def test_each_is_called_by_its_own_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["kubectl-cab", "queue", "--help"])
    with pytest.raises(SystemExit):
        start.plugin()
    assert capsys.readouterr().out.startswith("Usage: kubectl cab queue")
    with pytest.raises(SystemExit):
        start.main("cabgate")
    assert capsys.readouterr().out.startswith("Usage: cabgate queue")
