# SPDX-License-Identifier: Apache-2.0
"""What all commands share: options of one name mean one thing, and the short help is a line."""

import json
from collections.abc import Iterator

import click
import pytest
import yaml

from cabgate_cli.main import main
from unit.cli.support import EXAMPLES, run

GROUPS = [(), ("ledger",), ("evidence",), ("audit",), ("policy",), ("freeze",), ("outcome",)]
INTENT = EXAMPLES / "auto-approve" / "intent.yaml"

SILENT = {
    ("ledger", "export"),
    ("ledger", "prune"),
    ("audit", "export"),
    ("audit", "map"),
    ("completion",),
    ("ui",),
}
"""Commands that write a file, or what a shell reads, or serve, and not what a program would."""


def commands(group: click.Group = main, *path: str) -> Iterator[tuple[str, ...]]:
    """The words of every command, of a group its commands'."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield (*path, name)


ALL = list(commands())


def options(*words: str) -> dict[str, click.Option]:
    """The options of a command by their long name."""
    found: click.Command = main
    for word in words:
        assert isinstance(found, click.Group)
        found = found.commands[word]
    return {each.opts[-1]: each for each in found.params if isinstance(each, click.Option)}


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_lists_each_command_with_a_whole_line(
    group: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = run(*group, "--help").stdout
    lines = text.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    here = {words[len(group)] for words in ALL if words[: len(group)] == group}
    assert {line.split()[0] for line in lines} == here
    for line in lines:
        assert line.endswith("."), line
        assert not line.endswith("..."), line
        assert len(line) <= 80, line


@pytest.mark.parametrize("command", [words for words in ALL if words not in SILENT])
def test_every_command_prints_text_unless_told_otherwise(command: tuple[str, ...]) -> None:
    found = options(*command)["--output"]
    assert found.opts == ["-o", "--output"]
    assert found.default == "text"
    assert isinstance(found.type, click.Choice)
    more = {("report",): ["csv", "html"], ("calibrate",): ["csv", "html", "svg"]}.get(command, [])
    assert list(found.type.choices) == ["text", "json", "yaml", *more]


@pytest.mark.parametrize("name", ["--output", "--kubeconfig", "--context", "--namespace"])
def test_an_option_is_the_same_in_every_command(name: str) -> None:
    """But for `ledger list`, `audit denials` and `freeze list`, whose namespace is a filter and has
    no default, and `report` and `calibrate`, which print for spreadsheets and as a page as well."""
    filters = [("ledger", "list"), ("audit", "denials"), ("freeze", "list")]
    others = {"--namespace": filters, "--output": [("report",), ("calibrate",)]}
    found = [
        (option.opts, option.metavar, option.default, option.help)
        for words in ALL
        if words not in others.get(name, [])
        if (option := options(*words).get(name)) is not None
    ]
    assert len(found) > 4
    assert all(each == found[0] for each in found)


def test_every_command_that_asks_a_cluster_takes_a_kubeconfig_and_a_context() -> None:
    without = [words for words in ALL if not {"--kubeconfig", "--context"} <= set(options(*words))]
    of_files = [("evidence", name) for name in ("collect", "keygen", "sign", "verify")]
    assert without == [
        *of_files,
        ("score",),
        ("freeze", "plan"),
        ("audit", "denials"),
        ("audit", "map"),
        ("completion",),
    ]


@pytest.mark.parametrize("words", [["intent", "-n", "shop", "deployment/web", "--image", "web:1"],
                                   ["exception", "-n", "shop", "web-1", "--reason", "x"],
                                   ["score", "-f", str(INTENT)]])  # fmt: skip
def test_json_and_yaml_say_the_same_and_text_is_for_people(words: list[str]) -> None:
    as_json = json.loads(run(*words, "-o", "json").stdout)
    plain = run(*words, "-o", "yaml").stdout
    assert yaml.safe_load(plain) == as_json
    assert "#" not in plain.replace("#/", "")
    assert run(*words).stdout == run(*words, "-o", "text").stdout != plain
