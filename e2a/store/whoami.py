"""Who holds a credential, in names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from e2a.core.entities import Organisation, Role, User

from .rows import Cursor, maybe

_WHO = """
    SELECT u.id AS user_id, u.email, u.name, u.created_at, o.id AS organisation_id, o.name AS organisation_name,
        o.created_at AS organisation_created_at, m.role
    FROM memberships m JOIN users u ON u.id = m.user_id JOIN organisations o ON o.id = m.organisation_id
    WHERE m.organisation_id = %s AND m.user_id = %s
"""
_SESSION_ROLE = """
    SELECT m.role FROM user_sessions s
    JOIN memberships m ON m.organisation_id = s.organisation_id AND m.user_id = s.user_id
    WHERE s.id = %s AND s.organisation_id = %s AND s.expires_at > now()
"""


@dataclass(frozen=True, slots=True)
class Who:
    """A person in an organisation."""

    user: User
    organisation: Organisation
    role: Role


def _load(row: Any) -> Who:
    return Who(
        User(row.user_id, row.email, row.name, row.created_at),
        Organisation(row.organisation_id, row.organisation_name, row.organisation_created_at),
        row.role,
    )


async def who(cur: Cursor, organisation_id: str, user_id: str) -> Who | None:
    """None when the person does not belong to the organisation."""
    return await maybe(cur, _WHO, (organisation_id, user_id), _load)


async def session_role(cur: Cursor, organisation_id: str, session_id: str) -> Role | None:
    """The role of whoever is signed in by this session; None when it has ended, or is in another organisation now."""
    return await maybe(cur, _SESSION_ROLE, (session_id, organisation_id), _role)


def _role(row: Any) -> Role:
    role: Role = row.role
    return role
