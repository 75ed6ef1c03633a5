# SPDX-License-Identifier: Apache-2.0
"""Waiting for something to become true."""

import time
from collections.abc import Callable
from typing import TypeVar

from cabgate_devcluster.errors import DevClusterError

T = TypeVar("T")


def wait_until(
    predicate: Callable[[], T], what: str, timeout: float = 60.0, interval: float = 0.05
) -> T:
    """Call `predicate` until it returns something true, and return that.

    `timeout` and `interval` are seconds; the timeout is there for what never comes, and says
    nothing of how fast a thing ought to be. The interval grows to four times what it was, so that
    a long wait leaves the processor to what it waits for. An exception out of `predicate` counts
    as "not yet", so an assertion can be the predicate. After `timeout` a `DevClusterError` names
    `what` and the last value or error.
    """
    deadline = time.monotonic() + timeout
    longest = 4 * interval
    error: Exception | None
    while True:
        try:
            value = predicate()
            if value:
                return value
            error, last = None, f"the last value was {value!r}"
        except Exception as exc:  # noqa: BLE001 - what it raises is what we report
            error, last = exc, f"the last error was {type(exc).__name__}: {exc}"
        if time.monotonic() >= deadline:
            raise DevClusterError(f"not within {timeout:g} s: {what}; {last}") from error
        time.sleep(interval)
        interval = min(longest, interval * 1.25)
