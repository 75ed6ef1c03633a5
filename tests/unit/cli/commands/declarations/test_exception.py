# SPDX-License-Identifier: Apache-2.0
"""`cabgate exception`, and what all commands share."""

import json
import re
import shlex
from typing import Any

import pytest
import yaml

from cabgate.api import CABException
from cabgate.gate.commands import write_exception, write_intent
from cabgate.rollout.targets import Workload
from cabgate_cli.main import main
from cabgate_samples.models import request
from unit.cli.support import run

FULL = ("checkout-1f2e3d4c", "--reason", "outage", "--control", "watched", "--control", "two eyes")


def printed(*args: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(run("exception", *args).stdout)
    return found


def test_an_exception_that_says_all_is_ready() -> None:
    result = run("exception", "-n", "shop", *FULL, "--days", "7")

    assert result.stderr == ""
    assert yaml.safe_load(result.stdout) == {
        "apiVersion": "cabgate.dev/v1alpha1",
        "kind": "CABException",
        "metadata": {"name": "checkout-1f2e3d4c", "namespace": "shop"},
        "spec": {
            "requestRef": {"name": "checkout-1f2e3d4c"},
            "reason": "outage",
            "compensatingControls": ["watched", "two eyes"],
            "durationDays": 7,
        },
    }
    assert "It ends 7 days after it is created" in result.stdout
    assert "It ends 1 day after it is created" in run("exception", *FULL, "--days", "1").stdout


def test_json_says_the_same() -> None:
    assert json.loads(run("exception", *FULL, "-o", "json").stdout) == printed(*FULL)


def test_without_a_namespace_kubectl_s_counts() -> None:
    assert "namespace" not in printed(*FULL)["metadata"]


def test_it_can_have_another_name() -> None:
    found = printed(*FULL, "--name", "night")
    assert found["metadata"]["name"] == "night"
    assert found["spec"]["requestRef"]["name"] == "checkout-1f2e3d4c"


@pytest.mark.parametrize(
    ("args", "reason", "control", "options"),
    [
        ((), True, True, "--reason and --control"),
        (("--reason", "x"), False, True, "--control"),
        (("--control", "x"), True, False, "--reason"),
    ],
)
def test_what_is_not_said_is_a_todo(
    args: tuple[str, ...], reason: bool, control: bool, options: str
) -> None:
    result = run("exception", "r", *args)
    spec = yaml.safe_load(result.stdout)["spec"]

    assert spec["reason"].startswith("TODO: ") is reason
    assert spec["compensatingControls"][0].startswith("TODO: ") is control
    assert spec["durationDays"] == 30
    expected = f"note: replace each TODO before you apply this, or give {options}\n"
    assert result.stderr == expected
    CABException.model_validate(yaml.safe_load(result.stdout))


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("A_b",), "REQUEST: 'A_b' cannot be a name"),
        (("a" * 254,), "REQUEST: has 254 characters; allowed: at most 253"),
        (("A_b", "--name", "x"), "REQUEST: 'A_b' cannot be a name"),
        (("r", "--name", "X"), "--name: 'X' cannot be a name"),
        (("r", "-n", "a.b"), "--namespace: 'a.b' cannot be a namespace"),
        (("r", "-n", ""), "--namespace: '' cannot be a namespace"),
        (("r", "--days", "0"), "--days: 0 is too low; allowed: 1 or more"),
        (("r", "--days", "91"), "--days: 91 is too high; allowed: 90 or less"),
        (("r", "--days", "x"), "'x' is not a valid integer"),
        (("r", "--reason", ""), "--reason: empty; allowed: at least 1 character"),
        (("r", "--reason", " "), "--reason: blank"),
        (("r", "--reason", "x" * 4097), "--reason: has 4097 characters; allowed: at most 4096"),
        (("r", "--control", " "), "--control: blank"),
        (("r", *(["--control", "x"] * 33)), "--control: has 33 entries; allowed: at most 32"),
        ((), "Missing argument 'REQUEST'"),
    ],
)
def test_wrong_arguments_are_told(args: tuple[str, ...], says: str) -> None:
    result = run("exception", *args, code=2)
    assert says in result.stderr
    assert result.stdout == ""


def test_text_that_looks_like_yaml_stays_text() -> None:
    reason = "a: b # c\n- d\n'\"\u2028x"
    assert printed("r", "--reason", reason, "--control", "7")["spec"]["reason"] == reason
    assert printed("r", "--reason", "x", "--control", "7")["spec"]["compensatingControls"] == ["7"]


# What all commands share


@pytest.mark.parametrize("command", [(), ("intent",), ("score",), ("exception",)])
def test_help_shows_examples(command: tuple[str, ...]) -> None:
    text = run(*command, "--help").stdout
    assert "Examples:" in text
    assert re.search(rf"^ +cabgate {' '.join(command)}", text, re.MULTILINE)
    assert run(*command, "-h").stdout == text


def test_every_option_has_a_help_text() -> None:
    for command in main.commands.values():
        for option in command.params:
            if option.param_type_name == "option":
                assert getattr(option, "help", None), f"{command.name} {option.name}"


def test_the_version_is_the_distribution_s() -> None:
    assert re.fullmatch(r"cabgate, version \d+\.\d+\.\d+\S*\n", run("--version").stdout)


def test_unknown_commands_and_options_are_wrong_input() -> None:
    assert "No such command" in run("frob", code=2).stderr
    assert "No such option" in run("score", "--frob", code=2).stderr


def test_the_commands_that_denials_name_exist() -> None:
    """A denial is the only help that many people see."""
    images = ["web:1", "registry.example.com/a'b $(ls):2"]
    command = write_intent("shop", Workload("apps", "Deployment", "checkout"), images)
    made = yaml.safe_load(run(*shlex.split(command)[1:]).stdout)
    assert made["metadata"] == {"name": "checkout", "namespace": "shop"}
    assert sorted(made["spec"]["targets"][0]["images"]) == sorted(images)

    risky = request("ExceptionRequired")
    made = yaml.safe_load(run(*write_exception(risky).split()[1:]).stdout)
    assert made["spec"]["requestRef"]["name"] == risky.metadata.name
    assert made["metadata"]["namespace"] == risky.metadata.namespace
