"""``/api/v1/agents/{email}/delegations``: for whom an agent acts."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from e2a.flows.delegations import Binding, Delegations

from .models import Shape
from .models_accounts import exact
from .routing import Call, Reply, route


class NewDelegation(BaseModel):
    person: str = Field(max_length=1000, description="The person's address; a mail asks them to confirm.")


class DelegationShape(Shape):
    id: str
    agent: str
    person: str
    state: Literal["proposed", "expired", "active"] = Field(
        description="proposed: the person has been asked, and has seven days to confirm."
    )
    created_at: str
    confirmed_at: str | None


class DelegationList(Shape):
    delegations: list[DelegationShape] = Field(description="Newest first, without those that have ended.")


class DelegationsResource:
    def __init__(self, delegations: Delegations) -> None:
        self._delegations = delegations

    @route(
        "GET",
        "/api/v1/agents/{email}/delegations",
        action="agents:read",
        summary="For whom the agent acts, or has asked to act",
        answers={200: DelegationList},
        errors=(404,),
    )
    async def list_delegations(self, call: Call) -> Any:
        found = await self._delegations.list_live(call.principal, call.agent_id)
        return {"delegations": [self._shown(delegation) for delegation in found]}

    @route(
        "POST",
        "/api/v1/agents/{email}/delegations",
        action="agents:write",
        summary="Ask a person, by mail, whether the agent may act for them",
        body=NewDelegation,
        answers={201: DelegationShape},
        errors=(400, 404, 409, 422),
    )
    async def propose(self, call: Call) -> Any:
        made = await self._delegations.propose(call.principal, call.agent_id, call.body.person)
        return Reply(self._shown(made), 201)

    @route(
        "DELETE",
        "/api/v1/agents/{email}/delegations/{id}",
        action="agents:write",
        summary="End a delegation, or withdraw a proposal",
        answers={204: None},
        errors=(404,),
    )
    async def end(self, call: Call) -> Any:
        await self._delegations.end(call.principal, call.agent_id, call.path["id"])
        return Reply(status=204)

    def _shown(self, delegation: Binding) -> dict[str, Any]:
        return {
            "id": delegation.id,
            "agent": delegation.agent_id,
            "person": delegation.person,
            "state": self._delegations.state(delegation),
            "created_at": exact(delegation.created_at),
            "confirmed_at": delegation.confirmed_at and exact(delegation.confirmed_at),
        }
