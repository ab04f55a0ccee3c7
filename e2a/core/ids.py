"""Identifiers and random secrets, from an injected clock and byte source."""

from __future__ import annotations

from collections.abc import Callable

#: ``(count) -> bytes``: ``os.urandom`` in the daemon, a counter in tests.
RandomBytes = Callable[[int], bytes]


def uuid7_hex(now: float, random: RandomBytes) -> str:
    """32 lower-case hex digits of a UUIDv7 (RFC 9562 section 5.7).

    :param now: Unix time in seconds; ids made later sort later, to the millisecond.
    """
    tail = int.from_bytes(random(10), "big")
    value = (int(now * 1000) & (2**48 - 1)) << 80
    value |= 0x7 << 76 | (tail >> 68 & 0xFFF) << 64
    value |= 0b10 << 62 | tail & (2**62 - 1)
    return f"{value:032x}"


def prefixed_by_time(prefix: str, now: float, random: RandomBytes) -> str:
    """``<prefix>_`` + 32 hex of a UUIDv7: neighbours in time are neighbours in an index."""
    return f"{prefix}_{uuid7_hex(now, random)}"


def message_id(now: float, random: RandomBytes) -> str:
    """``msg_`` + 32 hex; sorts by time."""
    return prefixed_by_time("msg", now, random)


def prefixed(prefix: str, random: RandomBytes) -> str:
    """``<prefix>_`` + 32 random hex digits: keys (``apk``), secrets (``wsec``), organisations (``org``)."""
    return f"{prefix}_{random(16).hex()}"


def bare(random: RandomBytes) -> str:
    """32 random hex digits: user ids."""
    return random(16).hex()


def token(random: RandomBytes) -> str:
    """64 random hex digits: signing secrets, and the body of keys and sessions."""
    return random(32).hex()
