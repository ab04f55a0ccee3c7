"""Sign-ins under way and one-time links, each under the digest of its secret and usable once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .rows import Cursor, execute, maybe

#: Expired rows that a new one takes along.
_LEFTOVERS = 100

_FORGET_STATES = """
    DELETE FROM signin_states WHERE state_hash IN (
        SELECT state_hash FROM signin_states WHERE expires_at <= %s LIMIT %s FOR UPDATE SKIP LOCKED
    )
"""
_ADD_STATE = "INSERT INTO signin_states (state_hash, provider, next, expires_at) VALUES (%s, %s, %s, %s)"
_TAKE_STATE = "DELETE FROM signin_states WHERE state_hash = %s RETURNING provider, next, expires_at"
_FORGET_LINKS = """
    DELETE FROM signin_links WHERE token_hash IN (
        SELECT token_hash FROM signin_links WHERE expires_at <= %s LIMIT %s FOR UPDATE SKIP LOCKED
    )
"""
_ADD_LINK = "INSERT INTO signin_links (token_hash, user_id, expires_at) VALUES (%s, %s, %s)"
_FIND_LINK = """
    SELECT u.id, u.email FROM signin_links l JOIN users u ON u.id = l.user_id
    WHERE l.token_hash = %s AND l.expires_at > %s
"""
_TAKE_LINK = "DELETE FROM signin_links WHERE token_hash = %s AND expires_at > %s RETURNING user_id"
_INVITED = """
    SELECT EXISTS (
        SELECT FROM invitations WHERE lower(email) = lower(%s) AND accepted_at IS NULL AND revoked_at IS NULL
            AND expires_at > %s
    ) AS found
"""
_NEWEST_AGENT = """
    SELECT id FROM agents WHERE organisation_id = %s ORDER BY created_at DESC, id DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class State:
    """:ivar next: the path to go on to."""

    provider: str
    next: str


async def add_state(cur: Cursor, digest: bytes, state: State, now: datetime, expires_at: datetime) -> None:
    """Remember a sign-in that began."""
    await execute(cur, _FORGET_STATES, (now, _LEFTOVERS))
    await execute(cur, _ADD_STATE, (digest, state.provider, state.next, expires_at))


async def take_state(cur: Cursor, digest: bytes, now: datetime) -> State | None:
    """The sign-in, which nobody can take a second time; None when there is none, or it has expired."""
    row = await maybe(cur, _TAKE_STATE, (digest,), lambda row: row)
    return State(row.provider, row.next) if row is not None and row.expires_at > now else None


async def add_link(cur: Cursor, digest: bytes, user_id: str, now: datetime, expires_at: datetime) -> None:
    """Remember a link that signs this user in."""
    await execute(cur, _FORGET_LINKS, (now, _LEFTOVERS))
    await execute(cur, _ADD_LINK, (digest, user_id, expires_at))


async def find_link(cur: Cursor, digest: bytes, now: datetime) -> str | None:
    """The address of whom the link would sign in."""
    return await maybe(cur, _FIND_LINK, (digest, now), lambda row: str(row.email))


async def take_link(cur: Cursor, digest: bytes, now: datetime) -> str | None:
    """The user's id; the link is used up."""
    return await maybe(cur, _TAKE_LINK, (digest, now), lambda row: str(row.user_id))


async def invited(cur: Cursor, email: str, now: datetime) -> bool:
    """Whether an organisation waits for somebody with this address."""
    await cur.execute(_INVITED, (email, now))
    return bool(cur.fetchone().found)


async def newest_agent(cur: Cursor, organisation_id: str) -> str | None:
    """The address of the organisation's newest agent."""
    return await maybe(cur, _NEWEST_AGENT, (organisation_id,), lambda row: str(row.id))
