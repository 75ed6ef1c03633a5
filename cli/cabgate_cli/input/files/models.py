# SPDX-License-Identifier: Apache-2.0
"""A risk model, a change policy or a freeze from a file, checked as the webhook checks it."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from cabgate import API_VERSION
from cabgate.api import ChangePolicy, RiskModel
from cabgate.api.base import Model
from cabgate.api.selectable import MAX_NAME, AnySelectable, SpecProblem
from cabgate.lifecycle.requests.terms import policy_problems
from cabgate.risk.model_rules import model_problems
from cabgate.text.foreign import quoted
from cabgate_cli.errors import BadInput
from cabgate_cli.input.files.documents import Document, read_documents
from cabgate_cli.input.files.validation import checked
from cabgate_cli.input.names import object_name

AnyModel = TypeVar("AnyModel", bound=Model)


def read_model(path: str) -> RiskModel:
    """The one risk model of a file; raises `BadInput` with one line for each problem."""
    return _read(path, RiskModel, model_problems)


def read_policy(path: str) -> ChangePolicy:
    """The one change policy of a file; raises `BadInput` with one line for each problem."""
    return _read(path, ChangePolicy, policy_problems)


def _read(
    path: str,
    kind: type[AnySelectable],
    problems_of: Callable[[AnySelectable], Sequence[SpecProblem]],
) -> AnySelectable:
    documents = [document for document in read_documents(path) if document.kind == kind.kind]
    source = "standard input" if path == "-" else path
    if len(documents) != 1:
        raise BadInput(f"{source}: holds {len(documents)} {kind.kinds}; allowed: one")
    return of_document(documents[0], kind, MAX_NAME, problems_of)


def of_document(
    document: Document,
    kind: type[AnyModel],
    longest_name: int,
    problems_of: Callable[[AnyModel], Sequence[SpecProblem]] = lambda _found: (),
) -> AnyModel:
    """The object of the cluster that a document holds; raises `BadInput` with one line for each
    problem, with the source of the document before it."""
    problems = []
    if document.api_version != API_VERSION:
        problems.append(f"apiVersion: {quoted(document.api_version)}; allowed: {API_VERSION}")
    try:
        object_name(str(document.metadata.get("name", "")), "metadata.name", longest_name)
    except BadInput as error:
        problems += error.problems
    try:
        found = checked(kind, document.content)
    except BadInput as error:
        problems += error.problems
    else:
        problems += [str(problem) for problem in problems_of(found)]
    if problems:
        raise BadInput(*(f"{document.source}: {problem}" for problem in problems))
    return found
