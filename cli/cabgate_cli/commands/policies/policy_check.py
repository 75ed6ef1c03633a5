# SPDX-License-Identifier: Apache-2.0
"""`cabgate policy check`: whether some people could approve what a policy asks them to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from cabgate.api import ChangePolicy
from cabgate.api.changepolicy import APPROVE
from cabgate.lifecycle.requests.terms import needs_in_ring, policy_warnings
from cabgate.lifecycle.requests.voters import BoardCheck, Group, check_board
from cabgate.text.foreign import printed
from cabgate.views.plain import plain
from cabgate.views.policies import promotion_in
from cabgate_cli.commands.options import cluster_options, namespace_option, output_option
from cabgate_cli.commands.policies.policy_options import policy_file_option
from cabgate_cli.errors import note
from cabgate_cli.exit_codes import ExitCode, of_command
from cabgate_cli.input.files.models import read_policy
from cabgate_cli.input.names import namespace_name
from cabgate_cli.output.objects import write, write_machine

MAX_PEOPLE = 999
"""Most people of one group that is counted."""


@dataclass(frozen=True)
class _Given:
    """A group as it was given."""

    text: str
    groups: tuple[str, ...]
    people: int | None


class _Groups(click.ParamType[_Given]):
    """Groups that people are in, with how many they are."""

    name = "groups"

    def convert(
        self, value: str | _Given, param: click.Parameter | None, ctx: click.Context | None
    ) -> _Given:
        """The names, and the number if there is one."""
        if isinstance(value, _Given):
            return value
        names, _, number = value.rpartition("=")
        people: int | None = None
        if names and number.isascii() and number.isdigit() and len(number) <= len(str(MAX_PEOPLE)):
            people = int(number)
        else:
            names = value
        groups = tuple(names.split(","))
        if not all(each.strip() for each in groups):
            self.fail(f"{value!r}: a group without a name; allowed: such as cab,seniors=2")
        return _Given(value, groups, people)


@click.command(
    epilog="""\b
Examples:
  cabgate policy check -n shop --as-group cab --as-group cab,seniors
  cabgate policy check -n shop --as-group cab=4 --as-group cab,seniors=1
  cabgate policy check -n shop -f policy.yaml --as-group cab
"""
    + of_command("they could meet every rule", "they could not, or nobody knows which policy holds")
)
@namespace_option
@policy_file_option
@click.option(
    "--as-group",
    "given",
    type=_Groups(),
    metavar="GROUP[,GROUP...][=PEOPLE]",
    multiple=True,
    required=True,
    help="People who are in this group, or in all of several, and how many they are; default: as "
    "many as are needed. May be repeated, for other people.",
)
@output_option
@cluster_options
@click.pass_context
def check(
    ctx: click.Context,
    namespace: str | None,
    policy_file: str | None,
    given: tuple[_Given, ...],
    output: str,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Say whether some people could meet every rule of a change policy.

    Of the policy of a file, or of the one that holds for a namespace; by what RBAC gives their
    groups there, which the API server is asked (create subjectaccessreviews). Rules that are about
    higher rings than that of the namespace are left out.
    """
    if namespace is not None:
        namespace_name(namespace, "--namespace")
    found = None if policy_file is None else read_policy(policy_file)
    from cabgate_cli.input.cluster.client import Cluster, context_namespace
    from cabgate_cli.input.cluster.policies import PolicyPlace

    here = namespace or context_namespace(kubeconfig, context) or "default"
    place = PolicyPlace.read(Cluster(kubeconfig, context, or_files=False), here)
    found = found or place.policy()
    for each in [] if found is None else policy_warnings(found):
        note(each)
    needs = [] if found is None else needs_in_ring(found, place.ring)
    verbs = [each.verb for each in needs]
    groups = [place.group(each.text, each.groups, each.people, verbs) for each in given]
    board = check_board(needs, groups)
    head = {"policy": _named(found), "namespace": here, "ring": place.ring}
    after = "" if found is None else promotion_in(found, place.ring)
    head |= {"promotion": after} if after else {}
    if output == "text":
        write("".join(f"{line}\n" for line in _text(head, board, groups)))
    else:
        write_machine({**head, **_machine(board)}, output)
    ctx.exit(ExitCode.OK if board.met else ExitCode.NO)


def _named(policy: ChangePolicy | None) -> str:
    return "" if policy is None else f"{policy.name} {policy.spec.version}"


def _machine(board: BoardCheck) -> dict[str, Any]:
    needs = [{**plain(each), "met": each.met} for each in board.needs]
    found = {**plain(board), "needs": needs}
    return {**found, "met": board.met, "leavesNobody": board.leaves_nobody}


def _text(head: dict[str, Any], board: BoardCheck, groups: Sequence[Group]) -> list[str]:
    policy = printed(head["policy"]) or "none: one approval is enough"
    lines = [f"Policy     {policy}; namespace {head['namespace']}, ring {head['ring']}"]
    for need in board.needs:
        able = ", ".join(map(printed, need.groups)) or "nobody of them"
        enough = "" if need.met or not need.groups else f", {need.people} in all: too few"
        lines.append(f"Needs      {need.count} with the verb {need.verb}: {able}{enough}")
    if after := head.get("promotion"):
        lines.append(f"After      {after}; who holds override on the policy lets one pass before")
    unable = [each for each in groups if not each.approves]
    lines += [f"Lacks      {printed(each.name)}: {_lack(each)}" for each in unable]
    if board.fewest is None:
        lines.append("Answer     no: they could not meet every rule")
        return lines
    lines.append(f"Answer     yes, with at least {_people(board.fewest)}, none of whom submitted")
    if board.leaves_nobody:
        lines.append(
            "Note       those are all who can approve: what one of them submits nobody can, and a "
            "condition that has to be attested nobody is left to attest"
        )
    return lines


def _lack(group: Group) -> str:
    missing = [] if APPROVE in group.verbs else [f"the verb {APPROVE} on cabrequests.cabgate.dev"]
    missing += [] if group.writes else ["the right to patch cabrequests/status"]
    role = "the role cabgate-cab-member has both"
    return f"{' and '.join(missing)}, without which nobody approves ({role})"


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{number} different people"
