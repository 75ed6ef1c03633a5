# SPDX-License-Identifier: Apache-2.0
"""Characters that nobody sees, or that change how a text reads, come into no object."""

import re
from typing import Any

import pytest

from cabgate.api import CABDecision, CABRequest, DeploymentIntent
from cabgate.api.crds import definitions, spec_schema
from cabgate.review.review import EXCEPTION_REVIEW, REQUEST_REVIEW, requested_review
from cabgate.text.characters import (
    NAME_PATTERN,
    TEXT_PATTERN,
    refused_character,
    refused_characters,
    seen,
)
from cabgate.text.refusal import Refusal

CONTROLS = ["\0", "\x07", "\r", "\x1b", "\x7f", "\x85", "\x9b", "\u202e", "\u2066", "\u2069"]
UNSEEN = ["\n", "\t", "\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u2028", "\u3164"]


def as_python(pattern: str) -> re.Pattern[str]:
    """A pattern of the API server's, which Python spells otherwise."""
    return re.compile(re.sub(r"\\x\{([0-9a-f]+)\}", lambda m: f"\\U{int(m[1], 16):08x}", pattern))


@pytest.mark.parametrize("character", CONTROLS)
def test_no_text_and_no_name_holds_a_control_character(character: str) -> None:
    where = f"U+{ord(character):04X} at character 3"
    assert refused_character(f"ab{character}c") == where
    assert refused_character(f"ab{character}c", name=True) == where
    for pattern in (TEXT_PATTERN, NAME_PATTERN):
        assert not as_python(pattern).match(f"ab{character}c")
    assert seen(f"ab{character}c") == "ab c"


@pytest.mark.parametrize("character", UNSEEN)
def test_a_name_holds_nothing_that_nobody_sees(character: str) -> None:
    assert refused_character(f"a{character}") is None
    assert refused_character(f"a{character}", name=True) is not None
    assert as_python(TEXT_PATTERN).match(f"a{character}")
    assert not as_python(NAME_PATTERN).fullmatch(f"a{character}")


@pytest.mark.parametrize("text", ["", "Zoë Müller", "李雷", "naïve – “quoted”", "👍", "דן"])
def test_what_people_write_is_taken(text: str) -> None:
    assert refused_character(text, name=True) is None
    assert as_python(NAME_PATTERN).match(text)


def _strings(schema: Any, path: str) -> Any:
    if schema.get("type") == "string":
        yield path, schema
    for key, inner in schema.get("properties", {}).items():
        yield from _strings(inner, f"{path}.{key}")
    if "items" in schema:
        yield from _strings(schema["items"], f"{path}[]")


def test_the_schema_of_every_text_that_comes_in_refuses_them() -> None:
    copied = ("CABRequest", "CABDecision", "CABEvidence", "RolloutOutcome")
    copies = {(kind, "spec") for kind in copied}
    for definition in definitions():
        kind = definition["spec"]["names"]["kind"]
        schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for part in ("spec", "status"):
            for path, field in _strings(schema["properties"].get(part, {}), part):
                held = {"pattern", "enum", "format"} & set(field)
                assert held or (kind, part) in copies, f"{kind} {path} takes any character"


def test_what_an_older_release_took_in_is_decided_and_recorded_still() -> None:
    for model in (CABRequest, CABDecision):
        for path, field in _strings(spec_schema(model), "spec"):
            assert field.get("pattern") not in (TEXT_PATTERN, NAME_PATTERN), path


def test_each_is_told_with_its_path() -> None:
    spec = {
        "summary": "fixes the login\u009b",
        "evidence": {"artifacts": [{"name": "app"}, {"name": "a\u200bpp"}]},
    }
    found = dict(refused_characters(spec, "spec", spec_schema(DeploymentIntent)))
    assert list(found) == ["spec.summary", "spec.evidence.artifacts[1].name"]
    assert "U+009B at character 16" in found["spec.summary"]


@pytest.mark.parametrize("kind", [REQUEST_REVIEW, EXCEPTION_REVIEW])
def test_a_review_with_one_is_refused_under_the_path_that_was_written(kind: Any) -> None:
    review = {"verdict": "Rejected", "rationale": "no\u202eway"}
    with pytest.raises(Refusal) as refused:
        requested_review(kind, {}, {"status": {"review": review}})
    assert refused.value.field == "status.review.rationale"
    assert "U+202E at character 3" in refused.value.message
