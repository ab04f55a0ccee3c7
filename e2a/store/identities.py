"""Who a person is to the providers they sign in with."""

from __future__ import annotations

from .rows import Cursor, execute, maybe, one

_FIND = "SELECT user_id FROM identities WHERE issuer = %s AND subject = %s"
_ADD = """
    INSERT INTO identities (issuer, subject, user_id, email) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
_ELSEWHERE = "SELECT EXISTS (SELECT FROM identities WHERE user_id = %s AND issuer <> %s) AS found"
_NOTE = "UPDATE identities SET email = %s WHERE issuer = %s AND subject = %s AND email <> %s"


async def find_identity(cur: Cursor, issuer: str, subject: str) -> str | None:
    """The user who is this subject to this issuer."""
    return await maybe(cur, _FIND, (issuer, subject), lambda row: str(row.user_id))


async def add_identity(cur: Cursor, issuer: str, subject: str, user_id: str, email: str) -> bool:
    """False when the subject is somebody already."""
    return await execute(cur, _ADD, (issuer, subject, user_id, email)) == 1


async def known_elsewhere(cur: Cursor, user_id: str, issuer: str) -> bool:
    """Whether the user signs in with another provider."""
    return await one(cur, _ELSEWHERE, (user_id, issuer), lambda row: bool(row.found))


async def note_email(cur: Cursor, issuer: str, subject: str, email: str) -> None:
    """What the provider says the address is now."""
    await execute(cur, _NOTE, (email, issuer, subject, email))
