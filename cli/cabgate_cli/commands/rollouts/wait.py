# SPDX-License-Identifier: Apache-2.0
"""`cabgate wait`: until an intent, a request or an exception is approved or refused, for
pipelines."""

import time
from collections.abc import Callable
from typing import TypeVar

import click

from cabgate.lifecycle.state.waiting import Outcome, outcome_of, why
from cabgate.text.foreign import printed
from cabgate_cli.commands.kubectl_options import kubectl_options
from cabgate_cli.commands.options import Duration, namespace_option, output_option
from cabgate_cli.errors import BadInput, Unavailable, note
from cabgate_cli.exit_codes import ExitCode, of_command
from cabgate_cli.input.kubectl.process import Kubectl
from cabgate_cli.input.names import namespace_name, object_name
from cabgate_cli.output.objects import write, write_machine

POLL_SECONDS = 2.0
"""Between two looks at the intent."""

ADMITTED, DECIDED = "admitted", "decided"
"""What is waited for: that the rollout of an intent is admitted, or a request decided."""

T = TypeVar("T")

_KUBECTL_ALONE = ("--cluster", "--user", "--as", "--as-group", "--as-uid")
"""Options that the client which looks at an intent does not have."""

_CODES = {
    Outcome.APPROVED: ExitCode.OK,
    Outcome.REFUSED: ExitCode.NO,
    Outcome.OPEN: ExitCode.TIMEOUT,
}


@click.command(
    epilog="""\b
Examples:
  kubectl apply -f intent.yaml && cabgate wait -n shop checkout && kubectl apply -f deployment.yaml
  cabgate wait -n shop checkout --timeout 8h
  kubectl cab wait -n shop checkout-1f2e3d4c --for=decided --timeout 2h
"""
    + of_command(
        "approved: the rollout would be admitted now, or the request is approved",
        "refused: rejected, revoked or too risky; waiting does not help",
        "timeout: neither within the time given",
    )
)
@click.argument("name", metavar="NAME")
@namespace_option
@click.option(
    "--for",
    "goal",
    type=click.Choice([ADMITTED, DECIDED]),
    default=ADMITTED,
    show_default=True,
    help="admitted: NAME is an intent, and its rollout is waited for. decided: NAME is a request, "
    "or with cabex/NAME an exception; runs kubectl.",
)
@click.option(
    "--timeout",
    type=Duration(),
    default="30m",
    show_default=True,
    help="How long to wait, such as 90s, 30m or 1h30m; 0s looks once.",
)
@output_option
@kubectl_options
@click.pass_context
def wait(
    ctx: click.Context,
    kubectl: Kubectl,
    name: str,
    namespace: str | None,
    goal: str,
    timeout: float,
    output: str,
) -> None:
    """Wait until an intent is approved or refused.

    The DeploymentIntent named NAME, as it is now; with --for=decided, the CABRequest named so, or
    with cabex/NAME a CABException. Prints how it ended, and why.
    """
    if goal == DECIDED:
        ctx.exit(_decided(kubectl, name, namespace, timeout, output))
    for option in _KUBECTL_ALONE:
        if kubectl.given(option) is not None:
            raise BadInput(f"{option}: only with --for=decided, which runs kubectl")
    object_name(name, "NAME")
    if namespace is not None:
        namespace_name(namespace, "--namespace")
    ctx.exit(_admitted(kubectl, name, namespace, timeout, output))


def _admitted(
    kubectl: Kubectl, name: str, namespace: str | None, timeout: float, output: str
) -> ExitCode:
    from cabgate_cli.input.cluster.client import Cluster, context_namespace
    from cabgate_cli.input.cluster.gate_source import GateSource

    kubeconfig, context = kubectl.given("--kubeconfig"), kubectl.given("--context")
    place = namespace or context_namespace(kubeconfig, context) or "default"
    source = GateSource(Cluster(kubeconfig, context, or_files=False))
    found = waited(lambda: source.intent(place, name), outcome_of, timeout)
    outcome, message = outcome_of(found), why(found)
    if output == "text":
        _say(f"DeploymentIntent {name}", place, outcome, printed(message), timeout)
    else:
        _write("intent", name, place, outcome, message, output)
    return _CODES[outcome]


def _decided(
    kubectl: Kubectl, name: str, namespace: str | None, timeout: float, output: str
) -> ExitCode:
    from cabgate_cli.input.kubectl.reviewing import named, read_decided

    what = named(name)
    place = kubectl.namespace(namespace)
    found = waited(lambda: read_decided(kubectl, place, what), lambda each: each.outcome, timeout)
    if output == "text":
        _say(str(what), place, found.outcome, found.message, timeout)
    else:
        key = "exception" if what.exception else "request"
        _write(key, what.name, place, found.outcome, found.message, output)
    return _CODES[found.outcome]


def _say(subject: str, place: str, outcome: Outcome, message: str, timeout: float) -> None:
    head = f"waits still, after {timeout:g} s" if outcome is Outcome.OPEN else outcome.value
    write(f"{subject} in namespace {place}: {head}: {message}\n")


def _write(key: str, name: str, place: str, outcome: Outcome, message: str, output: str) -> None:
    found = {"namespace": place, key: name, "outcome": outcome.value, "message": message}
    write_machine(found, output)


def waited(
    read: Callable[[], T],
    judged: Callable[[T], Outcome],
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """What is read once it is judged as approved or refused, or as it is when the time is up.

    What cannot be read at the first look raises `Unavailable`; later it is looked at again, since
    an API server may be away for a moment in a wait of hours. One that is gone raises.
    """
    end = clock() + seconds
    found = read()
    while judged(found) is Outcome.OPEN and (left := end - clock()) > 0:
        sleep(min(POLL_SECONDS, left))
        try:
            found = read()
        except Unavailable as error:
            if error.lasting:
                raise
            note(f"{error.message} It is tried again.")
    return found
