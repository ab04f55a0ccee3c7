"""API keys. Only their digests are here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from e2a.core.entities import ApiKey

from .changes import tell
from .rows import Cursor, execute, many, maybe, one

_COLUMNS = """
    id, organisation_id, user_id, name, key_prefix, permissions, agent_id,
    created_at, expires_at, last_used_at, revoked_at, label_prefix
"""
_ADD = f"""
    INSERT INTO api_keys
        (id, organisation_id, user_id, name, key_prefix, key_hash, permissions, agent_id, expires_at, created_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, clock_timestamp()) RETURNING {_COLUMNS}
"""
_COUNT = "SELECT count(*) AS live FROM api_keys WHERE organisation_id = %s AND revoked_at IS NULL"
_LIST = f"""
    SELECT {_COLUMNS} FROM api_keys
    WHERE organisation_id = %(organisation)s AND revoked_at IS NULL
        AND (%(agent)s::text IS NULL OR agent_id = %(agent)s)
    ORDER BY created_at DESC, id DESC
"""
_FIND = f"""
    SELECT {_COLUMNS} FROM api_keys
    WHERE key_hash = %s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > %s)
"""
_REVOKE = """
    UPDATE api_keys SET revoked_at = now()
    WHERE id = %(id)s AND organisation_id = %(organisation)s AND revoked_at IS NULL
        AND (%(agent)s::text IS NULL OR agent_id = %(agent)s)
"""
_USED = """
    UPDATE api_keys k SET last_used_at = u.at FROM unnest(%s::text[], %s::timestamptz[]) AS u (id, at)
    WHERE k.id = u.id AND (k.last_used_at IS NULL OR k.last_used_at < u.at)
"""


def _load(row: Any) -> ApiKey:
    return ApiKey(**{**row._asdict(), "permissions": tuple(row.permissions)})


async def add_key(
    cur: Cursor,
    key_id: str,
    organisation_id: str,
    user_id: str,
    *,
    name: str,
    key_prefix: str,
    digest: bytes,
    permissions: Sequence[str],
    agent_id: str | None = None,
    expires_at: datetime | None = None,
) -> ApiKey:
    values = (key_id, organisation_id, user_id, name, key_prefix, digest, list(permissions), agent_id, expires_at)
    return await one(cur, _ADD, values, _load)


async def count_keys(cur: Cursor, organisation_id: str) -> int:
    """Keys that are not revoked."""
    await cur.execute(_COUNT, (organisation_id,))
    return int(cur.fetchone().live)


async def list_keys(cur: Cursor, organisation_id: str, agent_id: str | None = None) -> list[ApiKey]:
    """Keys that are not revoked, newest first.

    :param agent_id: if given, only keys bound to this agent.
    """
    return await many(cur, _LIST, {"organisation": organisation_id, "agent": agent_id}, _load)


async def find_key(cur: Cursor, digest: bytes, now: datetime) -> ApiKey | None:
    """The key with this digest, if it is neither revoked nor expired."""
    return await maybe(cur, _FIND, (digest, now), _load)


async def revoke_key(cur: Cursor, organisation_id: str, key_id: str, agent_id: str | None = None) -> bool:
    """Whether there was such a key to revoke.

    :param agent_id: if given, only a key bound to this agent.
    """
    values = {"id": key_id, "organisation": organisation_id, "agent": agent_id}
    if not await execute(cur, _REVOKE, values):
        return False
    await tell(cur, "key", [key_id])
    return True


async def record_use(cur: Cursor, used: Mapping[str, datetime]) -> None:
    """Remember when keys were last used. A later time that is already there stays."""
    # In one order everywhere, so that two processes cannot wait for each other.
    ordered = sorted(used)
    await execute(cur, _USED, (ordered, [used[key_id] for key_id in ordered]))
