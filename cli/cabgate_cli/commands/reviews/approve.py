# SPDX-License-Identifier: Apache-2.0
"""`kubectl cab approve`: approve requests and exceptions."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from cabgate_cli.commands.constraint_options import OPTIONS, constraint_options
from cabgate_cli.commands.reviews.verdict_options import verdict_options
from cabgate_cli.exit_codes import of_command
from cabgate_cli.input.kubectl.process import Kubectl

if TYPE_CHECKING:
    from cabgate_cli.commands.reviews.deciding import Given


@click.command(
    epilog="""\b
Examples:
  kubectl cab approve -n shop checkout-1f2e3d4c
  kubectl cab approve -n shop checkout-1f2e3d4c --because "Low coverage in billing" \\
    --condition "watch=Watch the error rate for two hours"
  kubectl cab approve -n shop checkout-1f2e3d4c --override christmas
  kubectl cab approve -n shop cabex/checkout-1f2e3d4c --max-replicas 2
  kubectl cab approve -n shop checkout-1f2e3d4c --because "As agreed" \\
    --digest v1:sha256:0123...
"""
    + of_command("recorded", "refused by the gate, or not sent since you said no")
)
@verdict_options
@click.option(
    "--condition",
    "conditions",
    metavar="NAME=TEXT",
    multiple=True,
    help="Approve as long as this holds. May be repeated.",
)
@click.option(
    "--attestation",
    "attested",
    metavar="NAME",
    multiple=True,
    help="Admit nothing until somebody attests this approval condition. May be repeated.",
)
@click.option(
    "--not-before",
    "opening",
    metavar="NAME=TIME",
    multiple=True,
    help="From when on an approval condition lets rollouts in, such as watch=2026-03-01T20:00:00Z.",
)
@click.option(
    "--not-after",
    "closing",
    metavar="NAME=TIME",
    multiple=True,
    help="From when on it lets none in any more.",
)
@click.option(
    "--override",
    "overrides",
    metavar="NAME",
    multiple=True,
    help="Let the rollout into the ChangeFreeze NAME, or by promotion.ring-3 into ring 3 before "
    "its promotion, also if it is approved already; needs the verb override on the freeze, or on "
    "the change policy. May be repeated.",
)
@constraint_options
@click.pass_context
def approve(
    ctx: click.Context,
    kubectl: Kubectl,
    names: tuple[str, ...],
    namespace: str | None,
    conditions: tuple[str, ...],
    attested: tuple[str, ...],
    opening: tuple[str, ...],
    closing: tuple[str, ...],
    overrides: tuple[str, ...],
    constraints: dict[str, Any],
    given: "Given",
) -> None:
    """Approve requests or exceptions, each by itself.

    Each NAME is a CABRequest, or with cabex/NAME a CABException. It is shown, you are asked why
    and whether, and your answer is sent with the digest of the evidence that was shown.
    """
    from cabgate_cli.commands.reviews.deciding import Verdict, decide
    from cabgate_cli.errors import BadInput
    from cabgate_cli.input.kubectl.reviewing import Subject

    made = _conditions(conditions, attested, opening, closing)

    def details(subject: Subject) -> dict[str, object]:
        if made and subject.named.exception:
            raise BadInput("--condition: an exception has none; its controls are its own")
        if constraints and not subject.named.exception:
            raise BadInput(f"{_first(constraints)}: of an exception alone; name it as cabex/NAME")
        if overrides and subject.named.exception:
            raise BadInput("--override: of a request alone; an exception overrides nothing")
        said = {"conditions": made, "overrides": list(overrides), "constraints": constraints}
        return {name: value for name, value in said.items() if value}

    verdict = Verdict("approve", "ConditionallyApproved" if made else "Approved", details)
    ctx.exit(decide(kubectl, namespace, names, verdict, given))


def _first(constraints: Mapping[str, Any]) -> str:
    """The option of the first of some constraints."""
    return OPTIONS[f"constraints.{next(iter(constraints))}"]


def _conditions(
    conditions: tuple[str, ...],
    attested: tuple[str, ...],
    opening: tuple[str, ...],
    closing: tuple[str, ...],
) -> list[dict[str, str]]:
    """The conditions of an approval; raises `BadInput` for what names none of them."""
    from cabgate_cli.errors import BadInput

    made: dict[str, dict[str, str]] = {}
    for name, text in _pairs("--condition", conditions):
        if name in made:
            raise BadInput(f"--condition: {name}: given twice")
        made[name] = {"name": name, "description": text}
    for option, key, pairs in (
        ("--attestation", "attestation", [(name, "Required") for name in attested]),
        ("--not-before", "notBefore", _pairs("--not-before", opening)),
        ("--not-after", "notAfter", _pairs("--not-after", closing)),
    ):
        for name, value in pairs:
            if name not in made:
                raise BadInput(f"{option}: {name}: unknown condition; name it with --condition")
            made[name][key] = value
    return list(made.values())


def _pairs(option: str, texts: tuple[str, ...]) -> list[tuple[str, str]]:
    from cabgate_cli.errors import BadInput

    pairs = [text.partition("=") for text in texts]
    if any(not (name and sign and value) for name, sign, value in pairs):
        raise BadInput(f"{option}: allowed: NAME=VALUE")
    return [(name, value) for name, _, value in pairs]
