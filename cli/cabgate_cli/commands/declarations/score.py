# SPDX-License-Identifier: Apache-2.0
"""`cabgate score`: what the operator will make of an intent, offline."""

import textwrap
from collections.abc import Sequence
from typing import Any

import click

from cabgate.api import DeploymentIntent
from cabgate.api.kinds import GatedKind
from cabgate.api.request import Assessment, Factor
from cabgate.api.riskmodel import RiskModel
from cabgate.api.types import Tier
from cabgate.lifecycle.requests.assessment import assessment_of
from cabgate.lifecycle.requests.opening import request_name
from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate.risk.evidence import evidence_digest
from cabgate.risk.improvements import Improvements, improvements
from cabgate.risk.scoring import stricter
from cabgate_cli.commands.options import gated_kind_option, output_option
from cabgate_cli.errors import BadInput
from cabgate_cli.exit_codes import ExitCode, of_command
from cabgate_cli.input.files.documents import read_documents
from cabgate_cli.input.files.models import read_model
from cabgate_cli.input.files.requests import intent_of_request
from cabgate_cli.input.files.validation import intent_from
from cabgate_cli.input.workloads import configured
from cabgate_cli.output.objects import as_json, as_yaml, write

WIDTH = 100
"""Columns of the table; never the terminal's, so that the bytes are the same everywhere."""


@click.command(
    epilog="""\b
Examples:
  cabgate score -f intent.yaml
  cabgate score -f intent.yaml -o json | jq -r .assessment.gate
  kubectl get deploymentintent checkout -n shop -o yaml | cabgate score -f -
  cabgate intent -n shop deployment/checkout | cabgate score -f -
  kubectl get riskmodel strict -o yaml | cabgate score -f intent.yaml --model -
  cabgate score -f intent.yaml --require AutoApprove
"""
    + of_command(
        "done; of --require, every intent is in that tier or a lower one",
        "one of them is in a higher tier",
        cluster=False,
    )
)
@click.option(
    "-f",
    "--filename",
    "files",
    metavar="FILE",
    multiple=True,
    required=True,
    help="File with DeploymentIntents or CABRequests, YAML or JSON; - reads standard input. May be "
    "repeated.",
)
@click.option(
    "--model",
    "model_file",
    metavar="FILE",
    help="File with the RiskModel to score with, YAML or JSON; default: the built-in one.",
)
@click.option(
    "--require",
    type=click.Choice([gate.value for gate in Tier]),
    help="Exit with 1 unless every intent is in this tier or a lower one; for pipelines.",
)
@gated_kind_option
@output_option
@click.pass_context
def score(
    ctx: click.Context,
    files: tuple[str, ...],
    model_file: str | None,
    require: str | None,
    gated_kinds: tuple[str, ...],
    output: str,
) -> None:
    """Print the risk score of an intent, without a cluster.

    With its tier, factors and floors, and the smallest change that takes it to the next lower tier.
    The same file gives the same bytes, on any machine. The evidence is taken as declared; nothing
    is verified. A CABRequest is scored anew from its frozen evidence.
    """
    if model_file == "-" and "-" in files:
        raise BadInput("--model: standard input is taken by -f; allowed: a file for one of the two")
    model = DEFAULT_RISK_MODEL if model_file is None else read_model(model_file)
    kinds = configured(gated_kinds)
    intents = [intent for path in files for intent in _intents(path, model, kinds)]
    if output == "json":
        write("".join(as_json(_machine(intent, model)) for intent in intents))
    elif output == "yaml":
        write("---\n".join(as_yaml(_machine(intent, model)) for intent in intents))
    else:
        write("\n".join(_table(intent, model) for intent in intents))
    if require is not None and not all(_within(intent, model, Tier(require)) for intent in intents):
        ctx.exit(ExitCode.NO)


def _within(intent: DeploymentIntent, model: RiskModel, tier: Tier) -> bool:
    """Whether an intent asks for no more than a tier."""
    return stricter(assessment_of(intent.spec, model).gate, tier) is tier


def _intents(path: str, model: RiskModel, kinds: Sequence[GatedKind]) -> list[DeploymentIntent]:
    documents = read_documents(path)
    wanted = [
        document for document in documents if document.kind in ("DeploymentIntent", "CABRequest")
    ]
    if not wanted:
        there = ", ".join(sorted({document.kind or "no kind" for document in documents}))
        source = "standard input" if path == "-" else path
        raise BadInput(f"{source}: holds no DeploymentIntent ({there}); write one: cabgate intent")
    intents, problems = [], []
    for document in wanted:
        try:
            of_request = document.kind == "CABRequest"
            intents.append(
                intent_of_request(document, model) if of_request else intent_from(document, kinds)
            )
        except BadInput as error:
            problems += error.problems
    if problems:
        raise BadInput(*problems)
    return intents


def _machine(intent: DeploymentIntent, model: RiskModel) -> dict[str, Any]:
    assessment, digest = assessment_of(intent.spec, model), evidence_digest(intent.spec)
    way = improvements(assessment, model)
    result: dict[str, Any] = {
        "intent": intent.metadata.name,
        "requestName": request_name(intent.metadata.name, digest),
        "evidenceDigest": digest,
        "score": assessment.score,
        "gate": assessment.gate.value,
        # With its empty lists, which to_dict leaves out: a script need not ask whether they exist.
        "assessment": assessment.model_dump(mode="json", by_alias=True),
        "nextLowerGate": None if way is None else _way(way),
    }
    if intent.metadata.namespace:
        result = {"namespace": intent.metadata.namespace, **result}
    return result


def _way(way: Improvements) -> dict[str, Any]:
    return {
        "gate": way.gate.value,
        "score": str(way.score),
        "changes": [
            {"factor": change.factor, "observed": change.observed, "to": change.to}
            for change in way.changes
        ],
        "floors": [
            {"name": each.name, "gate": each.gate.value, "explanation": each.explanation}
            for each in way.floors
        ],
    }


_MEANING = {
    Tier.AUTO_APPROVE: "the system approves it",
    Tier.MANUAL_REVIEW: "a CAB member decides",
    Tier.EXCEPTION_REQUIRED: "only an exception, decided by a security reviewer, lets it through",
}


def _table(intent: DeploymentIntent, model: RiskModel) -> str:
    assessment, digest = assessment_of(intent.spec, model), evidence_digest(intent.spec)
    place = f" in namespace {intent.metadata.namespace}" if intent.metadata.namespace else ""
    lines = _wrapped(f"DeploymentIntent {intent.metadata.name}{place}", "")
    lines += _field("Score", f"{assessment.score} of 100")
    lines += _field("Gate", f"{assessment.gate}: {_MEANING[assessment.gate]}")
    lines += ["", *_factors(assessment.factors), ""]
    floors = [f"{floor.name}: {floor.explanation} (at least {floor.gate})" for floor in
              assessment.floors]  # fmt: skip
    lines += _field("Floors", *(floors or ["none"]))
    lines += _field("Missing", ", ".join(assessment.missing) or "nothing")
    lines += _field("To go lower", *_steps(assessment, model))
    lines += ["", *_field("Request", request_name(intent.metadata.name, digest))]
    lines += _field("Digest", digest)
    lines += _field("Risk model", f"{model.name} {model.spec.version}, {model.digest}")
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _factors(factors: list[Factor]) -> list[str]:
    observed = max(len("OBSERVED"), *(len(factor.observed) for factor in factors))
    lines = [f"{'FACTOR':<18}{'WEIGHT':>6}  {'OBSERVED':<{observed}}  {'RISK':>4}  {'POINTS':>6}"]
    for factor in factors:
        lines.append(
            f"{factor.name:<18}{factor.weight:>6}  {factor.observed:<{observed}}  "
            f"{factor.risk:>4}  {factor.contribution:>6}"
        )
        lines += _wrapped(factor.explanation, " " * 4)
    return lines


def _steps(assessment: Assessment, model: RiskModel) -> list[str]:
    way = improvements(assessment, model)
    if way is None:
        lowest = assessment.gate is Tier.AUTO_APPROVE
        return ["this is the lowest gate" if lowest else "no evidence would do, in this model"]
    low = {
        Tier.AUTO_APPROVE: model.spec.auto_approve_up_to,
        Tier.MANUAL_REVIEW: model.spec.manual_review_up_to,
    }[way.gate]
    return [
        f"{way.gate} (score {way.score}, allowed up to {low}) would take",
        *(f"- {change}" for change in way.changes),
        *(f"- resolve {floor.name}: {floor.explanation}" for floor in way.floors),
    ]


def _field(label: str, *values: str) -> list[str]:
    """Lines with a label before the first value and the others below it."""
    lines = [line for value in values for line in _wrapped(value, " " * 13)]
    return [f"{label:<13}{lines[0].lstrip()}", *lines[1:]]


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent) or [""]
