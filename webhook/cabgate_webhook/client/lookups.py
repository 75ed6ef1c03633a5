# SPDX-License-Identifier: Apache-2.0
"""How much one admission request may read, and what is said of a read that gave no answer."""

READ_BYTES = 1024 * 1024
"""What one answer may hold at any time. The write of a request keeps those of one workload far
below it (`cabgate.lifecycle.limits.budget`)."""

LARGE_BYTES = 16 * READ_BYTES
"""What an answer may hold that has to wait for others of its size: something stored before there
was a budget, or grown by decisions since. One is read at a time, so that memory is bounded, and
only who has so much waits."""


class LookupFailed(Exception):  # noqa: N818 - said to users as it is
    """The API server did not answer a read; the message says which and why.

    `brief` is the message for a log, without what was answered: that may quote content.
    """

    def __init__(self, message: str, brief: str = "") -> None:
        self.brief = brief or message
        super().__init__(message)


class BudgetUsedUp(LookupFailed):
    """What an admission request has to read is more than it may."""

    @classmethod
    def of(cls, path: str) -> "BudgetUsedUp":
        """What is said of a path in the namespace of the admission request."""
        return cls(
            f"GET {path}: comes to more than {LARGE_BYTES // READ_BYTES} MiB, which is all that "
            "cabgate reads for one admission request. It is about this namespace alone: delete "
            "exceptions that ended and intents that nobody needs there (what was for them goes "
            "after some days), or have whoever runs cabgate remove requests",
            f"GET {path}: answer too large",
        )
