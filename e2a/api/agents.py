"""``/api/v1/agents``: agents."""

from __future__ import annotations

from typing import Any

from e2a.core.entities import Agent
from e2a.core.rules.idempotency import REPLAYED
from e2a.flows.agents import AgentChange, Agents

from . import models_accounts as models
from .models_accounts import exact
from .routing import Call, Query, Reply, paged, route
from .submitting import once_of

_MOST_PER_PAGE = 1000
_PAGING = (
    Query(
        "page_size",
        "how many agents to answer; all when absent",
        {"type": "integer", "minimum": 1, "maximum": _MOST_PER_PAGE},
    ),
    Query("token", "the next_token of the previous page"),
)


class AgentsResource:
    def __init__(self, agents: Agents) -> None:
        self._agents = agents

    @route(
        "GET",
        "/api/v1/agents",
        action="agents:read",
        summary="List the account's agents",
        answers={200: models.Agents},
        errors=(400,),
        query=_PAGING,
    )
    async def list_agents(self, call: Call) -> Any:
        size = call.whole("page_size", 1, _MOST_PER_PAGE, 0) or None
        agents, token = await self._agents.list_page(call.principal, size, call.query.get("token"))
        return paged({"agents": [_shown(agent) for agent in agents]}, token)

    @route(
        "POST",
        "/api/v1/agents",
        action="agents:write",
        summary="Register an agent, by slug on the shared domain or by address on a domain of the account",
        body=models.NewAgent,
        answers={201: models.CreatedAgent},
        errors=(400, 402, 409, 422),
        limit="register",
    )
    async def register(self, call: Call) -> Any:
        wanted: models.NewAgent = call.body
        agent, replayed = await self._agents.register_once(
            call.principal,
            once_of(call, "register agent"),
            slug=wanted.slug,
            email=wanted.email,
            name=wanted.name,
            webhook_url=wanted.webhook_url,
            agent_mode=wanted.agent_mode,
            label=wanted.label,
        )
        headers = {REPLAYED: "true"} if replayed else {}
        return Reply({"id": agent.id, "domain": agent.domain, "email": agent.id}, 201, headers)

    @route(
        "GET",
        "/api/v1/agents/{email}",
        action="agents:read",
        summary="One agent",
        answers={200: models.Agent},
        errors=(404,),
    )
    async def get(self, call: Call) -> Any:
        return _shown(await self._agents.get(call.principal, call.agent_id))

    @route(
        "PUT",
        "/api/v1/agents/{email}",
        action="agents:write",
        summary="Change what is given, all of it or nothing; the hitl fields need `reviews:decide` as well",
        body=models.ChangedAgent,
        answers={200: models.Agent},
        errors=(400, 404),
    )
    async def update(self, call: Call) -> Any:
        wanted: models.ChangedAgent = call.body
        return _shown(await self._agents.update(call.principal, call.agent_id, AgentChange(**wanted.model_dump())))

    @route(
        "DELETE",
        "/api/v1/agents/{email}",
        action="agents:write",
        summary="Delete an agent with its mail",
        answers={200: models.Deleted},
        errors=(404, 409),
    )
    async def delete(self, call: Call) -> Any:
        await self._agents.delete(call.principal, call.agent_id)
        return {"status": "deleted"}


def _shown(agent: Agent) -> dict[str, Any]:
    return {
        "id": agent.id,
        "email": agent.id,
        "domain": agent.domain,
        "name": agent.name,
        "webhook_url": agent.webhook_url,
        "agent_mode": agent.agent_mode,
        "domain_verified": agent.domain_verified,
        "created_at": exact(agent.created_at),
        "hitl_enabled": agent.hitl_enabled,
        "hitl_ttl_seconds": agent.hitl_ttl_seconds,
        "hitl_expiration_action": agent.hitl_expiration_action,
        "label": agent.label,
    }
