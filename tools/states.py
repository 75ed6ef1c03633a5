# SPDX-License-Identifier: Apache-2.0
"""Write docs/states.md: the state tables of `cabgate.lifecycle`, drawn."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cabgate.lifecycle import EXCEPTION_TRANSITIONS, REQUEST_TRANSITIONS

PAGE = """\
# States

Drawn from the tables in [`lifecycle.py`](../core/cabgate/lifecycle.py) by `make manifests`. What is
not drawn is refused, or, where it stands in an object all the same, counts for nothing.

## CABRequest

A request is opened as `ExceptionRequired` if its gate says so, else as `Submitted`. Only gate
`ManualReview` lets a person approve or reject, only gate `AutoApprove` the system. `Reopened` leads
back to where the request was opened. Nothing leaves `Rejected` or `Revoked`.

```mermaid
{request}
```

## CABException

`Expired` follows from time alone: creation plus `durationDays`. The entry of that name records it;
the state does not wait for the entry. Nothing leaves `Rejected`, `Revoked` or `Expired`.

```mermaid
{exception}
```

## What holds beyond one object

- A deciding verdict is given once for each content: if another request for the same targets, images
  and evidence is decided, this one cannot be.
- `Rejected` and `Revoked` hold for their content under any intent of the namespace, also when the
  intent is deleted and made anew.
- `Revoked` denies its images, for its workloads, under every request and every exception that was
  approved before, until a person approves the images again. Times are of whole seconds: an approval
  of the same second counts as before.
- New evidence for images that were rejected or revoked is never approved by score. Images are the
  same if one list holds the other.
- A request records when it was opened (`metadata.creationTimestamp`), taken (`status.takenAt`) and
  decided (`status.decidedAt`).
"""


def rendered() -> str:
    """The page."""
    return PAGE.format(
        request=_chart(("Submitted", "ExceptionRequired"), REQUEST_TRANSITIONS),
        exception=_chart(("Pending",), EXCEPTION_TRANSITIONS),
    )


def _chart(opening: tuple[str, ...], transitions: Mapping[tuple[Any, Any, Any], Any]) -> str:
    lines = ["stateDiagram-v2", *(f"    [*] --> {state}" for state in opening)]
    lines += [
        f"    {state.value} --> {target}: {verdict.value} ({author.value})"
        for (state, verdict, author), following in transitions.items()
        # None: the state in which the request was opened.
        for target in (opening if following is None else (following.value,))
    ]
    return "\n".join(lines)


def main() -> int:
    """Write the page; tell if it changed."""
    path = Path(__file__).resolve().parents[1] / "docs" / "states.md"
    if not path.exists() or path.read_text() != rendered():
        path.write_text(rendered())
        print("wrote docs/states.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
