# SPDX-License-Identifier: Apache-2.0
"""`kubectl cab queue`: what waits for somebody."""

import time
from functools import partial
from typing import TYPE_CHECKING

import click

from cabgate.api.values import is_correlation_id
from cabgate.text.foreign import quoted
from cabgate_cli.commands.kubectl_options import all_namespaces_option, kubectl_options
from cabgate_cli.commands.options import namespace_option, output_option
from cabgate_cli.errors import BadInput, Unavailable, note
from cabgate_cli.exit_codes import of_command
from cabgate_cli.input.kubectl.process import Kubectl
from cabgate_cli.input.kubectl.waiting import Reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from cabgate.views.queue import QueueRow

WATCH_SECONDS = 5.0
"""Between two looks of --watch."""

_BETWEEN = {"text": "\n", "json": "", "yaml": "---\n"}
"""What stands between two prints of --watch."""


@click.command(
    epilog="""\b
Examples:
  kubectl cab queue -A
  kubectl cab queue -n shop --mine
  kubectl cab queue -A --watch
  kubectl cab queue -A -l team=shop
"""
    + of_command("done, whether something waits or not")
)
@namespace_option
@all_namespaces_option
@click.option("--mine", is_flag=True, help="What you submitted or are named as requester of.")
@click.option(
    "-l",
    "--selector",
    metavar="LABELS",
    default="",
    help="Label selector, such as team=shop: by the labels that requests repeat of their intents.",
)
@click.option(
    "--correlation-id",
    metavar="ID",
    help="What belongs to one record elsewhere, such as a ticket.",
)
@click.option("--watch", is_flag=True, help="Print it again whenever it has changed.")
@output_option
@kubectl_options
def queue(
    kubectl: Kubectl,
    namespace: str | None,
    all_namespaces: bool,
    mine: bool,
    selector: str,
    correlation_id: str | None,
    watch: bool,
    output: str,
) -> None:
    """List what waits for a decision, the oldest first.

    Requests and exceptions of the context's namespace, or of -n, or of all with -A: age, score,
    tier, ring, what is rolled out, who submitted and who is needed. What you cannot decide since it
    is yours is marked so. -l and --correlation-id select requests, and the exceptions for these.
    """
    fields = "" if correlation_id is None else f"spec.correlationID={_checked(correlation_id)}"
    reading = Reading(kubectl, namespace, everywhere=all_namespaces, labels=selector, fields=fields)
    read = partial(_rows, mine=mine, selected=bool(selector or fields))
    rows = read(reading)
    _print(rows, output, reading, mine=mine)
    while watch:
        time.sleep(WATCH_SECONDS)
        before, rows = rows, _rows_again(reading, rows, read)
        if _identities(rows) != _identities(before):
            click.echo(_BETWEEN[output], nl=False)
            _print(rows, output, reading, mine=mine)


def _checked(correlation_id: str) -> str:
    """A correlation id that there can be."""
    if not is_correlation_id(correlation_id):
        raise BadInput(
            f"--correlation-id: {quoted(correlation_id)}; allowed: 1 to 128 letters, digits and "
            ". _ : / -, beginning with a letter or digit"
        )
    return correlation_id


def _rows(reading: Reading, *, mine: bool, selected: bool) -> "list[QueueRow]":
    # While kubectl waits for the API server, this is imported.
    from cabgate.views import queue as view
    from cabgate_cli.input.kubectl.listed import exceptions_of, requests_of
    from cabgate_cli.input.viewer import now, user_of

    found = reading.result()
    viewer = user_of(found.viewer)
    if viewer is None:
        unknown = "the API server does not say who you are"
        if mine:
            raise Unavailable(f"{unknown} (kubectl auth whoami): what is yours is not known.")
        note(f"{unknown}: what is yours is not marked")
    requests = list(requests_of(found.requests))
    exceptions = list(exceptions_of(found.exceptions))
    if selected:
        exceptions = view.for_requests(exceptions, requests)
    rows = view.queue(requests, exceptions, now(), viewer)
    return view.of_submitter(rows) if mine else rows


def _rows_again(
    reading: Reading, before: "list[QueueRow]", read: "Callable[[Reading], list[QueueRow]]"
) -> "list[QueueRow]":
    """The rows as they are by now, or as they were, as long as the API server is away."""
    try:
        return read(reading.again())
    except Unavailable as error:
        if error.lasting:
            raise
        note(f"{error.message} It is tried again.")
        return before


def _identities(rows: "list[QueueRow]") -> list[tuple[str, ...]]:
    return [(row.kind, row.namespace, row.name, row.state, row.needed) for row in rows]


def _print(rows: "list[QueueRow]", output: str, reading: Reading, *, mine: bool) -> None:
    from cabgate.views.plain import plain
    from cabgate_cli.output.views import looked, queue_table

    namespace = reading.result().namespace
    if output != "text":
        from cabgate_cli.output.objects import write_machine

        write_machine(plain(rows), output)
    elif rows:
        click.echo(queue_table(rows, namespaces=namespace is None), nl=False)
    else:
        what = "nothing of yours" if mine else "nothing"
        click.echo(f"{what} waits{looked(namespace)}")
