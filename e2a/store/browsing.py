"""What people page through: sent mail by age, and webhook deliveries with what they are about.

Every page costs the same however much is stored: it walks one index from where the page before ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from e2a.core.entities import Delivery, DeliveryAttempt, OutboundMessage

from .outbound import COLUMNS, load_outbound
from .rows import Cursor, many

_SENT = f"""
    SELECT {COLUMNS} FROM messages AS m
    WHERE (m.agent_id, m.id) < (%(agent)s, %(before)s) AND m.agent_id >= %(agent)s AND m.direction = 'outbound'
        AND m.expires_at > %(now)s
    ORDER BY m.agent_id DESC, m.id DESC LIMIT %(limit)s
"""
_SHOWN = """
    d.message_id, d.agent_id, d.status, d.attempts, d.last_error, d.next_attempt_at, d.created_at, d.delivered_at,
    m.sender, m.subject
"""
_OF_AGENT = f"""
    SELECT {_SHOWN} FROM (
        SELECT * FROM webhook_deliveries
        WHERE (agent_id, message_id) < (%(agent)s, %(before)s) AND agent_id >= %(agent)s
        ORDER BY agent_id DESC, message_id DESC LIMIT %(limit)s
    ) AS d JOIN messages AS m ON m.id = d.message_id
    ORDER BY d.message_id DESC
"""
# The newest of all agents are among the newest of each, which the partial index has in order.
_FAILED = f"""
    SELECT {_SHOWN} FROM (
        SELECT found.* FROM agents AS a CROSS JOIN LATERAL (
            SELECT * FROM webhook_deliveries
            WHERE (agent_id, message_id) < (a.id, %(before)s) AND agent_id >= a.id AND status = 'failed'
            ORDER BY agent_id DESC, message_id DESC LIMIT %(limit)s
        ) AS found
        WHERE a.organisation_id = %(organisation)s AND (%(agent)s::text IS NULL OR a.id = %(agent)s)
            AND (%(label)s::text IS NULL OR starts_with(a.label, %(label)s))
        ORDER BY found.message_id DESC LIMIT %(limit)s
    ) AS d JOIN messages AS m ON m.id = d.message_id
    ORDER BY d.message_id DESC
"""
_ATTEMPTS = """
    SELECT message_id, number, started_at, duration_ms, status_code, error FROM webhook_attempts
    WHERE message_id = ANY (%s) ORDER BY message_id, number
"""


async def list_sent(cur: Cursor, agent_id: str, before: str, limit: int, now: datetime) -> list[OutboundMessage]:
    """What an agent sent, newest first.

    :param before: only messages older than this id; ``conversations.TOP`` for the first page.
    """
    params = {"agent": agent_id, "before": before, "limit": limit, "now": now}
    return await many(cur, _SENT, params, load_outbound)


async def list_deliveries(cur: Cursor, agent_id: str, before: str, limit: int) -> list[tuple[Delivery, str, str]]:
    """An agent's deliveries, newest message first, each with the message's sender and subject."""
    return await many(cur, _OF_AGENT, {"agent": agent_id, "before": before, "limit": limit}, _load)


async def list_failed(
    cur: Cursor,
    organisation_id: str,
    before: str,
    limit: int,
    *,
    agent_id: str | None = None,
    label_prefix: str | None = None,
) -> list[tuple[Delivery, str, str]]:
    """Deliveries of all agents that ran out of attempts, newest message first, likewise.

    :param agent_id: if given, only this agent's.
    :param label_prefix: if given, only those of agents whose label begins so.
    """
    params = {
        "organisation": organisation_id,
        "before": before,
        "limit": limit,
        "agent": agent_id,
        "label": label_prefix,
    }
    return await many(cur, _FAILED, params, _load)


async def attempts(cur: Cursor, message_ids: Sequence[str]) -> dict[str, list[DeliveryAttempt]]:
    """Every attempt to deliver these messages, oldest first, by message."""
    found: dict[str, list[DeliveryAttempt]] = {}
    for message_id, attempt in await many(
        cur, _ATTEMPTS, (list(message_ids),), lambda row: (row.message_id, DeliveryAttempt(*row[1:]))
    ):
        found.setdefault(message_id, []).append(attempt)
    return found


def _load(row: Any) -> tuple[Delivery, str, str]:
    return Delivery(*row[:8]), row.sender, row.subject
