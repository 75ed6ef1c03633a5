# SPDX-License-Identifier: Apache-2.0
"""A denial for want of an intent offers one command that writes one for several workloads."""

import pytest

from cabgate.gate.composing import WARNING_WIDTH, warning_lines
from cabgate.rollout.rollout import Rollout
from cabgate.rollout.targets import Workload
from cabgate_samples.models import IMAGE, NOW
from unit.core.standings import decide

OF_FILE = "cabgate intent -n {} -f MANIFEST.yaml"


def denial(namespace: str, image: str = IMAGE) -> str:
    rollout = Rollout(namespace, Workload("apps", "Deployment", "checkout"), (image,))
    return decide(rollout, 2, [], [], NOW).message


def test_it_is_offered_after_what_is_missing_and_before_the_next_step():
    message = denial("shop")
    missing = message.index("Write an intent")
    offered = message.index(OF_FILE.format("shop"))
    doubt = message.index("If a DeploymentIntent names this one already")
    assert missing < offered < doubt < message.index("Begin with: cabgate intent -n shop deploy")


def test_where_it_is_the_next_step_it_is_offered_once():
    message = denial("shop", "registry.example.com/" + "x" * 400)
    assert message.count(OF_FILE.format("shop")) == 1
    assert message.endswith(f"for all workloads of a file: {OF_FILE.format('shop')}")


@pytest.mark.parametrize("length", range(1, 64))
def test_no_warning_breaks_it_in_two(length):
    namespace = "n" * length
    lines = warning_lines(denial(namespace))
    assert sum(OF_FILE.format(namespace) in line for line in lines) == 1
    assert all(len(line) <= WARNING_WIDTH for line in lines)
