# SPDX-License-Identifier: Apache-2.0
"""How objects are printed: YAML and JSON, the same bytes every time."""

import json
import re
from typing import Any

import click
import yaml

from cabgate.text.characters import refused_characters

# kubectl's parser reads these as something else than the text that PyYAML means by them.
_AMBIGUOUS = re.compile(r"[yYnN]|[-+.]?[0-9].*")


class _Dumper(yaml.SafeDumper):
    """YAML without anchors, in the order given, with quotes where any parser needs them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = '"' if _AMBIGUOUS.fullmatch(value) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def as_yaml(value: Any) -> str:
    """A value as YAML, ending in a line feed; what nobody would see is escaped."""
    plain = next(refused_characters(value, ""), None) is None
    dumped: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=96, allow_unicode=plain)
    return dumped


def as_json(value: Any) -> str:
    """A value as JSON, ending in a line feed; what nobody would see is escaped."""
    plain = next(refused_characters(value, ""), None) is None
    return json.dumps(value, indent=2, ensure_ascii=not plain) + "\n"


def write(text: str) -> None:
    """Print a text that ends in a line feed."""
    click.echo(text, nl=False)


def write_machine(value: Any, output: str) -> None:
    """Write an object as `-o json` or `-o yaml` wants it."""
    write(as_json(value) if output == "json" else as_yaml(value))
