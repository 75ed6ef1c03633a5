# SPDX-License-Identifier: Apache-2.0
"""`kubectl cab mine`: what one has decided."""

from datetime import UTC, datetime, timedelta

import click

from cabgate_cli.commands.kubectl_options import all_namespaces_option, kubectl_options
from cabgate_cli.commands.options import Duration, namespace_option, output_option
from cabgate_cli.errors import Unavailable
from cabgate_cli.exit_codes import of_command
from cabgate_cli.input.kubectl.process import Kubectl


@click.command(
    epilog="""\b
Examples:
  kubectl cab mine -A
  kubectl cab mine -n shop --since 30d
"""
    + of_command()
)
@namespace_option
@all_namespaces_option
@click.option(
    "--since",
    type=Duration(),
    default="7d",
    show_default=True,
    help="How far back to look, such as 12h or 30d.",
)
@output_option
@kubectl_options
def mine(
    kubectl: Kubectl, namespace: str | None, all_namespaces: bool, since: float, output: str
) -> None:
    """List what you have decided, the latest first.

    Your own entries in the decisions of requests and exceptions that are there still; the ledger
    has those of all others: cabgate ledger list.
    """
    from cabgate.text.inert import inert
    from cabgate.views.own import own_decisions
    from cabgate.views.plain import plain
    from cabgate_cli.input.stored import exceptions_of, requests_of
    from cabgate_cli.input.viewer import now, user_of
    from cabgate_cli.output.objects import write, write_machine
    from cabgate_cli.output.views import looked, table

    place = None if all_namespaces else kubectl.namespace(namespace)
    requests = requests_of(kubectl.list(place, "cabrequests", quiet=False))
    stored = [each.stored for each in requests]
    viewer = user_of(kubectl.whoami())
    if viewer is None:
        raise Unavailable("the API server does not say who you are (kubectl auth whoami)")
    exceptions = exceptions_of(kubectl.list(place, "cabexceptions"))
    found = own_decisions(stored, exceptions, viewer, _before(now(), since))
    if output != "text":
        write_machine(plain(found), output)
    elif found:
        lines = [[e.at, e.namespace, e.subject, e.verdict, e.rationale or "-"] for e in found]
        write(table([["AT", "NAMESPACE", "NAME", "VERDICT", "WHY"], *lines]))
    else:
        write(f"{inert(viewer.username)} decided nothing in that time{looked(place)}\n")


def _before(moment: datetime, seconds: float) -> datetime:
    """The time so long before a moment; the first that there is, if it would be before that."""
    try:
        return moment - timedelta(seconds=seconds)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)
