"""Dashboard sessions, under the digest of their token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from e2a.core.entities import Origin, Role

from .changes import tell
from .rows import Cursor, execute, many, maybe

_ADD = """
    INSERT INTO user_sessions
        (token_hash, id, user_id, organisation_id, client_ip, user_agent, created_at, last_used_at, expires_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
# The role as it is now. Whoever has left the organisation they were in is in the one they joined first.
_FIND = """
    SELECT s.id, s.user_id, m.organisation_id, m.role, s.last_used_at
    FROM user_sessions s CROSS JOIN LATERAL (
        SELECT organisation_id, role FROM memberships WHERE user_id = s.user_id
        ORDER BY (organisation_id IS NOT DISTINCT FROM s.organisation_id) DESC, created_at, organisation_id LIMIT 1
    ) AS m
    WHERE s.token_hash = %s AND s.expires_at > %s
"""
_USED = """
    UPDATE user_sessions SET last_used_at = %(now)s, client_ip = %(client_ip)s
    WHERE id = %(id)s AND last_used_at < %(now)s
"""
_LIST = """
    SELECT id, created_at, last_used_at, expires_at, client_ip, user_agent FROM user_sessions
    WHERE user_id = %s AND expires_at > %s ORDER BY last_used_at DESC, id
"""
_MOVE = """
    UPDATE user_sessions s SET organisation_id = m.organisation_id FROM memberships m
    WHERE s.id = %s AND m.user_id = s.user_id AND m.organisation_id = %s
    RETURNING encode(s.token_hash, 'hex') AS digest
"""
_DROP = "DELETE FROM user_sessions WHERE token_hash = %s RETURNING encode(token_hash, 'hex') AS digest"
_DROP_ONE = """
    DELETE FROM user_sessions WHERE user_id = %s AND id = %s RETURNING encode(token_hash, 'hex') AS digest
"""
_DROP_OTHERS = """
    DELETE FROM user_sessions WHERE user_id = %s AND id <> %s RETURNING encode(token_hash, 'hex') AS digest
"""


@dataclass(frozen=True, slots=True)
class Session:
    """Who a token stands for, and as what."""

    id: str
    user_id: str
    organisation_id: str
    role: Role
    last_used_at: datetime


@dataclass(frozen=True, slots=True)
class Listed:
    """A session as its owner sees it. :ivar client_ip: where it was last used from."""

    id: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    client_ip: str
    user_agent: str


def _load(row: Any) -> Session:
    return Session(*row)


def _listed(row: Any) -> Listed:
    return Listed(*row)


async def add_session(
    cur: Cursor,
    digest: bytes,
    session_id: str,
    user_id: str,
    organisation_id: str,
    *,
    origin: Origin,
    now: datetime,
    expires_at: datetime,
) -> None:
    values = (digest, session_id, user_id, organisation_id, origin.client_ip, origin.user_agent, now, now, expires_at)
    await execute(cur, _ADD, values)


async def find_session(cur: Cursor, digest: bytes, now: datetime) -> Session | None:
    """The session of this token, if it has not expired and its owner belongs to an organisation."""
    return await maybe(cur, _FIND, (digest, now), _load)


async def record_use(cur: Cursor, session_id: str, client_ip: str, now: datetime) -> None:
    await execute(cur, _USED, {"id": session_id, "client_ip": client_ip, "now": now})


async def list_sessions(cur: Cursor, user_id: str, now: datetime) -> list[Listed]:
    """Those that have not expired, the last used first."""
    return await many(cur, _LIST, (user_id, now), _listed)


async def move_session(cur: Cursor, session_id: str, organisation_id: str) -> bool:
    """Go on in another organisation; False when the session's owner does not belong to it."""
    return bool(await _changed(cur, _MOVE, (session_id, organisation_id)))


async def drop_session(cur: Cursor, digest: bytes) -> None:
    """End a session; one that is not there is ended already."""
    await _changed(cur, _DROP, (digest,))


async def drop_one(cur: Cursor, user_id: str, session_id: str) -> bool:
    """End a session of this user; False when there is none with this id."""
    return bool(await _changed(cur, _DROP_ONE, (user_id, session_id)))


async def drop_others(cur: Cursor, user_id: str, kept: str) -> int:
    """End all sessions of this user but one; answers how many."""
    return await _changed(cur, _DROP_OTHERS, (user_id, kept))


async def _changed(cur: Cursor, sql: str, params: Any) -> int:
    digests = await many(cur, sql, params, lambda row: str(row.digest))
    if digests:
        await tell(cur, "session", digests)
    return len(digests)
