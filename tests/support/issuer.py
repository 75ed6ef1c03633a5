# SPDX-License-Identifier: Apache-2.0
"""An OIDC issuer as an API server trusts one: discovery and keys over TLS, tokens that are really
signed, and a sign-in by code with PKCE, without a password: whoever comes is `person`."""

import base64
import hashlib
import json
import secrets
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlencode, urlsplit

import yaml
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


def text_of(data):
    """Bytes as a part of a token."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _number(value):
    return text_of(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class RS256:
    """A key of RSA."""

    alg = "RS256"

    def __init__(self):
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def public(self):
        """Its public half, of a JWK."""
        numbers = self._key.public_key().public_numbers()
        return {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}

    def sign(self, data):
        """The signature of a JWS."""
        return self._key.sign(data, padding.PKCS1v15(), hashes.SHA256())


class ES256:
    """A key of the curve P-256."""

    alg = "ES256"

    def __init__(self):
        self._key = ec.generate_private_key(ec.SECP256R1())

    def public(self):
        """Its public half, of a JWK."""
        numbers = self._key.public_key().public_numbers()
        x, y = (text_of(each.to_bytes(32, "big")) for each in (numbers.x, numbers.y))
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y}

    def sign(self, data):
        """The signature of a JWS."""
        r, s = decode_dss_signature(self._key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


CLIENT, SECRET = "cabgate", "the secret of the client, 50 % of it + more/="
"""The page, as an issuer knows it; it knows any client by that secret."""


class Issuer:
    """An issuer at a URL of its own; a context manager. `keys` are by their ids, `person` is who
    signs in next, with `claims`; `give` makes another token than theirs, of nonce and audience."""

    def __init__(self, certificate, key, ca_pem):
        self.ca_pem = ca_pem
        self.keys = {"rsa": RS256(), "ec": ES256()}
        self.person, self.claims, self.give = "rita", {}, None
        self.asked, self.codes, self.pages_instead = [], {}, {}
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                url = urlsplit(self.path)
                if url.path == "/auth":
                    self.send_response(302)
                    self.send_header("Location", issuer.signed_in(dict(parse_qsl(url.query))))
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                found = {**issuer.pages(), **issuer.pages_instead}.get(self.path)
                self._answer(200 if found else 404, found or {})

            def do_POST(self):
                size = int(self.headers["Content-Length"])
                fields = parse_qs(self.rfile.read(size).decode())
                self._answer(*issuer.redeemed(self.headers.get("Authorization", ""), fields))

            def _answer(self, status, content):
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"

    def pages(self):
        """What is served, by path."""
        keys = [
            {"kid": kid, "use": "sig", "alg": key.alg, **key.public()}
            for kid, key in self.keys.items()
        ]
        return {
            "/.well-known/openid-configuration": {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/keys",
                "authorization_endpoint": f"{self.url}/auth",
                "token_endpoint": f"{self.url}/token",
                "end_session_endpoint": f"{self.url}/bye",
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
                "response_types_supported": ["id_token", "code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": [key.alg for key in self.keys.values()],
            },
            "/keys": {"keys": keys},
        }

    def signed_in(self, asked):
        """Where a browser goes on that was sent here: back, with a code that is good once."""
        self.asked.append(asked)
        code = secrets.token_urlsafe(16)
        self.codes[code] = (asked, self.person)
        query = urlencode({"code": code, "state": asked["state"]})
        return f"{asked['redirect_uri']}?{query}"

    def redeemed(self, authorization, fields):
        """Status and answer for a code, once, to the client that it is for."""
        basic = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        asked, person = self.codes.pop(fields.get("code", [""])[0], (None, None))
        verifier = fields.get("code_verifier", [""])[0]
        challenge = text_of(hashlib.sha256(verifier.encode()).digest())
        good = (
            asked is not None
            and [unquote_plus(each) for each in basic.split(":")] == [asked["client_id"], SECRET]
            and asked["code_challenge_method"] == "S256"
            and asked["code_challenge"] == challenge
            and fields["redirect_uri"] == [asked["redirect_uri"]]
        )
        if not good:
            return 400, {"error": "invalid_grant"}
        nonce = asked["nonce"]
        token = self.give(nonce) if self.give else self.token(person, nonce=nonce, **self.claims)
        return 200, {"access_token": "nothing", "token_type": "bearer", "id_token": token}

    def token(self, subject, *, kid="rsa", key=None, audience="cabgate", seconds=3600, **claims):
        """A token of somebody; `key` signs it instead of the one that `kid` names."""
        signing = key or self.keys[kid]
        now = int(time.time())
        header = {"alg": signing.alg, "typ": "JWT", "kid": kid}
        payload = {
            "iss": self.url, "sub": subject, "aud": audience, "iat": now - 10,
            "exp": now + seconds, **claims,
        }  # fmt: skip
        parts = ".".join(text_of(json.dumps(part).encode()) for part in (header, payload))
        return f"{parts}.{text_of(signing.sign(parts.encode()))}"

    def authentication(self, prefix):
        """An AuthenticationConfiguration for kube-apiserver that trusts it, users by `prefix`."""
        return yaml.safe_dump(
            {
                "apiVersion": "apiserver.config.k8s.io/v1",
                "kind": "AuthenticationConfiguration",
                "jwt": [
                    {
                        "issuer": {
                            "url": self.url,
                            "audiences": ["cabgate"],
                            "certificateAuthority": self.ca_pem.decode(),
                        },
                        "claimMappings": {
                            "username": {"claim": "sub", "prefix": prefix},
                            "groups": {"claim": "groups", "prefix": prefix},
                        },
                    }
                ],
            }
        )

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
