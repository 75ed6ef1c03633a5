# SPDX-License-Identifier: Apache-2.0
"""Canonical JSON (RFC 8785) and digests of it."""

import hashlib
from typing import Any

import rfc8785


def canonical_json(value: Any) -> bytes:
    """The RFC 8785 form of a JSON value.

    Raises `ValueError` for what JSON cannot say the same way everywhere, such as NaN or an
    integer beyond 2^53.
    """
    return rfc8785.dumps(value)


def sha256_hex(value: Any) -> str:
    """SHA-256 of the canonical form of a JSON value, 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
