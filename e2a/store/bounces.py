"""What a delivery report is about: messages of ours, and what it changes at their recipients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .changes import tell
from .rows import Cursor, many, maybe

_AGENTS_OWN = "('send', 'reply', 'forward', 'test')"
_ADDRESSEE = f"""
    SELECT m.agent_id FROM messages AS m
    WHERE m.id = %s AND m.direction = 'outbound' AND m.message_type IN {_AGENTS_OWN} AND m.expires_at > now()
        AND (%s OR EXISTS (SELECT FROM domains WHERE name = %s AND verified_at IS NOT NULL))
"""
_BY_EMAIL_ID = f"""
    SELECT m.id FROM messages AS m
    WHERE m.agent_id = ANY (%(agents)s) AND m.direction = 'outbound' AND m.message_type IN {_AGENTS_OWN} AND (
        (m.email_message_id = ANY (%(ids)s) AND m.email_message_id <> '')
        OR (m.provider_message_id = ANY (%(ids)s) AND m.provider_message_id <> '')
    )
    ORDER BY m.id LIMIT 10
"""
# Messages are locked before their recipients, as everywhere.
_LOCK = """
    SELECT m.id, m.agent_id, m.organisation_id, m.conversation_id FROM messages AS m
    WHERE m.id = ANY (%s) AND m.agent_id = ANY (%s) AND m.direction = 'outbound' ORDER BY m.id FOR UPDATE
"""
_RECIPIENTS = "SELECT address FROM outbound_recipients WHERE message_id = %s AND route = 'smtp' ORDER BY address"
# A report may overtake the record of the transmission that it is about. What was never transmitted cannot bounce.
_BOUNCE = """
    UPDATE outbound_recipients AS r SET state = 'bounced', code = b.code, reply = b.reply, updated_at = now()
    FROM unnest(%s::text[], %s::integer[], %s::text[]) AS b (address, code, reply)
    WHERE r.message_id = %s AND r.address = b.address AND r.route = 'smtp' AND (
        r.state IN ('sent', 'unknown') OR (
            r.state = 'pending' AND EXISTS (
                SELECT FROM outbox AS o
                WHERE o.message_id = r.message_id AND o.destination = r.destination AND o.phase = 'data'
            )
        )
    )
    RETURNING r.address
"""


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that a report is about."""

    id: str
    agent_id: str
    organisation_id: str
    conversation_id: str | None


@dataclass(frozen=True, slots=True)
class Bounced:
    """:ivar address: lower case, as in ``outbound_recipients``."""

    address: str
    code: int | None
    reply: str


async def addressee(cur: Cursor, message_id: str, domain: str, ours: bool) -> str | None:
    """The agent to which reports about a message go, None when there is no such message or it was not an agent's own.

    What the gateway itself sends, such as requests for review, is no agent's business: a report returns its text.

    :param domain: of the return path; it must be hosted here.
    :param ours: the domain is the deployment's own.
    """
    return await maybe(cur, _ADDRESSEE, (message_id, ours, domain), lambda row: str(row.agent_id))


async def sent_with(cur: Cursor, agent_ids: Sequence[str], email_ids: Sequence[str]) -> list[str]:
    """Messages that these agents sent under these Message-IDs."""
    params = {"agents": list(agent_ids), "ids": list(email_ids)}
    return await many(cur, _BY_EMAIL_ID, params, lambda row: str(row.id))


async def lock_sent(cur: Cursor, message_ids: Sequence[str], agent_ids: Sequence[str]) -> list[Sent]:
    """Those of these messages that these agents sent, kept from other writers until the transaction ends."""
    return await many(cur, _LOCK, (list(message_ids), list(agent_ids)), _load)


async def recipients_by_smtp(cur: Cursor, message_id: str) -> list[str]:
    """The addresses to which a message went by SMTP."""
    return await many(cur, _RECIPIENTS, (message_id,), lambda row: str(row.address))


async def record_bounces(cur: Cursor, message_id: str, bounced: Sequence[Bounced]) -> list[str]:
    """Mark recipients as bounced, once; returns those that were not before."""
    values = (
        [one.address for one in bounced],
        [one.code for one in bounced],
        [one.reply for one in bounced],
        message_id,
    )
    changed = await many(cur, _BOUNCE, values, lambda row: str(row.address))
    if changed:
        await tell(cur, "outbound", [message_id])
    return changed


def _load(row: Any) -> Sent:
    return Sent(*row)
