"""Page tokens: where a list goes on, opaque and signed, so that a client can neither read nor bend the position."""

from __future__ import annotations

import binascii
import hashlib
import hmac
import json
from base64 import b64decode, urlsafe_b64encode
from typing import TypeAlias

from e2a.core.errors import BadRequest

#: What a position is made of.
Scalar: TypeAlias = str | int | None

_MAC = 16
_LONGEST = 4096


class PageTokens:
    """:param key: 32 octets of which clients know nothing; the same in every replica.
    :param old: former keys; what they made is still good.
    """

    def __init__(self, key: bytes, *old: bytes) -> None:
        self._keys = (key, *old)

    def make(self, kind: str, values: list[Scalar]) -> str:
        """:param kind: which list, and with which owner and filters, the position belongs to; no other accepts the
        token.
        """
        payload = json.dumps(values, separators=(",", ":")).encode()
        return urlsafe_b64encode(_mac(self._keys[0], kind, payload) + payload).rstrip(b"=").decode()

    def read(self, kind: str, token: str) -> list[Scalar]:
        """The values given to ``make``.

        :raises BadRequest: the token was not made here, or for another kind; ``field`` is ``token``.
        """
        try:
            if len(token) > _LONGEST:
                raise ValueError
            raw = b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), b"-_", validate=True)
        except (ValueError, binascii.Error):
            raw = b""
        mac, payload = raw[:_MAC], raw[_MAC:]
        if not any(hmac.compare_digest(mac, _mac(key, kind, payload)) for key in self._keys):
            raise BadRequest("token is not a page token of this list", field="token")
        values: list[Scalar] = json.loads(payload)
        return values


def _mac(key: bytes, kind: str, payload: bytes) -> bytes:
    # The length keeps kind and payload apart: no pair of them can pass for another.
    message = len(kind.encode()).to_bytes(4, "big") + kind.encode() + payload
    return hmac.digest(key, message, hashlib.sha256)[:_MAC]
