# SPDX-License-Identifier: Apache-2.0
"""Proof that a review came from the API server: a value that a MutatingAdmissionPolicy of the chart
puts in from a Secret, on its way to the webhook that signs. It is in no stored object and in no
answer: docs/decisions/0034-proof-of-the-caller.md."""

import base64
import hmac
from collections.abc import Mapping
from typing import Any

from cabgate.text.refusal import Refusal, RefusalReason

ANNOTATION = "cabgate.dev/admission-proof"
"""Where the policy writes it, in base64 as the Secret has it."""

MIN_BYTES = 32
"""Fewest bytes of a proof: nobody guesses so many."""

_ABSENT = (
    "it cannot be verified that the API server sent this review, since it carries no proof of "
    "that: it was not signed, and nothing is recorded. MutatingAdmissionPolicy "
    "admission-proof.cabgate.dev adds the proof, from Secret "
    "cabgate-system/cabgate-admission-proof: ask whoever runs cabgate whether both are there. "
    "Where the Secret was just changed, try again in two minutes"
)


def check_proof(annotations: object, wanted: bytes) -> None:
    """Raise `Refusal` unless the annotations of a reviewed object hold the proof; with fewer than
    `MIN_BYTES` wanted nothing proves anything."""
    stamped: Any = annotations.get(ANNOTATION) if isinstance(annotations, Mapping) else None
    given = stamped.encode(errors="replace") if isinstance(stamped, str) else b""
    known = len(wanted) >= MIN_BYTES
    if not known or not hmac.compare_digest(given, base64.b64encode(wanted)):
        raise Refusal(RefusalReason.CALLER_NOT_PROVED, _ABSENT)
