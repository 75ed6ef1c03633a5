# SPDX-License-Identifier: Apache-2.0
"""Options of the commands that read a change policy."""

import click

policy_file_option = click.option(
    "-f",
    "--filename",
    "policy_file",
    metavar="FILE",
    help="File with the ChangePolicy, YAML or JSON; - reads standard input. Default: the one that "
    "holds for the namespace.",
)
