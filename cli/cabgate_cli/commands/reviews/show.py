# SPDX-License-Identifier: Apache-2.0
"""`kubectl cab show`: all that a reviewer needs, on one screen."""

import click

from cabgate_cli.commands.kubectl_options import kubectl_options
from cabgate_cli.commands.options import namespace_option, output_option
from cabgate_cli.exit_codes import of_command
from cabgate_cli.input.kubectl.process import Kubectl


@click.command(
    epilog="""\b
Examples:
  kubectl cab show -n shop checkout-1f2e3d4c
  kubectl cab show -n shop cabex/checkout-1f2e3d4c
"""
    + of_command()
)
@click.argument("name", metavar="NAME")
@namespace_option
@output_option
@kubectl_options
def show(kubectl: Kubectl, name: str, namespace: str | None, output: str) -> None:
    """Show one request with all that it is decided by.

    The CABRequest named NAME, or with cabex/NAME a CABException and the request that it is for:
    targets, score, evidence, decisions, what it changes, who is needed and the next command.
    """
    from cabgate.views.plain import plain
    from cabgate_cli.input.kubectl.reviewing import named, read_subject
    from cabgate_cli.output.objects import write, write_machine
    from cabgate_cli.output.views import request_text

    what = named(name)
    view = read_subject(kubectl, kubectl.namespace(namespace), what).view
    if output == "text":
        write(request_text(view))
    else:
        write_machine(plain(view), output)
