# SPDX-License-Identifier: Apache-2.0
"""`cabgate replay`: what another risk model would have made of the requests that are there."""

from datetime import datetime

import click

from cabgate.calibration.outcomes import OutcomesError
from cabgate.calibration.replay import replay as replay_of
from cabgate.calibration.replay import replayed
from cabgate.calibration.replay_texts import as_data, as_text
from cabgate_cli.commands.options import (
    MOMENT,
    check_one_source,
    cluster_options,
    export_option,
    output_option,
)
from cabgate_cli.exit_codes import of_command
from cabgate_cli.input.changes import (
    check_one_reads_stdin,
    read_outcomes,
    requests_from,
    unusable,
)
from cabgate_cli.input.files.models import read_model
from cabgate_cli.output.objects import write, write_machine


@click.command(
    epilog="""\b
Examples:
  cabgate replay --model new.yaml
  cabgate replay --model new.yaml --since 2026-07-01 --outcomes outcomes.csv
  cabgate replay -f requests.json --model new.yaml -o json
"""
    + of_command("done, also if nothing would move")
)
@export_option
@click.option(
    "--model",
    "model_file",
    metavar="FILE",
    required=True,
    help="File with the RiskModel to try, YAML or JSON; - reads standard input.",
)
@click.option(
    "--outcomes",
    "outcomes_file",
    metavar="FILE",
    help="CSV as of `cabgate calibrate`: to know which failures would have been caught.",
)
@click.option("--since", type=MOMENT, help="Requests opened from then on, UTC; default: all.")
@output_option
@cluster_options
def replay(
    files: tuple[str, ...],
    model_file: str,
    outcomes_file: str | None,
    since: datetime | None,
    output: str,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Score frozen evidence anew by another risk model.

    Which tiers would move, how many more requests would go to people, which approvals would not
    have been given, and which failures would have been caught. It changes no model, no request and
    nothing else.
    """
    check_one_source(files, kubeconfig, context)
    check_one_reads_stdin(files, model_file, outcomes_file)
    model = read_model(model_file)
    outcomes = None if outcomes_file is None else read_outcomes(outcomes_file)
    items = (replayed(request, model) for request in requests_from(files, kubeconfig, context))
    try:
        made = replay_of(model, items, outcomes, since)
    except OutcomesError as error:
        raise unusable(outcomes_file or "", error) from None
    if output == "text":
        write(as_text(made))
    else:
        write_machine(as_data(made), output)
