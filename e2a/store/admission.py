"""What a message must pass before it is stored, asked in one round trip: each would be cheap, the way to it is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from e2a.core.entities import Agent
from e2a.core.rules.limits import Allowance, Limit

from . import agents, limits
from .conversations import TOP
from .rows import Cursor

# The conversation is walked along its index, between two bounds and in the index's own order: see ``conversations``.
_ADMIT = f"""
    WITH {limits.COUNTED}
    SELECT {agents.COLUMNS}, {limits.STATE}, recent.sent, recent.automatic,
        (SELECT quota_messages_per_day FROM organisations WHERE id = $5) AS own_quota,
        ARRAY(
            SELECT address FROM suppressions WHERE organisation_id = $5 AND address = ANY ($6) ORDER BY address
        ) AS suppressed
    FROM (VALUES (1)) AS this
    LEFT JOIN agents AS a ON a.id = $4 LEFT JOIN domains AS d ON d.id = a.domain_id
    CROSS JOIN LATERAL (
        SELECT count(*) AS sent, count(*) FILTER (WHERE automation @> '{{"is_auto": true}}') AS automatic
        FROM (
            SELECT automation FROM messages AS m
            WHERE (m.agent_id, m.conversation_id, m.id) > ($4, $7, $8)
                AND (m.agent_id, m.conversation_id, m.id) <= ($4, $7, '{TOP}')
                AND m.conversation_id IS NOT NULL AND m.direction = 'outbound'
            ORDER BY m.agent_id DESC, m.conversation_id DESC, m.id DESC LIMIT $9
        ) AS newest
    ) AS recent
"""
_TYPES = f"{limits.TYPES}, text, text, text[], text, text, integer"


@dataclass(frozen=True, slots=True)
class Admission:
    """:ivar agent: None when it is unknown or another organisation's.
    :ivar allowance: whether the message was counted for its agent's rate limit.
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
    :ivar most: where to stop counting.
    """

    organisation_id: str
    agent_id: str
    recipients: Sequence[str]
    conversation_id: str | None
    after_id: str
    most: int


async def admit(cur: Cursor, candidate: Candidate, limit: Limit) -> Admission:
    """Count a message for its agent's rate limit when this transaction commits, and find out what else matters.

    Others who send as the same agent wait until the transaction ends.
    """
    await limits.lock(cur, limit, candidate.agent_id)
    params = (
        *limits.values(limit, candidate.agent_id),
        candidate.agent_id,
        candidate.organisation_id,
        [address.lower() for address in candidate.recipients],
        candidate.conversation_id,
        candidate.after_id,
        candidate.most,
    )
    await cur.execute_prepared("admit", _TYPES, _ADMIT, params)
    row = cur.fetchone()
    agent = None if row.organisation_id != candidate.organisation_id else agents.load_agent(row)
    return Admission(agent, limits.allowance(limit, row), row.sent, row.automatic, row.own_quota, tuple(row.suppressed))
