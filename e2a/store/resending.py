"""A message whose outcome is unknown, or a failure, put on its way once more as it is stored."""

from __future__ import annotations

from e2a.core.entities import OutboundMessage

from .changes import tell
from .outbound import COLUMNS, WAKE, load_outbound
from .rows import Cursor, execute, many, maybe

_LOCK = f"SELECT {COLUMNS} FROM messages AS m WHERE m.id = %s AND m.direction = 'outbound' FOR UPDATE OF m"
_IN_STATE = """
    SELECT address FROM outbound_recipients
    WHERE message_id = %s AND route = 'smtp' AND state = %s ORDER BY address
"""
_PHASES = "SELECT phase FROM outbox WHERE message_id = %s ORDER BY destination FOR UPDATE"
_DROP_JOBS = "DELETE FROM outbox WHERE message_id = %s"
# The fence is above that of every job the message has had, so that whoever is late with an outcome of an earlier
# transmission changes nothing: it counts up by two with each attempt, of which there is one in a second at most, and
# this by five each second, for which there is room for thirteen years.
_ADD_JOB = """
    INSERT INTO outbox (message_id, fence)
    SELECT id, 1000 + 5 * greatest(extract(epoch FROM now() - created_at), 0)::integer FROM messages WHERE id = %s
"""
_REOPEN = """
    UPDATE outbound_recipients SET state = 'pending', destination = '', code = NULL, reply = '', updated_at = now()
    WHERE message_id = %s AND address = ANY (%s)
"""
# It must not be forgotten while it is tried.
_QUEUE = """
    UPDATE messages SET status = 'queued', expires_at = greatest(expires_at, now() + interval '7 days') WHERE id = %s
"""


async def lock_outbound(cur: Cursor, message_id: str) -> OutboundMessage | None:
    """The message, kept from other writers until the transaction ends; None when it is gone."""
    return await maybe(cur, _LOCK, (message_id,), load_outbound)


async def in_state(cur: Cursor, message_id: str, state: str) -> list[str]:
    """The message's recipients by SMTP that stand so."""
    return await many(cur, _IN_STATE, (message_id, state), lambda row: str(row.address))


async def is_transmitting(cur: Cursor, message_id: str) -> bool:
    """Whether the message is being transmitted, to any of its destinations; none can begin with it until the
    transaction ends. The message must be locked."""
    return "data" in await many(cur, _PHASES, (message_id,), lambda row: str(row.phase))


async def requeue(cur: Cursor, message_id: str, addresses: list[str]) -> None:
    """Begin anew for these recipients, with all the time that a new message has. The message must be locked."""
    await execute(cur, _DROP_JOBS, (message_id,))
    await execute(cur, _ADD_JOB, (message_id,))
    await execute(cur, _REOPEN, (message_id, addresses))
    await execute(cur, _QUEUE, (message_id,))
    await tell(cur, "outbound", [message_id])
    cur.later(WAKE)
