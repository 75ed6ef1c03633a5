# SPDX-License-Identifier: Apache-2.0
"""`cabgate outcome list`: how long rollouts ran, how their Pods did, how they ended."""

import click

from cabgate_cli.commands.kubectl_options import all_namespaces_option, kubectl_options
from cabgate_cli.commands.options import namespace_option, output_option
from cabgate_cli.exit_codes import of_command
from cabgate_cli.input.kubectl.process import Kubectl


@click.command(
    name="list",
    epilog="""\b
Examples:
  cabgate outcome list -n shop
  cabgate outcome list -A --release checkout
"""
    + of_command("done, whether there are outcomes or not"),
)
@namespace_option
@all_namespaces_option
@click.option("--release", metavar="NAME", help="Outcomes of this release unit alone.")
@output_option
@kubectl_options
def list_outcomes(
    kubectl: Kubectl,
    namespace: str | None,
    all_namespaces: bool,
    release: str | None,
    output: str,
) -> None:
    """List what became of rollouts, the latest of each workload first.

    SOAK is the longest time that the images of a rollout ran without a break, which is what a ring
    asks of the one before; PODS how many were seen ready at one time, and how many failed.
    """
    from cabgate.api import RolloutOutcome
    from cabgate.text.moments import duration
    from cabgate.views.outcomes import outcome_rows
    from cabgate.views.plain import plain
    from cabgate_cli.input.stored import readable
    from cabgate_cli.input.viewer import now
    from cabgate_cli.output.objects import write, write_machine
    from cabgate_cli.output.views import looked, table

    place = None if all_namespaces else kubectl.namespace(namespace)
    items = kubectl.list(place, "rolloutoutcomes", quiet=False)
    outcomes = readable(RolloutOutcome, items)
    rows = outcome_rows((e for e in outcomes if release in (None, e.spec.release)), now())
    if output != "text":
        write_machine(plain(rows), output)
    elif not rows:
        write(f"there is no outcome{looked(place)}\n")
    else:
        heads = ["NAMESPACE", "NAME", "WORKLOAD", "RELEASE", "RING", "SOAK", "STATE", "PODS",
                 "SUCCESS", "INCIDENTS"]  # fmt: skip
        lines = [
            [
                *(row.namespace, row.name, row.workload, row.release or "-", str(row.ring)),
                *(duration(row.soak), row.state, f"{row.seen} seen, {row.failed} failed"),
                *(f"{row.success_percent} %" if row.seen else "-", str(row.incidents)),
            ]
            for row in rows
        ]
        write(table([heads, *lines]))
