# SPDX-License-Identifier: Apache-2.0
"""Options of the commands that run kubectl: which cluster, and as whom. Each is handed along."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from cabgate_cli.commands.options import cluster_options
from cabgate_cli.input.kubectl.process import Kubectl

_HANDED = {
    "kubeconfig": "--kubeconfig",
    "context": "--context",
    "cluster": "--cluster",
    "user": "--user",
    "as_user": "--as",
    "as_uid": "--as-uid",
}

all_namespaces_option = click.option(
    "-A", "--all-namespaces", is_flag=True, help="Every namespace."
)
"""The option of the commands that may look everywhere."""

because_option = click.option(
    "--because",
    metavar="TEXT",
    help="Reason for the decision, stored permanently; prompted for if omitted.",
)
"""The option of the commands that give a verdict."""


def kubectl_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that kubectl is handed; the command gets a `Kubectl` of them, as `kubectl`."""

    @wraps(command)
    def handed(*args: Any, as_groups: tuple[str, ...], **given: Any) -> Any:
        words = [
            f"{option}={value}"
            for name, option in _HANDED.items()
            if (value := given.pop(name)) is not None
        ]
        words += [f"--as-group={group}" for group in as_groups]
        return command(*args, kubectl=Kubectl(tuple(words)), **given)

    for option in (
        click.option("--as-uid", metavar="UID", help="Impersonate this uid, as kubectl does."),
        click.option(
            "--as-group",
            "as_groups",
            metavar="NAME",
            multiple=True,
            help="Impersonate this group, as kubectl does. May be repeated.",
        ),
        click.option("--as", "as_user", metavar="NAME", help="Impersonate, as kubectl does."),
        click.option("--user", metavar="NAME", help="User of the kubeconfig."),
        click.option("--cluster", metavar="NAME", help="Cluster of the kubeconfig."),
    ):
        handed = option(handed)
    return cluster_options(handed)
