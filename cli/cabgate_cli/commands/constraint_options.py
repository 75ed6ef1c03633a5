# SPDX-License-Identifier: Apache-2.0
"""The options that say how far an exception goes, for its team and for its reviewer."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

OPTIONS = {
    "constraints.maxReplicas": "--max-replicas",
    "constraints.maxRing": "--max-ring",
    "constraints.until": "--until",
    "constraints.windows": "--window",
}
"""The option of each field."""


def constraint_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of a command that takes them as `constraints`, the field of that name of an exception
    or of its review; empty where none was given."""

    @click.option(
        "--max-replicas",
        type=int,
        metavar="NUMBER",
        help="An exception admits no rollout with more replicas.",
    )
    @click.option(
        "--max-ring", type=int, metavar="RING", help="It admits none in a higher ring, 2 to 4."
    )
    @click.option(
        "--until",
        metavar="TIME",
        help="It ends then, if that is before its days are over, such as 2026-03-01T20:00:00Z.",
    )
    @click.option(
        "--window",
        "windows",
        metavar="FROM/UNTIL",
        multiple=True,
        help="It admits within such windows alone, both times as above. May be repeated.",
    )
    @wraps(command)
    def taking(
        *args: Any,
        max_replicas: int | None,
        max_ring: int | None,
        until: str | None,
        windows: tuple[str, ...],
        **kwargs: Any,
    ) -> Any:
        said = {
            "maxReplicas": max_replicas,
            "maxRing": max_ring,
            "until": until,
            "windows": [_window(text) for text in windows],
        }
        given = {name: value for name, value in said.items() if value not in (None, [])}
        return command(*args, constraints=given, **kwargs)

    return taking


def _window(text: str) -> dict[str, str]:
    from cabgate_cli.errors import BadInput

    opens, sign, closes = text.partition("/")
    if not (opens and sign and closes):
        raise BadInput("--window: allowed: FROM/UNTIL, such as "
                       "2026-03-01T20:00:00Z/2026-03-01T22:00:00Z")  # fmt: skip
    return {"from": opens, "until": closes}
