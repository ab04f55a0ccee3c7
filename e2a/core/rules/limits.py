"""How often something may be done, and how much an organisation may have.

Rate limits are exact sliding windows, kept in PostgreSQL so that they hold on every replica. Over a limit one comes
again later (429); over a quota something must change first (402).
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from e2a.core.errors import TooManyRequests

#: Characters of a key that are stored as they are; longer ones are hashed.
_LONGEST = 300

#: The limits that routes declare.
LimitName = Literal["register", "send", "poll", "feedback"]
#: Who is counted, for each of them.
COUNTED_BY: Mapping[LimitName, Literal["client", "agent", "user"]] = {
    "register": "client",
    "send": "agent",
    "poll": "user",
    "feedback": "client",
}


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``most`` times in any ``seconds`` seconds, for each one who is counted. ``most`` 0: no limit."""

    name: str
    most: int
    seconds: int

    def key(self, whom: str) -> str:
        """What events are counted under.

        :param whom: an agent, an organisation, a client address.
        """
        if len(whom) > _LONGEST:
            whom = hashlib.sha256(whom.encode("utf-8", "replace")).hexdigest()
        return f"{self.name}:{whom}"


@dataclass(frozen=True, slots=True)
class Allowance:
    """How one stands with a limit.

    :ivar used: events in the window, the one just counted among them.
    :ivar resets: seconds until the oldest of them leaves the window; 0 when there are none.
    :ivar refused: the event was not counted, because there was no room.
    """

    limit: Limit
    used: int
    resets: float
    refused: bool = False

    @property
    def remaining(self) -> int:
        return max(self.limit.most - self.used, 0)

    def check(self) -> None:
        """:raises TooManyRequests: the event was refused."""
        if self.refused:
            raise TooManyRequests(retry_after=max(math.ceil(self.resets), 1), most=self.limit.most)


#: Messages that one agent sends, answers, forwards and tests.
SEND = Limit("send", 60, 60)
#: Messages that one agent sends into one conversation, and automatic ones among them (RFC 3834 section 2).
CONVERSATION_SENDS = 20
CONVERSATION_AUTO_SENDS = 1
CONVERSATION_SECONDS = 3600
#: The same for answers to one address that belong to no conversation yet.
ANSWERS = Limit("answer", CONVERSATION_SENDS, CONVERSATION_SECONDS)
AUTO_ANSWERS = Limit("auto-answer", CONVERSATION_AUTO_SENDS, CONVERSATION_SECONDS)

#: Every limit that a route may declare, as it is unless the settings say otherwise.
DEFAULTS: Mapping[LimitName, Limit] = {
    "register": Limit("register", 20, 3600),
    "send": SEND,
    "poll": Limit("poll", 60, 60),
    "feedback": Limit("feedback", 10, 3600),
}

#: The names of quotas.
QuotaName = Literal["agents", "domains", "storage_bytes", "messages_per_day"]


@dataclass(frozen=True, slots=True)
class Quotas:
    """What an organisation may have at the most; 0: no limit.

    :ivar storage_bytes: octets of received mail that is kept, each recipient's copy counted.
    :ivar messages_per_day: messages that its agents send on a day (UTC), tests left out.
    """

    agents: int = 0
    domains: int = 0
    storage_bytes: int = 0
    messages_per_day: int = 0

    def of(self, name: QuotaName) -> int:
        return int(getattr(self, name))

    def overridden(self, own: Mapping[QuotaName, int | None]) -> Quotas:
        """These, with an organisation's own put over them where it has any."""
        return replace(self, **{name: value for name, value in own.items() if value is not None})


QUOTAS: tuple[QuotaName, ...] = ("agents", "domains", "storage_bytes", "messages_per_day")


def network_of(address: str) -> str:
    """Whom an address counts for: itself, or for IPv6 the /64 that a single customer holds at least. What is no address
    stays as it is.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.IPv6Address(int(parsed) >> 64 << 64))
    return address
