# SPDX-License-Identifier: Apache-2.0
"""The console scripts `cabgate` and `kubectl-cab`, which are one program."""

import click

from cabgate_cli.exit_codes import table
from cabgate_cli.program import Commands, Program

_COMMANDS = (
    "declarations.intent",
    "declarations.evidence",
    "declarations.score",
    "rollouts.explain",
    "rollouts.wait",
    "rollouts.uncovered",
    "rollouts.outcome",
    "declarations.adopt",
    "declarations.exception",
    "reviews.queue",
    "reviews.show",
    "reviews.diff",
    "reviews.approve",
    "reviews.reject",
    "reviews.take",
    "reviews.attest",
    "reviews.revoke",
    "reviews.mine",
    "reviews.ui",
    "policies.policy",
    "freezes.freeze",
    "records.ledger",
    "records.report",
    "records.audit",
    "records.calibrate",
    "records.replay",
    "completion",
)
"""Modules, each with the command of its name."""


@click.group(
    cls=Program,
    commands=Commands(
        {
            module.split(".")[-1]: f"cabgate_cli.commands.{module}:{module.split('.')[-1]}"
            for module in _COMMANDS
        }
    ),
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  cabgate intent -n shop deployment/checkout > intent.yaml
  cabgate evidence collect --junit 'reports/*.xml' -f intent.yaml --in-place
  cabgate score -f intent.yaml
  kubectl apply -f intent.yaml
  cabgate wait -n shop checkout
  cabgate explain -n shop deployment/checkout
  cabgate uncovered -n shop
  cabgate outcome list -n shop
  cabgate adopt -n shop > intents.yaml
  cabgate exception -n shop checkout-1f2e3d4c > exception.yaml
  kubectl cab queue -A
  kubectl cab approve -n shop checkout-1f2e3d4c
  kubectl cab ui
  cabgate policy explain -n shop --score 70
  cabgate freeze list --at 2026-12-24
  cabgate ledger verify
  cabgate report --by namespace
  cabgate calibrate --outcomes outcomes.csv
  cabgate replay --model new.yaml --since 2026-07-01
"""
    + table(),
)
@click.version_option(package_name="cabgate", prog_name="cabgate")
def main() -> None:
    """Write, score and decide what a change-approval gate asks for, and check its ledger.

    As `cabgate` and as `kubectl cab` it is the same program. What decides (approve, reject, take,
    attest, revoke), `outcome report` and `ledger prune` write to the cluster, the others do not.
    """


def plugin() -> None:
    """The program as kubectl runs it: `kubectl cab`."""
    main(prog_name="kubectl cab")
