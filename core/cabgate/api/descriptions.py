# SPDX-License-Identifier: Apache-2.0
"""What the docstrings below the fields of a model say, for schemas alone.

Pydantic can read them too, and does it for each class when it is made: a quarter of what it takes
to import the models, for what only the definitions and the pages of the docs need.
"""

import ast
import functools
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from itertools import pairwise


@functools.cache  # Python parses a whole module to find the source of a class
def field_descriptions(model: type) -> Mapping[str, str]:
    """The description of each field of a model or a dataclass that has one, those of its bases with
    them."""
    found: dict[str, str] = {}
    for part in reversed(model.__mro__):
        # In a class of Python alone there are no fields, and it may have no source.
        if {"__pydantic_fields__", "__dataclass_fields__"} & vars(part).keys():
            found |= dict(_described(part))
    return found


def _described(model: type) -> Iterator[tuple[str, str]]:
    try:
        [definition] = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    except (OSError, TypeError):  # where Python was installed without sources
        return
    if not isinstance(definition, ast.ClassDef):
        return
    for statement, following in pairwise(definition.body):
        match statement, following:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, inspect.cleandoc(text)
