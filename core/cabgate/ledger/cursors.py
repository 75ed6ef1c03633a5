# SPDX-License-Identifier: Apache-2.0
"""Up to where a sink has acknowledged each chain, as the ConfigMap `cabgate-relay-cursors` has it:
a line for each chain, `CHAIN SEQUENCE`."""

import re
from collections.abc import Mapping

CONFIG_MAP = "cabgate-relay-cursors"
"""The ConfigMap of up to where each sink of the relay has acknowledged each chain."""

_LINE = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?) ([1-9][0-9]{0,7})")


def parsed_cursors(text: str) -> dict[str, int]:
    """The position of the last record that was acknowledged, by chain. A line that cannot be read
    is left out: its chain is sent again."""
    found: dict[str, int] = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line.strip())
        if match is not None:
            found[match[1]] = int(match[3])
    return found


def written_cursors(cursors: Mapping[str, int]) -> str:
    """Positions as `parsed_cursors` reads them."""
    return "".join(f"{chain} {sequence}\n" for chain, sequence in sorted(cursors.items()))
