# SPDX-License-Identifier: Apache-2.0
"""The OpenID Connect issuer: where people sign in, and what it says of who did."""

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlsplit

import aiohttp
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwk, jwt
from joserfc.errors import JoseError

from cabgate.text.inert import inert
from cabgate_portal.problems import BUSY, Problem
from cabgate_portal.tokens import MAX_TOKEN

ALGORITHMS = (
    *("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512"),
)  # fmt: skip
"""Those that an API server takes: each has a public key, and `none` is not among them."""

MAX_ANSWER_BYTES = 256 * 1024
"""Longest answer of the issuer that is read."""

TIMEOUT = aiohttp.ClientTimeout(total=10)
"""For one call to the issuer."""

DISCOVERY_SECONDS = 300.0
"""How long the issuer's description is taken as it was read."""

REFUSED_SECONDS = 5.0
"""How long it is not asked for its description again after it did not give it."""

MAX_REDEEMED = 10
"""Codes that are redeemed at a time."""

LEEWAY_SECONDS = 10
"""How far the issuer's clock may be from ours."""

_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Client:
    """The portal, as the issuer knows it."""

    issuer: str
    """URL, as the tokens have it."""
    client_id: str
    secret: str
    """Empty for a public client, which PKCE alone protects."""
    scopes: Sequence[str]
    redirect_uri: str
    ca: Path | None
    """CA certificates of the issuer; those of the machine where it is None."""

    def __repr__(self) -> str:
        return f"Client({self.issuer!r}, {self.client_id!r})"


@dataclass(frozen=True)
class Description:
    """What the issuer publishes of itself, as far as it is used."""

    authorization: str
    token: str
    keys: str
    methods: Sequence[str]
    """How a client may say who it is."""
    end_session: str
    """Where people sign out of the issuer; empty where it has no such place."""


@dataclass(frozen=True)
class IdToken:
    """A token whose signature, issuer, audience, times and nonce are those that were asked for."""

    value: str
    claims: dict[str, Any]

    def __repr__(self) -> str:
        return "IdToken(hidden)"


class Issuer:
    """Calls to the issuer. Every method raises `Problem`."""

    def __init__(self, client: Client, now: Callable[[], float] = time.time) -> None:
        self.client = client
        self._now = now
        self._described: tuple[float, Description] | None = None
        self._refused: tuple[float, Problem] | None = None
        self._lock = asyncio.Lock()
        self._room = asyncio.Semaphore(MAX_REDEEMED)

    @property
    def end_session(self) -> str:
        """Where people sign out of the issuer, as far as it is known; nothing is asked for it."""
        return "" if self._described is None else self._described[1].end_session

    async def description(self) -> Description:
        """What the issuer says of itself, at most some minutes old. Where it could not be read, it
        is not asked again for some seconds: those who wait would wait for one another."""
        async with self._lock:
            at, found = self._described or (0.0, None)
            if found is not None and time.monotonic() - at <= DISCOVERY_SECONDS:
                return found
            if self._refused is not None and time.monotonic() - self._refused[0] < REFUSED_SECONDS:
                raise self._refused[1].with_traceback(None)
            try:
                found = await self._discovered()
            except Problem as problem:
                self._refused = (time.monotonic(), problem)
                raise
            self._described = (time.monotonic(), found)
            return found

    async def authorization_url(self, state: str, nonce: str, verifier: str) -> str:
        """Where somebody signs in."""
        described = await self.description()
        client = self.client
        return str(
            prepare_grant_uri(
                *(described.authorization, client.client_id, "code", client.redirect_uri),
                scope=list(client.scopes),
                state=state,
                nonce=nonce,
                code_challenge=create_s256_code_challenge(verifier),
                code_challenge_method="S256",
            )
        )

    async def redeemed(self, code: str, nonce: str, verifier: str) -> IdToken:
        """The ID token for the code that a sign-in ended with."""
        # Whoever began a sign-in may send as many codes as they like.
        if self._room.locked():
            raise Problem(
                *(503, BUSY, "too many people sign in at this moment"), headers={"Retry-After": "1"}
            )
        async with self._room:
            return await self._redeemed(code, nonce, verifier)

    async def _redeemed(self, code: str, nonce: str, verifier: str) -> IdToken:
        described = await self.description()
        answer = await self._exchange(described, code, verifier)
        value = answer.get("id_token")
        if not isinstance(value, str) or not value.isascii() or len(value) > MAX_TOKEN:
            raise _failed("its answer has no ID token, or one that is too long: the scopes have to "
                          "have openid")  # fmt: skip
        keys = await self._call("GET", described.keys)
        return IdToken(value, self._checked(value, keys, nonce))

    async def _discovered(self) -> Description:
        found = await self._call(
            "GET", f"{self.client.issuer.rstrip('/')}/.well-known/openid-configuration"
        )
        if found.get("issuer") != self.client.issuer:
            raise _failed(f"it calls itself another issuer than {self.client.issuer}")
        methods = found.get("token_endpoint_auth_methods_supported")
        ends = "end_session_endpoint"
        return Description(
            authorization=_https(found, "authorization_endpoint"),
            token=_https(found, "token_endpoint"),
            keys=_https(found, "jwks_uri"),
            methods=methods if isinstance(methods, list) else ["client_secret_basic"],
            end_session=_https(found, ends) if ends in found else "",
        )

    async def _exchange(self, described: Description, code: str, verifier: str) -> dict[str, Any]:
        client = self.client
        basic = "client_secret_basic" in described.methods
        method = "client_secret_basic" if basic else "client_secret_post"
        name, secret = client.client_id, client.secret
        if basic and secret:
            # As RFC 6749, 2.3.1 has it, and Authlib has not: a secret may have a + or a %.
            name, secret = quote_plus(name), quote_plus(secret)
        auth = ClientAuth(name, secret, method if secret else "none")
        body = prepare_token_request(
            "authorization_code", "", client.redirect_uri, code=code, code_verifier=verifier
        )
        given = {"Content-Type": _FORM}
        target, headers, content = auth.prepare("POST", described.token, given, body)
        return await self._call("POST", target, headers, content)

    def _checked(self, value: str, keys: dict[str, Any], nonce: str) -> dict[str, Any]:
        """The claims of a token of this issuer for this client and this sign-in."""
        client = self.client
        try:
            found = jwt.decode(value, _key_set(keys), algorithms=list(ALGORITHMS))
            claims = CodeIDToken(
                *(found.claims, found.header),
                options={
                    "iss": {"essential": True, "value": client.issuer},
                    "aud": {"essential": True, "value": client.client_id},
                },
                params={"nonce": nonce, "client_id": client.client_id},
            )
            claims.validate(now=int(self._now()), leeway=LEEWAY_SECONDS)
        except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
            # Not its text, which may quote the token.
            raise _failed(f"its token is not good: {type(error).__name__}") from None
        return dict(found.claims)

    async def _call(
        self,
        method: str,
        url: str,
        headers: dict[str, str] | None = None,
        content: str = "",
    ) -> dict[str, Any]:
        """The JSON object that it answers; no redirect is followed with a code or a secret."""
        ca = self.client.ca
        try:
            trust = ssl.create_default_context(cafile=None if ca is None else str(ca))
            async with (
                aiohttp.ClientSession(timeout=TIMEOUT, auto_decompress=False) as session,
                session.request(
                    *(method, url), data=content or None, ssl=trust, allow_redirects=False,
                    headers={"Accept": "application/json", "Accept-Encoding": "identity",
                             **(headers or {})},
                ) as answer,
            ):  # fmt: skip
                body = await _bounded(answer.content)
                status = answer.status
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _failed(f"it does not answer: {type(error).__name__}", status=503) from None
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            found = None
        if status != 200 or not isinstance(found, dict):
            said = found.get("error") if isinstance(found, dict) else None
            why = f", {inert(said)[:100]}" if isinstance(said, str) else ""
            raise _failed(f"it answered {status}{why} at {inert(urlsplit(url).path)}")
        return found


async def _bounded(content: aiohttp.StreamReader) -> bytes:
    found = b""
    async for part in content.iter_chunked(16 * 1024):
        found += part
        if len(found) > MAX_ANSWER_BYTES:
            raise _failed(f"an answer of it is over {MAX_ANSWER_BYTES >> 10} KiB")
    return found


def _key_set(found: dict[str, Any]) -> jwk.KeySet:
    """The keys that sign, of those that it publishes."""
    keys = [
        each
        for each in found.get("keys") or ()
        if isinstance(each, dict) and each.get("kty") in ("RSA", "EC") and each.get("use") != "enc"
    ]
    return jwk.KeySet.import_key_set({"keys": keys})


def _https(found: dict[str, Any], name: str) -> str:
    """A URL of its description. Raises `Problem`."""
    value = found.get(name)
    if not isinstance(value, str) or not value.startswith("https://"):
        raise _failed(f"{name} of its description is no https:// URL")
    return value


def _failed(why: str, status: int = 502) -> Problem:
    return Problem(
        status,
        "IssuerFailed",
        f"the OpenID Connect issuer: {why}",
        next_step="Sign in again. If it stays so, tell whoever runs cabgate: docs/page.md has how "
        "the login is set up.",
    )
