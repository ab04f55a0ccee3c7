"""The original bytes of received messages, in slices that no single statement makes long work of."""

from __future__ import annotations

from collections.abc import AsyncIterator

from .intake import PART_BYTES
from .rows import Cursor, maybe

_FIRST = "SELECT size, data FROM raw_messages WHERE id = %s"
_PART = "SELECT data FROM raw_parts WHERE raw_id = %s AND part = %s"


class RawGone(LookupError):
    """The bytes are not there, or not all of them."""


async def raw_slices(cur: Cursor, raw_id: str) -> AsyncIterator[bytes]:
    """The bytes in order, at most ``intake.PART_BYTES`` at a time.

    :raises RawGone: they are not stored any more.
    """
    first = await maybe(cur, _FIRST, (raw_id,), lambda row: (int(row.size), bytes(row.data)))
    if first is None:
        raise RawGone(raw_id)
    size, data = first
    yield data
    for part in range(1, -(-size // PART_BYTES)):
        further = await maybe(cur, _PART, (raw_id, part), lambda row: bytes(row.data))
        if further is None:
            raise RawGone(raw_id)
        yield further


async def load_raw(cur: Cursor, raw_id: str) -> bytes:
    """The bytes whole.

    :raises RawGone: they are not stored any more.
    """
    return b"".join([part async for part in raw_slices(cur, raw_id)])
