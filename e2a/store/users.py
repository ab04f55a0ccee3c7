"""People."""

from __future__ import annotations

from e2a.core.entities import User

from .rows import Cursor, execute, maybe, one

_ADD = """
    INSERT INTO users (id, email, name, issuer, subject) VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT DO NOTHING RETURNING id, email, name, created_at
"""
_BY_EMAIL = "SELECT id, email, name, created_at FROM users WHERE lower(email) = lower(%s)"
_BY_ID = "SELECT id, email, name, created_at FROM users WHERE id = %s"
# An address that has become somebody else's stays theirs.
_REFRESH_EMAIL = """
    UPDATE users SET email = %(email)s WHERE id = %(id)s AND email <> %(email)s
        AND NOT EXISTS (SELECT FROM users WHERE lower(email) = lower(%(email)s) AND id <> %(id)s)
"""
_REFRESH_NAME = "UPDATE users SET name = %(name)s WHERE id = %(id)s AND name <> %(name)s"


def _load(row: object) -> User:
    return User(*row)  # type: ignore[misc]


async def add_user(cur: Cursor, user_id: str, email: str, name: str, issuer: str, subject: str) -> User | None:
    """The new user; None when the address, in whatever case, or the issuer's subject is taken."""
    return await maybe(cur, _ADD, (user_id, email, name, issuer, subject), _load)


async def find_user(cur: Cursor, email: str) -> User | None:
    """By address, without regard to case."""
    return await maybe(cur, _BY_EMAIL, (email,), _load)


async def get_user(cur: Cursor, user_id: str) -> User:
    return await one(cur, _BY_ID, (user_id,), _load)


async def refresh_user(cur: Cursor, user_id: str, email: str, name: str) -> User:
    """Take over what a provider says about the person now. :param name: "" leaves it as it is."""
    values = {"id": user_id, "email": email, "name": name}
    await execute(cur, _REFRESH_EMAIL, values)
    if name:
        await execute(cur, _REFRESH_NAME, values)
    return await get_user(cur, user_id)
