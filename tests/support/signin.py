"""Signed-in people, made as the daemon makes them, and an OpenID provider that says what a test wants."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import orjson
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

from e2a.core.entities import Origin, Principal
from e2a.core.trust.browser import CsrfTokens
from e2a.flows.ports import Fetched, FetchFailed
from e2a.flows.sessions import Sessions, open_session
from e2a.store.database import Database
from e2a.store.users import get_user
from tests.support.tenants import SEALER

ORIGIN = Origin("192.0.2.7", "Browser/1.0", "req")
CSRF = CsrfTokens(b"csrf key for tests")


def sessions_of(db: Database, now: Callable[[], float] = time.time) -> Sessions:
    return Sessions(db, CSRF, now)


async def sign_in(
    db: Database, user_id: str, now: Callable[[], float] = time.time, origin: Origin = ORIGIN
) -> tuple[str, Principal]:
    """A new session of this user: its token, and who it stands for."""

    async def work(cur: Any) -> tuple[str, Principal]:
        user = await get_user(cur, user_id)
        moment = datetime.fromtimestamp(now(), UTC)
        opened = await open_session(cur, user, "test", origin=origin, now=moment, sealer=SEALER, random=os.urandom)
        return opened.token, opened.principal

    return await db.run("sign in", work)


class FakeProvider:
    """An OpenID provider behind ``flows.ports.Fetch``; every answer can be bent.

    :ivar claims: of the next ID token, on top of what is right. A claim that is None is left out.
    :ivar document: what discovery answers.
    :ivar asked: every request: method, URL, headers, form.
    """

    issuer = "https://id.example"

    def __init__(self, now: Callable[[], float], kind: str = "RS256") -> None:
        self._now = now
        self.algorithm = kind
        self.key: Any = _key(kind, "k1")
        self.keys: list[Any] = [self.key]
        self.claims: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.token_answer: dict[str, Any] = {}
        self.down = False
        self.asked: list[tuple[str, str, Mapping[str, str], dict[str, str]]] = []
        self._nonces: dict[str, str] = {}
        self.document: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
        }

    def agree(self, url: str) -> dict[str, str]:
        """What the provider sends back when the person agrees to a request for authorization."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        code = f"code-{len(self._nonces)}"
        self._nonces[code] = query["nonce"]
        return {"state": query["state"], "code": code}

    def rotate(self) -> None:
        """Sign with a new key from now on."""
        self.key = _key(self.algorithm, "k2")
        self.keys = [self.key]

    async def __call__(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Fetched:
        form = dict(parse_qsl(body.decode()))
        self.asked.append((method, url, headers, form))
        if self.down:
            raise FetchFailed("down")
        path = urlsplit(url).path
        if path == "/.well-known/openid-configuration":
            return _json(self.document)
        if path == "/keys":
            return _json({"keys": [each.as_dict(private=False) for each in self.keys]})
        if path == "/userinfo":
            return _json(self.userinfo)
        if form.get("code") not in self._nonces:
            return Fetched(400, b'{"error":"invalid_grant"}')
        return _json({"id_token": self.token(self._nonces[form["code"]]), "access_token": "at"} | self.token_answer)

    def token(self, nonce: str) -> str:
        now = int(self._now())
        claims = {
            "iss": self.issuer,
            "sub": "subject-1",
            "aud": "client",
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            "email": "ana@people.test",
            "email_verified": True,
            "name": "Ana",
        } | self.claims
        kept = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": self.algorithm, "kid": self.key.get("kid")}
        return jwt.encode(header, kept, self.key, algorithms=[self.algorithm])


def _key(algorithm: str, kid: str) -> Any:
    values: dict[str, Any] = {"kid": kid, "use": "sig"}
    if algorithm == "RS256":
        return RSAKey.generate_key(2048, values)
    return ECKey.generate_key("P-256", values) if algorithm == "ES256" else OKPKey.generate_key("Ed25519", values)


def _json(value: Any) -> Fetched:
    return Fetched(200, orjson.dumps(value))
