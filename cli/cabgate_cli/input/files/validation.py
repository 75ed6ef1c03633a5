# SPDX-License-Identifier: Apache-2.0
"""Objects that people wrote, checked as strictly as the API server checks them.

The same models make the CustomResourceDefinitions, so both say the same. What differs from
reading: no unknown field (a mistyped name would be lost in silence), no text where a number
belongs, and each problem told by its path.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from cabgate import API_VERSION
from cabgate.api import DeploymentIntent
from cabgate.api.base import Model
from cabgate.api.crds import spec_schema
from cabgate.api.evidence import RATIO, may_be_ratio
from cabgate.api.intent import MAX_NAME
from cabgate.api.kinds import GatedKind
from cabgate.review.requesters import requester_problem
from cabgate.risk.evidence import moment_problem
from cabgate.rollout.gated_targets import target_problems
from cabgate.rollout.image_names import image_problems
from cabgate.text.characters import refused_characters
from cabgate.text.foreign import quoted
from cabgate_cli.errors import BadInput, note
from cabgate_cli.input.files.documents import Document
from cabgate_cli.input.names import namespace_name, object_name

ModelT = TypeVar("ModelT", bound=Model)
_ROOT = {"apiVersion", "kind", "metadata", "spec", "status"}


def checked(model: type[ModelT], content: dict[str, Any], source: str = "") -> ModelT:
    """An object of a model from what a person wrote.

    Of the metadata name, namespace and labels are taken, the status not at all: an object that
    kubectl printed is fine. Raises `BadInput` with one line for each problem.
    """
    metadata = content.get("metadata")
    read = {
        key: value
        for key, value in (metadata if isinstance(metadata, dict) else {}).items()
        if key in ("name", "namespace", "labels") and value is not None
    }
    body: dict[str, Any] = {"metadata": read}
    if "spec" in content:
        body["spec"] = content["spec"]
    problems = [
        f"{key}: unknown field; allowed: {', '.join(sorted(_ROOT))}"
        for key in content
        if key not in _ROOT
    ]
    # The models take a null for an absent value; the API server refuses it.
    empty = list(_nulls(body.get("spec"), "spec")) if "spec" in body else []
    problems += [f"{path}: has no value; allowed: a value, or no such line" for path in empty]
    problems += [
        f"{path}: {problem}; allowed: what reads as it is stored"
        for path, problem in refused_characters(body.get("spec"), "spec", spec_schema(model))
    ]
    try:
        # JSON mode, because only there do enumerations and times pass a strict check.
        result = model.model_validate_json(
            json.dumps(body), strict=True, extra="forbid", by_alias=True, by_name=False
        )
    except ValidationError as error:
        found = ((_path(detail["loc"]), detail) for detail in error.errors())
        problems += [_problem(path, detail, model) for path, detail in found if path not in empty]
    except ValueError as error:  # a text that is no Unicode
        problems.append(str(error))
    if problems:
        raise BadInput(*_placed(source, problems))
    return result


def intent_from(document: Document, kinds: Sequence[GatedKind] = ()) -> DeploymentIntent:
    """The intent that a document holds; raises `BadInput` with one line for each problem.

    `kinds` are those that the cluster gates by configuration: that a target is of none of them, nor
    of a kind that always is gated, is told in a note.
    """
    problems = []
    if document.api_version != API_VERSION:
        problems.append(f"apiVersion: {quoted(document.api_version)}; allowed: {API_VERSION}")
    problems += _name_problems(document)
    try:
        intent = checked(DeploymentIntent, document.content)
    except BadInput as error:
        raise BadInput(*_placed(document.source, problems + error.problems)) from None
    problems += _duplicates(intent)
    problems += _times(intent)
    problems += _coverage(intent)
    problems += _requester(intent)
    problems += [f"{path}: {problem}" for path, problem in image_problems(intent.spec)]
    targets = target_problems(intent.spec.targets, kinds)
    problems += [str(problem) for problem in targets if problem.final]
    for problem in targets:
        if not problem.final:
            note(f"{document.source}: {problem}")
    if problems:
        raise BadInput(*_placed(document.source, problems))
    return intent


def _placed(source: str, problems: Iterable[str]) -> list[str]:
    return [f"{source}: {problem}" if source else problem for problem in problems]


def _name_problems(document: Document) -> list[str]:
    name, namespace = document.metadata.get("name"), document.metadata.get("namespace")
    problems = []
    try:
        if name is None:
            problems.append("metadata.name: absent; allowed: a name, its requests are named after")
        elif isinstance(name, str):
            object_name(name, "metadata.name", MAX_NAME)
        if isinstance(namespace, str):
            namespace_name(namespace, "metadata.namespace")
    except BadInput as error:
        problems += error.problems
    return problems


def _duplicates(intent: DeploymentIntent) -> list[str]:
    """Duplicates where the API server wants each once."""
    spec = intent.spec
    keyed: list[tuple[str, list[str]]] = [
        ("spec.targets", [f"{t.api_version} {t.kind} {t.name}" for t in spec.targets]),
        ("spec.evidence.artifacts", [a.name for a in spec.evidence.artifacts or ()]),
        ("spec.submittedBy", [s.username for s in spec.submitted_by]),
    ]
    keyed += [(f"spec.targets[{n}].images", list(t.images)) for n, t in enumerate(spec.targets)]
    return [
        f"{path}: duplicate value {quoted(key)} ({count} times); allowed: once"
        for path, keys in keyed
        for key, count in Counter(keys).items()
        if count > 1
    ]


def _times(intent: DeploymentIntent) -> list[str]:
    evidence = intent.spec.evidence
    problem, testing = moment_problem(evidence), evidence.manual_testing
    if problem is None or testing is None:
        return []
    return [f"spec.evidence.manualTesting.at: {quoted(testing.at)} {problem}"]


def _coverage(intent: DeploymentIntent) -> list[str]:
    results = intent.spec.evidence.test_results
    coverage = None if results is None else results.coverage_percent
    if coverage is None or not may_be_ratio(coverage):
        return []
    return [f"spec.evidence.testResults.coveragePercent: {coverage:g} {RATIO}"]


def _requester(intent: DeploymentIntent) -> list[str]:
    name = intent.spec.requester
    problem = None if name is None else requester_problem(name)
    return [] if problem is None else [f"spec.requester: {quoted(name)} {problem}"]


def _nulls(value: Any, path: str) -> Iterator[str]:
    if value is None:
        yield path
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _nulls(item, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nulls(item, f"{path}[{index}]")


def _path(loc: tuple[int | str, ...]) -> str:
    path = ""
    for part in loc:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def _problem(path: str, detail: ErrorDetails, model: type[Model]) -> str:
    kind, context, given = detail["type"], detail.get("ctx", {}), quoted(detail["input"])
    if kind == "extra_forbidden":
        return f"{path}: unknown field; allowed: {_fields_beside(detail['loc'], model)}"
    if kind == "missing":
        return f"{path}: absent; allowed: a value, it is required"
    if kind in _TYPES:
        return f"{path}: {given} is of the wrong type; allowed: {_TYPES[kind]}"
    if kind in _BOUNDS:
        found, allowed = _BOUNDS[kind]
        size = len(detail["input"]) if isinstance(detail["input"], str | list) else 0
        return (
            f"{path}: {found.format(given=given, size=size)}; allowed: {allowed.format(**context)}"
        )
    if kind == "enum":
        return f"{path}: {given}; allowed: {context['expected']}"
    if kind == "value_error":
        return f"{path}: blank; allowed: text that is more than spaces"
    return f"{path}: {given}; allowed: {detail['msg']}"


_TYPES = {
    "string_type": "text (in quotes, if it looks like a number)",
    "int_type": "a whole number, without quotes",
    "int_from_float": "a whole number",
    "float_type": "a number, without quotes",
    "bool_type": "true or false",
    "list_type": "a list",
    "model_type": "an object with named fields",
    "dict_type": "an object with named fields",
}
_BOUNDS = {
    "greater_than_equal": ("{given} is too low", "{ge:g} or more"),
    "less_than_equal": ("{given} is too high", "{le:g} or less"),
    "string_too_short": ("empty", "at least {min_length} character"),
    "string_too_long": ("has {size} characters", "at most {max_length} characters"),
    "too_short": ("empty", "at least {min_length} entry"),
    "too_long": ("has {size} entries", "at most {max_length} entries"),
    "string_pattern_mismatch": ("{given}", "what matches {pattern}"),
}


def _fields_beside(loc: tuple[int | str, ...], model: type[Model]) -> str:
    """The fields that stand where an unknown one was found, the likeliest first."""
    here: Any = model.model_json_schema(by_alias=True)
    defs = here.get("$defs", {})
    for part in loc[:-1]:
        here = _deref(here, defs)
        here = here["items"] if isinstance(part, int) else here["properties"][part]
    names = sorted(_deref(here, defs)["properties"])
    close = get_close_matches(str(loc[-1]), names, n=1)
    return f"{', '.join(names)}" + (f" (did you mean {close[0]}?)" if close else "")


def _deref(schema: Any, defs: Any) -> Any:
    for choice in schema.get("anyOf", ()):
        if choice != {"type": "null"}:
            schema = choice
    if "$ref" in schema:
        return defs[schema["$ref"].rpartition("/")[2]]
    return schema
