# SPDX-License-Identifier: Apache-2.0
"""What a namespace chooses by its labels: where that changes, its intents are looked at anew."""

import pytest

from cabgate_kube.resources import NAMESPACES
from cabgate_operator.controllers.namespaces import Namespaces
from cabgate_operator.work.controller import WatchEvent
from cabgate_operator.work.keys import Key, Subject
from cabgate_samples.models import NOW


def event(**labels: str) -> WatchEvent:
    body = {"metadata": {"name": "shop", "labels": labels}}
    return WatchEvent(NAMESPACES, body, NOW)


@pytest.mark.parametrize("label", ["ring", "risk-model", "require-template", "change-policy"])
def test_a_label_that_chooses_something_else_has_the_intents_looked_at(label: str) -> None:
    controller, named = Namespaces(), f"cabgate.dev/{label}"
    assert list(controller.saw(event(**{named: "3"}))) == []
    assert list(controller.saw(event(**{named: "3", "team": "a"}))) == []
    assert list(controller.saw(event(**{named: "4"}))) == [Key(Subject.NAMESPACE, "shop", "")]
    assert list(controller.saw(event())) == [Key(Subject.NAMESPACE, "shop", "")]
