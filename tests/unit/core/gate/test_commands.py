# SPDX-License-Identifier: Apache-2.0
"""Messages name the plugin's command where it is short, and kubectl's own last."""

import json
import shlex

import pytest

from cabgate.gate.commands import WITHOUT_PLUGIN, approve_exception, approve_request, attest
from cabgate.gate.composing import WARNING_WIDTH, warning_lines
from cabgate_samples.models import exception, request

REQUEST = request()
NAME, NAMESPACE = REQUEST.metadata.name, REQUEST.metadata.namespace
EXCEPTION = exception(REQUEST)


@pytest.mark.parametrize(
    ("message", "plugin"),
    [
        (approve_request(REQUEST), f"approve {NAME} -n {NAMESPACE}"),
        (attest(REQUEST, "calm"), f"attest {NAME} -n {NAMESPACE} --condition calm"),
        (
            approve_exception(EXCEPTION, REQUEST),
            f"approve cabex/{EXCEPTION.metadata.name} -n {NAMESPACE}",
        ),
    ],
)
def test_the_plugin_s_command_comes_first_and_kubectl_s_own_last(message: str, plugin: str) -> None:
    short, _, plain = message.partition(WITHOUT_PLUGIN)
    assert short == f"kubectl cab {plugin}"
    assert shlex.split(plain)[:2] == ["kubectl", "patch"]


def test_a_long_name_takes_no_room_for_the_plugin() -> None:
    long = request(name="a" * 200)
    assert approve_request(long).startswith("kubectl patch cabrequest ")


@pytest.mark.parametrize("filler", range(WARNING_WIDTH - 60, WARNING_WIDTH + 10, 3))
def test_a_warning_breaks_neither_command(filler: int) -> None:
    text = f"{'x' * filler} approves with: {approve_request(REQUEST)}"
    lines = warning_lines(text)
    assert sum(f"kubectl cab approve {NAME} -n {NAMESPACE}," in line for line in lines) == 1
    assert lines[-1].startswith(f"kubectl patch cabrequest {NAME} -n {NAMESPACE} ")


def test_the_command_for_an_exception_is_about_that_one_alone() -> None:
    one = EXCEPTION.metadata.model_copy(update={"uid": "0b5e-1"})
    message = approve_exception(EXCEPTION.model_copy(update={"metadata": one}), REQUEST)
    patch = json.loads(shlex.split(message)[-1])
    assert patch["metadata"] == {"uid": "0b5e-1"}
    assert patch["status"]["review"]["verdict"] == "Approved"
