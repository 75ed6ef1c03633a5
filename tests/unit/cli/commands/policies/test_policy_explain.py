# SPDX-License-Identifier: Apache-2.0
"""`cabgate policy explain` of a file: what a request would need, without a cluster."""

import json

import pytest
import yaml

from support.policies import change_policy
from unit.cli.support import run

RULES = [
    {"when": {"scoreFrom": "50.01"}, "count": 1, "verb": "approve"},
    {"when": {"scoreFrom": "65.00"}, "count": 2, "verb": "approve"},
    {"when": {"ringFrom": 4}, "count": 1, "verb": "approve-senior"},
]


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(yaml.safe_dump(change_policy("board", *RULES)))
    return path


def explained(path, score, ring):
    words = ("policy", "explain", "-f", path, "--score", score, "--ring", ring)
    return json.loads(run(*words, "-o", "json").stdout)


@pytest.mark.parametrize(
    ("score", "ring", "approvals"),
    [
        ("20", 3, []),
        ("20", 4, [(1, "approve-senior")]),
        ("64.99", 3, [(1, "approve")]),
        ("65", 3, [(2, "approve")]),
        ("65.00", 4, [(2, "approve"), (1, "approve-senior")]),
        ("75.01", 4, []),
    ],
)
def test_each_score_and_ring_needs_what_the_rules_say(policy, score, ring, approvals):
    found = explained(policy, score, ring)["approvals"]
    assert [(each["count"], each["verb"]) for each in found] == approvals


def test_people_read_the_rules_and_what_they_come_to(policy):
    text = run("policy", "explain", "-f", policy, "--score", "70", "--ring", "4").stdout
    assert "Policy     board 1\n" in text
    assert "Rule       2 people with the verb approve from a score of 65.00\n" in text
    needs = "2 people with the verb approve and 1 person with the verb approve-senior"
    assert f"Needs      {needs}, none of whom submitted it\n" in text


def test_what_is_wrong_is_said_with_its_place(policy, tmp_path):
    words = ("policy", "explain", "-f", policy, "--score")
    assert "--ring: without a namespace" in run(*words, "70", code=2).output
    for score in ("101", "-1", "65.001", "x", "٦٥"):
        assert "not a score" in run(*words, score, "--ring", "4", code=2).output
    path = tmp_path / "other.yaml"
    other = change_policy("board", {"count": 2, "verb": "approve", "who": "ann"})
    path.write_text(yaml.safe_dump(other))
    found = run("policy", "explain", "-f", path, "--score", "1", "--ring", "1", code=2).output
    assert "spec.approvals[0].who" in found
    path.write_text("kind: Namespace\n")
    found = run("policy", "explain", "-f", path, "--score", "1", "--ring", "1", code=2).output
    assert "holds 0 ChangePolicies; allowed: one" in found
