"""The audit log: one line for each change, written in the transaction of the change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from e2a.core.entities import AuditEvent, AuditResult, Principal

from .rows import Cursor, execute, many, maybe

# The id begins with the time, like a UUIDv7: the newest lines are neighbours in the index.
_RECORD = """
    INSERT INTO audit_events
        (id, organisation_id, action, resource_type, resource_id, user_id, key_prefix, client_ip, user_agent,
         request_id, result, detail)
    VALUES (
        'aud_' || lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
            || substr(replace(gen_random_uuid()::text, '-', ''), 13),
        %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb
    )
"""
_COLUMNS = """
    id, organisation_id, at, action, resource_type, resource_id, user_id, key_prefix, client_ip, user_agent,
    request_id, result, detail
"""
_LIST = f"SELECT {_COLUMNS} FROM audit_events WHERE organisation_id = %(organisation)s"
_ORDER = " ORDER BY id DESC"
# Only what was asked for is compared, so that each combination of filters can have its own index.
_FILTERS = {
    "action": " AND action = %(action)s",
    "action_prefix": " AND action LIKE %(action_prefix)s",
    "user_id": " AND user_id = %(user_id)s",
    "key_prefix": " AND key_prefix = %(key_prefix)s",
    "resource_type": " AND resource_type = %(resource_type)s",
    "resource_id": " AND resource_id = %(resource_id)s",
    "result": " AND result = %(result)s",
    "since": " AND at >= %(since)s",
    "until": " AND at < %(until)s",
}
_BEFORE = " AND id < %(before)s"
# An organisation's line about a key that was refused, at most one in an hour.
_REFUSED_LATELY = """
    SELECT EXISTS (
        SELECT FROM audit_events
        WHERE organisation_id = %s AND resource_type = 'key' AND resource_id = %s AND action = 'key.refused'
            AND at > now() - interval '1 hour'
    ) AS found
"""
_DEAD_KEY = """
    SELECT organisation_id, user_id, id AS key_id, key_prefix,
        CASE WHEN revoked_at IS NOT NULL THEN 'revoked' ELSE 'expired' END AS reason
    FROM api_keys WHERE key_hash = %s AND (revoked_at IS NOT NULL OR expires_at <= now())
"""
_FORGET = """
    WITH old AS (
        SELECT id FROM audit_events WHERE at < now() - make_interval(days => %s) LIMIT %s FOR UPDATE SKIP LOCKED
    )
    DELETE FROM audit_events AS e USING old WHERE e.id = old.id
"""


@dataclass(frozen=True, slots=True)
class AuditFilters:
    """Which lines; None is any.

    :ivar action: the action itself.
    :ivar action_prefix: what the action begins with.
    :ivar since: not before this moment; ``until``: before this one.
    """

    action: str | None = None
    action_prefix: str | None = None
    user_id: str | None = None
    key_prefix: str | None = None
    resource_type: str | None = None
    resource_id: str | None = None
    result: AuditResult | None = None
    since: datetime | None = None
    until: datetime | None = None

    def given(self) -> dict[str, Any]:
        """The filters that were asked for, by name."""
        return {name: value for name in _FILTERS if (value := getattr(self, name)) is not None}


async def record(
    cur: Cursor,
    principal: Principal,
    action: str,
    resource_type: str,
    resource_id: str = "",
    *,
    result: AuditResult = "ok",
    **detail: Any,
) -> None:
    """Write down what this caller did; it stands when the transaction commits.

    :param action: ``<what>.<past participle>``: ``key.created``, ``member.removed``.
    :param resource_type: ``key``, ``agent``, ``domain``, ``member``...
    :param detail: JSON-ready; never a secret, a body or a subject.
    """
    origin = principal.origin
    values = (
        principal.organisation_id,
        action,
        resource_type,
        resource_id,
        principal.user_id or None,
        principal.key_prefix,
        origin.client_ip,
        origin.user_agent,
        origin.request_id,
        result,
        _json(detail),
    )
    await execute(cur, _RECORD, values)


def listing(
    organisation_id: str, filters: AuditFilters, *, before: str | None = None, limit: int | None = None
) -> tuple[str, dict[str, Any]]:
    """The statement that answers an organisation's lines, newest first, and its parameters; each row is for
    :func:`load_event`.

    :param before: only lines older than the one with this id.
    """
    given = filters.given()
    sql = _LIST + "".join(_FILTERS[name] for name in given)
    values = {"organisation": organisation_id, **given}
    if filters.action_prefix is not None:
        values["action_prefix"] = _begins(filters.action_prefix)
    if before is not None:
        sql, values["before"] = sql + _BEFORE, before
    sql += _ORDER
    if limit is not None:
        sql, values["limit"] = f"{sql} LIMIT %(limit)s", limit
    return sql, values


def load_event(row: Any) -> AuditEvent:
    return AuditEvent(*row)


async def list_events(
    cur: Cursor, organisation_id: str, filters: AuditFilters, *, before: str | None, limit: int
) -> list[AuditEvent]:
    """Newest first."""
    sql, values = listing(organisation_id, filters, before=before, limit=limit)
    return await many(cur, sql, values, load_event)


@dataclass(frozen=True, slots=True)
class DeadKey:
    """:ivar reason: ``revoked`` or ``expired``."""

    organisation_id: str
    user_id: str
    key_id: str
    key_prefix: str
    reason: str


async def dead_key(cur: Cursor, digest: bytes) -> DeadKey | None:
    """The key with this digest, if it was good once and is no more."""
    return await maybe(cur, _DEAD_KEY, (digest,), lambda row: DeadKey(*row))


async def refused_lately(cur: Cursor, organisation_id: str, key_id: str) -> bool:
    """Whether the log says of the last hour that this key was refused."""
    await cur.execute(_REFUSED_LATELY, (organisation_id, key_id))
    return bool(cur.fetchone().found)


async def forget(cur: Cursor, days: int, limit: int) -> int:
    """Remove lines older than so many days; says how many."""
    return await execute(cur, _FORGET, (days, limit))


def _begins(text: str) -> str:
    """A LIKE pattern for what begins with this text."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


def _json(detail: Mapping[str, Any]) -> str:
    return orjson.dumps(detail).decode()
