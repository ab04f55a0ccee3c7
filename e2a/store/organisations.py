"""Organisations, and who belongs to them."""

from __future__ import annotations

from e2a.core.entities import Organisation

from .rows import Cursor, execute, maybe

_ADD = "INSERT INTO organisations (id, name, personal) VALUES (%s, %s, %s) ON CONFLICT (id) DO NOTHING"
_COLUMNS = "o.id, o.name, o.created_at, o.personal"
_LOCK = f"SELECT {_COLUMNS} FROM organisations o WHERE o.id = %s FOR NO KEY UPDATE"
_GET = f"SELECT {_COLUMNS} FROM organisations o WHERE o.id = %s"
_RENAME = "UPDATE organisations SET name = %s WHERE id = %s"
_JOIN = "INSERT INTO memberships (organisation_id, user_id, role) VALUES (%s, %s, 'owner') ON CONFLICT DO NOTHING"
_HAS_MEMBERS = "SELECT EXISTS (SELECT 1 FROM memberships WHERE organisation_id = %s) AS found"
_OF_USER = f"""
    SELECT {_COLUMNS} FROM memberships m JOIN organisations o ON o.id = m.organisation_id
    WHERE m.user_id = %s ORDER BY m.created_at, o.id LIMIT 1
"""


def _load(row: object) -> Organisation:
    return Organisation(*row)  # type: ignore[misc]


async def add_organisation(cur: Cursor, organisation_id: str, name: str, *, personal: bool) -> bool:
    """Whether it is new; one that exists stays as it is."""
    return await execute(cur, _ADD, (organisation_id, name, personal)) == 1


async def lock_organisation(cur: Cursor, organisation_id: str) -> Organisation | None:
    """The organisation, locked until the transaction ends: what is capped for each organisation is counted one at a
    time.
    """
    return await maybe(cur, _LOCK, (organisation_id,), _load)


async def get_organisation(cur: Cursor, organisation_id: str) -> Organisation | None:
    return await maybe(cur, _GET, (organisation_id,), _load)


async def rename(cur: Cursor, organisation_id: str, name: str) -> None:
    await execute(cur, _RENAME, (name, organisation_id))


async def add_owner(cur: Cursor, organisation_id: str, user_id: str) -> None:
    await execute(cur, _JOIN, (organisation_id, user_id))


async def has_members(cur: Cursor, organisation_id: str) -> bool:
    await cur.execute(_HAS_MEMBERS, (organisation_id,))
    return bool(cur.fetchone().found)


async def organisation_of(cur: Cursor, user_id: str) -> Organisation | None:
    """The organisation that the user joined first, which is the personal one."""
    return await maybe(cur, _OF_USER, (user_id,), _load)
