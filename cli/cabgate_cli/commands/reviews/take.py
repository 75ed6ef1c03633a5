# SPDX-License-Identifier: Apache-2.0
"""`kubectl cab take`: say that one is looking at requests."""

from typing import TYPE_CHECKING

import click

from cabgate_cli.commands.reviews.verdict_options import verdict_options
from cabgate_cli.exit_codes import of_command
from cabgate_cli.input.kubectl.process import Kubectl

if TYPE_CHECKING:
    from cabgate_cli.commands.reviews.deciding import Given


@click.command(
    epilog="""\b
Examples:
  kubectl cab take -n shop checkout-1f2e3d4c
"""
    + of_command("recorded", "refused by the gate, or not sent since you said no")
)
@verdict_options
@click.pass_context
def take(
    ctx: click.Context,
    kubectl: Kubectl,
    names: tuple[str, ...],
    namespace: str | None,
    given: "Given",
) -> None:
    """Take requests under review, each by itself.

    Shows others that you look at it; another reviewer may still decide it.
    """
    from cabgate_cli.commands.reviews.deciding import Verdict, decide

    verdict = Verdict("take", "UnderReview", of_exceptions=False, needs_rationale=False)
    ctx.exit(decide(kubectl, namespace, names, verdict, given))
