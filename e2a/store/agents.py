"""Agents, and the question every RCPT asks: whose mailbox is this?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from e2a.core.entities import Agent

from .changes import tell
from .rows import Cursor, execute, many, maybe

#: What every statement that answers agents selects, from ``agents`` named ``a`` and ``domains`` named ``d``.
COLUMNS = """
    a.id, a.organisation_id, d.name AS domain, a.name, a.agent_mode, a.webhook_url,
    d.verified_at IS NOT NULL AS domain_verified, a.created_at, a.hitl_enabled, a.hitl_ttl_seconds,
    a.hitl_expiration_action, a.label
"""
_WIDTH = COLUMNS.count(",") + 1
_FROM = "FROM agents a JOIN domains d ON d.id = a.domain_id"
# The organisation is compared outside: asked for both, the planner may walk all agents of the organisation.
_GET = f"SELECT {COLUMNS} {_FROM} WHERE a.id = $1"
# One by one, whatever size the planner takes the tables for.
_GET_ALL = f"""
    SELECT found.* FROM unnest($1) AS wanted (id)
    CROSS JOIN LATERAL (SELECT {COLUMNS} {_FROM} WHERE a.id = wanted.id LIMIT 1) AS found
"""
_LIST = f"""
    SELECT {COLUMNS} {_FROM}
    WHERE a.organisation_id = %(organisation)s AND a.id <> %(hidden)s
        AND (%(only)s::text IS NULL OR a.id = %(only)s)
        AND (%(label)s::text IS NULL OR starts_with(a.label, %(label)s))
        AND (%(before)s::timestamptz IS NULL OR (a.created_at, a.id) < (%(before)s, %(before_id)s))
    ORDER BY a.created_at DESC, a.id DESC LIMIT %(limit)s
"""
# Stops counting where the answer is known.
_COUNT = """
    SELECT count(*) AS agents FROM (SELECT 1 FROM agents WHERE organisation_id = %s LIMIT %s) AS found
"""
_ADD = """
    INSERT INTO agents (id, organisation_id, domain_id, name, agent_mode, webhook_url, webhook_host, label)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO NOTHING
"""
_ADD_MAILBOX = "INSERT INTO mailboxes (agent_id) VALUES (%s)"
_LOCK = "SELECT id FROM agents WHERE id = %s AND organisation_id = %s FOR NO KEY UPDATE"
_UPDATE = """
    UPDATE agents SET name = %s, agent_mode = %s, webhook_url = %s, webhook_host = %s,
        hitl_enabled = %s, hitl_ttl_seconds = %s, hitl_expiration_action = %s, label = %s
    WHERE id = %s
"""
_LOCK_MAILBOX = """
    SELECT m.agent_id FROM mailboxes m JOIN agents a ON a.id = m.agent_id
    WHERE m.agent_id = %s AND a.organisation_id = %s FOR UPDATE OF m
"""
_DROP = "DELETE FROM agents WHERE id = %s AND organisation_id = %s"
_DROP_FINGERPRINTS = "DELETE FROM fingerprints WHERE agent_id = %s"
_REACH = """
    SELECT
        (SELECT array_agg(a.id)
            FROM agents a JOIN domains d ON d.id = a.domain_id JOIN organisations o ON o.id = a.organisation_id
            WHERE a.id = ANY ($1) AND d.verified_at IS NOT NULL
                AND (o.erased_since IS NULL OR a.id = $2)) AS agents,
        (SELECT array_agg(name) FROM domains WHERE name = ANY ($3) AND verified_at IS NOT NULL) AS hosted
"""


def load_agent(row: Any) -> Agent:
    """A row that begins with :data:`COLUMNS` as the entity."""
    return Agent(*row[:_WIDTH])


async def get_agent(cur: Cursor, organisation_id: str, agent_id: str) -> Agent | None:
    """None when it is unknown or another organisation's."""
    await cur.execute_prepared("get_agent", "text", _GET, (agent_id,))
    row = cur.fetchone()
    return None if row is None or row.organisation_id != organisation_id else load_agent(row)


async def get_agents(cur: Cursor, agent_ids: Iterable[str]) -> dict[str, Agent]:
    """Agents by their ids, whosever they are; those that are unknown left out."""
    await cur.execute_prepared("get_agents", "text[]", _GET_ALL, (list(agent_ids),))
    return {row.id: load_agent(row) for row in cur.fetchall()}


async def list_agents(
    cur: Cursor,
    organisation_id: str,
    *,
    limit: int,
    hidden: str = "",
    only: str | None = None,
    label_prefix: str | None = None,
    before: tuple[datetime, str] | None = None,
) -> list[Agent]:
    """Newest first.

    :param hidden: an agent to leave out.
    :param only: if given, at most this agent.
    :param label_prefix: if given, only agents whose label begins so.
    :param before: creation time and id of the last agent of the previous page.
    """
    at, agent_id = before or (None, None)
    values = {
        "organisation": organisation_id,
        "hidden": hidden,
        "only": only,
        "label": label_prefix,
        "before": at,
        "before_id": agent_id,
        "limit": limit,
    }
    return await many(cur, _LIST, values, load_agent)


async def has_agents(cur: Cursor, organisation_id: str, number: int) -> bool:
    """Whether the organisation has at least that many."""
    await cur.execute(_COUNT, (organisation_id, number))
    return int(cur.fetchone().agents) >= number


async def add_agent(
    cur: Cursor,
    agent_id: str,
    organisation_id: str,
    domain_id: int,
    *,
    name: str,
    agent_mode: str,
    webhook_url: str = "",
    webhook_host: str = "",
    label: str = "",
) -> bool:
    """Make an agent with an empty mailbox; False when the address is taken, whoever's it is."""
    values = (agent_id, organisation_id, domain_id, name, agent_mode, webhook_url, webhook_host, label)
    if not await execute(cur, _ADD, values):
        return False
    await execute(cur, _ADD_MAILBOX, (agent_id,))
    await tell(cur, "agent", [agent_id])
    return True


async def lock_agent(cur: Cursor, organisation_id: str, agent_id: str) -> Agent | None:
    """As ``get_agent``, kept from other writers until the transaction ends."""
    if await maybe(cur, _LOCK, (agent_id, organisation_id), lambda row: row) is None:
        return None
    return await get_agent(cur, organisation_id, agent_id)


async def update_agent(cur: Cursor, agent: Agent, webhook_host: str) -> None:
    """Store everything that can change."""
    values = (
        agent.name,
        agent.agent_mode,
        agent.webhook_url,
        webhook_host,
        agent.hitl_enabled,
        agent.hitl_ttl_seconds,
        agent.hitl_expiration_action,
        agent.label,
        agent.id,
    )
    await execute(cur, _UPDATE, values)
    await tell(cur, "agent", [agent.id])


async def lock_mailbox(cur: Cursor, organisation_id: str, agent_id: str) -> bool:
    """Stop intake for the agent until the transaction ends; False when the organisation has no such agent.

    Intake takes the mailbox first and the agent's row after it; whoever deletes must keep that order.
    """
    return await maybe(cur, _LOCK_MAILBOX, (agent_id, organisation_id), lambda row: row) is not None


async def drop_agent(cur: Cursor, organisation_id: str, agent_id: str) -> None:
    """Delete the agent with its messages, deliveries and keys. Raw mail that nobody else holds is ``retention``'s."""
    if not await execute(cur, _DROP, (agent_id, organisation_id)):
        return
    # Afterwards: from here on nothing can add one, because the mailbox is gone.
    await execute(cur, _DROP_FINGERPRINTS, (agent_id,))
    await tell(cur, "agent", [agent_id])


async def reach(
    cur: Cursor, candidates: Sequence[str], domains: Sequence[str], operator: str
) -> tuple[frozenset[str], frozenset[str]]:
    """Which of these addresses are agents on proved domains, and which of these domains are hosted here. An agent of an
    account that is being deleted is none any more.

    :param operator: the agent that goes on receiving all the same.
    """
    await cur.execute_prepared("reach", "text[], text, text[]", _REACH, (list(candidates), operator, list(domains)))
    row = cur.fetchone()
    return frozenset(row.agents or ()), frozenset(row.hosted or ())
