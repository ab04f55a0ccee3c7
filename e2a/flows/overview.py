"""What a person sees at a glance: who they are, what waits for them, how their agents stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from e2a.core.entities import Agent, AgentState, Principal
from e2a.store import members, overview
from e2a.store.rows import Cursor

from .ports import Transactions


class Overview:
    def __init__(self, database: Transactions) -> None:
        self._database = database

    async def frame(self, principal: Principal) -> Mapping[str, Any]:
        """What stands around every page: ``email``, ``name``, ``organisation``, ``places`` (rows of ``id, name,
        personal, role``), ``current`` (the organisation's id), ``role`` and ``pending``.
        """
        return await self._database.run("frame", self._frame, principal)

    async def _frame(self, cur: Cursor, principal: Principal) -> Mapping[str, Any]:
        row = await overview.frame(cur, principal.organisation_id, principal.user_id)
        return {
            **row._asdict(),
            "places": await members.organisations_of(cur, principal.user_id),
            "current": principal.organisation_id,
            "role": principal.role,
        }

    async def states(self, principal: Principal, agents: Sequence[Agent]) -> Mapping[str, AgentState]:
        """How these agents stand, by id. They must be the caller's to see."""
        if not agents:
            return {}
        wanted = [agent.id for agent in agents]
        return await self._database.run("agent states", overview.states, principal.organisation_id, wanted)
