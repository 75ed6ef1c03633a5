# SPDX-License-Identifier: Apache-2.0
"""Who is signed in: a token in cookies that only the portal can read, and nothing on its side."""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cabgate_portal.page.login.cookies import STRICT, chunks, joined, removed, set_cookies
from cabgate_portal.page.login.sealing import Sealer
from cabgate_portal.problems import Problem
from cabgate_portal.tokens import Token

SESSION = "__Host-cabgate"
"""The name of the cookie; `-0`, `-1` and so on of its chunks."""


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
        self._form_key = hashlib.blake2b(keys[0], person=b"cabgate forms").digest()

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
        return hmac.new(self._form_key, username.encode(), hashlib.sha256).hexdigest()


def set_session(cookies: Mapping[str, str], before: Mapping[str, str]) -> list[str]:
    """Headers Set-Cookie of a session, in the place of the one before, which may be longer."""
    left = [name for name in _names(before) if name not in cookies]
    return [*set_cookies(cookies, STRICT), *removed(left, STRICT)]


def removed_session(cookies: Mapping[str, str]) -> list[str]:
    """Headers Set-Cookie that end a session."""
    return removed(_names(cookies), STRICT)


def _names(cookies: Mapping[str, str]) -> list[str]:
    known = (f"{SESSION}-{number}" for number in range(100))
    return [name for name in known if name in cookies]
