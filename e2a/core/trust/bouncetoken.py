"""Return paths that say which message they belong to: ``bounce+<token>@domain``.

The token is the message's id and a MAC over it in lower-case base32, 42 characters, so that servers that fold the case
of local parts do no harm. It proves that a report comes from someone who saw the message's envelope; it is no secret
about anything else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re

from e2a.core.mail.addresses import split

_ID = re.compile(r"msg_([0-9a-f]{32})")
_MAC = 10
_TOKEN = re.compile(r"[a-z2-7]{42}")
_LOCAL = "bounce+"


class BounceTokens:
    """:param key: 32 octets that only this deployment has: ``Sealer.derive_all("bounce token")``.
    :param old: former keys; what they made is still good.
    """

    def __init__(self, key: bytes, *old: bytes) -> None:
        self._keys = (key, *old)

    def make(self, message_id: str) -> str:
        """:raises ValueError: not a message id (``msg_`` and 32 hex digits)."""
        match = _ID.fullmatch(message_id)
        if match is None:
            raise ValueError(message_id)
        octets = bytes.fromhex(match[1])
        return base64.b32encode(octets + _mac(self._keys[0], octets)).decode("ascii").rstrip("=").lower()

    def address(self, message_id: str, domain: str) -> str:
        """The envelope sender for a message that leaves in the name of ``domain``."""
        return f"{_LOCAL}{self.make(message_id)}@{domain}"

    def read(self, token: str) -> str | None:
        """The id of the message that the token was made for; None when it was not made here. Never raises."""
        token = token.lower()
        if not _TOKEN.fullmatch(token):
            return None
        try:
            octets = base64.b32decode(token.upper() + "=" * (-len(token) % 8))
        except binascii.Error:
            return None
        identity, mac = octets[:16], octets[16:]
        ours = any(hmac.compare_digest(mac, _mac(key, identity)) for key in self._keys)
        return f"msg_{identity.hex()}" if ours else None

    def message_of(self, address: str) -> tuple[str, str] | None:
        """Message id and domain of a return path of ours, None for every other address. Never raises.

        :param address: without angle brackets.
        """
        if address[: len(_LOCAL)].lower() != _LOCAL:
            return None
        local, domain = split(address.lower())
        message_id = self.read(local.removeprefix(_LOCAL))
        return None if message_id is None else (message_id, domain)


def _mac(key: bytes, octets: bytes) -> bytes:
    return hmac.digest(key, b"bounce" + octets, hashlib.sha256)[:_MAC]
