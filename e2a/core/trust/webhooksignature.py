"""The Standard Webhooks signature over a whole request body (https://www.standardwebhooks.com, symmetric ``v1``).

The secret's bytes are its UTF-8 text, as for the ``X-E2A-Auth-*`` headers. A library that wants the ``whsec_`` form
gets ``whsec_`` + base64 of those bytes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping

ID = "webhook-id"
TIMESTAMP = "webhook-timestamp"
SIGNATURE = "webhook-signature"

#: Seconds that a request's timestamp may lie on either side of the receiver's clock.
TOLERANCE = 300


def sign(message_id: str, now: float, body: bytes, secrets: Iterable[str]) -> dict[str, str]:
    """The three headers of one attempt.

    :param message_id: stays the same over all attempts, so that a receiver can drop repetitions.
    :param secrets: every live secret, newest first: a receiver that still holds an older one keeps verifying.
    :raises ValueError: no secret, or an id with a full stop or a line break in it.
    """
    if not message_id or any(char in message_id for char in ".\r\n\0"):
        raise ValueError("the id would make the signed text ambiguous")
    moment = str(int(now))
    signatures = [_mac(secret, message_id, moment, body) for secret in secrets if secret]
    if not signatures:
        raise ValueError("nothing to sign with")
    return {ID: message_id, TIMESTAMP: moment, SIGNATURE: " ".join(signatures)}


def verify(
    headers: Mapping[str, str], body: bytes, secrets: Iterable[str], now: float, tolerance: float = TOLERANCE
) -> bool:
    """Whether one of the presented signatures is right for this body under one of the secrets, and recent."""
    presented = {name.lower(): value for name, value in headers.items()}
    message_id, moment = presented.get(ID, ""), presented.get(TIMESTAMP, "")
    if not message_id or not (moment.isascii() and moment.isdigit() and len(moment) <= 12):
        return False
    if abs(now - int(moment)) > tolerance:
        return False
    offered = [item.encode("utf-8", "surrogatepass") for item in presented.get(SIGNATURE, "").split()]
    matches = False
    for secret in secrets:
        if secret:
            expected = _mac(secret, message_id, moment, body).encode("ascii")
            for signature in offered:
                matches |= hmac.compare_digest(signature, expected)
    return matches


def _mac(secret: str, message_id: str, moment: str, body: bytes) -> str:
    octets = b"%s.%s.%s" % (message_id.encode("utf-8", "surrogatepass"), moment.encode("ascii"), body)
    digest = hmac.digest(secret.encode("utf-8", "surrogatepass"), octets, hashlib.sha256)
    return "v1," + base64.b64encode(digest).decode("ascii")
