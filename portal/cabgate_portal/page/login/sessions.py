# SPDX-License-Identifier: Apache-2.0
"""Who is signed in: a token in cookies that only the portal can read, and nothing on its side."""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cabgate_portal.page.login.cookies import (
    MAX_CHUNKS,
    STRICT,
    chunks,
    joined,
    removed,
    set_cookies,
)
from cabgate_portal.page.login.sealing import Sealer
from cabgate_portal.problems import Problem
from cabgate_portal.tokens import Token

SESSION = "__Host-cabgate"
"""The name of the cookie; `-0`, `-1` and so on of its chunks."""

_NAMES = [f"{SESSION}-{number}" for number in range(MAX_CHUNKS)]


@dataclass(frozen=True)
class SignedIn:
    """Somebody, by the name that the API server gave them when they signed in."""

    token: Token
    username: str
    ends: datetime

    def over(self, now: datetime) -> bool:
        """Whether their token has expired."""
        return now >= self.ends


class Sessions:
    """Makes cookies of who has signed in, and reads them."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._sealer = Sealer(keys, "session")
        self._form_keys = [hashlib.blake2b(key, person=b"cabgate forms").digest() for key in keys]

    def cookies(self, token: str, username: str, ends: datetime) -> dict[str, str]:
        """The cookies of somebody, by name. Raises `Problem` for a token that is too long."""
        content = {"token": token, "username": username, "ends": int(ends.timestamp())}
        try:
            return chunks(SESSION, self._sealer.seal(json.dumps(content)))
        except ValueError:
            raise Problem(
                *(403, "TokenTooLong", f"your token has {len(token)} characters, which is more "
                "than a browser sends in cookies"),
                next_step="Have the issuer list fewer groups in the tokens of this client.",
            ) from None  # fmt: skip

    def signed_in(self, cookies: Mapping[str, str]) -> SignedIn | None:
        """Whose cookies they are, also where the token has expired; None for no session."""
        sealed = joined(SESSION, cookies)
        text = None if sealed is None else self._sealer.open(sealed)
        if text is None:
            return None
        found = json.loads(text)
        ends = datetime.fromtimestamp(found["ends"], UTC)
        return SignedIn(Token(found["token"]), found["username"], ends)

    def form_token(self, username: str) -> str:
        """What a form of somebody's page holds. It is theirs, and the same when they sign in again:
        so what they typed can still be sent, and by nobody else who signs in at this browser."""
        return self._form_tokens(username)[0]

    def is_form_token(self, token: str, username: str) -> bool:
        """Whether a form of somebody's page holds that, or held it before the key was changed."""
        known = self._form_tokens(username)
        return any(hmac.compare_digest(token.encode(), each.encode()) for each in known)

    def _form_tokens(self, username: str) -> list[str]:
        name = username.encode()
        return [hmac.new(key, name, hashlib.sha256).hexdigest() for key in self._form_keys]


def set_session(cookies: Mapping[str, str]) -> list[str]:
    """Headers Set-Cookie of a session, in the place of one before, which may be longer: a browser
    that comes back from the issuer does not say what it has."""
    left = [name for name in _NAMES if name not in cookies]
    return [*set_cookies(cookies, STRICT), *removed(left, STRICT)]


def removed_session(cookies: Mapping[str, str]) -> list[str]:
    """Headers Set-Cookie that end a session."""
    return removed([name for name in _NAMES if name in cookies], STRICT)
