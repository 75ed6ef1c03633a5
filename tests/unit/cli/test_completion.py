# SPDX-License-Identifier: Apache-2.0
"""Completion: by kubectl for `kubectl cab`, by bash and zsh for `cabgate`."""

import tomllib
from pathlib import Path

import pytest

from cabgate_cli import completion
from unit.cli.support import run

ROOT = Path(__file__).resolve().parents[3]


def words(*typed: str) -> list[str]:
    return list(completion.completions(typed))


def test_commands_come_with_what_they_do_and_no_files() -> None:
    line, directive = words("app")
    name, _, help_text = line.partition("\t")
    assert name == "approve"
    assert help_text.startswith("Approve requests")
    assert directive == ":4"


def test_options_and_their_values() -> None:
    assert {line.partition("\t")[0] for line in words("queue", "--m")} == {"--mine", ":4"}
    assert words("wait", "--for", "") == ["admitted", "decided", ":4"]


def test_where_nothing_is_known_the_shell_offers_files() -> None:
    assert words("score", "-f", "") == [":0"]


@pytest.mark.parametrize("typed", [["nothing", "like", "this"], []])
def test_it_is_never_an_error(
    typed: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["kubectl_complete-cab", *typed])
    completion.main()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_script_for_each_shell(shell: str) -> None:
    text = run("completion", shell).stdout
    assert f"_CABGATE_COMPLETE={shell}_complete" in text
    assert "%(" not in text


def test_kubectl_finds_both_programs_by_their_names() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts["kubectl-cab"] == "cabgate_cli.start:plugin"
    assert scripts["kubectl_complete-cab"] == "cabgate_cli.completion:main"
