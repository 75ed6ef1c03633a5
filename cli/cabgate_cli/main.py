# SPDX-License-Identifier: Apache-2.0
"""The console script `cabgate`."""

import click

from cabgate_cli.commands.adopt import adopt
from cabgate_cli.commands.exception import exception
from cabgate_cli.commands.explain import explain
from cabgate_cli.commands.intent import intent
from cabgate_cli.commands.ledger import ledger
from cabgate_cli.commands.score import score
from cabgate_cli.commands.uncovered import uncovered
from cabgate_cli.commands.wait import wait
from cabgate_cli.exit_codes import table
from cabgate_cli.program import Program


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  cabgate intent -n shop deployment/checkout > intent.yaml
  cabgate score -f intent.yaml
  kubectl apply -f intent.yaml
  cabgate wait -n shop checkout
  cabgate explain -n shop deployment/checkout
  cabgate uncovered -n shop
  cabgate adopt -n shop > intents.yaml
  cabgate exception -n shop checkout-1f2e3d4c > exception.yaml
  cabgate ledger verify
"""
    + table(),
)
@click.version_option(package_name="cabgate", prog_name="cabgate")
def main() -> None:
    """Write and score what a change-approval gate asks for, and check its ledger.

    No command writes to the cluster but `ledger prune`.
    """


main.add_command(intent)
main.add_command(score)
main.add_command(explain)
main.add_command(wait)
main.add_command(uncovered)
main.add_command(adopt)
main.add_command(exception)
main.add_command(ledger)
