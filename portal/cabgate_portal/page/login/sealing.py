# SPDX-License-Identifier: Apache-2.0
"""Texts that a browser keeps for the portal: nobody but its replicas can read or make one."""

import base64
import binascii
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
"""Length of a key."""


def keys_of(text: str) -> list[bytes]:
    """The keys in a text, one a line, as `openssl rand -base64 32` writes one. Raises `ValueError`,
    which repeats none of it."""
    found = []
    for number, line in enumerate(text.split(), 1):
        try:
            key = base64.b64decode(line, validate=True)
        except binascii.Error:
            key = b""
        if len(key) != KEY_BYTES:
            raise ValueError(f"line {number} is not {KEY_BYTES} bytes in base64")
        found.append(key)
    if not found:
        raise ValueError("it has no key")
    return found


class Sealer:
    """Seals texts for one purpose: what was sealed for another one does not open."""

    def __init__(self, keys: Sequence[bytes], purpose: str) -> None:
        """The first key seals, each of them opens: so a key can be changed while people work."""
        self._fernet = MultiFernet([Fernet(_derived(key, purpose)) for key in keys])

    def seal(self, text: str) -> str:
        """A text, encrypted and signed; a third longer."""
        return self._fernet.encrypt(text.encode()).decode("ascii")

    def open(self, sealed: str) -> str | None:
        """What was sealed; None for anything else."""
        try:
            return self._fernet.decrypt(sealed.encode("utf-8", "replace")).decode()
        except InvalidToken:
            return None


def _derived(key: bytes, purpose: str) -> bytes:
    kdf = HKDF(SHA256(), length=KEY_BYTES, salt=None, info=f"cabgate-portal {purpose}".encode())
    return base64.urlsafe_b64encode(kdf.derive(key))
