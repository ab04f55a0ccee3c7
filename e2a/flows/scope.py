"""Which agents exist for a caller. Every flow that is about an agent finds it here, so that foreign, unknown and out of
the credential's reach are one answer.
"""

from __future__ import annotations

from collections.abc import Collection

from e2a.core.entities import Agent, Principal
from e2a.core.errors import NotFound, Unauthenticated
from e2a.core.rules.permissions import ROLE_PERMISSIONS, sees
from e2a.store import agents, keys
from e2a.store.rows import Cursor
from e2a.store.whoami import session_role


def within_reach(principal: Principal, agent_id: str) -> bool:
    """Whether it makes sense to look the agent up: what the key is not bound to does not exist for it, and NUL cannot
    be bound to a statement.
    """
    return principal.agent_id in (None, agent_id) and "\0" not in agent_id


async def find_agent(cur: Cursor, principal: Principal, agent_id: str) -> Agent | None:
    """The agent, if it exists for this caller."""
    if not within_reach(principal, agent_id):
        return None
    agent = await agents.get_agent(cur, principal.organisation_id, agent_id)
    return agent if agent is not None and sees(principal, agent) else None


async def the_agent(cur: Cursor, principal: Principal, agent_id: str) -> Agent:
    """:raises NotFound: as where ``find_agent`` answers None."""
    agent = await find_agent(cur, principal, agent_id)
    if agent is None:
        raise NotFound
    return agent


async def lock_agent(cur: Cursor, principal: Principal, agent_id: str) -> Agent:
    """As ``the_agent``, kept from other writers until the transaction ends."""
    agent = await agents.lock_agent(cur, principal.organisation_id, agent_id)
    if agent is None or not sees(principal, agent):
        raise NotFound
    return agent


async def covers(cur: Cursor, principal: Principal, agent_id: str) -> bool:
    """Whether what belongs to this agent of the caller's organisation exists for the caller."""
    return not principal.restricted or await find_agent(cur, principal, agent_id) is not None


async def check_still(cur: Cursor, principal: Principal, action: str) -> None:
    """Make sure that the credential which began something long may still finish it.

    :raises Unauthenticated: it was revoked or has expired meanwhile, or whose it is left or may no longer do this.
    """
    allowed: Collection[str] = principal.permissions
    if principal.key_id is not None:
        held = await keys.get_key(cur, principal.organisation_id, principal.key_id)
        allowed = () if held is None else held.allows
    elif principal.session_id is not None:
        role = await session_role(cur, principal.organisation_id, principal.session_id)
        allowed = () if role is None else ROLE_PERMISSIONS[role]
    if action not in allowed:
        raise Unauthenticated
