# SPDX-License-Identifier: Apache-2.0
"""Which test is of which template of the chart."""

import ast
from pathlib import Path

TESTS = Path(__file__).parents[1] / "chart"


def of(*templates):
    """Marks the test of a template; `marks` finds it by reading."""
    assert templates
    return lambda test: test


def marks():
    """Template and test, of each mark in the tests of the chart."""
    for path in TESTS.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            for mark in getattr(node, "decorator_list", ()):
                if isinstance(mark, ast.Call) and getattr(mark.func, "id", "") == "of":
                    for argument in mark.args:
                        yield argument.value, node.name
