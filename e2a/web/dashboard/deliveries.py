"""Webhook deliveries: an agent's with every attempt, those of all agents that failed, and delivering again."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from e2a.core.errors import Conflict, NotFound
from e2a.flows.browsing import Browsing
from e2a.flows.mailbox import Mailbox

from .agentframe import AgentFrame, agent_path
from .routing import Html, Redirect, View, page
from .wording import standing

PAGE = 25
FAILED = "/dashboard/deliveries"


class DeliveryPages:
    def __init__(self, browsing: Browsing, mailbox: Mailbox, frame: AgentFrame) -> None:
        self._browsing = browsing
        self._mailbox = mailbox
        self._frame = frame

    @page("GET", "/dashboard/agents/{email}/deliveries", action="messages:read")
    async def of_agent(self, view: View) -> Any:
        values = await self._frame.values(view, "deliveries")
        token = view.query.get("token") or None
        found = await self._browsing.deliveries(view.principal, view.agent_id, PAGE, token)
        values |= {
            "deliveries": found.deliveries,
            "next": found.next_token,
            "first_page": token is None,
            "standing": standing,
        }
        return Html("agent_deliveries.html", values, live=("mail",))

    @page("GET", FAILED, action="messages:read")
    async def failed(self, view: View) -> Any:
        token, agent_id = view.query.get("token") or None, view.query.get("agent", "").lower() or None
        found = await self._browsing.failed(view.principal, PAGE, token, agent_id)
        values = {
            "deliveries": found.deliveries,
            "next": found.next_token,
            "first_page": token is None,
            "agent_id": agent_id or "",
        }
        return Html("deliveries.html", values, live=("mail",))

    @page("POST", "/dashboard/agents/{email}/messages/{id}/redeliver", action="agents:write")
    async def again(self, view: View) -> Any:
        record = await self._mailbox.redeliver(view.principal, view.agent_id, view.path["id"])
        place = agent_path(view.agent_id)
        places = {"deliveries": f"{place}/deliveries", "failed": FAILED}
        return Redirect(places.get(view.field("back"), f"{place}/messages/{record.message_id}"), "redelivered")

    @page("POST", FAILED, action="agents:write")
    async def all_again(self, view: View) -> Any:
        """Those that the page showed; what is gone or changed meanwhile is left alone."""
        for named in view.form.get("delivery", ()):
            agent_id, _, message_id = named.partition(" ")
            try:
                await self._mailbox.redeliver(view.principal, agent_id, message_id)
            except (NotFound, Conflict):
                continue
        agent_id = view.field("agent")
        return Redirect(f"{FAILED}?{urlencode({'agent': agent_id})}" if agent_id else FAILED, "redelivered")
