# SPDX-License-Identifier: Apache-2.0
"""Write docs/reference/api.md: each kind and each field, as the CRDs have them."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cabgate import GROUP, VERSION
from cabgate.api.base import SUBDOMAIN
from cabgate.api.crds import definitions
from cabgate.text.characters import NAME_PATTERN, TEXT_PATTERN

Schema = Mapping[str, Any]

PAGE = """\
# API reference

Written by `make manifests` from the [CRDs](../../crds/), which are generated from the models in
[`core/cabgate/api`](../../core/cabgate/api/). All kinds are of `{group}/{version}`. What a word
means is in the [glossary](../glossary.md), who may write which kind in [roles](../roles.md).

A field is required where its parent is there. `[]` ends the name of a list: the rows below it are
of its items. What stands in quotes is a rule, in the words with which the API server refuses a
write that breaks it. It checks bounds and rules itself, with every process of cabgate stopped too.

{contents}

{kinds}
"""

KIND = """\
## {kind}

{description}

{facts}

| field | type | required | default | bounds | description |
|---|---|---|---|---|---|
{rows}"""

OBJECT_RULES = """

Rules of the whole object:

{rules}"""


def rendered() -> str:
    """The page."""
    found = sorted(definitions(), key=lambda each: str(each["spec"]["names"]["kind"]))
    kinds = [each["spec"]["names"]["kind"] for each in found]
    return PAGE.format(
        group=GROUP,
        version=VERSION,
        contents=" · ".join(f"[{kind}](#{kind.lower()})" for kind in kinds),
        kinds="\n\n".join(map(_kind, found)),
    )


def _kind(definition: Schema) -> str:
    spec = definition["spec"]
    names, [version] = spec["names"], spec["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    rows = [
        _row(*field)
        for part in schema["properties"]
        if part not in ("apiVersion", "kind", "metadata")
        for field in _fields(part, schema["properties"][part], part in schema.get("required", ()))
    ]
    text = KIND.format(
        kind=names["kind"],
        description=_escaped(schema.get("description", "")),
        facts=_facts(spec, version),
        rows="\n".join(rows),
    )
    rules = [f"- {rule}" for rule in _rules(schema)]
    return text + OBJECT_RULES.format(rules="\n".join(rules)) if rules else text


def _facts(spec: Schema, version: Schema) -> str:
    names = spec["names"]
    facts = [
        f"`{names['plural']}`",
        *(f"short name `{short}`" for short in names.get("shortNames", ())),
        "one for the whole cluster" if spec["scope"] == "Cluster" else "in a namespace",
    ]
    if selectable := version.get("selectableFields"):
        paths = ", ".join(f"`{each['jsonPath'].removeprefix('.')}`" for each in selectable)
        facts.append(f"`--field-selector` takes {paths}")
    return "; ".join(facts) + "."


def _fields(path: str, schema: Schema, required: bool) -> Iterator[tuple[str, Schema, bool]]:
    """A field and those below it, depth first, as they stand in the schema."""
    yield path, schema, required
    items = schema.get("items")
    if items is not None:
        path, schema = f"{path}[]", items
    for name, below in schema.get("properties", {}).items():
        yield from _fields(f"{path}.{name}", below, name in schema.get("required", ()))


def _row(path: str, schema: Schema, required: bool) -> str:
    default = schema.get("default")
    cells = [
        f"`{path}`",
        _type(schema),
        "yes" if required else "",
        "" if default is None else f"`{json.dumps(default)}`",
        "<br>".join([*_bounds(schema), *_rules(schema)]),
        _escaped(schema.get("description", "")),
    ]
    return f"| {' | '.join(cells)} |"


def _type(schema: Schema) -> str:
    if schema["type"] == "array":
        return f"list of {_type(schema['items'])}"
    if schema.get("format") == "date-time":
        return "time (RFC 3339)"
    return str(schema["type"])


def _bounds(schema: Schema) -> list[str]:
    """What a value may be, and where it is a list of single values, what each of them may be."""
    found = _own_bounds(schema)
    items = schema.get("items")
    if items is not None and "properties" not in items:
        found += [f"each: {bound}" for bound in (*_own_bounds(items), *_rules(items))]
    return found


def _own_bounds(schema: Schema) -> list[str]:
    found = []
    if "enum" in schema:
        found.append(", ".join(f"`{value}`" for value in schema["enum"]))
    for least, most, unit in (
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " items"),
    ):
        if most in schema:
            span = f"{schema[least]} to" if least in schema else "at most"
            found.append(f"{span} {schema[most]}{unit}")
    if "pattern" in schema:
        pattern = schema["pattern"]
        found.append(_KNOWN_PATTERNS.get(pattern) or f"`{pattern.replace('|', '&#124;')}`")
    return found


_KNOWN_PATTERNS = {
    TEXT_PATTERN: "no control characters, and none that change the direction of the text",
    NAME_PATTERN: "no invisible characters",
    f"^{SUBDOMAIN}$": "a DNS-1123 subdomain",
    rf"^{SUBDOMAIN}(-*\*)?$": "a DNS-1123 subdomain, or the beginning of one and `*`",
}
"""Patterns that say less than a few words do."""


def _rules(schema: Schema) -> list[str]:
    """What the rules of a schema say to whoever breaks them."""
    rules = schema.get("x-kubernetes-validations", ())
    return [f'"{_escaped(rule["message"])}"' for rule in rules]


def _escaped(text: str) -> str:
    """A text as a cell of a table of Markdown shows it."""
    text = " ".join(text.split()).replace("|", "&#124;").replace("<", "&lt;")
    return re.sub(r"(?<!`)\*(?!`)", r"\\*", text)


def main() -> int:
    """Write the page; tell if it changed."""
    path = Path(__file__).resolve().parents[1] / "docs" / "reference" / "api.md"
    if not path.exists() or path.read_text() != rendered():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rendered())
        print("wrote docs/reference/api.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
