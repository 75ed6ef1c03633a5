# SPDX-License-Identifier: Apache-2.0
"""`kubectl cab reject`: say no to requests and exceptions."""

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
  kubectl cab reject -n shop checkout-1f2e3d4c
  kubectl cab reject -n shop cabex/checkout-1f2e3d4c --because "No control watches the queue"
"""
    + of_command("recorded", "refused by the gate, or not sent since you said no")
)
@verdict_options
@click.pass_context
def reject(
    ctx: click.Context,
    kubectl: Kubectl,
    names: tuple[str, ...],
    namespace: str | None,
    given: "Given",
) -> None:
    """Reject requests or exceptions, each by itself.

    Each NAME is a CABRequest, or with cabex/NAME a CABException. It is final for this evidence.
    """
    from cabgate_cli.commands.reviews.deciding import Verdict, decide

    ctx.exit(decide(kubectl, namespace, names, Verdict("reject", "Rejected"), given))
