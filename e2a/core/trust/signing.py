"""The ``X-E2A-Auth-*`` headers: what the gateway vouches for, under a secret it shares with the receiver.

The server signs with this file and the client library verifies with it. The signature is HMAC-SHA256 over eight lines;
nothing escapes a line end, so a value that holds one is refused on both sides. The key is the *text* of the secret in
UTF-8, never hex-decoded.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from e2a.core.entities import Facts

PREFIX = "X-E2A-Auth-"
VERIFIED = PREFIX + "Verified"
SENDER = PREFIX + "Sender"
ENTITY_TYPE = PREFIX + "Entity-Type"
DOMAIN_CHECK = PREFIX + "Domain-Check"
DELEGATION = PREFIX + "Delegation"
TIMESTAMP = PREFIX + "Timestamp"
MESSAGE_ID = PREFIX + "Message-Id"
BODY_HASH = PREFIX + "Body-Hash"
SIGNATURE = PREFIX + "Signature"
#: One signature for each live secret, separated by spaces; only there while there are several.
SIGNATURES = PREFIX + "Signatures"

#: The signed headers in the order of the canonical string's lines.
SIGNED = (VERIFIED, SENDER, ENTITY_TYPE, DOMAIN_CHECK, DELEGATION, TIMESTAMP, MESSAGE_ID, BODY_HASH)

#: How old a signature may be and how far in the future, in seconds; both limits themselves pass.
MAX_AGE = 300
FUTURE_SKEW = 30

#: Signatures of one set of headers that are looked at.
_MOST_SIGNATURES = 10

_LINE_BREAKERS = re.compile(r"[\r\n\0]")
_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]+)?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)


@dataclass(frozen=True, slots=True)
class Check:
    """What a presented set of headers is worth, point by point."""

    body_hash_ok: bool
    signature_ok: bool
    timestamp_ok: bool

    @property
    def accepted(self) -> bool:
        return self.body_hash_ok and self.signature_ok and self.timestamp_ok


def body_hash(raw: bytes) -> str:
    """Lower-case hex SHA-256 of exactly the bytes that ``raw_message`` decodes to."""
    return hashlib.sha256(raw).hexdigest()


def canonical(fields: Iterable[str]) -> bytes:
    """The signed octets: the eight values, one a line, in the order of ``SIGNED``.

    :raises ValueError: a value holds CR, LF or NUL, which would make two different sets of values sign alike.
    """
    values = tuple(fields)
    if len(values) != len(SIGNED):
        raise ValueError(f"{len(SIGNED)} fields are signed, not {len(values)}")
    for name, value in zip(SIGNED, values, strict=True):
        if _LINE_BREAKERS.search(value):
            raise ValueError(f"{name} holds a line break or NUL")
    # Headers that came over HTTP may hold lone surrogates; "surrogatepass" keeps them distinct instead of failing on
    # them.
    return "\n".join(values).encode("utf-8", "surrogatepass")


def timestamp(now: float) -> str:
    """Unix time as ``YYYY-MM-DDTHH:MM:SSZ``, whole seconds: the one form that every client library reads."""
    return datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def sign(facts: Facts, message_id: str, secret: str, now: float, also: Sequence[str] = ()) -> dict[str, str]:
    """The headers that vouch for one message, signed at ``now`` (Unix seconds). Delegation is absent when there is
    none.

    :param also: further secrets that receivers may hold; with any, ``SIGNATURES`` has one signature of each.
    :raises ValueError: the secret is empty, or a value holds CR, LF or NUL.
    """
    if not secret:
        raise ValueError("an empty secret signs nothing")
    values = (
        "true" if facts.verified else "false",
        facts.sender,
        facts.entity_type,
        facts.domain_check,
        facts.delegation,
        timestamp(now),
        message_id,
        facts.body_hash,
    )
    headers = dict(zip(SIGNED, values, strict=True))
    if not facts.delegation:
        del headers[DELEGATION]
    octets = canonical(values)
    headers[SIGNATURE] = _mac(secret, octets)
    if also:
        headers[SIGNATURES] = " ".join([headers[SIGNATURE], *(_mac(each, octets) for each in also if each)])
    return headers


def check(
    headers: Mapping[str, str],
    raw: bytes,
    secrets: Iterable[str],
    now: float,
    max_age: float = MAX_AGE,
    skew: float = FUTURE_SKEW,
) -> Check:
    """Judge presented headers against the message and every secret the receiver holds.

    Header names match in any letter case, as over HTTP; a header given twice under two spellings is ambiguous and
    refused.

    :param raw: the decoded ``raw_message``.
    :param now: the receiver's Unix time.
    """
    presented: dict[str, str] = {}
    ambiguous = False
    for name, value in headers.items():
        key = name.lower()
        ambiguous = ambiguous or key in presented
        presented[key] = value
    values = [presented.get(name.lower(), "") for name in SIGNED]
    signed_at = _parse_rfc3339(values[SIGNED.index(TIMESTAMP)])
    return Check(
        body_hash_ok=_equal(values[SIGNED.index(BODY_HASH)], body_hash(raw)),
        signature_ok=not ambiguous and _signature_matches(_offered(presented), values, secrets),
        timestamp_ok=signed_at is not None and -skew <= now - signed_at <= max_age,
    )


def verify(
    headers: Mapping[str, str],
    raw: bytes,
    secrets: Iterable[str],
    now: float,
    max_age: float = MAX_AGE,
    skew: float = FUTURE_SKEW,
) -> bool:
    """Whether the headers vouch for exactly this message, now. Never raises for anything presented."""
    return check(headers, raw, secrets, now, max_age, skew).accepted


def _offered(presented: Mapping[str, str]) -> list[str]:
    """The signatures among the headers, by lower-case name; none without the one that is always there."""
    signature = presented.get(SIGNATURE.lower(), "")
    if not signature:
        return []
    return [signature, *presented.get(SIGNATURES.lower(), "").split()[:_MOST_SIGNATURES]]


def _signature_matches(signatures: list[str], values: list[str], secrets: Iterable[str]) -> bool:
    if not signatures:
        return False
    try:
        octets = canonical(values)
    except ValueError:
        return False
    matches = False
    for secret in secrets:
        if secret:
            expected = _mac(secret, octets)
            for signature in signatures:
                matches |= _equal(signature, expected)
    return matches


def _mac(secret: str, octets: bytes) -> str:
    return hmac.new(secret.encode("utf-8", "surrogatepass"), octets, hashlib.sha256).hexdigest()


def _equal(presented: str, expected: str) -> bool:
    return hmac.compare_digest(presented.encode("utf-8", "surrogatepass"), expected.encode("ascii"))


def _parse_rfc3339(text: str) -> float | None:
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    zone = UTC
    if match[8]:
        hours, minutes = int(match[9]), int(match[10])
        if hours > 23 or minutes > 59:
            return None
        offset = timedelta(hours=hours, minutes=minutes)
        zone = timezone(-offset if match[8] == "-" else offset)
    try:
        year, month, day, hour, minute, second = (int(match[part]) for part in range(1, 7))
        moment = datetime(year, month, day, hour, minute, second, tzinfo=zone)
        return moment.timestamp() + float(match[7] or 0)
    except (ValueError, OverflowError):
        return None
