# SPDX-License-Identifier: Apache-2.0
"""`cabgate outcome report`: say that something went wrong with a rollout."""

import json

import click

from cabgate_cli.commands.kubectl_options import kubectl_options
from cabgate_cli.commands.options import namespace_option, output_option
from cabgate_cli.exit_codes import of_command
from cabgate_cli.input.kubectl.process import Kubectl


@click.command(
    name="report",
    epilog="""\b
Examples:
  cabgate outcome report -n shop checkout-1f2e3d4c5b6a --severity 2 --id INC-4711 \\
    --source alertmanager
"""
    + of_command("recorded, now or before", "refused by the gate"),
)
@click.argument("name", metavar="NAME")
@click.option(
    "--severity",
    type=click.IntRange(1, 4),
    required=True,
    help="1 to 4; 1 is worst.",
)
@click.option(
    "--id",
    "incident",
    metavar="ID",
    required=True,
    help="What the incident is called where it is kept; an id is recorded once.",
)
@click.option("--source", metavar="TEXT", required=True, help="What noticed it, or an address.")
@namespace_option
@output_option
@kubectl_options
@click.pass_context
def report_incident(
    ctx: click.Context,
    kubectl: Kubectl,
    name: str,
    severity: int,
    incident: str,
    source: str,
    namespace: str | None,
    output: str,
) -> None:
    """Report an incident of a rollout.

    NAME is a RolloutOutcome: cabgate outcome list. Recorded for good, with who reports it and when;
    whoever reports holds the verb report on rolloutoutcomes.
    """
    from pydantic import ValidationError

    from cabgate.api import RolloutOutcome
    from cabgate.api.base import first_problem
    from cabgate.api.outcome import PLURAL, IncidentReport
    from cabgate.outcomes.writing import workload_of
    from cabgate.text.inert import inert
    from cabgate_cli.errors import BadInput, Refused, Unavailable
    from cabgate_cli.input.names import object_name
    from cabgate_cli.input.stored import parsed
    from cabgate_cli.output.objects import write, write_machine

    place, subject = kubectl.namespace(namespace), object_name(name, "NAME")
    try:
        report = IncidentReport(id=incident, severity=severity, source=source).to_dict()
    except ValidationError as error:
        first = first_problem(error)
        raise BadInput(f"--{inert(first.path)}: {first.message}") from None
    found = parsed(RolloutOutcome, kubectl.one(place, PLURAL, subject, quiet=False))
    patch = json.dumps({"status": {"report": report}})
    ran = kubectl.run(
        *("patch", "rolloutoutcome", subject, "-n", place),
        *("--subresource=status", "--type=merge", "-p", patch),
    )
    if ran.code != 0:
        # What kubectl says has been passed on already.
        what = f"RolloutOutcome {subject} in namespace {place}: nothing was recorded"
        raise Refused(what) if ran.denied else Unavailable(what)
    if output != "text":
        write_machine({"namespace": place, "name": subject, **report}, output)
    else:
        about = inert(workload_of(found.spec.target).argument)
        write(f"{subject} in namespace {place}, of {about}: incident {inert(incident)}\n")
