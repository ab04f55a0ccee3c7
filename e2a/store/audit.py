"""The audit log: one line for each change, written in the transaction of the change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from e2a.core.entities import AuditResult, Principal

from .rows import Cursor, execute

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


def _json(detail: Mapping[str, Any]) -> str:
    return orjson.dumps(detail).decode()
