# SPDX-License-Identifier: Apache-2.0
"""The bearer token of a call: it lives as long as the call, and shows itself to nobody."""

import hashlib
import re
from typing import Any, NoReturn

from cabgate_portal.problems import Problem

MAX_TOKEN = 32 * 1024
"""Longest token, in characters: an identity provider that lists groups makes some of 9 KB."""

_HEADER = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] ([A-Za-z0-9._~+/-]+=*)")
"""RFC 6750; nothing that could end a header is in it."""


class Token:
    """A bearer token. Its text form, its representation and its pickle hold nothing of it."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def __repr__(self) -> str:
        return "Token(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a token is not written anywhere")

    def authorization(self) -> str:
        """The header of that name for the API server: to be sent there, and kept nowhere."""
        return f"Bearer {self.__value}"

    def bucket(self, key: bytes) -> bytes:
        """What calls are counted by: nobody without the key learns the token from it."""
        return hashlib.blake2b(self.__value.encode("ascii"), key=key, digest_size=16).digest()


def token_of(headers: list[tuple[bytes, bytes]]) -> Token:
    """The token of a call, by its headers as they came. Raises `Problem` where there is none, or
    more than one header: whoever stands between may have read the other."""
    values = [value for name, value in headers if name.lower() == b"authorization"]
    if len(values) > 1:
        raise Problem(400, "TwoTokens", "the header Authorization is given more than once")
    found = _HEADER.fullmatch(values[0]) if values else None
    if found is None or len(found[1]) > MAX_TOKEN:
        what = "malformed or too long" if values else "missing"
        challenge: dict[str, Any] = {"WWW-Authenticate": "Bearer"}
        raise Problem(
            401,
            "TokenNeeded",
            f"the header Authorization is {what}; it has to be `Bearer TOKEN`",
            headers=challenge,
        )
    return Token(found[1].decode("ascii"))
