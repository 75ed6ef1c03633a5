# SPDX-License-Identifier: Apache-2.0
"""What portal and relay are to need is no part of what admits rollouts: neither webhook nor
operator loads it, nor would if it were installed."""

import ast
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
PACKAGES = {"cabgate_portal", "cabgate_relay"}
"""Of ours."""

COLLECT = "cabgate_collect"
"""Reads reports; the command line imports it, and only for that."""

ASKED_FOR = """
import importlib, json, sys

class Asked:
    names = set()

    def find_spec(self, name, path=None, target=None):
        self.names.add(name.partition(".")[0])

sys.meta_path.insert(0, Asked())
importlib.import_module(sys.argv[1])
print(json.dumps(sorted(Asked.names)))
"""


def modules_of(extra: str) -> set[str]:
    """The modules of an extra: each of these libraries has the name of its module."""
    return {name_of(requirement) for requirement in EXTRAS[extra]}


def name_of(requirement: str) -> str:
    return requirement.partition(">")[0].partition("[")[0]


def asked_for(module: str) -> set[str]:
    """What is asked for when a module is imported, whether it is installed or not."""
    argv = [sys.executable, "-c", ASKED_FOR, module]
    # Coverage in the process would look for each of our packages itself.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    found = subprocess.run(argv, check=True, capture_output=True, text=True, env=env)
    return set(json.loads(found.stdout))


def imported_in(folder: str) -> set[str]:
    """What the modules of a folder import, within functions too."""
    found: set[str] = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {each.name.partition(".")[0] for each in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found


OF_EXTRAS = PACKAGES | modules_of("portal") | modules_of("relay")


def test_there_is_an_extra_for_each_process_of_its_own() -> None:
    assert set(EXTRAS) == {"portal", "relay"}
    always = {name_of(each) for each in PROJECT["dependencies"]}
    assert not always & (modules_of("portal") | modules_of("relay"))


@pytest.mark.parametrize(
    ("module", "others"),
    [
        ("cabgate_webhook.main", {"kopf", "cabgate_store"}),
        ("cabgate_operator.main", {"fastapi", "cabgate_store"}),
        ("cabgate_cli.main", {"fastapi", "starlette", "uvicorn", "kopf", "cabgate_store"}),
    ],
)
def test_a_process_loads_nothing_that_is_of_another(module: str, others: set[str]) -> None:
    found = asked_for(module)
    assert "click" in found
    assert not found & (OF_EXTRAS | others | {COLLECT})


@pytest.mark.parametrize(
    ("folder", "others"),
    [
        *((folder, {COLLECT}) for folder in ("core", "kube", "operator", "webhook")),
        ("cli", set()),
        ("collect", set()),
    ],
)
def test_nor_does_it_import_it_later(folder: str, others: set[str]) -> None:
    assert not imported_in(folder) & (OF_EXTRAS | others)
