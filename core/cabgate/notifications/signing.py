# SPDX-License-Identifier: Apache-2.0
"""Signatures of messages to programs, as Standard Webhooks 1.0 has them."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

PREFIX = "whsec_"
"""How a secret begins."""

LEAST_BYTES, MOST_BYTES = 24, 64
"""How long a secret may be."""


def key_of(secret: str) -> bytes:
    """The key that a secret stands for. Raises `ValueError` with what is wrong, without the
    secret."""
    if not secret.startswith(PREFIX):
        raise ValueError(f"does not begin with {PREFIX}")
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"what follows {PREFIX} is no base64") from None
    if not LEAST_BYTES <= len(key) <= MOST_BYTES:
        raise ValueError(f"has {len(key)} bytes; allowed: {LEAST_BYTES} to {MOST_BYTES}")
    return key


def signed_headers(key: bytes, message_id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """The headers of a message. `timestamp` is in seconds of Unix time."""
    content = f"{message_id}.{timestamp}.".encode() + body
    digest = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{digest}",
    }
