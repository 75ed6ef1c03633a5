# SPDX-License-Identifier: Apache-2.0
"""Which components a change touches."""

import pytest

from cabgate_collect.scope import ROOT, touched


@pytest.mark.parametrize(
    ("pattern", "file", "matches"),
    [
        ("services/checkout/**", "services/checkout/a.py", True),
        ("services/checkout/**", "services/checkout/b/c.py", True),
        ("services/checkout/**", "services/checkout2/a.py", False),
        ("services/checkout", "services/checkout/b/c.py", True),
        ("services/checkout/", "services/checkout/b/c.py", True),
        ("./services/*", "services/checkout/b/c.py", True),
        ("services/*/api.yaml", "services/checkout/api.yaml", True),
        ("services/*/api.yaml", "services/checkout/v1/api.yaml", False),
        ("**/api.yaml", "api.yaml", True),
        ("**/api.yaml", "a/b/api.yaml", True),
        ("**/api.yaml", "a/b/my-api.yaml", False),
        ("*.md", "README.md", True),
        ("*.md", "docs/README.md", False),
        ("a?.c", "ab.c", True),
        ("a?.c", "a/.c", False),
        ("a.c", "abc", False),
        ("(a|b)", "a", False),
        ("**", "any/thing\nat all", True),
    ],
)
def test_a_pattern_matches_paths(pattern: str, file: str, matches: bool) -> None:
    found = touched([file], {"c": [pattern]})
    assert found.components == (("c",) if matches else ())


def test_a_file_counts_for_each_component_that_has_it_and_each_once() -> None:
    components = {"a": ["a/**"], "all": ["a/**", "b/**"], "none": ["z"]}
    found = touched(["a/1", "a/2", "b/1"], components)
    assert found.components == ("a", "all")
    assert found.number == 2


def test_files_of_no_component_count_as_one_for_each_top_folder() -> None:
    found = touched(["x/1", "x/y/2", "w/1", "Makefile", "README.md", "a/1"], {"a": ["a"]})
    assert found.folders == (ROOT, "w", "x")
    assert found.number == 4


def test_no_change_touches_nothing() -> None:
    assert touched([], {"a": ["**"]}).number == 0
