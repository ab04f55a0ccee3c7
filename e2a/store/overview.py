"""What waits for people: counted only as far as it is shown, so that a busy organisation's pages stay quick."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from e2a.core.entities import AgentState

from .rows import Cursor, many, one

#: Counting stops here; a page then shows ``99+``.
MOST_COUNTED = 100
#: Held messages, the most urgent, that are looked at to say which agents have some.
_HELD_LOOKED_AT = 1000
#: Webhook deliveries of an agent, the newest, that say whether its webhook answers.
_DELIVERIES_LOOKED_AT = 5

_FRAME = """
    SELECT u.email, u.name, o.name AS organisation,
        (SELECT count(*) FROM (
            SELECT FROM messages WHERE organisation_id = %(organisation)s AND status = 'pending_approval' LIMIT %(most)s
        ) AS held)::integer AS pending
    FROM users u, organisations o WHERE u.id = %(user)s AND o.id = %(organisation)s
"""
_STATES = """
    WITH held AS MATERIALIZED (
        SELECT agent_id FROM messages WHERE organisation_id = %(organisation)s AND status = 'pending_approval'
        ORDER BY approval_expires_at, id LIMIT %(held)s
    )
    SELECT wanted.id,
        (SELECT created_at FROM messages WHERE agent_id = wanted.id AND direction = 'inbound'
            ORDER BY uid DESC LIMIT 1) AS last_mail,
        (SELECT count(*) FROM (
            SELECT FROM messages WHERE agent_id = wanted.id AND inbox_status = 'unread' LIMIT %(most)s
        ) AS unread)::integer AS unread,
        (SELECT count(*) FROM held WHERE held.agent_id = wanted.id)::integer AS pending,
        (SELECT count(*) FROM (
            SELECT FROM webhook_deliveries WHERE agent_id = wanted.id AND status = 'failed' LIMIT %(most)s
        ) AS failed)::integer AS failed,
        EXISTS (SELECT FROM (
            SELECT status, last_error FROM webhook_deliveries WHERE agent_id = wanted.id
            ORDER BY message_id DESC LIMIT %(newest)s
        ) AS newest WHERE status = 'pending' AND last_error <> '') AS retrying
    FROM unnest(%(agents)s::text[]) AS wanted (id)
"""
_MESSAGE_OWNERS = "SELECT DISTINCT organisation_id FROM messages WHERE id = ANY (%s) AND organisation_id IS NOT NULL"


async def frame(cur: Cursor, organisation_id: str, user_id: str) -> Any:
    """The row ``email, name, organisation, pending``."""
    values = {"organisation": organisation_id, "user": user_id, "most": MOST_COUNTED}
    return await one(cur, _FRAME, values, lambda row: row)


async def states(cur: Cursor, organisation_id: str, agents: Sequence[str]) -> dict[str, AgentState]:
    """How each of these agents stands, by its id."""
    values = {
        "organisation": organisation_id,
        "agents": list(agents),
        "most": MOST_COUNTED,
        "held": _HELD_LOOKED_AT,
        "newest": _DELIVERIES_LOOKED_AT,
    }
    found = await many(cur, _STATES, values, lambda row: row)
    return {row.id: AgentState(row.last_mail, row.unread, row.pending, row.failed, row.retrying) for row in found}


async def owners_of_messages(cur: Cursor, messages: Sequence[str]) -> list[str]:
    """The organisations that these outbound messages belong to."""
    return await many(cur, _MESSAGE_OWNERS, (list(messages),), lambda row: str(row.organisation_id))
