# SPDX-License-Identifier: Apache-2.0
"""What holds the repository together."""

import ast
import operator
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

FOLDERS = (
    *("core", "kube", "operator", "webhook", "collect", "store", "relay", "portal", "cli"),
    *("devcluster", "demo", "bench", "samples"),
)
"""Each holds one package."""


@pytest.mark.parametrize("folder", FOLDERS)
def test_folders_above_packages_are_no_packages(folder):
    assert not (ROOT / folder / "__init__.py").exists()


def test_the_standard_library_is_not_shadowed_from_the_root():
    found = subprocess.run(
        [sys.executable, "-c", "import operator; print(operator.__file__)"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert found.stdout.strip() == operator.__file__


def test_nothing_beside_a_script_of_the_tests_hides_the_standard_library():
    """Its folder comes first on its path: `import http` would find `tests/support/http.py`."""
    beside = [path.stem for path in (ROOT / "tests").rglob("*.py")]
    assert not set(beside) & sys.stdlib_module_names


def test_kopf_decorators_stand_in_one_module():
    modules = (ROOT / "operator").rglob("*.py")
    decorated = [path.name for path in modules if "@kopf." in path.read_text()]
    assert decorated == ["main.py"]


PURE = {
    *("base64", "collections", "contextlib", "dataclasses", "datetime", "decimal"),
    *("difflib", "enum", "functools", "hashlib", "itertools", "json", "operator", "re"),
    *(
        "binascii",
        "csv",
        "fractions",
        "hmac",
        "io",
        "math",
        "shlex",
        "textwrap",
        "types",
        "typing",
        "unicodedata",
        "urllib.parse",
        "xml.etree.ElementTree",
    ),
    *("cabgate", "cryptography", "pydantic", "pydantic_core", "rfc8785"),
    *("ast", "inspect"),  # the docstrings of fields, of our own source, for schemas alone
}
"""What the domain may import: values and functions of them, no I/O, no clock, no client."""


def test_the_domain_imports_nothing_but_what_is_pure():
    found = set()
    models = ROOT / "core" / "cabgate" / "api" / "__init__.py"
    for path in (ROOT / "core").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if path == models and isinstance(node, ast.ImportFrom) and node.module == "importlib":
                continue  # each of its own modules when it is asked for, and no other
            if isinstance(node, ast.Import):
                found |= {each.name for each in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module or "")
    assert {each for each in found - PURE if each.partition(".")[0] not in PURE} == set()


def test_files_answer_one_question():
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in (*FOLDERS, "tools", "tests")
        for path in (ROOT / folder).rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 400
    }
    assert not long


def test_a_commit_is_checked_by_what_make_lint_checks():
    """But for the audit, which asks others."""
    makefile = (ROOT / "Makefile").read_text()
    lint = makefile.partition("\nlint:")[2].partition("\n\n")[0]
    commands = {line.strip().removeprefix("$(BIN)/") for line in lint.splitlines()[1:]}
    entries = (ROOT / ".pre-commit-config.yaml").read_text().replace(" --fix", "")
    hooks = set(re.findall(r"entry: \.venv/bin/(.*)", entries))
    asks_others = {each for each in commands if "audit.py" in each}
    assert {each.removesuffix(" --check") for each in commands - asks_others} == hooks
