"""Dashboard sessions, under the digest of their token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .changes import tell
from .rows import Cursor, execute, maybe

_ADD = "INSERT INTO user_sessions (token_hash, user_id, organisation_id, expires_at) VALUES (%s, %s, %s, %s)"
_FIND = "SELECT user_id, organisation_id, expires_at FROM user_sessions WHERE token_hash = %s AND expires_at > %s"
_DROP = "DELETE FROM user_sessions WHERE token_hash = %s"


@dataclass(frozen=True, slots=True)
class Session:
    user_id: str
    organisation_id: str
    expires_at: datetime


def _load(row: object) -> Session:
    return Session(*row)  # type: ignore[misc]


async def add_session(cur: Cursor, digest: bytes, user_id: str, organisation_id: str, expires_at: datetime) -> None:
    await execute(cur, _ADD, (digest, user_id, organisation_id, expires_at))


async def find_session(cur: Cursor, digest: bytes, now: datetime) -> Session | None:
    """The session of this token, if it has not expired."""
    return await maybe(cur, _FIND, (digest, now), _load)


async def drop_session(cur: Cursor, digest: bytes) -> None:
    """End a session; one that is not there is ended already."""
    if await execute(cur, _DROP, (digest,)):
        await tell(cur, "session", [digest.hex()])
