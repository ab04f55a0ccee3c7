"""What stands around every page of one agent."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from e2a.flows.agents import Agents
from e2a.flows.overview import Overview

from .routing import View


class AgentFrame:
    def __init__(self, agents: Agents, overview: Overview) -> None:
        self._agents = agents
        self._overview = overview

    async def values(self, view: View, tab: str) -> dict[str, Any]:
        """For the template ``agent.html``: ``agent``, ``state`` (how it stands), ``here`` (its path) and ``tab``.

        :raises NotFound: unknown or foreign.
        """
        agent = await self._agents.get(view.principal, view.agent_id)
        states = await self._overview.states(view.principal, [agent])
        return {"agent": agent, "state": states.get(agent.id), "here": agent_path(agent.id), "tab": tab}


def agent_path(agent_id: str) -> str:
    """Where an agent's pages begin."""
    return f"/dashboard/agents/{quote(agent_id, safe='@')}"
