"""Held messages: who decides about them, and that each is decided once.

Whoever decides first takes the row's lock and looks at its status with it (``lock_pending``), or does both in one
guarded UPDATE: of any number of deciders, on any number of replicas, one finds it pending.

Locks are taken in one order: mailboxes by agent, then messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from e2a.core.entities import OutboundMessage, OutboundStatus

from .changes import tell
from .conversations import TOP
from .outbound import COLUMNS, load_outbound
from .retention import forget_raws
from .rows import Cursor, execute, many, maybe, one

#: Members of an organisation who are written to about one message, at most.
MOST_REVIEWERS = 20

_PENDING = f"""
    SELECT {COLUMNS} FROM messages AS m
    WHERE m.organisation_id = %(organisation)s AND m.status = 'pending_approval'
        AND (m.approval_expires_at, m.id) > (%(after)s, %(after_id)s)
        AND (%(agent)s::text IS NULL OR m.agent_id = %(agent)s)
        AND (%(label)s::text IS NULL OR EXISTS (
            SELECT FROM agents AS a WHERE a.id = m.agent_id AND starts_with(a.label, %(label)s)))
    ORDER BY m.approval_expires_at, m.id LIMIT %(limit)s
"""
# Each status has its own run in the index; the newest of them all are among the newest of each. A status
# that is bounded and not equated leaves the planner no other index: by the primary key it would walk through
# everybody's messages.
_NEWEST = f"""
    SELECT {COLUMNS} FROM unnest(%(statuses)s::text[]) AS wanted (status) CROSS JOIN LATERAL (
        SELECT * FROM messages AS one
        WHERE one.organisation_id = %(organisation)s AND one.direction = 'outbound'
            AND one.status >= wanted.status AND (one.status, one.id) < (wanted.status, %(before)s)
            AND (%(agent)s::text IS NULL OR one.agent_id = %(agent)s)
            AND (%(label)s::text IS NULL OR EXISTS (
                SELECT FROM agents AS a WHERE a.id = one.agent_id AND starts_with(a.label, %(label)s)))
        ORDER BY one.status DESC, one.id DESC LIMIT %(limit)s
    ) AS m
    ORDER BY m.id DESC LIMIT %(limit)s
"""
_BEFORE = """
    SELECT id FROM messages
    WHERE organisation_id = %s AND status = 'pending_approval' AND (approval_expires_at, id) < (%s, %s)
    ORDER BY approval_expires_at DESC, id DESC LIMIT 1
"""
_AFTER = """
    SELECT id FROM messages
    WHERE organisation_id = %s AND status = 'pending_approval' AND (approval_expires_at, id) > (%s, %s)
    ORDER BY approval_expires_at, id LIMIT 1
"""
_ANSWERED = """
    SELECT id FROM messages
    WHERE agent_id = %s AND email_message_id = %s AND email_message_id <> '' AND conversation_id IS NOT NULL
        AND direction = 'inbound' AND expires_at > now()
    ORDER BY id DESC LIMIT 1
"""
_LOCK_MAILBOXES = "SELECT 1 FROM mailboxes WHERE agent_id = ANY(%s) ORDER BY agent_id FOR UPDATE"
_LOCK = """
    SELECT 1 FROM messages
    WHERE id = %s AND direction = 'outbound' AND status = 'pending_approval' AND (approval_expires_at <= now()) = %s
    FOR UPDATE {skip}
"""
_REVIEWED = "UPDATE messages SET reviewed_at = now(), edited = edited OR %s WHERE id = %s"
_END = """
    WITH held AS MATERIALIZED (
        SELECT id, raw_id FROM messages
        WHERE id = %s AND direction = 'outbound' AND status = 'pending_approval' FOR UPDATE
    )
    UPDATE messages AS m SET status = %s, rejection_reason = %s, reviewed_at = now(), raw_id = NULL
    FROM held WHERE m.id = held.id RETURNING held.raw_id
"""
_EXPIRE = """
    WITH held AS MATERIALIZED (
        SELECT id, raw_id FROM messages
        WHERE status = 'pending_approval' AND approval_expires_at <= now() AND expiration_action = 'reject'
        ORDER BY approval_expires_at, id LIMIT %s FOR UPDATE SKIP LOCKED
    )
    UPDATE messages AS m
    SET status = 'expired_rejected', rejection_reason = %s, reviewed_at = now(), raw_id = NULL
    FROM held WHERE m.id = held.id RETURNING m.id, held.raw_id
"""
_DUE = f"""
    SELECT {COLUMNS} FROM messages AS m
    WHERE m.status = 'pending_approval' AND m.approval_expires_at <= now() AND m.expiration_action = 'approve'
        AND (m.approval_expires_at, m.id) > (%s, %s)
    ORDER BY m.approval_expires_at, m.id LIMIT %s
"""
_NEXT = """
    SELECT extract(epoch FROM approval_expires_at - now())::float8 AS seconds FROM messages
    WHERE status = 'pending_approval' AND approval_expires_at > %s ORDER BY approval_expires_at LIMIT 1
"""
# A mailbox of an agent of this deployment can be read by that agent's key, which must not come to hold a link.
_REVIEWERS = """
    SELECT u.id, u.email FROM memberships s JOIN users u ON u.id = s.user_id
    WHERE s.organisation_id = %s AND s.role IN ('owner', 'admin') AND NOT EXISTS (
        SELECT FROM agents a WHERE a.id IN (lower(u.email), regexp_replace(lower(u.email), '\\+[^@]*@', '@'))
    )
    ORDER BY s.created_at, u.id LIMIT %s
"""


async def list_pending(
    cur: Cursor,
    organisation_id: str,
    *,
    after: tuple[datetime, str] | None,
    limit: int,
    agent_id: str | None = None,
    label_prefix: str | None = None,
) -> list[OutboundMessage]:
    """Held messages, the one whose time is over first before the others.

    :param after: expiry and id of the last message of the page before.
    :param agent_id: if given, only this agent's.
    :param label_prefix: if given, only those of agents whose label begins so.
    """
    moment, message_id = after or ("-infinity", "")
    values = {
        "organisation": organisation_id,
        "after": moment,
        "after_id": message_id,
        "agent": agent_id,
        "label": label_prefix,
        "limit": limit,
    }
    return await many(cur, _PENDING, values, load_outbound)


async def list_newest(
    cur: Cursor,
    organisation_id: str,
    statuses: Sequence[OutboundStatus],
    *,
    before: str | None,
    limit: int,
    agent_id: str | None = None,
    label_prefix: str | None = None,
) -> list[OutboundMessage]:
    """Messages with one of these statuses, newest first.

    :param before: the id of the last message of the page before.
    :param agent_id: if given, only this agent's.
    :param label_prefix: if given, only those of agents whose label begins so.
    """
    values = {
        "organisation": organisation_id,
        "statuses": list(statuses),
        "before": before or TOP,
        "agent": agent_id,
        "label": label_prefix,
        "limit": limit,
    }
    return await many(cur, _NEWEST, values, load_outbound)


async def neighbours(
    cur: Cursor, organisation_id: str, expires_at: datetime, message_id: str
) -> tuple[str | None, str | None]:
    """The held messages before and after this place in the order of ``list_pending``."""
    place = (organisation_id, expires_at, message_id)
    before = await maybe(cur, _BEFORE, place, lambda row: str(row.id))
    return before, await maybe(cur, _AFTER, place, lambda row: str(row.id))


async def answered(cur: Cursor, agent_id: str, email_message_id: str) -> str | None:
    """The id of the received message with this Message-ID, the newest copy that the agent has."""
    return await maybe(cur, _ANSWERED, (agent_id, email_message_id), lambda row: str(row.id))


async def lock_mailboxes(cur: Cursor, agent_ids: Sequence[str]) -> None:
    """Take the locks that handing over to these agents takes, before those of messages."""
    if agent_ids:
        await execute(cur, _LOCK_MAILBOXES, (list(agent_ids),))


async def lock_pending(cur: Cursor, message_id: str, *, expired: bool) -> bool:
    """Become the one who decides, until the transaction ends; False when it is decided, or being decided.

    :param expired: whether its time must be over, or must not be. When it must be, who comes second does not wait.
    """
    sql = _LOCK.format(skip="SKIP LOCKED" if expired else "")
    return await maybe(cur, sql, (message_id, expired), lambda row: True) is not None


async def mark_reviewed(cur: Cursor, message_id: str, *, edited: bool) -> None:
    """Note that the message, locked, was decided about now."""
    await execute(cur, _REVIEWED, (edited, message_id))


async def end(cur: Cursor, message_id: str, status: OutboundStatus, reason: str) -> bool:
    """Decide that a pending message is not sent, and let its content go; False when it is not pending.

    :param status: ``rejected`` or ``expired_rejected``.
    """
    ended = await many(cur, _END, (message_id, status, reason), lambda row: row.raw_id)
    await forget_raws(cur, ended)
    if ended:
        await tell(cur, "outbound", [message_id])
    return bool(ended)


async def expire(cur: Cursor, reason: str, limit: int) -> int:
    """End messages that nobody decided about and that are then not to be sent, at most ``limit``; returns how many."""
    rows: list[Any] = await many(cur, _EXPIRE, (limit, reason), lambda row: row)
    await forget_raws(cur, [row.raw_id for row in rows])
    await tell(cur, "outbound", [row.id for row in rows])
    return len(rows)


async def due_approvals(cur: Cursor, *, after: tuple[datetime, str] | None = None, limit: int) -> list[OutboundMessage]:
    """Messages that nobody decided about and that are then to be sent, longest overdue first.

    :param after: expiry and id of the last one of the batch before.
    """
    moment, message_id = after or ("-infinity", "")
    return await many(cur, _DUE, (moment, message_id, limit), load_outbound)


async def moment(cur: Cursor) -> datetime:
    """The time by the clock that decides what is due."""
    return await one(cur, "SELECT now() AS moment", (), lambda row: row.moment)


async def next_expiry(cur: Cursor, after: datetime) -> float | None:
    """Seconds until the time is over of the first held message whose time ends after that moment, not over 0 when it
    has ended meanwhile; None when there is none."""
    return await maybe(cur, _NEXT, (after,), lambda row: float(row.seconds))


async def reviewers(cur: Cursor, organisation_id: str) -> list[tuple[str, str]]:
    """Ids and addresses of those who are written to, without any address that an agent of this deployment reads."""
    return await many(cur, _REVIEWERS, (organisation_id, MOST_REVIEWERS), lambda row: (str(row.id), str(row.email)))
