"""Messages that agents send: their rows, their recipients, and the jobs that carry them out.

Whoever changes a status says so on ``e2a_changed``, as ``outbound <message id>``: requests wait for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import orjson

from e2a.core.entities import Automation, OutboundMessage, OutboundRecipient

from .changes import tell
from .rows import Cursor, execute, many, maybe, one

#: What every statement that answers outbound messages selects, from ``messages`` named ``m``.
COLUMNS = """
    m.id, m.agent_id, m.organisation_id, m.status, m.message_type, m.sender, m.to_recipients, m.cc, m.bcc, m.subject,
    m.email_message_id, m.conversation_id, m.in_reply_to, m.raw_id, m.size, m.created_at, m.expires_at, m.method,
    m.provider_message_id, m.sent_status, m.on_behalf_of, m.automation, m.approval_expires_at, m.expiration_action,
    m.reviewed_at, m.rejection_reason, m.edited
"""
_ADD = """
    INSERT INTO messages (
        id, agent_id, organisation_id, direction, status, message_type, sender, recipient, to_recipients, cc, bcc,
        subject, email_message_id, conversation_id, in_reply_to, raw_id, size, created_at, expires_at, method,
        sent_status, on_behalf_of, automation, approval_expires_at, expiration_action
    ) VALUES (
        %(id)s, %(agent_id)s, %(organisation_id)s, 'outbound', %(status)s, %(message_type)s, %(sender)s,
        %(recipient)s, %(to)s, %(cc)s, %(bcc)s, %(subject)s, %(email_message_id)s, %(conversation_id)s,
        %(in_reply_to)s, %(raw_id)s, %(size)s, %(created_at)s, %(expires_at)s, %(method)s, %(sent_status)s,
        %(on_behalf_of)s, %(automation)s, %(approval_expires_at)s, %(expiration_action)s
    )
"""
_REPLACE = """
    UPDATE messages SET
        status = %(status)s, sender = %(sender)s, recipient = %(recipient)s, to_recipients = %(to)s, cc = %(cc)s,
        bcc = %(bcc)s, subject = %(subject)s, email_message_id = %(email_message_id)s,
        conversation_id = %(conversation_id)s, in_reply_to = %(in_reply_to)s, raw_id = %(raw_id)s, size = %(size)s,
        method = %(method)s, sent_status = %(sent_status)s, automation = %(automation)s
    WHERE id = %(id)s AND direction = 'outbound'
"""
_QUEUE = """
    WITH given AS MATERIALIZED (
        SELECT * FROM json_to_recordset(%(recipients)s) AS r (
            address text, kind text, route text, destination text, state text, code integer, reply text
        )
    ), named AS (
        INSERT INTO outbound_recipients (message_id, address, kind, route, destination, state, code, reply)
        SELECT %(id)s, address, kind, route, destination, state, code, reply FROM given
    ), jobs AS (
        INSERT INTO outbox (message_id, destination)
        SELECT DISTINCT %(id)s, destination FROM given WHERE route = 'smtp'
        RETURNING 1
    )
    SELECT pg_notify('e2a_outbox', '') FROM (SELECT count(*) AS jobs FROM jobs) AS made WHERE jobs > 0
"""
_GET = f"SELECT {COLUMNS} FROM messages AS m WHERE m.id = %s AND m.direction = 'outbound'"
_FIND = f"""
    SELECT {COLUMNS} FROM messages AS m
    WHERE m.id = %(id)s AND m.organisation_id = %(organisation)s AND m.direction = 'outbound'
"""
# By either id of the message, through the indexes on an agent's ids.
_FIND_BY_EMAIL_ID = f"""
    SELECT {COLUMNS} FROM messages AS m
    WHERE m.id IN (
        SELECT found.id FROM agents AS a CROSS JOIN LATERAL (
            SELECT id FROM messages WHERE agent_id = a.id AND email_message_id = %(id)s AND email_message_id <> ''
                AND direction = 'outbound'
            UNION
            SELECT id FROM messages WHERE agent_id = a.id AND provider_message_id = %(id)s
                AND provider_message_id <> '' AND direction = 'outbound'
        ) AS found
        WHERE a.organisation_id = %(organisation)s
    )
    ORDER BY m.id DESC LIMIT 1
"""
_RECIPIENTS = """
    SELECT address, kind, route, destination, state, code, reply FROM outbound_recipients
    WHERE message_id = %s ORDER BY array_position(ARRAY['to', 'cc', 'bcc'], kind), address
"""
_RECENT = """
    SELECT count(*) AS sent, count(*) FILTER (WHERE automation @> '{"is_auto": true}') AS auto
    FROM (
        SELECT automation FROM messages
        WHERE agent_id = %s AND conversation_id = %s AND id > %s AND direction = 'outbound' ORDER BY id DESC LIMIT %s
    ) AS recent
"""


def load_outbound(row: Any) -> OutboundMessage:
    """A row of :data:`COLUMNS` as the entity."""
    automation = row.automation or {}
    return OutboundMessage(
        id=row.id,
        agent_id=row.agent_id,
        organisation_id=row.organisation_id,
        status=row.status,
        message_type=row.message_type,
        sender=row.sender,
        to=tuple(row.to_recipients),
        cc=tuple(row.cc),
        bcc=tuple(row.bcc),
        subject=row.subject,
        email_message_id=row.email_message_id,
        conversation_id=row.conversation_id,
        in_reply_to=row.in_reply_to,
        raw_id=row.raw_id,
        size=row.size,
        created_at=row.created_at,
        expires_at=row.expires_at,
        method=row.method or "smtp",
        provider_message_id=row.provider_message_id,
        sent_status=row.sent_status,
        on_behalf_of=row.on_behalf_of,
        automation=Automation(bool(automation.get("is_auto")), tuple(automation.get("reasons", ()))),
        approval_expires_at=row.approval_expires_at,
        expiration_action=row.expiration_action,
        reviewed_at=row.reviewed_at,
        rejection_reason=row.rejection_reason,
        edited=row.edited,
    )


async def add_outbound(cur: Cursor, message: OutboundMessage) -> None:
    """Store a new message. Its bytes must be stored already."""
    await execute(cur, _ADD, _values(message))
    await tell(cur, "outbound", [message.id])


async def replace_outbound(cur: Cursor, message: OutboundMessage) -> None:
    """Store what became of a message when it was composed again and released."""
    await execute(cur, _REPLACE, _values(message))
    await tell(cur, "outbound", [message.id])


async def queue(cur: Cursor, message_id: str, recipients: Sequence[OutboundRecipient]) -> None:
    """Store a message's envelope recipients, with a job for each destination by SMTP, and wake the workers."""
    given = orjson.dumps([asdict(recipient) for recipient in recipients]).decode()
    await cur.execute(_QUEUE, {"id": message_id, "recipients": given})


async def get_outbound(cur: Cursor, message_id: str) -> OutboundMessage | None:
    """One message, whosever it is."""
    return await maybe(cur, _GET, (message_id,), load_outbound)


async def find_outbound(cur: Cursor, organisation_id: str, message_id: str) -> OutboundMessage | None:
    """One of the organisation's messages.

    :param message_id: our ``msg_`` id, the Message-ID, or the upstream server's id, the last two with angle brackets.
    """
    sql = _FIND if message_id.startswith("msg_") else _FIND_BY_EMAIL_ID
    return await maybe(cur, sql, {"id": message_id, "organisation": organisation_id}, load_outbound)


async def recipients_of(cur: Cursor, message_id: str) -> tuple[OutboundRecipient, ...]:
    """A message's envelope recipients: To, then Cc, then Bcc. None before it is released."""
    return tuple(await many(cur, _RECIPIENTS, (message_id,), lambda row: OutboundRecipient(*row)))


async def recent_sends(cur: Cursor, agent_id: str, conversation_id: str, after_id: str, limit: int) -> tuple[int, int]:
    """How many messages an agent has sent into a conversation, and how many of them were automatic.

    :param after_id: only messages with greater ids, which is: younger ones.
    :param limit: where to stop counting.
    """
    return await one(cur, _RECENT, (agent_id, conversation_id, after_id, limit), lambda row: (row.sent, row.auto))


def _values(message: OutboundMessage) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(message, name) for name in OutboundMessage.__slots__}
    for name in ("to", "cc", "bcc"):
        values[name] = list(values[name])
    values["recipient"] = next(iter((*message.to, *message.cc, *message.bcc)), "")
    automation = message.automation
    values["automation"] = (
        orjson.dumps({"is_auto": True, "reasons": automation.reasons}).decode() if automation.is_auto else None
    )
    return values


def later_than(moment: datetime) -> str:
    """An id that sorts before every message made after ``moment``."""
    return f"msg_{int(moment.timestamp() * 1000):012x}"
