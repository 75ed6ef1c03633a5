# SPDX-License-Identifier: Apache-2.0
"""Why somebody decided so: what counts as saying it."""

from typing import Annotated

from pydantic import StringConstraints

from cabgate.api.base import cel, trimmed

Rationale = Annotated[str, StringConstraints(max_length=4096)]
"""Why somebody decided so."""

RATIONALE = "<why>"
"""What stands in a command where the reviewer is to say why; refused as it is."""


def says_nothing(rationale: str) -> bool:
    """Whether a rationale is none, though one is given: what is recorded stays for good."""
    return bool(rationale) and (
        trimmed(rationale) == RATIONALE or not any(map(str.isalnum, rationale))
    )


SAYS_WHY = cel(
    f"!has(self.rationale) || self.rationale == '' || (self.rationale.trim() != '{RATIONALE}'"
    r" && self.rationale.matches('[\\p{L}\\p{N}]'))",
    "says nothing: write why, it is recorded for good: status.review.rationale",
)
"""Of what comes in alone: what an older release recorded is still to be written to."""
