"""Delegation: an agent acts for a person, who has confirmed it by the link in a mail.

The link's token names the binding and proves that this deployment made it; it reached nobody but the person. With it
the person confirms or declines for a week, and can end the binding for as long as it lives.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

#: How long a proposal can be confirmed.
CONFIRM_WITHIN = timedelta(days=7)
#: How long a person who has said no is not asked again for the same agent.
REST = timedelta(days=30)

State = Literal["proposed", "expired", "active", "ended"]

_ID = re.compile(r"dlg_([0-9a-f]{32})")
_MAC = 16
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Delegation:
    """A binding of an agent to a person.

    :ivar person: the person's address, lower-case.
    :ivar ended_by: who ended it; declining is ending as well. None while it lives.
    """

    id: str
    agent_id: str
    person: str
    created_at: datetime
    confirmed_at: datetime | None = None
    ended_at: datetime | None = None
    ended_by: Literal["owner", "person"] | None = None

    def state(self, now: datetime) -> State:
        if self.ended_at is not None:
            return "ended"
        if self.confirmed_at is not None:
            return "active"
        return "proposed" if now < self.created_at + CONFIRM_WITHIN else "expired"


def statement(agent_id: str, persons: Sequence[str], on_behalf_of: str) -> str:
    """What ``X-E2A-Auth-Delegation`` says of an agent's mail: ``agent=…;human=…``, or ``""`` for nothing.

    :param persons: whom the agent acts for.
    :param on_behalf_of: the one among them that this mail is for; ``""``: the only one, if there is only one.
    """
    person = on_behalf_of.strip().lower()
    if not person and len(persons) == 1:
        person = persons[0]
    return f"agent={agent_id};human={person}" if person in persons else ""


class DelegationTokens:
    """:param key: 32 octets that only this deployment has: ``Sealer.derive_all("delegation token")``.
    :param old: former keys; what they made is still good.
    """

    def __init__(self, key: bytes, *old: bytes) -> None:
        self._keys = (key, *old)

    def make(self, delegation_id: str) -> str:
        """:raises ValueError: not a delegation id (``dlg_`` and 32 hex digits)."""
        match = _ID.fullmatch(delegation_id)
        if match is None:
            raise ValueError(delegation_id)
        octets = bytes.fromhex(match[1])
        return urlsafe_b64encode(octets + _mac(self._keys[0], octets)).rstrip(b"=").decode("ascii")

    def read(self, token: str) -> str | None:
        """The id of the binding that the token was made for; None when it was not made here. Never raises."""
        if not _TOKEN.fullmatch(token):
            return None
        try:
            raw = b64decode(token.encode("ascii") + b"=", b"-_", validate=True)
        except binascii.Error:
            return None
        octets, mac = raw[:16], raw[16:]
        ours = any(hmac.compare_digest(mac, _mac(key, octets)) for key in self._keys)
        return f"dlg_{octets.hex()}" if ours else None


def _mac(key: bytes, octets: bytes) -> bytes:
    return hmac.digest(key, b"delegation" + octets, hashlib.sha256)[:_MAC]
