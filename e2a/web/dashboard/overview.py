"""The first page: every agent at a glance, and the way to a first mail."""

from __future__ import annotations

from typing import Any

from e2a.flows.agents import Agents
from e2a.flows.overview import Overview

from .routing import Html, View, page

PAGE = 50


class OverviewPages:
    """:param shared_domain: on which agents register by slug; "": only on domains of their own.
    :param smtp: where mail is received, for the first-run guidance: host name and port.
    """

    def __init__(self, agents: Agents, overview: Overview, *, shared_domain: str, smtp: tuple[str, int]) -> None:
        self._agents = agents
        self._overview = overview
        self._shared_domain = shared_domain
        self._smtp = smtp

    @page("GET", "/dashboard", action="agents:read")
    async def show(self, view: View) -> Any:
        found, token = await self._agents.list_page(view.principal, PAGE, view.query.get("token") or None)
        states = await self._overview.states(view.principal, found)
        values = {
            "agents": [(agent, states.get(agent.id)) for agent in found],
            "next": token,
            "first_page": "token" not in view.query,
            "shared_domain": self._shared_domain,
            "smtp_host": self._smtp[0],
            "smtp_port": self._smtp[1],
            "received": any(state.last_mail for state in states.values()),
        }
        return Html("overview.html", values, live=("mail", "outbound", "agent"))
