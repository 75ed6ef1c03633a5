# SPDX-License-Identifier: Apache-2.0
"""`cabgate policy check`: what is wrong with its arguments is said before a cluster is asked."""

import pytest
import yaml

from cabgate_cli.commands.policies.policy_check import _Groups
from cabgate_cli.input.cluster import client
from cabgate_cli.input.cluster.policies import PolicyPlace
from support.policies import change_policy
from support.promotion import row
from unit.cli.support import run


@pytest.mark.parametrize(
    ("text", "groups", "people"),
    [
        ("cab", ("cab",), None),
        ("cab=2", ("cab",), 2),
        ("cab,seniors=1", ("cab", "seniors"), 1),
        ("oidc:cab", ("oidc:cab",), None),
        ("ou=cab", ("ou=cab",), None),
        ("ou=cab=3", ("ou=cab",), 3),
        ("cab=0", ("cab",), 0),
        ("=2", ("=2",), None),
    ],
)
def test_a_group_is_named_as_in_the_cluster_and_counted_if_it_says_so(text, groups, people):
    found = _Groups().convert(text, None, None)
    assert (found.groups, found.people) == (groups, people)


@pytest.mark.parametrize("text", ["", ",", "cab,", ",cab=2", " =2"])
def test_a_group_without_a_name_is_refused(text):
    assert "without a name" in run("policy", "check", "--as-group", text, code=2).output


def test_somebody_has_to_be_given():
    assert "--as-group" in run("policy", "check", "-n", "shop", code=2).output


@pytest.mark.parametrize(("namespaces", "warned"), [((), True), (("pilot",), False)])
def test_a_row_that_counts_every_namespace_is_told_of(monkeypatch, tmp_path, namespaces, warned):
    """Whoever may name the release anywhere has a say in it, and makes what is read longer."""
    rule = {"count": 1, "verb": "approve"}
    path = tmp_path / "policy.yaml"
    path.write_text(
        yaml.safe_dump(change_policy("board", rule, promotion=[row(namespaces=namespaces)]))
    )
    place = PolicyPlace(None, "shop", {}, 3)
    monkeypatch.setattr(client, "Cluster", lambda *_, **__: None)
    monkeypatch.setattr(PolicyPlace, "read", lambda *_: place)
    monkeypatch.setattr(PolicyPlace, "_may", lambda *_: True)
    said = run("policy", "check", "-n", "shop", "-f", path, "--as-group", "cab").stderr
    assert ("note: spec.promotion[0]: names no namespaces" in said) is warned
