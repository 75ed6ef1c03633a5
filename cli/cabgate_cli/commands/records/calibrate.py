# SPDX-License-Identifier: Apache-2.0
"""`cabgate calibrate`: whether high scores fail more often, from a cluster or from exports."""

import click

from cabgate.calibration.calibrate import Calibration, TooFewError
from cabgate.calibration.calibrate import calibrate as calibration_of
from cabgate.calibration.changes import Change, change_of, newest
from cabgate.calibration.curve import as_svg
from cabgate.calibration.outcomes import OutcomesError, matched
from cabgate.calibration.page import as_html
from cabgate.calibration.texts import as_csv, as_data, as_text, names
from cabgate_cli.commands.options import check_one_source, cluster_options, export_option
from cabgate_cli.errors import Refused, note
from cabgate_cli.exit_codes import of_command
from cabgate_cli.input.changes import (
    check_one_reads_stdin,
    read_outcomes,
    requests_from,
    unusable,
)
from cabgate_cli.output.objects import write, write_machine


@click.command(
    epilog="""\b
Examples:
  cabgate calibrate --outcomes outcomes.csv
  cabgate calibrate -f requests.json --outcomes outcomes.csv -o html > calibration.html
  kubectl get cabrequests -A -o json | cabgate calibrate -f - --outcomes outcomes.csv
"""
    + of_command("done", "too few changes or failures: nothing is said")
)
@export_option
@click.option(
    "--outcomes",
    "outcomes_file",
    metavar="FILE",
    required=True,
    help="CSV with a header and the columns change (NAMESPACE/NAME of the request), failed (true "
    "or false) and at (a moment, or a day); - reads standard input.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "yaml", "csv", "html", "svg"]),
    default="text",
    show_default=True,
    help="text is for people, html to print, svg the reliability curve alone.",
)
@cluster_options
def calibrate(
    files: tuple[str, ...],
    outcomes_file: str,
    output: str,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Compare scores with what failed in production.

    Brier score and where it comes from, and how often changes failed by score, tier, who let them
    through, risk model, and risk of each factor. Below 300 changes or 30 failures nothing is said.
    It changes no model and nothing else.
    """
    check_one_source(files, kubeconfig, context)
    check_one_reads_stdin(files, outcomes_file)
    outcomes = read_outcomes(outcomes_file)
    requests = requests_from(files, kubeconfig, context)
    changes = newest((change_of(request) for request in requests), _itself)
    try:
        found = matched(outcomes, changes)
    except OutcomesError as error:
        raise unusable(outcomes_file, error) from None
    try:
        made = calibration_of(changes, found)
    except TooFewError as error:
        if found.unknown:
            unknown = sorted({each.change for each in found.unknown})
            note(f"not counted, since no such request was given: {names(unknown)}")
        raise Refused(str(error)) from None
    _print(made, output)


def _itself(change: Change) -> Change:
    return change


def _print(found: Calibration, output: str) -> None:
    if output in ("json", "yaml"):
        write_machine(as_data(found), output)
    elif output == "svg":
        write(as_svg(found.total.brier.bins))
    else:
        write({"text": as_text, "csv": as_csv, "html": as_html}[output](found))
