"""Conversations: what a message's quoted ids lead to, and an agent's threads by their latest message.

A conversation has no row of its own: it is the messages that bear its id. Every question here costs the same however
much mail is stored: it reads a bounded number of index entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from e2a.core.entities import Conversation, ConversationMessage
from e2a.core.mail.conversations import Ancestor, Quoted

from .rows import Cursor, many

#: The newest messages of a conversation that are searched for a participant, and listed ones are collected from.
RECENT = 50
#: Messages of one conversation that are counted; "1000" means "at least".
MOST_COUNTED = 1000
#: Addresses that are listed as participants.
MOST_PARTICIPANTS = 100
#: Messages that one page of conversations looks at.
SCAN = 2000

#: Above every message id, in every collation.
TOP = "msg_zzzz"

# Every search below is written as a walk along one index, between two bounds and in the index's own order: with plain
# equalities the planner may find that walking the primary key backwards is cheaper, which it is until nothing matches.
_THREAD = f"""
    (m.agent_id, m.conversation_id) >= ({{agent}}, {{conversation}})
    AND (m.agent_id, m.conversation_id, m.id) <= ({{agent}}, {{conversation}}, '{TOP}')
    AND m.conversation_id IS NOT NULL
"""
_NEWEST_FIRST = "ORDER BY m.agent_id DESC, m.conversation_id DESC, m.id DESC"
_OLDEST_FIRST = "ORDER BY m.agent_id, m.conversation_id, m.id"
_SEEN = "m.direction, m.status, m.verified, m.auth_sender, m.to_recipients, m.cc, m.bcc"

_ANCESTORS = f"""
    WITH nearest AS MATERIALIZED (
        SELECT DISTINCT ON (a.agent_id) a.agent_id, found.id, found.conversation_id
        FROM unnest(%(agents)s::text[]) AS a (agent_id)
        CROSS JOIN unnest(%(ranks)s::integer[], %(ids)s::text[], %(exact)s::boolean[]) AS q (rank, id, exact)
        CROSS JOIN LATERAL (
            (
                SELECT m.id, m.conversation_id FROM messages AS m
                WHERE q.exact AND (m.agent_id, m.email_message_id) >= (a.agent_id, q.id)
                    AND (m.agent_id, m.email_message_id, m.id) <= (a.agent_id, q.id, '{TOP}')
                    AND m.email_message_id <> '' AND m.conversation_id IS NOT NULL
                ORDER BY m.agent_id DESC, m.email_message_id DESC, m.id DESC LIMIT 1
            ) UNION ALL (
                SELECT m.id, m.conversation_id FROM messages AS m
                WHERE (m.agent_id, m.provider_message_id) >= (a.agent_id, q.id)
                    AND (m.agent_id, m.provider_message_id) <= (a.agent_id, q.id)
                    AND m.provider_message_id <> '' AND m.conversation_id IS NOT NULL
                ORDER BY m.agent_id DESC, m.provider_message_id DESC LIMIT 1
            )
        ) AS found
        ORDER BY a.agent_id, q.rank, found.id DESC
    )
    SELECT n.agent_id, n.conversation_id, EXISTS (
        SELECT FROM (
            (
                SELECT {_SEEN} FROM messages AS m
                WHERE {_THREAD.format(agent="n.agent_id", conversation="n.conversation_id")}
                {_NEWEST_FIRST} LIMIT %(recent)s
            ) UNION ALL (
                SELECT {_SEEN} FROM messages AS m WHERE m.id = n.id
            )
        ) AS m
        WHERE CASE WHEN m.direction = 'outbound'
            THEN m.status <> ALL ('{{pending_approval,rejected,expired_rejected}}')
            ELSE m.verified
        END AND EXISTS (
            SELECT FROM unnest(m.to_recipients || m.cc || m.bcc || ARRAY[m.auth_sender]) AS address
            WHERE lower(address) = %(sender)s AND address <> ''
        )
    ) AS participant
    FROM nearest AS n
"""
_ADOPT = """
    UPDATE messages SET conversation_id = $1 WHERE id = $2 AND agent_id = $3 AND conversation_id IS NULL
"""
_SHOWN = _THREAD.format(agent="%(agent)s", conversation="shown.conversation_id") + "AND m.expires_at > %(now)s"
_PAGE = f"""
    WITH scanned AS MATERIALIZED (
        SELECT m.id, m.conversation_id, m.expires_at FROM messages AS m
        WHERE m.agent_id >= %(agent)s AND (m.agent_id, m.id) < (%(agent)s, %(before)s)
            AND m.conversation_id IS NOT NULL
        ORDER BY m.agent_id DESC, m.id DESC LIMIT %(scan)s
    ), latest AS (
        SELECT conversation_id, max(id) AS id FROM scanned WHERE expires_at > %(now)s GROUP BY conversation_id
    ), shown AS MATERIALIZED (
        SELECT conversation_id, id FROM latest
        WHERE NOT EXISTS (
            SELECT FROM messages AS m
            WHERE m.agent_id = %(agent)s AND m.conversation_id = latest.conversation_id
                AND m.id > latest.id AND m.id <= %(top)s
        )
        ORDER BY id DESC LIMIT %(limit)s
    ), walked AS (
        SELECT count(*) AS messages, min(id) AS lowest FROM scanned
    )
    SELECT
        walked.messages AS walked, walked.lowest, shown.conversation_id, shown.id AS last_id, first.subject,
        last.created_at AS last_message_at, counted.messages, counted.unread, people.addresses
    FROM walked LEFT JOIN shown ON true
    LEFT JOIN messages AS last ON last.id = shown.id
    LEFT JOIN LATERAL (
        SELECT m.subject FROM messages AS m WHERE {_SHOWN} {_OLDEST_FIRST} LIMIT 1
    ) AS first ON true
    LEFT JOIN LATERAL (
        SELECT count(*) AS messages, count(*) FILTER (WHERE inbox_status = 'unread') AS unread FROM (
            SELECT m.inbox_status FROM messages AS m WHERE {_SHOWN} {_NEWEST_FIRST} LIMIT %(counted)s
        ) AS newest
    ) AS counted ON true
    LEFT JOIN LATERAL (
        SELECT (array_agg(DISTINCT lower(address) ORDER BY lower(address)))[1:%(people)s] AS addresses FROM (
            SELECT m.direction, m.sender, m.to_recipients, m.cc FROM messages AS m
            WHERE {_SHOWN} {_NEWEST_FIRST} LIMIT %(recent)s
        ) AS newest CROSS JOIN LATERAL unnest(
            -- What the agent sent is from itself, whatever address it was sent under.
            CASE WHEN direction = 'inbound' THEN ARRAY[sender] END || to_recipients || cc
        ) AS address
        WHERE address <> '' AND lower(address) <> %(agent)s
    ) AS people ON true
    ORDER BY shown.id DESC
"""
_MESSAGES = f"""
    SELECT m.id, m.direction, m.sender, m.recipient, m.to_recipients, m.cc, m.subject, m.verified,
        coalesce(m.inbox_status, m.status) AS status, m.email_message_id, m.size, m.created_at
    FROM messages AS m
    WHERE (m.agent_id, m.conversation_id, m.id) > (%(agent)s, %(conversation)s, %(after)s)
        AND {_THREAD.format(agent="%(agent)s", conversation="%(conversation)s")} AND m.expires_at > %(now)s
    {_OLDEST_FIRST} LIMIT %(limit)s
"""


async def find_ancestors(
    cur: Cursor, agent_ids: Sequence[str], wanted: Sequence[Quoted], sender: str
) -> dict[str, Ancestor]:
    """For each agent the nearest message it has of those that are quoted, as far as it belongs to a conversation.

    A participant wrote or received one of the conversation's newest messages, or the very one that is quoted. What a
    message with an unproved sender says of its recipients does not count, nor do drafts that were never sent.

    :param wanted: what the message quotes (``core.mail.conversations.quoted``).
    :param sender: the message's sender, in any case.
    """
    params = {
        "agents": list(agent_ids),
        "ranks": [one.rank for one in wanted],
        "ids": [one.id for one in wanted],
        "exact": [one.exact for one in wanted],
        "sender": sender.lower(),
        "recent": RECENT,
    }
    found = await many(
        cur, _ANCESTORS, params, lambda row: (row.agent_id, Ancestor(row.conversation_id, bool(row.participant)))
    )
    return dict(found)


async def adopt(cur: Cursor, agent_id: str, message_id: str, conversation_id: str) -> None:
    """Take a message that belongs to no conversation into this one: what the agent answers is part of its thread."""
    await cur.later_prepared("adopt", "text, text, text", _ADOPT, (conversation_id, message_id, agent_id))


async def list_conversations(
    cur: Cursor, agent_id: str, before: str, top: str, limit: int, now: datetime
) -> tuple[list[Conversation], str | None]:
    """Conversations by their latest message, newest first.

    :param before: only conversations whose latest message is older than this message id; ``TOP`` for the first page.
    :param top: messages newer than this id do not count for the order, so that a walk over pages misses nothing.
    :returns: at most ``limit`` conversations, perhaps none; and the ``before`` to go on with, None at the end.
    """
    params = {
        "agent": agent_id,
        "before": before,
        "top": top,
        "limit": limit,
        "now": now,
        "scan": SCAN,
        "recent": RECENT,
        "counted": MOST_COUNTED,
        "people": MOST_PARTICIPANTS,
    }
    rows = await many(cur, _PAGE, params, lambda row: row)
    found = [_load(row) for row in rows if row.conversation_id is not None]
    if len(found) == limit:
        return found, found[-1].last_message_id
    return found, rows[0].lowest if rows[0].walked == SCAN else None


async def list_messages(
    cur: Cursor, agent_id: str, conversation_id: str, after: str, limit: int, now: datetime
) -> list[ConversationMessage]:
    """The messages of one conversation, both directions, oldest first, behind the message id ``after``."""
    params = {"agent": agent_id, "conversation": conversation_id, "after": after, "limit": limit, "now": now}
    return await many(cur, _MESSAGES, params, _load_message)


def _load(row: Any) -> Conversation:
    return Conversation(
        id=row.conversation_id,
        subject=row.subject or "",
        participants=tuple(row.addresses or ()),
        message_count=row.messages,
        unread=row.unread,
        last_message_id=row.last_id,
        last_message_at=row.last_message_at,
    )


def _load_message(row: Any) -> ConversationMessage:
    return ConversationMessage(
        id=row.id,
        direction=row.direction,
        sender=row.sender,
        recipient=row.recipient,
        to=tuple(row.to_recipients),
        cc=tuple(row.cc),
        subject=row.subject,
        verified=row.verified,
        status=row.status,
        email_message_id=row.email_message_id,
        size=row.size,
        created_at=row.created_at,
    )
