# SPDX-License-Identifier: Apache-2.0
"""Field selectors of the lists that views are made of: of ten thousand requests the API server then
returns the few that matter, and where they stand is computed of those anew.

Written as plain texts, and held against the states by a test: so a list is on its way to the API
server before the models, which take longer to import than it takes, are there.
"""

_OVER = ("Rejected", "Superseded", "Revoked")
_APPROVED = ("AutoApproved", "Approved")
_OPEN = ("Submitted", "UnderReview", "ExceptionRequired")


def _without(*states: str) -> str:
    return ",".join(f"status.state!={state}" for state in states)


WAITING_REQUESTS = _without(*_APPROVED, *_OVER)
"""Requests that may wait for somebody; one that is approved on conditions, for an attestation."""

LIVE_EXCEPTIONS = _without("Rejected", "Expired", "Revoked")
"""Exceptions that wait or may be active."""

APPROVED_REQUESTS = _without(*_OPEN, *_OVER)
"""Requests that may be approved."""
