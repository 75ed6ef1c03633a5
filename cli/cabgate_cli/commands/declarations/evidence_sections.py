# SPDX-License-Identifier: Apache-2.0
"""The parts of the evidence as options name them."""

from collections.abc import Sequence

from cabgate.api.signer import Section
from cabgate_cli.errors import BadInput

COLLECTED = ("artifacts", "testResults", "scanResults", "scope")
"""What `cabgate evidence collect` reads from reports: what a pipeline can speak for."""


def sections_named(names: Sequence[str]) -> list[Section]:
    """Parts by their names, each once. Raises `BadInput` for what is none."""
    known = {section.value: section for section in Section}
    for name in names:
        if name not in known:
            raise BadInput(f"--section: {name!r}; allowed: {', '.join(known)}")
    return [known[name] for name in dict.fromkeys(names)]
