"""Who belongs to an organisation, and as what. Every change reaches the credentials that depend on it."""

from __future__ import annotations

from typing import Any

from e2a.core.entities import Membership, Role

from .changes import tell
from .rows import Cursor, execute, many, maybe

_COLUMNS = "m.organisation_id, m.user_id, u.email, u.name, m.role, m.created_at"
_FROM = "FROM memberships m JOIN users u ON u.id = m.user_id"
_LIST = f"SELECT {_COLUMNS} {_FROM} WHERE m.organisation_id = %s ORDER BY m.created_at, m.user_id"
_GET = f"SELECT {_COLUMNS} {_FROM} WHERE m.organisation_id = %s AND m.user_id = %s"
_BY_EMAIL = f"SELECT {_COLUMNS} {_FROM} WHERE m.organisation_id = %s AND lower(u.email) = lower(%s)"
_ADD = "INSERT INTO memberships (organisation_id, user_id, role) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
_CHANGE = "UPDATE memberships SET role = %s WHERE organisation_id = %s AND user_id = %s"
_REMOVE = "DELETE FROM memberships WHERE organisation_id = %s AND user_id = %s"
_COUNT = """
    SELECT count(*) AS members, count(*) FILTER (WHERE role = 'owner') AS owners
    FROM memberships WHERE organisation_id = %s
"""
_OF_USER = """
    SELECT o.id, o.name, o.personal, m.role, o.created_at FROM memberships m
    JOIN organisations o ON o.id = m.organisation_id WHERE m.user_id = %s ORDER BY m.created_at, o.id
"""
_KEYS = "SELECT id FROM api_keys WHERE organisation_id = %s AND user_id = %s AND revoked_at IS NULL"
_REVOKE_KEYS = """
    UPDATE api_keys SET revoked_at = now() WHERE organisation_id = %s AND user_id = %s AND revoked_at IS NULL
    RETURNING id
"""
_SESSIONS = "SELECT encode(token_hash, 'hex') AS digest FROM user_sessions WHERE organisation_id = %s AND user_id = %s"
# Whoever is left with no organisation at all has nothing to be signed in to.
_MOVE_SESSIONS = """
    UPDATE user_sessions s SET organisation_id = other.organisation_id
    FROM (SELECT organisation_id FROM memberships WHERE user_id = %(user)s ORDER BY created_at, organisation_id LIMIT 1)
        AS other
    WHERE s.user_id = %(user)s AND s.organisation_id = %(organisation)s
"""
_END_SESSIONS = "DELETE FROM user_sessions WHERE organisation_id = %s AND user_id = %s"


def _load(row: Any) -> Membership:
    return Membership(*row)


async def list_members(cur: Cursor, organisation_id: str) -> list[Membership]:
    """In the order in which they joined."""
    return await many(cur, _LIST, (organisation_id,), _load)


async def get_member(cur: Cursor, organisation_id: str, user_id: str) -> Membership | None:
    return await maybe(cur, _GET, (organisation_id, user_id), _load)


async def find_member(cur: Cursor, organisation_id: str, email: str) -> Membership | None:
    """By address, without regard to case."""
    return await maybe(cur, _BY_EMAIL, (organisation_id, email), _load)


async def organisations_of(cur: Cursor, user_id: str) -> list[Any]:
    """Rows of ``id, name, personal, role, created_at``, in the order in which the user joined."""
    return await many(cur, _OF_USER, (user_id,), lambda row: row)


async def count_members(cur: Cursor, organisation_id: str) -> tuple[int, int]:
    """How many members, and how many of them are owners."""
    await cur.execute(_COUNT, (organisation_id,))
    row = cur.fetchone()
    return int(row.members), int(row.owners)


async def add_member(cur: Cursor, organisation_id: str, user_id: str, role: Role) -> bool:
    """False when they belong to it already."""
    return await execute(cur, _ADD, (organisation_id, user_id, role)) == 1


async def change_role(cur: Cursor, organisation_id: str, user_id: str, role: Role) -> None:
    """Their keys and sessions lose at once what the new role does not give."""
    await execute(cur, _CHANGE, (role, organisation_id, user_id))
    await tell(cur, "key", await _ids(cur, _KEYS, organisation_id, user_id))
    await tell(cur, "session", await _digests(cur, organisation_id, user_id))


async def remove_member(cur: Cursor, organisation_id: str, user_id: str) -> None:
    """Their keys to the organisation are revoked; their sessions go on in another of theirs, or end."""
    await execute(cur, _REMOVE, (organisation_id, user_id))
    await tell(cur, "key", await _ids(cur, _REVOKE_KEYS, organisation_id, user_id))
    digests = await _digests(cur, organisation_id, user_id)
    await execute(cur, _MOVE_SESSIONS, {"user": user_id, "organisation": organisation_id})
    await execute(cur, _END_SESSIONS, (organisation_id, user_id))
    await tell(cur, "session", digests)


async def _ids(cur: Cursor, sql: str, organisation_id: str, user_id: str) -> list[str]:
    return await many(cur, sql, (organisation_id, user_id), lambda row: str(row.id))


async def _digests(cur: Cursor, organisation_id: str, user_id: str) -> list[str]:
    return await many(cur, _SESSIONS, (organisation_id, user_id), lambda row: str(row.digest))
