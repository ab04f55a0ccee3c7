"""Links that decide about one held message: ``b64url(payload).b64url(HMAC-SHA256)``, both without padding.

The payload is ``message id~reviewer|action|expiry`` with the expiry in Unix seconds; without a reviewer there is no
tilde. A token says nothing about the message's state, nor whether its reviewer may still decide: whoever acts on it
asks the database, which lets one decision through. The key belongs to the deployment alone,
so that nobody who holds a secret of an account can make a link.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from base64 import b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Literal, get_args

Action = Literal["approve", "reject"]

#: Seconds for which a link still answers after the time to decide has passed, so that late clicks are told why.
GRACE = 600

_ID = re.compile(r"[!-{}]{1,200}")
_REVIEWER = re.compile(r"[0-9A-Za-z_-]{1,64}")
_PAYLOAD = re.compile(rf"({_ID.pattern})(?:~({_REVIEWER.pattern}))?\|(approve|reject)\|([0-9]{{1,12}})")
_LONGEST = 1000


@dataclass(frozen=True, slots=True)
class Link:
    """What a token says. :ivar reviewer: the id of the person it was made for, "" when it names nobody."""

    message_id: str
    reviewer: str


class TokenRefused(Exception):
    """The token decides nothing: malformed, not made here, or made for the other action."""


class TokenExpired(Exception):
    """The token was good once."""


class ApprovalTokens:
    """:param key: 32 octets that only this deployment has: ``Sealer.derive_all("approval")``.
    :param old: former keys; what they made is still good.
    """

    def __init__(self, key: bytes, *old: bytes) -> None:
        self._keys = (key, *old)

    def make(self, message_id: str, action: Action, expires_at: int, reviewer: str = "") -> str:
        """:param expires_at: Unix seconds, the last at which the token is good.
        :param reviewer: the id of the person whom it is for.
        :raises ValueError: an id that cannot stand in a token, or an action that does not exist.
        """
        if not _ID.fullmatch(message_id) or action not in get_args(Action):
            raise ValueError("not a message id and an action")
        if reviewer and not _REVIEWER.fullmatch(reviewer):
            raise ValueError("not a person's id")
        about = f"{message_id}~{reviewer}" if reviewer else message_id
        payload = f"{about}|{action}|{expires_at:d}".encode("ascii")
        return f"{_text(payload)}.{_text(_mac(self._keys[0], payload))}"

    def read(self, token: str, action: Action, now: float) -> Link:
        """What the token decides about, and who with it.

        :param action: what it is used for.
        :param now: Unix time in seconds.
        :raises TokenRefused: it is good for nothing here.
        :raises TokenExpired: its time has passed.
        """
        if len(token) > _LONGEST:
            raise TokenRefused
        payload, mac = (_octets(part) for part in (*token.split(".", 1), "")[:2])
        if not any(hmac.compare_digest(mac, _mac(key, payload)) for key in self._keys):
            raise TokenRefused
        match = _PAYLOAD.fullmatch(payload.decode("latin-1"))
        if match is None or match[3] != action:
            raise TokenRefused
        if now > int(match[4]):
            raise TokenExpired
        return Link(match[1], match[2] or "")


def _mac(key: bytes, payload: bytes) -> bytes:
    return hmac.digest(key, payload, hashlib.sha256)


def _text(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def _octets(text: str) -> bytes:
    """What the text encodes; nothing for any other spelling of the same octets."""
    try:
        octets = b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)
    except (ValueError, binascii.Error):
        return b""
    return octets if _text(octets) == text else b""
