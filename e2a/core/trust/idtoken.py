"""ID tokens of OpenID providers (OpenID Connect Core 1.0, 3.1.3.7): signature and claims."""

from __future__ import annotations

import hmac
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import Key, import_key

#: Signature algorithm to the key type it needs. Symmetric ones and ``none`` are not among them: such tokens could be
#: made by whoever knows the client secret, or by everybody.
ALGORITHMS = {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP", "Ed25519": "OKP"}
#: Seconds by which the provider's clock may differ from ours.
SKEW = 60.0
#: Seconds after which a token is no answer to the sign-in under way any more.
OLDEST = 600.0
#: Keys of a set that are looked at; providers have a handful, and each costs a tenth of a millisecond.
MOST_KEYS = 50
#: Characters of a subject (OpenID Connect Core 1.0, 2).
LONGEST_SUBJECT = 255


class TokenRefused(Exception):
    """The token proves nothing; the text says why, for the log."""


class UnknownKey(TokenRefused):
    """No key of the set given has the token's ``kid``: the provider may have rotated."""


def usable_keys(document: Any) -> list[Key]:
    """The signature keys at the front of a JWK set (RFC 7517 5); what cannot be used is left out, as the RFC asks."""
    entries = document.get("keys") if isinstance(document, dict) else None
    found: list[Key] = []
    for entry in entries[:MOST_KEYS] if isinstance(entries, list) else ():
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or entry.get("kty") == "oct":
            continue
        try:
            found.append(import_key(entry))
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    return found


def verify(
    token: str, keys: Sequence[Key], *, issuer: str, client_id: str, nonce: str, now: float
) -> Mapping[str, Any]:
    """The claims of an ID token that was issued to us, for the sign-in with this nonce.

    :param now: Unix time.
    :raises UnknownKey: it is signed with a key that is not among ``keys``.
    :raises TokenRefused: anything else is wrong with it.
    """
    claims = _signed(token, keys)
    if claims.get("iss") != issuer:
        raise TokenRefused("iss is another issuer")
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or client_id not in audiences:
        raise TokenRefused("aud does not name this client")
    if claims.get("azp", None if len(audiences) > 1 else client_id) != client_id:
        raise TokenRefused("azp is not this client")
    expires, issued = _time(claims, "exp"), _time(claims, "iat")
    if now - SKEW >= expires:
        raise TokenRefused("it has expired")
    if issued > now + SKEW or issued < now - OLDEST:
        raise TokenRefused("iat is not now")
    if "nbf" in claims and _time(claims, "nbf") > now + SKEW:
        raise TokenRefused("it is not valid yet")
    given = claims.get("nonce")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
        raise TokenRefused("the nonce is not ours")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
        raise TokenRefused("sub is missing or not usable")
    return claims


def _signed(token: str, keys: Sequence[Key]) -> Mapping[str, Any]:
    try:
        header = jws.extract_compact(token.encode("ascii")).headers()
    except (JoseError, ValueError, RecursionError) as error:
        raise TokenRefused("it is no signed token") from error
    algorithm = header.get("alg")
    kind = ALGORITHMS.get(algorithm) if isinstance(algorithm, str) else None
    if kind is None:
        raise TokenRefused("its algorithm is not accepted")
    fitting = [key for key in keys if key.key_type == kind and key.get("alg", algorithm) == algorithm]
    if "kid" in header:
        fitting = [key for key in fitting if key.get("kid") == header["kid"]]
    if not fitting:
        raise UnknownKey("no key of the provider fits")
    for key in fitting:
        try:
            with warnings.catch_warnings():
                # "EdDSA" is the older name of what RFC 9864 calls Ed25519; providers use both.
                warnings.simplefilter("ignore", SecurityWarning)
                return jwt.decode(token, key, algorithms=[str(algorithm)]).claims
        except (JoseError, ValueError, RecursionError):
            continue
    raise TokenRefused("the signature is wrong")


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenRefused(f"{name} is missing")
    return float(value)
