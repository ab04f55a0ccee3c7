"""How much the SMTP front takes from the world, and from any one address."""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """:ivar max_message_bytes: largest message, in octets of RFC 1870; DATA, BDAT and SIZE agree on it.
    :ivar max_recipients: accepted recipients of one message.
    :ivar idle_timeout: seconds for a complete command, or without any message octet.
    :ivar min_rate: octets per second that a message must reach on average, once ``idle_timeout`` is over.
    :ivar max_connections: sessions at one time.
    :ivar max_connections_per_address: the same from one IPv4 address or IPv6 /64.
    :ivar max_bytes_in_flight: message octets in memory, all sessions together, until they are stored.
    :ivar max_unknown_recipients: refused recipients of one session before it is ended.
    :ivar max_unknown_per_address: refused recipients per address and window before its connections are refused.
    :ivar unknown_window: seconds of that window.
    :ivar max_errors: protocol errors of one session before it is ended.
    """

    max_message_bytes: int = 25 * 2**20
    max_recipients: int = 100
    idle_timeout: float = 300.0
    min_rate: int = 1024
    max_connections: int = 1000
    max_connections_per_address: int = 50
    max_bytes_in_flight: int = 256 * 2**20
    max_unknown_recipients: int = 20
    max_unknown_per_address: int = 200
    unknown_window: float = 600.0
    max_errors: int = 4


def unmapped(host: str) -> str:
    """An IPv4 address in its own form when it comes as ``::ffff:a.b.c.d``; zone ids are dropped."""
    host = host.partition("%")[0]
    if not host.lower().startswith("::ffff:"):
        return host
    try:
        mapped = ipaddress.IPv6Address(host).ipv4_mapped
    except ValueError:
        return host
    return host if mapped is None else str(mapped)


class ConnectionCaps:
    """Counts open sessions."""

    def __init__(self, total: int, per_address: int) -> None:
        self._total = total
        self._per_address = per_address
        self._open: Counter[str] = Counter()
        self.count = 0

    def enter(self, key: str) -> str | None:
        """Count one more session from ``key``; or count nothing and say why not: ``total`` or ``address``.

        An empty key is a session whose address is not known yet; only the total binds it.
        """
        if self.count >= self._total:
            return "total"
        if key and self._open[key] >= self._per_address:
            return "address"
        self.count += 1
        self._open[key] += 1
        return None

    def leave(self, key: str) -> None:
        """The session that entered under ``key`` is over."""
        self.count -= 1
        self._open[key] -= 1
        if not self._open[key]:
            del self._open[key]


class ByteBudget:
    """Message octets that may be in memory at one time."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.used = 0

    def room(self, count: int) -> bool:
        """Whether ``count`` more octets would fit now."""
        return self.used + count <= self._limit

    def take(self, count: int) -> bool:
        """Reserve ``count`` octets, or reserve nothing and answer False."""
        if self.used + count > self._limit:
            return False
        self.used += count
        return True

    def give_back(self, count: int) -> None:
        """``count`` octets that were taken are free again."""
        self.used -= count


class UnknownRecipients:
    """How many unknown recipients each address has tried of late.

    :param limit: tries per window after which an address is refused.
    :param window: seconds.
    """

    #: Addresses remembered; the longest unseen is forgotten first.
    REMEMBERED = 10_000

    def __init__(self, limit: int, window: float) -> None:
        self._limit = limit
        self._window = window
        self._tries: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def note(self, key: str, now: float) -> None:
        """One more unknown recipient from ``key``."""
        started, count = self._tries.pop(key, (now, 0))
        if now - started >= self._window:
            started, count = now, 0
        self._tries[key] = (started, count + 1)
        if len(self._tries) > self.REMEMBERED:
            self._tries.popitem(last=False)

    def too_many(self, key: str, now: float) -> bool:
        """Whether ``key`` is to be refused for now."""
        started, count = self._tries.get(key, (now, 0))
        return count >= self._limit and now - started < self._window
