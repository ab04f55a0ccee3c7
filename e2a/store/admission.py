"""What messages must pass before they are stored, asked in one round trip: each is cheap, the way to it is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from e2a.core.entities import Agent
from e2a.core.rules.limits import Allowance, Limit

from . import agents, limits
from .conversations import TOP
from .rows import Cursor

# Every look-up is lateral with a bound: each is a walk along an index, whatever size the planner takes the tables for.
# The conversation is walked between two bounds and in the index's own order: see ``conversations``.
_ADMIT = f"""
    WITH past AS (
        DELETE FROM rate_events WHERE key = ANY ($1) AND at <= clock_timestamp() - $7 * interval '1 second'
    )
    SELECT agent.*, used.events, used.resets, recent.sent, recent.automatic,
        (SELECT quota_messages_per_day FROM organisations WHERE id = asked.organisation_id) AS own_quota,
        ARRAY(
            SELECT address FROM suppressions
            WHERE organisation_id = asked.organisation_id AND address = ANY (string_to_array(asked.recipients, E'\\n'))
            ORDER BY address
        ) AS suppressed
    FROM unnest($1, $2, $3, $4, $5, $6) WITH ORDINALITY
        AS asked (key, agent_id, organisation_id, recipients, conversation_id, after_id, place)
    LEFT JOIN LATERAL (
        SELECT {agents.COLUMNS} FROM agents AS a JOIN domains AS d ON d.id = a.domain_id
        WHERE a.id = asked.agent_id LIMIT 1
    ) AS agent ON true
    CROSS JOIN LATERAL (
        SELECT count(*) AS events, extract(epoch FROM min(at) - clock_timestamp())::float8 + $7 AS resets
        FROM (
            SELECT at FROM rate_events
            WHERE key = asked.key AND at > clock_timestamp() - $7 * interval '1 second' ORDER BY at DESC LIMIT $8
        ) AS in_window
    ) AS used
    CROSS JOIN LATERAL (
        SELECT count(*) AS sent, count(*) FILTER (WHERE automation @> '{{"is_auto": true}}') AS automatic
        FROM (
            SELECT automation FROM messages AS m
            WHERE (m.agent_id, m.conversation_id, m.id) > (asked.agent_id, asked.conversation_id, asked.after_id)
                AND (m.agent_id, m.conversation_id, m.id) <= (asked.agent_id, asked.conversation_id, '{TOP}')
                AND m.conversation_id IS NOT NULL AND m.direction = 'outbound'
            ORDER BY m.agent_id DESC, m.conversation_id DESC, m.id DESC LIMIT $9
        ) AS newest
    ) AS recent
    ORDER BY asked.place
"""
_TYPES = "text[], text[], text[], text[], text[], text[], float8, integer, integer"


@dataclass(frozen=True, slots=True)
class Admission:
    """:ivar agent: None when it is unknown or another organisation's.
    :ivar allowance: how the agent stands with its rate limit once the message is counted, or that it is refused.
    :ivar sent: messages of the agent in the conversation, as many as were counted; ``automatic`` are those among them
        that it sent by itself.
    :ivar own_quota: how many messages the organisation may send on a day, if it has a quota of its own.
    :ivar suppressed: recipients, in lower case, that must not be written to.
    """

    agent: Agent | None
    allowance: Allowance
    sent: int
    automatic: int
    own_quota: int | None
    suppressed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message that asks.

    :ivar conversation_id: where to count; None: a conversation that begins with it.
    :ivar after_id: only messages with greater ids are counted, which is: younger ones.
    """

    organisation_id: str
    agent_id: str
    recipients: Sequence[str]
    conversation_id: str | None
    after_id: str


async def admit(cur: Cursor, candidates: Sequence[Candidate], limit: Limit, most: int) -> list[Admission]:
    """Find out what stands in the way of messages of different agents, each for itself. Nothing is counted yet.

    Others who send as one of these agents wait until the transaction ends.

    :param most: where to stop counting the messages of a conversation.
    """
    keys = [limit.key(one.agent_id) for one in candidates]
    await limits.lock_all(cur, keys)
    params = (
        keys,
        [one.agent_id for one in candidates],
        [one.organisation_id for one in candidates],
        # No address has a line end.
        ["\n".join(address.lower() for address in one.recipients) for one in candidates],
        [one.conversation_id for one in candidates],
        [one.after_id for one in candidates],
        limit.seconds,
        limit.most,
        most,
    )
    await cur.execute_prepared("admit", _TYPES, _ADMIT, params)
    return [_load(candidate, limit, row) for candidate, row in zip(candidates, cur.fetchall(), strict=True)]


async def count(cur: Cursor, limit: Limit, agent_ids: Sequence[str]) -> None:
    """Count one message of each of these agents, which were admitted in this transaction, when it commits."""
    await limits.add_events(cur, [limit.key(agent_id) for agent_id in agent_ids])


def _load(candidate: Candidate, limit: Limit, row: Any) -> Admission:
    agent = None if row.organisation_id != candidate.organisation_id else agents.load_agent(row)
    allowance = limits.next_one(limit, int(row.events), row.resets)
    return Admission(agent, allowance, row.sent, row.automatic, row.own_quota, tuple(row.suppressed))
