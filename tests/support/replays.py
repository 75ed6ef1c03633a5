# SPDX-License-Identifier: Apache-2.0
"""Counts how often the decisions of requests are gone through."""

from collections import Counter

import pytest

from cabgate.lifecycle.state import standing, states


def count_replays(patch: pytest.MonkeyPatch) -> Counter[str]:
    """From now on, by the name of the request."""
    counted: Counter[str] = Counter()
    replay = states.history_of

    def counting(request):
        counted[request.metadata.name] += 1
        return replay(request)

    for module in (states, standing):
        patch.setattr(module, "history_of", counting)
    return counted
