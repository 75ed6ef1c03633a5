# SPDX-License-Identifier: Apache-2.0
"""`kubectl cab attest`: say that an approval condition is met."""

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
  kubectl cab attest -n shop checkout-1f2e3d4c --condition dba
"""
    + of_command("recorded", "refused by the gate, or not sent since you said no")
)
@verdict_options
@click.option(
    "--condition",
    metavar="NAME",
    help="The approval condition that is met; needed where several wait to be attested.",
)
@click.pass_context
def attest(
    ctx: click.Context,
    kubectl: Kubectl,
    names: tuple[str, ...],
    namespace: str | None,
    condition: str | None,
    given: "Given",
) -> None:
    """Attest that an approval condition is met.

    Each NAME is a CABRequest that is approved with approval conditions.
    """
    from cabgate.lifecycle.state.standing import standing_of
    from cabgate_cli.commands.reviews.deciding import Verdict, decide
    from cabgate_cli.errors import BadInput
    from cabgate_cli.input.kubectl.reviewing import Subject

    def details(subject: Subject) -> dict[str, str]:
        if condition is not None:
            return {"condition": condition}
        waiting = [each.name for each in standing_of(subject.about.request).unattested]
        if len(waiting) != 1:
            allowed = ", ".join(waiting) or "none waits to be attested"
            raise BadInput(f"--condition: missing; allowed: {allowed}")
        return {"condition": waiting[0]}

    verdict = Verdict("attest", "Attested", details, of_exceptions=False)
    ctx.exit(decide(kubectl, namespace, names, verdict, given))
