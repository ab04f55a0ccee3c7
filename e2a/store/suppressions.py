"""Addresses that an organisation's agents do not write to. Addresses are stored in lower case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from e2a.core.entities import Suppression

from .rows import Cursor, execute, many, maybe, one

_COLUMNS = "address, reason, message_id, created_at"
# The reason that stood there first says when and why it began.
_ADD = """
    INSERT INTO suppressions (organisation_id, address, reason, message_id)
    SELECT %s, address, %s, %s FROM unnest(%s::text[]) AS address
    ON CONFLICT DO NOTHING
"""
_GET = f"SELECT {_COLUMNS} FROM suppressions WHERE organisation_id = %s AND address = %s"
_LIST = f"""
    SELECT {_COLUMNS} FROM suppressions WHERE organisation_id = %s AND address > %s ORDER BY address LIMIT %s
"""
_DROP = "DELETE FROM suppressions WHERE organisation_id = %s AND address = %s"
_AMONG = "SELECT address FROM suppressions WHERE organisation_id = $1 AND address = ANY ($2) ORDER BY address"


async def add_suppressions(
    cur: Cursor, organisation_id: str, addresses: Sequence[str], reason: str, message_id: str | None = None
) -> None:
    """Suppress these addresses; those that are suppressed already stay as they are.

    :param reason: what the list shows, such as ``bounced 5.1.1`` or ``manual``.
    :param message_id: the message that bounced.
    """
    values = (organisation_id, reason, message_id, sorted({address.lower() for address in addresses}))
    await execute(cur, _ADD, values)


async def get_suppression(cur: Cursor, organisation_id: str, address: str) -> Suppression | None:
    return await maybe(cur, _GET, (organisation_id, address.lower()), _load)


async def suppress(cur: Cursor, organisation_id: str, address: str, reason: str) -> Suppression:
    """Suppress one address by hand; returns the entry as it stands."""
    await add_suppressions(cur, organisation_id, [address], reason)
    return await one(cur, _GET, (organisation_id, address.lower()), _load)


async def list_suppressions(cur: Cursor, organisation_id: str, after: str, limit: int) -> list[Suppression]:
    """In the order of addresses, behind ``after``."""
    return await many(cur, _LIST, (organisation_id, after, limit), _load)


async def drop_suppression(cur: Cursor, organisation_id: str, address: str) -> bool:
    """False when it was not suppressed."""
    return bool(await execute(cur, _DROP, (organisation_id, address.lower())))


async def suppressed_among(cur: Cursor, organisation_id: str, addresses: Sequence[str]) -> list[str]:
    """Those of these addresses, in lower case, that must not be written to."""
    wanted = [address.lower() for address in addresses]
    await cur.execute_prepared("suppressed_among", "text, text[]", _AMONG, (organisation_id, wanted))
    return [str(row.address) for row in cur.fetchall()]


def _load(row: Any) -> Suppression:
    return Suppression(*row)
