"""Messages that agents send: their rows, their recipients, and the jobs that carry them out.

Whoever changes a status says so on ``e2a_changed``, as ``outbound <message id>``: requests wait for that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from e2a.core.entities import Automation, OutboundMessage, OutboundRecipient

from .changes import tell
from .rows import Cursor, execute, many, maybe

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
    )
    SELECT
        id, agent_id, organisation_id, 'outbound', status, message_type, sender, recipient, "to", cc, bcc,
        subject, email_message_id, conversation_id, in_reply_to, raw_id, size, created_at, expires_at, method,
        sent_status, on_behalf_of, automation, approval_expires_at, expiration_action
    FROM jsonb_to_recordset($1) AS r (
        id text, agent_id text, organisation_id text, status text, message_type text, sender text, recipient text,
        "to" text[], cc text[], bcc text[], subject text, email_message_id text, conversation_id text, in_reply_to text,
        raw_id text, size integer, created_at timestamptz, expires_at timestamptz, method text, sent_status text,
        on_behalf_of text, automation jsonb, approval_expires_at timestamptz, expiration_action text
    )
"""
_ADDED = (
    "id", "agent_id", "organisation_id", "status", "message_type", "sender", "recipient", "to", "cc", "bcc", "subject",
    "email_message_id", "conversation_id", "in_reply_to", "raw_id", "size", "created_at", "expires_at", "method",
    "sent_status", "on_behalf_of", "automation", "approval_expires_at", "expiration_action",
)  # fmt: skip
_REPLACE = """
    UPDATE messages SET
        status = %(status)s, sender = %(sender)s, recipient = %(recipient)s, to_recipients = %(to)s, cc = %(cc)s,
        bcc = %(bcc)s, subject = %(subject)s, email_message_id = %(email_message_id)s,
        conversation_id = %(conversation_id)s, in_reply_to = %(in_reply_to)s, raw_id = %(raw_id)s, size = %(size)s,
        method = %(method)s, sent_status = %(sent_status)s, automation = %(automation)s
    WHERE id = %(id)s AND direction = 'outbound'
"""
_QUEUE = """
    INSERT INTO outbound_recipients (message_id, address, kind, route, destination, state, code, reply)
    SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8)
"""
_QUEUE_TYPES = "text[], text[], text[], text[], text[], text[], integer[], text[]"
_QUEUE_JOBS = "INSERT INTO outbox (message_id, destination) SELECT * FROM unnest($1, $2)"
#: Tells the workers that there is something to send.
WAKE = "SELECT pg_notify('e2a_outbox', '')"
_USED = """
    INSERT INTO usage_events (id, organisation_id, agent_id, domain, direction)
    SELECT 'ue_' || id, organisation_id, agent_id, substring(agent_id FROM '[^@]*$'), 'outbound'
    FROM unnest($1, $2, $3) AS used (id, organisation_id, agent_id) ON CONFLICT DO NOTHING
"""
_GET = f"SELECT {COLUMNS} FROM messages AS m WHERE m.id = %s AND m.direction = 'outbound'"
# Only outbound messages have a status. Asked for their direction instead, a planner without figures walks the index of
# all of them.
_WITH_RECIPIENTS = f"""
    SELECT {COLUMNS}, ARRAY(
        SELECT json_build_array(address, kind, route, destination, state, code, reply)::text FROM outbound_recipients
        WHERE message_id = m.id ORDER BY array_position(ARRAY['to', 'cc', 'bcc'], kind), address
    ) AS recipients
    FROM messages AS m WHERE m.id = ANY ($1) AND m.status IS NOT NULL
"""
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


async def add_outbound(cur: Cursor, messages: Sequence[OutboundMessage]) -> None:
    """Store new messages. Their bytes must be stored already. Nobody is told: nobody knows of them yet."""
    rows = [{name: value for name, value in _values(message).items() if name in _ADDED} for message in messages]
    await cur.later_prepared("add_outbound", "jsonb", _ADD, (orjson.dumps(rows).decode(),))


async def replace_outbound(cur: Cursor, message: OutboundMessage) -> None:
    """Store what became of a message when it was composed again and released."""
    values = _values(message)
    if values["automation"] is not None:
        values["automation"] = orjson.dumps(values["automation"]).decode()
    await execute(cur, _REPLACE, values)
    await tell(cur, "outbound", [message.id])


async def queue(cur: Cursor, messages: Mapping[str, Sequence[OutboundRecipient]]) -> None:
    """Store the envelope recipients of messages, by their ids, with a job for each destination by SMTP, and wake the
    workers.
    """
    each = [(message_id, recipient) for message_id, recipients in messages.items() for recipient in recipients]
    columns = (
        [message_id for message_id, _ in each],
        [recipient.address for _, recipient in each],
        [recipient.kind for _, recipient in each],
        [recipient.route for _, recipient in each],
        [recipient.destination for _, recipient in each],
        [recipient.state for _, recipient in each],
        [recipient.code for _, recipient in each],
        [recipient.reply for _, recipient in each],
    )
    await cur.later_prepared("add_recipients", _QUEUE_TYPES, _QUEUE, columns)
    jobs = sorted({(message_id, recipient.destination) for message_id, recipient in each if recipient.route == "smtp"})
    if jobs:
        places = ([message_id for message_id, _ in jobs], [destination for _, destination in jobs])
        await cur.later_prepared("add_jobs", "text[], text[]", _QUEUE_JOBS, places)
        cur.later(WAKE)


async def count_use(cur: Cursor, messages: Sequence[OutboundMessage]) -> None:
    """Write the usage events of messages that are sent."""
    columns = (
        [message.id for message in messages],
        [message.organisation_id for message in messages],
        [message.agent_id for message in messages],
    )
    await cur.later_prepared("count_use", "text[], text[], text[]", _USED, columns)


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


async def with_recipients(
    cur: Cursor, message_ids: Sequence[str]
) -> dict[str, tuple[OutboundMessage, tuple[OutboundRecipient, ...]]]:
    """Messages, whosever they are, with what ``recipients_of`` says of each, by id; those that are gone left out."""
    await cur.execute_prepared("with_recipients", "text[]", _WITH_RECIPIENTS, (list(message_ids),))
    return {
        row.id: (load_outbound(row), tuple(OutboundRecipient(*orjson.loads(text)) for text in row.recipients))
        for row in cur.fetchall()
    }


def _values(message: OutboundMessage) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(message, name) for name in OutboundMessage.__slots__}
    for name in ("to", "cc", "bcc"):
        values[name] = list(values[name])
    values["recipient"] = next(iter((*message.to, *message.cc, *message.bcc)), "")
    automation = message.automation
    values["automation"] = {"is_auto": True, "reasons": automation.reasons} if automation.is_auto else None
    return values


def later_than(moment: datetime) -> str:
    """An id that sorts before every message made after ``moment``."""
    return f"msg_{int(moment.timestamp() * 1000):012x}"
