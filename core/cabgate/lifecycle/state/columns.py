# SPDX-License-Identifier: Apache-2.0
"""What lists show of a request or an intent, in a line.

The API server prints the first item of a list in a column, and no more: a reviewer would approve
the rest unseen. So what is to be seen stands in the status as one text.
"""

from collections.abc import Sequence

from cabgate.api.stored import StoredSpec, StoredTarget
from cabgate.api.values import MAX_LISTED
from cabgate.text.foreign import printed


def listed_targets(targets: Sequence[StoredTarget]) -> str:
    """The kinds and names of all targets, their count first where there are several:
    `3: Deployment/web, CronJob/report, StatefulSet/db`. What has no room is counted."""
    names = [f"{target.kind}/{target.name}" for target in targets]
    count = f"{len(names)}: " if len(names) > 1 else ""
    return count + _joined(names, MAX_LISTED - len(count))


def listed_submitters(spec: StoredSpec) -> str:
    """Who submitted, and for whom."""
    claimed = f" for {printed(spec.requester)[: MAX_LISTED // 4]}" if spec.requester else ""
    names = [printed(submitter.username) for submitter in spec.submitted_by]
    return (_joined(names, MAX_LISTED - len(claimed)) if names else "nobody known") + claimed


def _joined(names: Sequence[str], room: int) -> str:
    text = ", ".join(names)
    shown = len(names)
    while len(text) > room and shown > 1:
        shown -= 1
        text = f"{', '.join(names[:shown])} and {len(names) - shown} more"
    return text if len(text) <= room else f"{text[: room - 3]}..."
