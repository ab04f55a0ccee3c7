"""API keys. Only their digests are here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from e2a.core.entities import ApiKey, Role
from e2a.core.rules.permissions import effective

from .changes import tell
from .rows import Cursor, execute, many, maybe, one

_COLUMNS = """
    k.id, k.organisation_id, k.user_id, k.name, k.key_prefix, k.permissions, k.agent_id,
    k.created_at, k.expires_at, k.last_used_at, k.revoked_at, k.label_prefix
"""
_ADD = f"""
    INSERT INTO api_keys AS k
        (id, organisation_id, user_id, name, key_prefix, key_hash, permissions, agent_id, label_prefix, expires_at,
         created_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, clock_timestamp()) RETURNING {_COLUMNS}
"""
_COUNT = """
    SELECT count(*) AS live, count(*) FILTER (WHERE user_id = %s) AS own FROM api_keys
    WHERE organisation_id = %s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
"""
# Another key is within reach of a restricted one when it reaches no further: bound to an agent that the first one sees,
# or limited to labels that begin as the first one's do. Who manages no keys reaches those of one maker, or one key.
_WITHIN = """
    (%(maker)s::text IS NULL OR k.user_id = %(maker)s) AND (%(only)s::text IS NULL OR k.id = %(only)s)
    AND (%(agent)s::text IS NULL OR k.agent_id = %(agent)s)
    AND (%(label)s::text IS NULL OR starts_with(k.label_prefix, %(label)s) OR EXISTS (
        SELECT FROM agents a WHERE a.id = k.agent_id AND starts_with(a.label, %(label)s)))
"""
_LIST = f"""
    SELECT {_COLUMNS} FROM api_keys k
    WHERE k.organisation_id = %(organisation)s AND k.revoked_at IS NULL AND {_WITHIN}
    ORDER BY k.created_at DESC, k.id DESC
"""
# A key stands on its creator's membership: it goes with it.
_HELD = f"""
    SELECT m.role, {_COLUMNS} FROM api_keys k
    JOIN memberships m ON m.organisation_id = k.organisation_id AND m.user_id = k.user_id
    WHERE k.revoked_at IS NULL
"""
_FIND = f"{_HELD} AND k.key_hash = %s AND (k.expires_at IS NULL OR k.expires_at > %s)"
_GET = f"{_HELD} AND k.organisation_id = %s AND k.id = %s AND (k.expires_at IS NULL OR k.expires_at > now())"
_REVOKE = f"""
    UPDATE api_keys k SET revoked_at = now()
    WHERE k.id = %(id)s AND k.organisation_id = %(organisation)s AND k.revoked_at IS NULL AND {_WITHIN}
    RETURNING {_COLUMNS}
"""
_USED = """
    UPDATE api_keys k SET last_used_at = u.at FROM unnest(%s::text[], %s::timestamptz[]) AS u (id, at)
    WHERE k.id = u.id AND (k.last_used_at IS NULL OR k.last_used_at < u.at)
"""


@dataclass(frozen=True, slots=True)
class Reach:
    """Which keys of an organisation somebody sees and may revoke.

    :ivar agent_id: only those bound to this agent; None: whatever they are bound to. So for the others.
    :ivar label_prefix: only those that reach nothing beyond labels that begin so.
    :ivar maker: only those that this user made.
    :ivar only: only the key with this id.
    """

    organisation_id: str
    agent_id: str | None = None
    label_prefix: str | None = None
    maker: str | None = None
    only: str | None = None

    def values(self) -> dict[str, str | None]:
        return {
            "organisation": self.organisation_id,
            "agent": self.agent_id,
            "label": self.label_prefix,
            "maker": self.maker,
            "only": self.only,
        }


@dataclass(frozen=True, slots=True)
class Held:
    """A key that is neither revoked nor expired. :ivar role: its creator's, now."""

    key: ApiKey
    role: Role

    @property
    def allows(self) -> frozenset[str]:
        """The permissions that it has today."""
        key = self.key
        return effective(key.permissions, self.role, agent_id=key.agent_id, label_prefix=key.label_prefix)


def _load(row: Any) -> ApiKey:
    return ApiKey(**{**row._asdict(), "permissions": tuple(row.permissions)})


def _load_held(row: Any) -> Held:
    values = {**row._asdict(), "permissions": tuple(row.permissions)}
    role: Role = values.pop("role")
    return Held(ApiKey(**values), role)


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
    label_prefix: str | None = None,
    expires_at: datetime | None = None,
) -> ApiKey:
    values = (
        key_id,
        organisation_id,
        user_id,
        name,
        key_prefix,
        digest,
        list(permissions),
        agent_id,
        label_prefix,
        expires_at,
    )
    return await one(cur, _ADD, values, _load)


async def count_keys(cur: Cursor, organisation_id: str, user_id: str) -> tuple[int, int]:
    """Keys that are neither revoked nor expired: all, and those of this maker."""
    await cur.execute(_COUNT, (user_id, organisation_id))
    row = cur.fetchone()
    return int(row.live), int(row.own)


async def list_keys(cur: Cursor, reach: Reach) -> list[ApiKey]:
    """Keys that are not revoked, newest first."""
    return await many(cur, _LIST, reach.values(), _load)


async def find_key(cur: Cursor, digest: bytes, now: datetime) -> Held | None:
    """The key with this digest, if it is neither revoked nor expired and its creator still belongs there."""
    return await maybe(cur, _FIND, (digest, now), _load_held)


async def get_key(cur: Cursor, organisation_id: str, key_id: str) -> Held | None:
    """As ``find_key``, by its id and the database's clock."""
    return await maybe(cur, _GET, (organisation_id, key_id), _load_held)


async def revoke_key(cur: Cursor, reach: Reach, key_id: str) -> ApiKey | None:
    """The key, revoked now; None when there was no such key to revoke."""
    revoked = await maybe(cur, _REVOKE, reach.values() | {"id": key_id}, _load)
    if revoked is not None:
        await tell(cur, "key", [key_id])
    return revoked


async def record_use(cur: Cursor, used: Mapping[str, datetime]) -> None:
    """Remember when keys were last used. A later time that is already there stays."""
    # In one order everywhere, so that two processes cannot wait for each other.
    ordered = sorted(used)
    await execute(cur, _USED, (ordered, [used[key_id] for key_id in ordered]))
