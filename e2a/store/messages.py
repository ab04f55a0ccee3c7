"""Received messages, without their bytes. Lists go by uid, which is the order of arrival."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from e2a.core.entities import Automation, Facts, InboundMessage

from .rows import Cursor, many, maybe, one

#: What every statement that answers messages selects, from ``messages`` named ``m``.
COLUMNS = """
    m.id, m.uid, m.agent_id, m.raw_id, m.sender, m.recipient, m.tag, m.to_recipients, m.cc, m.reply_to, m.subject,
    m.email_message_id, m.conversation_id, m.verified, m.auth_sender, m.entity_type, m.domain_check, m.delegation,
    m.body_hash, m.authentication, m.size, m.inbox_status, m.created_at, m.expires_at, m.defects, m.automation
"""
_PAGE = f"""
    SELECT {COLUMNS} FROM messages AS m
    WHERE m.agent_id = %(agent)s AND m.direction = 'inbound' AND m.uid {{side}} %(after)s AND m.expires_at > %(now)s
    {{filters}}
    ORDER BY m.uid {{order}} LIMIT %(limit)s
"""
_STATUS = {
    # The literal, because a parameter would not match the partial index.
    "unread": "AND m.inbox_status = 'unread'",
    "read": "AND m.inbox_status = 'read'",
    "all": "",
}
_FROM = "AND lower(m.sender) = lower(%(sender)s)"
_SUBJECT = "AND strpos(lower(m.subject), lower(%(subject)s)) > 0"
_SINCE = "AND m.created_at >= %(since)s"
_UNTIL = "AND m.created_at < %(until)s"
_CONVERSATION = "AND m.conversation_id = %(conversation)s"
_GET = f"""
    SELECT {COLUMNS} FROM messages AS m
    WHERE m.id = %s AND m.agent_id = %s AND m.direction = 'inbound' AND m.expires_at > now()
"""
# A message that is read already is only selected: reading it again writes nothing.
_READ = f"""
    WITH marked AS (
        UPDATE messages SET inbox_status = 'read'
        WHERE id = %(id)s AND agent_id = %(agent)s AND inbox_status = 'unread' AND expires_at > now()
        RETURNING id
    )
    SELECT {COLUMNS} FROM messages AS m
    WHERE m.id = %(id)s AND m.agent_id = %(agent)s AND m.direction = 'inbound' AND m.expires_at > now()
"""
_UID_TOP = "SELECT coalesce((SELECT uid_next - 1 FROM mailboxes WHERE agent_id = %s), 0) AS top"

Status = Literal["unread", "read", "all"]


def load_message(row: Any) -> InboundMessage:
    """A row of :data:`COLUMNS` as the entity."""
    signs = row.automation or {}
    return InboundMessage(
        id=row.id,
        uid=row.uid,
        agent_id=row.agent_id,
        raw_id=row.raw_id,
        sender=row.sender,
        recipient=row.recipient,
        tag=row.tag,
        to=tuple(row.to_recipients),
        cc=tuple(row.cc),
        reply_to=tuple(row.reply_to),
        subject=row.subject,
        email_message_id=row.email_message_id,
        conversation_id=row.conversation_id,
        facts=Facts(
            verified=row.verified,
            sender=row.auth_sender,
            entity_type=row.entity_type,
            domain_check=row.domain_check,
            body_hash=row.body_hash,
            delegation=row.delegation,
        ),
        authentication=row.authentication or {},
        size=row.size,
        inbox_status=row.inbox_status,
        created_at=row.created_at,
        expires_at=row.expires_at,
        defects=tuple(row.defects),
        automation=Automation(signs.get("is_auto", False), tuple(signs.get("reasons", ()))),
        thread_hijack_suspected=signs.get("thread_hijack_suspected", False),
    )


async def list_inbound(
    cur: Cursor,
    agent_id: str,
    status: Status,
    after_uid: int,
    limit: int,
    now: datetime,
    *,
    sender: str = "",
    subject_contains: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    conversation_id: str = "",
    newest_first: bool = False,
) -> list[InboundMessage]:
    """One page of an agent's mailbox, oldest first.

    :param after_uid: the uid of the last message of the page before; 0 for the first page.
    :param newest_first: the other way round; the first page is then the one after a uid above all.
    :param now: what has expired by then is not listed.
    :param sender: only mail from this address, whatever the case of its letters.
    :param subject_contains: only mail whose subject contains this, whatever the case.
    :param since: only mail received at or after this time; ``until``: only before that one.
    """
    filters = [_STATUS[status]]
    if sender:
        filters.append(_FROM)
    if subject_contains:
        filters.append(_SUBJECT)
    if since is not None:
        filters.append(_SINCE)
    if until is not None:
        filters.append(_UNTIL)
    if conversation_id:
        filters.append(_CONVERSATION)
    params = {
        "agent": agent_id,
        "after": after_uid,
        "now": now,
        "limit": limit,
        "sender": sender,
        "subject": subject_contains,
        "since": since,
        "until": until,
        "conversation": conversation_id,
    }
    side, order = ("<", "DESC") if newest_first else (">", "ASC")
    return await many(cur, _PAGE.format(side=side, order=order, filters=" ".join(filters)), params, load_message)


async def unread_after(cur: Cursor, agent_id: str, uid: int, limit: int, now: datetime) -> list[InboundMessage]:
    """The oldest unread messages above ``uid``."""
    return await list_inbound(cur, agent_id, "unread", uid, limit, now)


async def get_inbound(cur: Cursor, agent_id: str, message_id: str) -> InboundMessage | None:
    """One message as it stands; None when it is unknown, another agent's, or expired."""
    return await maybe(cur, _GET, (message_id, agent_id), load_message)


async def read_inbound(cur: Cursor, agent_id: str, message_id: str) -> InboundMessage | None:
    """One message, ``read`` from now on.

    :returns: the message as it stands afterwards; None when it is unknown, another agent's, or expired.
    """
    return await maybe(cur, _READ, {"id": message_id, "agent": agent_id}, _load_as_read)


async def uid_top(cur: Cursor, agent_id: str) -> int:
    """The highest uid given in an agent's mailbox so far; 0 when it is new or unknown."""
    return await one(cur, _UID_TOP, (agent_id,), lambda row: int(row.top))


def _load_as_read(row: Any) -> InboundMessage:
    # The SELECT beside the UPDATE sees the row as it was before.
    return load_message(row._replace(inbox_status="read"))
