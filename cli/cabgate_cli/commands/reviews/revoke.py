# SPDX-License-Identifier: Apache-2.0
"""`kubectl cab revoke`: take approvals back."""

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
  kubectl cab revoke -n shop checkout-1f2e3d4c --image registry.example.com/checkout:1.4.2
  kubectl cab revoke -n shop checkout-1f2e3d4c --image '*' --because "CVE-2026-1234"
"""
    + of_command("recorded", "refused by the gate, or not sent since you said no")
)
@verdict_options
@click.option(
    "--image",
    "images",
    metavar="IMAGE",
    multiple=True,
    help="An image that is denied from then on; '*' means all of the request. May be repeated.",
)
@click.pass_context
def revoke(
    ctx: click.Context,
    kubectl: Kubectl,
    names: tuple[str, ...],
    namespace: str | None,
    images: tuple[str, ...],
    given: "Given",
) -> None:
    """Revoke approved requests or exceptions, each by itself.

    Each NAME is a CABRequest, or with cabex/NAME a CABException. Where other approvals cover an
    image too, the gate asks which images are meant (--image).
    """
    from cabgate_cli.commands.reviews.deciding import Verdict, decide
    from cabgate_cli.errors import BadInput
    from cabgate_cli.input.kubectl.reviewing import Subject

    def details(subject: Subject) -> dict[str, list[str]]:
        if images and subject.named.exception:
            raise BadInput("--image: an exception is revoked as a whole")
        return {"images": list(images)} if images else {}

    ctx.exit(decide(kubectl, namespace, names, Verdict("revoke", "Revoked", details), given))
