# SPDX-License-Identifier: Apache-2.0
"""`cabgate exception`: a ready CABException for a request."""

from typing import Any

import click

from cabgate import API_VERSION
from cabgate.api import CABException, CABRequest
from cabgate.api.exception import DEFAULT_DURATION_DAYS, KIND, MAX_DURATION_DAYS, PLACEHOLDER
from cabgate.lifecycle.state.standing import standing_of
from cabgate.text.refusal import Refusal
from cabgate.writes.exceptions import check_takes_exception
from cabgate_cli.commands.constraint_options import OPTIONS, constraint_options
from cabgate_cli.commands.kubectl_options import kubectl_options
from cabgate_cli.commands.options import namespace_option, output_option
from cabgate_cli.errors import BadInput, Refused, Unavailable, note
from cabgate_cli.exit_codes import of_command
from cabgate_cli.input.files.validation import checked
from cabgate_cli.input.kubectl.process import Kubectl
from cabgate_cli.input.names import namespace_name, object_name
from cabgate_cli.output.objects import as_json, as_yaml, write

TODO_REASON = f"{PLACEHOLDER} say why the rollout cannot wait for better evidence"
"""Stands for the reason until somebody writes one."""

TODO_CONTROL = f"{PLACEHOLDER} name what keeps the risk in hand meanwhile"
"""Stands for the compensating controls until somebody names one."""

_HEADER = """\
# A request for leave to roll out in spite of the score. A security reviewer decides it.
# It ends {days} after it is created; its spec cannot be changed: create another instead.
"""

_OPTIONS = {
    "spec.reason": "--reason",
    "spec.compensatingControls": "--control",
    "spec.durationDays": "--days",
    **{f"spec.{path}": option for path, option in OPTIONS.items()},
}


@click.command(
    epilog="""\b
Examples:
  cabgate exception -n shop checkout-1f2e3d4c > exception.yaml
  cabgate exception -n shop checkout-1f2e3d4c \\
    --reason "Fixes the outage of today; the scan report follows on Monday" \\
    --control "Rolled out to one region first, watched by the on-call engineer" \\
    --days 7 --max-replicas 3 --max-ring 2 | kubectl apply -f -
"""
    + of_command(no="the request takes no exception", cluster=False)
)
@click.argument("request", metavar="REQUEST")
@namespace_option
@click.option("--name", help="Name of the exception; default: the request's name.")
@click.option("--reason", help="Why the rollout cannot wait for better evidence.")
@click.option(
    "--control",
    "controls",
    multiple=True,
    help="What keeps the risk in hand meanwhile. May be repeated; at least one is needed.",
)
@click.option(
    "--days",
    type=int,
    default=DEFAULT_DURATION_DAYS,
    show_default=True,
    help=f"How long it lasts from its creation, 1 to {MAX_DURATION_DAYS}.",
)
@constraint_options
@output_option
@kubectl_options
def exception(
    kubectl: Kubectl,
    request: str,
    namespace: str | None,
    name: str | None,
    reason: str | None,
    controls: tuple[str, ...],
    days: int,
    constraints: dict[str, Any],
    output: str,
) -> None:
    """Print an exception for a request, for kubectl apply.

    A CABException for the CABRequest named REQUEST. It is for a request whose score needs an
    exception, and that nobody has refused. If the cluster can be asked and says otherwise, nothing
    is printed but why, and whom to ask instead. Without --reason or --control their text is a TODO
    that has to be replaced first.
    """
    metadata = {
        "name": object_name(request, "REQUEST")
        if name is None
        else object_name(name, "--name"),
    }  # fmt: skip
    object_name(request, "REQUEST")
    if namespace is not None:
        metadata["namespace"] = namespace_name(namespace, "--namespace")
    printed: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": metadata,
        "spec": {
            "requestRef": {"name": request},
            "reason": TODO_REASON if reason is None else reason,
            "compensatingControls": list(controls) or [TODO_CONTROL],
            "durationDays": days,
            **({"constraints": constraints} if constraints else {}),
        },
    }
    _check(printed)
    _check_request(kubectl, request, namespace)
    if reason is None or not controls:
        options = [o for o, given in (("--reason", reason), ("--control", controls)) if not given]
        note(f"replace each TODO before you apply this, or give {' and '.join(options)}")
    if output == "json":
        write(as_json(printed))
    elif output == "yaml":
        write(as_yaml(printed))
    else:
        header = _HEADER.format(days="1 day" if days == 1 else f"{days} days")
        write(header + as_yaml(printed))


def _check_request(kubectl: Kubectl, name: str, namespace: str | None) -> None:
    """Refuse what the webhook would. Where the cluster cannot be asked, the webhook says it when
    the exception is applied."""
    from cabgate_cli.input.stored import parsed

    try:
        found = kubectl.one(kubectl.namespace(namespace), "cabrequests", name)
        standing = standing_of(parsed(CABRequest, found))
    except Unavailable:
        return
    try:
        check_takes_exception(standing)
    except Refusal as refusal:
        raise Refused(refusal.message) from None


def _check(printed: dict[str, Any]) -> None:
    """Refuse what the API server would, in the words of the options that were given."""
    try:
        checked(CABException, printed)
    except BadInput as error:
        raise BadInput(*(_in_options(problem) for problem in error.problems)) from None


def _in_options(problem: str) -> str:
    for path, option in _OPTIONS.items():
        if problem.startswith(path):
            return f"{option}: {problem.partition(': ')[2]}"
    return problem
