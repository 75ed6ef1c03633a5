# SPDX-License-Identifier: Apache-2.0
"""Change policies as a cluster admin would write them."""

from cabgate.api import ChangePolicy
from cabgate_samples.models import by_person
from cabgate_samples.objects import API_VERSION


def change_policy(name, *rules, default=False, version="1", **more):
    """A policy with some rules, by default two people who approve, and more of its spec."""
    return {
        "apiVersion": API_VERSION,
        "kind": "ChangePolicy",
        "metadata": {
            "name": name,
            "labels": {"cabgate.dev/default-change-policy": "true"} if default else {},
        },
        "spec": {
            "version": version,
            "approvals": list(rules) or [{"count": 2, "verb": "approve"}],
            **more,
        },
    }


BOARD = ChangePolicy.model_validate(
    change_policy("board", {"count": 2, "verb": "approve"}, {"count": 1, "verb": "approve-senior"})
)

BRIEF = ChangePolicy.model_validate(
    change_policy("brief", {"count": 1, "verb": "approve", "validFor": "48h"})
)

EXCEPTING = ChangePolicy.model_validate(
    change_policy("board", exceptions={"count": 2, "maxDays": 30, "require": ["maxReplicas"]})
)

LIMITING = ChangePolicy.model_validate(
    change_policy(
        "board",
        exceptions={
            "count": 2,
            "maxDays": 7,
            "require": ["maxReplicas", "maxRing", "until", "windows"],
        },
    )
)

ESCALATING = ChangePolicy.model_validate(
    change_policy(
        "board",
        escalation=[
            {"after": "30m", "level": 1, "alsoDecides": "approve-duty"},
            {"after": "24h", "level": 2, "alsoDecides": "approve-oncall"},
        ],
    )
)


def vote(who, verdict="Approved", verbs=("approve", "approve-senior"), **more):
    """What somebody decided who holds some verbs; it has no number yet."""
    said = by_person(verdict, **more)
    return {**said, "author": {**said["author"], "username": who}, "verbs": list(verbs)}
