"""ID tokens: who signed them, for whom, for which sign-in, and when."""

from __future__ import annotations

import base64
import hmac
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from twisted.trial.unittest import TestCase

from e2a.core.trust.idtoken import MOST_KEYS, TokenRefused, UnknownKey, usable_keys, verify

NOW = 1_800_000_000
CLAIMS = {"iss": "https://id.example", "sub": "s", "aud": "client", "iat": NOW, "exp": NOW + 300, "nonce": "n"}
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"})
JWKS = {"keys": [key.as_dict(private=False) for key in (RSA, EC, ED)]}


def made(key: Any = RSA, algorithm: str = "RS256", header: dict[str, Any] | None = None, **claims: Any) -> str:
    values = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None}
    head = {"alg": algorithm, "kid": key.get("kid"), **(header or {})}
    return jwt.encode({name: value for name, value in head.items() if value is not None}, values, key, [algorithm])


def read(token: str, document: Any = JWKS, now: float = NOW) -> Any:
    return verify(token, usable_keys(document), issuer="https://id.example", client_id="client", nonce="n", now=now)


class IdTokenTests(TestCase):
    def test_algorithms(self) -> None:
        """RSA, P-256 and Ed25519 signatures are believed, the last under its old and its new name."""
        for key, algorithm in ((RSA, "RS256"), (EC, "ES256"), (ED, "Ed25519")):
            self.assertEqual(read(made(key, algorithm)), CLAIMS)
        self.assertEqual(read(made(ED, "EdDSA")), CLAIMS)
        self.flushWarnings()

    def test_claims(self) -> None:
        """Each claim must be what this sign-in needs."""
        for wrong in (
            {"iss": "https://other.example"},
            {"iss": None},
            {"aud": "other"},
            {"aud": None},
            {"aud": 7},
            {"aud": ["client", "other"]},
            {"aud": ["client", "other"], "azp": "other"},
            {"azp": "other"},
            {"exp": NOW - 60},
            {"exp": None},
            {"exp": True},
            {"exp": str(NOW + 300)},
            {"iat": NOW + 61},
            {"iat": NOW - 601},
            {"iat": None},
            {"nbf": NOW + 61},
            {"nonce": "other"},
            {"nonce": None},
            {"nonce": 7},
            {"sub": ""},
            {"sub": None},
            {"sub": "s" * 256},
            {"sub": "a\0b"},
        ):
            self.assertRaises(TokenRefused, read, made(**wrong))
        for right in ({"aud": ["client"]}, {"aud": ["client", "other"], "azp": "client"}, {"exp": NOW - 59}):
            self.assertEqual(read(made(**right))["sub"], "s")

    def test_forged(self) -> None:
        """No signature, another key's, or one that anybody with public knowledge could make, is refused."""
        stranger = RSAKey.generate_key(2048, {"kid": "rsa"})
        head, body, signature = made().split(".")
        other = made(sub="admin").split(".")[1]
        for token in (
            made(stranger),
            f"{head}.{other}.{signature}",
            f"{head}.{body}.",
            f"{head}.{body}",
            "",
            "a.b.c",
            "\u00e4.b.c",
        ):
            self.assertRaises(TokenRefused, read, token)
        # The classic confusion: the public key's text taken as a shared secret.
        head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"rsa"}').rstrip(b"=").decode()
        mac = hmac.digest(RSA.as_pem(private=False), f"{head}.{body}".encode(), "sha256")
        self.assertRaises(TokenRefused, read, f"{head}.{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}")

    def test_key_of_another_kind(self) -> None:
        """A key serves the algorithm it is for and no other."""
        self.assertRaises(UnknownKey, read, made(RSA, header={"kid": "ec"}))
        narrow = {"keys": [{**RSA.as_dict(private=False), "alg": "PS256"}]}
        self.assertRaises(UnknownKey, read, made(), narrow)
        encryption = {"keys": [{**RSA.as_dict(private=False), "use": "enc"}]}
        self.assertRaises(UnknownKey, read, made(), encryption)

    def test_without_a_key_id(self) -> None:
        """A token that names no key is tried with each that fits."""
        other = RSAKey.generate_key(2048, {"kid": "other"})
        keys = {"keys": [other.as_dict(private=False), RSA.as_dict(private=False)]}
        self.assertEqual(read(made(header={"kid": None}), keys)["sub"], "s")
        self.assertRaises(UnknownKey, read, made(), {"keys": [other.as_dict(private=False)]})

    def test_strange_key_sets(self) -> None:
        """What is no usable key is left out, and the rest is used."""
        for document in (
            None,
            [],
            {},
            {"keys": 7},
            {"keys": [7, {}, {"kty": "x"}, {"kty": "RSA"}, {"kty": "oct", "k": "AA"}]},
        ):
            self.assertEqual(usable_keys(document), [])
        self.assertEqual(len(usable_keys({"keys": [{"kty": "RSA", "n": 1, "e": 2}, *JWKS["keys"]]})), 3)

    def test_too_many_keys(self) -> None:
        """Of a set without end the first keys count, so that no provider keeps the process busy."""
        self.assertEqual(len(usable_keys({"keys": JWKS["keys"][:1] * 10_000})), MOST_KEYS)
