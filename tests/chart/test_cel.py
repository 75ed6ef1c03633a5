# SPDX-License-Identifier: Apache-2.0
"""What the API server evaluates stands in files/cel, one expression a file, each with its test."""

import ast
import functools
import itertools
import re

import pytest

from cabgate_devcluster.installed.chart import CHART

ROOT = CHART.parents[1]
CEL = CHART / "files" / "cel"
TEMPLATES = CHART / "templates"

FILES = sorted(str(path.relative_to(CEL).with_suffix("")) for path in CEL.rglob("*.cel"))
SHARED = {"gate", "glass", "records"}
"""Folders that several templates take expressions from. Any other is of one policy."""

INCLUDE = re.compile(r'include "cabgate\.cel" \(list \$ "([^"]+)"\)')
TEST = re.compile(r"^// Test: (tests/cluster/\w+/test_\w+\.py)::(test_\w+)$", re.MULTILINE)
KEY = re.compile(r"^([ -]*)(?:expression|messageExpression|valueExpression): *(.*)$")

INLINE = 110
"""Characters that an expression within a template may have, on one line."""


def text(name):
    return (CEL / f"{name}.cel").read_text()


def expression(name):
    """A file without its comments."""
    return "".join(
        line for line in text(name).splitlines(keepends=True) if not line.startswith("//")
    )


@functools.cache
def functions(path):
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("name", FILES)
def test_a_file_says_what_it_decides_and_which_test_shows_it(name):
    header = text(name).removesuffix(expression(name)).splitlines()
    assert header[0] == "// SPDX-License-Identifier: Apache-2.0"
    assert len(header) > 2, "what does it decide?"
    named = TEST.findall(text(name))
    assert named, "// Test: tests/cluster/FEATURE/FILE::NAME, the test that fails without it"
    for path, test in named:
        assert test in functions(path), f"{path} has no {test}"


def problem(cel):
    """What is wrong with the brackets and quotes of an expression; None where nothing is."""
    cel = re.sub(r"\{\{.*?\}\}", "x", cel)
    for line in cel.splitlines():
        if re.search(r"['\"]", _without_strings(line)):
            return "a string that goes over the end of a line"
    open_brackets = []
    for each in _without_strings(cel):
        if each in "([{":
            open_brackets.append(each)
        elif each in ")]}" and (not open_brackets or open_brackets.pop() + each not in PAIRS):
            return f"{each} closes nothing"
    return f"{open_brackets[-1]} is never closed" if open_brackets else None


PAIRS = {"()", "[]", "{}"}


def _without_strings(cel):
    return re.sub(r"'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"", "s", cel)


@pytest.mark.parametrize("name", FILES)
def test_brackets_and_quotes_are_closed(name):
    """The rest is for the API server, which refuses an expression that it cannot compile."""
    assert problem(expression(name)) is None
    assert "//" not in _without_strings(expression(name)), "comments stand above the expression"


@pytest.mark.parametrize(
    ("cel", "says"),
    [
        ("a.all(k, b[k] == ')')", None),
        ("a == 'it\\'s' && {{ include \"x\" (list $) }}", None),
        ("(a", "( is never closed"),
        ("[a)", ") closes nothing"),
        ("a == 'b", "a string that goes over the end of a line"),
        ("a == 'b\n    c'", "a string that goes over the end of a line"),
    ],
)
def test_what_is_not_closed_is_found(cel, says):
    assert problem(cel) == says


def users():
    """File of files/cel and who takes it, of each place that takes one."""
    for path in sorted(TEMPLATES.rglob("*")):
        if path.is_file():
            for name in INCLUDE.findall(path.read_text()):
                yield name, str(path.relative_to(TEMPLATES))
    for user in FILES:
        for name in INCLUDE.findall(text(user)):
            yield name, user


def test_each_file_is_used_and_each_that_is_used_is_there():
    assert sorted({name for name, _ in users()}) == FILES


def test_a_folder_is_of_one_policy():
    """`break-glass-keep` is of break-glass-keep.cabgate.dev, in policies/break-glass.yaml."""
    for name, user in users():
        folder = name.partition("/")[0]
        if folder not in SHARED and user.partition("/")[0] != folder:
            policy = user.removeprefix("policies/").removesuffix(".yaml")
            assert folder == policy or folder.startswith(f"{policy}-"), f"{user} takes {name}"


def written(lines):
    """The expressions that a template holds itself: line number, and its lines."""
    for number, line in enumerate(lines):
        match = KEY.match(line)
        if not match or INCLUDE.search(line):
            continue
        if match[2] != ">-":
            yield number + 1, [match[2]]
            continue
        yield number + 1, list(_deeper(lines[number + 1 :], " " * (len(match[1]) + 1)))


def _deeper(lines, indent):
    return itertools.takewhile(lambda each: each.startswith(indent), lines)


@pytest.mark.parametrize(
    "path", sorted(p for p in TEMPLATES.rglob("*") if p.is_file()), ids=lambda path: path.name
)
def test_a_template_holds_no_expression_of_more_than_a_line(path):
    for number, lines in written(path.read_text().splitlines()):
        short = [re.sub(r"\{\{.*?\}\}", "", line.strip()) for line in lines]
        assert len(short) == 1, f"{path.name}:{number} belongs into files/cel"
        assert len(short[0]) <= INLINE, f"{path.name}:{number} belongs into files/cel"
