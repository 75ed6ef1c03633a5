# SPDX-License-Identifier: Apache-2.0
"""Options that more than one command has."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from cabgate.rollout.modes import Mode
from cabgate.rollout.rings import HIGHEST

Command = TypeVar("Command", bound=Callable[..., Any])

manifests_option = click.option(
    "-f",
    "--filename",
    "files",
    metavar="FILE",
    multiple=True,
    help="Manifests, YAML or JSON; - reads standard input. May be repeated.",
)
"""The option of the commands that read workloads from files."""

intent_option = click.option(
    "-f",
    "--filename",
    "intent_file",
    metavar="FILE",
    required=True,
    help="The intent; - reads standard input.",
)
"""The option of the commands that read one intent."""

in_place_option = click.option(
    "-i", "--in-place", is_flag=True, help="Write FILE of -f instead of printing it."
)
"""The option of the commands that change the intent of -f."""


class _Moment(click.DateTime):
    """A day or a moment, UTC."""

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """How help and usage name it: not by the patterns of strptime."""
        return "DATE|TIME"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """The moment, which is aware of its time zone."""
        return super().convert(value, param, ctx).replace(tzinfo=UTC)


MOMENT = _Moment(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"])
"""What --since and --until take of the commands that read the ledger: `2026-01-31`, or
`2026-01-31T12:00:00Z`."""


def check_one_source(files: Sequence[str], kubeconfig: str | None, context: str | None) -> None:
    """Raise `click.UsageError` where files and a cluster are named: one of them is read."""
    if files and (kubeconfig or context):
        raise click.UsageError("-f reads files, --kubeconfig and --context a cluster: not both")


export_option = click.option(
    "-f",
    "--filename",
    "files",
    metavar="FILE",
    multiple=True,
    help="Exported objects, JSON, JSON Lines or YAML, instead of a cluster; - reads standard "
    "input. May be repeated.",
)
"""The option of the commands that read the ledger from files."""

audit_log_option = click.option(
    "-f",
    "--filename",
    "files",
    metavar="FILE",
    multiple=True,
    required=True,
    help="Audit log of an API server; - reads standard input. May be repeated.",
)
"""The option of the commands that read an API server's audit log."""

gated_kind_option = click.option(
    "--gated-kind",
    "gated_kinds",
    multiple=True,
    metavar="GROUP/KIND=PATH",
    help="Another kind that is gated, beside those that the installation names where a cluster is "
    "asked. May be repeated.",
)
"""The option of the commands that read workloads."""

default_ring_option = click.option(
    "--default-ring",
    type=click.IntRange(0, HIGHEST),
    default=None,
    help="Ring of a namespace without the ring label; default: as the installation is set.",
)
"""The option of the commands that need the ring of a namespace."""


mode_option = click.option(
    "--mode",
    type=click.Choice([mode.value for mode in Mode]),
    default=None,
    help="Mode of the cluster; default: as the installation is set.",
)
"""The option of the commands that say what becomes of a denial."""


namespace_option = click.option(
    "-n",
    "--namespace",
    metavar="NAME",
    help="Namespace; default: the manifest's if there is one, else the kubeconfig context's.",
)
"""The option of the commands that look into one namespace."""

output_option = click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "yaml"]),
    default="text",
    show_default=True,
    help="text is for people: a table, or YAML with comments. json and yaml are for programs.",
)
"""The option of the commands that print something."""


def cluster_options(command: Command) -> Command:
    """The options of the commands that ask a cluster: which, and as whom."""
    for option in (
        click.option(
            "--context", metavar="NAME", help="Default: the kubeconfig's current context."
        ),
        click.option(
            "--kubeconfig", metavar="FILE", help="Default: KUBECONFIG, else ~/.kube/config."
        ),
    ):
        command = option(command)
    return command


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Duration(click.ParamType[float]):
    """A duration as kubectl takes it, such as 30m, 1h30m or 90s; in seconds."""

    name = "duration"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The seconds that a duration means."""
        if isinstance(value, float):
            return value
        parts = re.findall(r"([0-9]{1,6})([smhd])", value)
        if not parts or "".join(number + unit for number, unit in parts) != value:
            self.fail(f"{value!r}: not a duration; allowed: such as 90s, 30m, 1h30m", param, ctx)
        return float(sum(int(number) * _UNITS[unit] for number, unit in parts))
