# SPDX-License-Identifier: Apache-2.0
"""A risk model from a file, checked as the webhook checks it."""

from cabgate import API_VERSION
from cabgate.api import RiskModel
from cabgate.api.riskmodel import KIND
from cabgate.api.selectable import MAX_NAME
from cabgate.risk.model_rules import model_problems
from cabgate.text.foreign import quoted
from cabgate_cli.errors import BadInput
from cabgate_cli.input.files.documents import read_documents
from cabgate_cli.input.files.validation import checked
from cabgate_cli.input.names import object_name


def read_model(path: str) -> RiskModel:
    """The one risk model of a file; raises `BadInput` with one line for each problem."""
    documents = [document for document in read_documents(path) if document.kind == KIND]
    source = "standard input" if path == "-" else path
    if len(documents) != 1:
        raise BadInput(f"{source}: holds {len(documents)} RiskModels; allowed: one")
    [document] = documents
    problems = []
    if document.api_version != API_VERSION:
        problems.append(f"apiVersion: {quoted(document.api_version)}; allowed: {API_VERSION}")
    try:
        object_name(str(document.metadata.get("name", "")), "metadata.name", MAX_NAME)
    except BadInput as error:
        problems += error.problems
    try:
        model = checked(RiskModel, document.content)
    except BadInput as error:
        problems += error.problems
    else:
        problems += [str(problem) for problem in model_problems(model)]
    if problems:
        raise BadInput(*(f"{document.source}: {problem}" for problem in problems))
    return model
