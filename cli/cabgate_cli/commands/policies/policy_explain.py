# SPDX-License-Identifier: Apache-2.0
"""`cabgate policy explain`: what a request of a score in a ring needs."""

import re
from decimal import Decimal

import click

from cabgate.risk.builtin_model import DEFAULT_RISK_MODEL
from cabgate.rollout.rings import HIGHEST
from cabgate.text.foreign import printed
from cabgate.views.plain import plain
from cabgate.views.policies import PolicyAnswer, policy_answer
from cabgate_cli.commands.options import cluster_options, namespace_option, output_option
from cabgate_cli.commands.policies.policy_options import policy_file_option
from cabgate_cli.errors import BadInput
from cabgate_cli.exit_codes import of_command
from cabgate_cli.input.files.models import read_policy
from cabgate_cli.input.names import namespace_name
from cabgate_cli.output.objects import write, write_machine


class _Score(click.ParamType[Decimal]):
    """A score, 0 to 100, with two places at most."""

    name = "score"

    def convert(
        self, value: str | Decimal, param: click.Parameter | None, ctx: click.Context | None
    ) -> Decimal:
        """The number."""
        if isinstance(value, Decimal):
            return value
        if not re.fullmatch(r"(100(\.00?)?|[0-9]{1,2}(\.[0-9]{1,2})?)", value):
            self.fail(f"{value!r}: not a score; allowed: 0 to 100, such as 65 or 50.01", param, ctx)
        return Decimal(value)


@click.command(
    epilog="""\b
Examples:
  cabgate policy explain -n shop --score 70
  cabgate policy explain -f policy.yaml --score 70 --ring 4
"""
    + of_command(no="nobody knows which policy, or which risk model, holds: none is opened")
)
@namespace_option
@policy_file_option
@click.option("--score", type=_Score(), required=True, help="Score of the request, such as 65.")
@click.option(
    "--ring",
    type=click.IntRange(0, HIGHEST),
    help="Ring of the namespace; default: as it is.",
)
@output_option
@cluster_options
def explain(
    namespace: str | None,
    policy_file: str | None,
    score: Decimal,
    ring: int | None,
    output: str,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Say what a request of some score would need.

    By the policy of a file, or by the one that holds for a namespace, with the thresholds of the
    risk model that holds there. With a file and a ring no cluster is asked, and the thresholds are
    those of the built-in model.
    """
    if namespace is not None:
        namespace_name(namespace, "--namespace")
    found = None if policy_file is None else read_policy(policy_file)
    model = DEFAULT_RISK_MODEL
    offline = found is not None and namespace is None and not (kubeconfig or context)
    if offline and ring is None:
        raise BadInput("--ring: without a namespace (-n) nobody knows it; allowed: 0 to 4")
    if not offline:
        from cabgate_cli.input.cluster.client import Cluster, context_namespace
        from cabgate_cli.input.cluster.policies import PolicyPlace

        here = namespace or context_namespace(kubeconfig, context) or "default"
        place = PolicyPlace.read(Cluster(kubeconfig, context, or_files=False), here)
        found = found or place.policy()
        model = place.model()
        ring = place.ring if ring is None else ring
    answer = policy_answer(found, model, score, ring or 0)
    if output == "text":
        write(_text(answer))
    else:
        write_machine(plain(answer), output)


def _text(answer: PolicyAnswer) -> str:
    lines = [
        f"Policy     {printed(answer.policy) or 'none: one approval is enough'}",
        f"Request    score {answer.score}, ring {answer.ring}: {answer.gate} by risk model "
        f"{printed(answer.risk_model)}",
        *(f"Rule       {rule}" for rule in answer.rules),
        f"Needs      {answer.needs}",
        *(f"Escalates  {step}" for step in answer.escalation),
        *([f"After      {answer.promotion}"] if answer.promotion else []),
    ]
    return "".join(f"{line}\n" for line in lines)
