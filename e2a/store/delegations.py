"""Bindings of agents to the persons that they act for."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from e2a.core.trust.delegation import CONFIRM_WITHIN, Delegation

from .rows import Cursor, execute, many, maybe, one

_COLUMNS = "b.id, b.agent_id, b.person, b.created_at, b.confirmed_at, b.ended_at, b.ended_by"
_ADD = """
    INSERT INTO delegations AS b (id, agent_id, person) VALUES (%s, %s, %s)
    RETURNING b.id, b.agent_id, b.person, b.created_at, b.confirmed_at, b.ended_at, b.ended_by
"""
_LIST = f"""
    SELECT {_COLUMNS} FROM delegations b WHERE b.agent_id = %s AND b.ended_at IS NULL
    ORDER BY b.created_at DESC, b.id DESC
"""
_LIVE = f"""
    SELECT {_COLUMNS} FROM delegations b WHERE b.agent_id = %s AND b.person = %s AND b.ended_at IS NULL FOR UPDATE
"""
_REFUSED = """
    SELECT EXISTS (
        SELECT FROM delegations WHERE agent_id = %s AND person = %s AND ended_by = 'person' AND ended_at > now() - %s
    ) AS refused
"""
_GET = f"SELECT {_COLUMNS} FROM delegations b WHERE b.id = %s"
_CONFIRM = f"""
    UPDATE delegations b SET confirmed_at = now()
    WHERE b.id = %s AND b.ended_at IS NULL AND b.confirmed_at IS NULL AND b.created_at > now() - %s
    RETURNING {_COLUMNS}
"""
_END = f"""
    UPDATE delegations b SET ended_at = now(), ended_by = %s WHERE b.id = %s AND b.ended_at IS NULL
    RETURNING {_COLUMNS}
"""
_PERSONS = """
    SELECT agent_id, person FROM delegations
    WHERE agent_id = ANY ($1) AND ended_at IS NULL AND confirmed_at IS NOT NULL ORDER BY confirmed_at, id
"""
_FORGET_ENDED = """
    DELETE FROM delegations WHERE agent_id = %s AND ended_at < now() - interval '1 year'
"""
_ORGANISATION = "SELECT organisation_id FROM agents WHERE id = %s"


def _load(row: Any) -> Delegation:
    return Delegation(*row)


async def add_delegation(cur: Cursor, delegation_id: str, agent_id: str, person: str) -> Delegation:
    """A proposal; there must be no living binding of the two. Long ended ones of the agent are forgotten."""
    await execute(cur, _FORGET_ENDED, (agent_id,))
    return await one(cur, _ADD, (delegation_id, agent_id, person), _load)


async def list_delegations(cur: Cursor, agent_id: str) -> list[Delegation]:
    """The agent's living bindings, newest first: proposed and confirmed ones."""
    return await many(cur, _LIST, (agent_id,), _load)


async def live_delegation(cur: Cursor, agent_id: str, person: str) -> Delegation | None:
    """The living binding of the two, locked."""
    return await maybe(cur, _LIVE, (agent_id, person), _load)


async def has_refused(cur: Cursor, agent_id: str, person: str, within: timedelta) -> bool:
    """Whether the person has declined or ended a binding to this agent lately."""
    return await one(cur, _REFUSED, (agent_id, person, within), lambda row: bool(row.refused))


async def get_delegation(cur: Cursor, delegation_id: str) -> Delegation | None:
    return await maybe(cur, _GET, (delegation_id,), _load)


async def confirm_delegation(cur: Cursor, delegation_id: str) -> Delegation | None:
    """Make a proposal an active binding; None when it is none, or none any more."""
    return await maybe(cur, _CONFIRM, (delegation_id, CONFIRM_WITHIN), _load)


async def end_delegation(cur: Cursor, delegation_id: str, by: str) -> Delegation | None:
    """:param by: ``owner`` or ``person``. :returns: None when it has ended already, or never was."""
    return await maybe(cur, _END, (by, delegation_id), _load)


async def persons_of(cur: Cursor, agent_ids: Iterable[str]) -> dict[str, list[str]]:
    """Whom each of these agents acts for now."""
    persons: dict[str, list[str]] = {agent_id: [] for agent_id in agent_ids}
    await cur.execute_prepared("persons_of", "text[]", _PERSONS, (list(persons),))
    for row in cur.fetchall():
        persons[row.agent_id].append(row.person)
    return persons


async def organisation_of(cur: Cursor, agent_id: str) -> str:
    """The organisation whose agent it is."""
    return await one(cur, _ORGANISATION, (agent_id,), lambda row: str(row.organisation_id))
