"""Invitations to an organisation. Only the digests of their tokens are here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from e2a.core.entities import Invitation, Role

from .rows import Cursor, execute, many, maybe, one

_COLUMNS = """
    i.id, i.organisation_id, o.name AS organisation, i.email, i.role, i.invited_by, i.created_at, i.expires_at,
    i.accepted_at, i.revoked_at
"""
_FROM = "FROM invitations i JOIN organisations o ON o.id = i.organisation_id"
_OPEN = "i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > %(now)s"
_LIST = f"""
    SELECT {_COLUMNS} {_FROM} WHERE i.organisation_id = %(organisation)s AND {_OPEN}
    ORDER BY i.created_at DESC, i.id DESC
"""
_GET = f"SELECT {_COLUMNS} {_FROM} WHERE i.id = %s"
_BY_TOKEN = f"SELECT {_COLUMNS} {_FROM} WHERE i.token_hash = %s"
_LOCK_BY_TOKEN = f"{_BY_TOKEN} FOR NO KEY UPDATE OF i"
_ADD = """
    INSERT INTO invitations (id, organisation_id, email, role, token_hash, invited_by, created_at, expires_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""
_REVOKE = """
    UPDATE invitations SET revoked_at = %(now)s
    WHERE id = %(id)s AND organisation_id = %(organisation)s AND accepted_at IS NULL AND revoked_at IS NULL
"""
_REVOKE_FOR = """
    UPDATE invitations SET revoked_at = %(now)s
    WHERE organisation_id = %(organisation)s AND lower(email) = lower(%(email)s) AND accepted_at IS NULL
        AND revoked_at IS NULL
"""
_REVOKE_OF = """
    UPDATE invitations SET revoked_at = now()
    WHERE organisation_id = %s AND invited_by = %s AND role <> ALL (%s) AND accepted_at IS NULL AND revoked_at IS NULL
"""
_ACCEPT = "UPDATE invitations SET accepted_at = %s WHERE id = %s"


def _load(row: Any) -> Invitation:
    return Invitation(*row)


async def list_open(cur: Cursor, organisation_id: str, now: datetime) -> list[Invitation]:
    """Those that can still be accepted, newest first."""
    return await many(cur, _LIST, {"organisation": organisation_id, "now": now}, _load)


async def add_invitation(
    cur: Cursor,
    invitation_id: str,
    organisation_id: str,
    *,
    email: str,
    role: Role,
    digest: bytes,
    invited_by: str,
    now: datetime,
    expires_at: datetime,
) -> Invitation:
    """A new one. An open one to the same address is replaced: its link stops working."""
    await execute(cur, _REVOKE_FOR, {"organisation": organisation_id, "email": email, "now": now})
    await execute(cur, _ADD, (invitation_id, organisation_id, email, role, digest, invited_by, now, expires_at))
    return await one(cur, _GET, (invitation_id,), _load)


async def revoke(cur: Cursor, organisation_id: str, invitation_id: str, now: datetime) -> bool:
    """False when there is no such invitation, or it is over."""
    return bool(await execute(cur, _REVOKE, {"id": invitation_id, "organisation": organisation_id, "now": now}))


async def revoke_of(cur: Cursor, organisation_id: str, user_id: str, kept: Sequence[Role]) -> None:
    """End the open invitations that this person made, except to these roles."""
    await execute(cur, _REVOKE_OF, (organisation_id, user_id, list(kept)))


async def by_token(cur: Cursor, digest: bytes, *, lock: bool = False) -> Invitation | None:
    """:param lock: keep it from others until the transaction ends."""
    return await maybe(cur, _LOCK_BY_TOKEN if lock else _BY_TOKEN, (digest,), _load)


async def accept(cur: Cursor, invitation_id: str, now: datetime) -> None:
    await execute(cur, _ACCEPT, (now, invitation_id))
