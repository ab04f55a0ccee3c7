"""Agents: making one, and its settings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from e2a.core.entities import Agent
from e2a.core.errors import BadRequest, E2AError
from e2a.flows.agents import AgentChange, Agents
from e2a.flows.delegations import Delegations
from e2a.flows.domains import Domains

from .agentframe import AgentFrame, agent_path
from .routing import Html, Redirect, View, page
from .wording import DELEGATIONS, Problem, in_seconds, problem, units

LONGEST_NAME = 200
LONGEST_REVIEW = 604_800

_NEW_FIELDS = ("local", "name", "label", "webhook_url")
_SETTINGS_FIELDS = ("name", "label", "webhook_url", "time", "person", "confirm")
_MODES = {"webhook": "cloud", "local": "local"}


#: ``(client address) -> ``: counts an attempt to register, and refuses the one that is too many.
CountRegistration = Callable[[str], Awaitable[object]]


class AgentPages:
    """:param count_registration: as the REST interface counts it.
    :param shared_domain: on which agents register by slug; "": only on domains of their own.
    """

    def __init__(
        self,
        agents: Agents,
        domains: Domains,
        delegations: Delegations,
        frame: AgentFrame,
        count_registration: CountRegistration,
        *,
        shared_domain: str,
    ) -> None:
        self._count_registration = count_registration
        self._agents = agents
        self._domains = domains
        self._delegations = delegations
        self._frame = frame
        self._shared_domain = shared_domain

    # --- making one ---------------------------------------------------------------------------------------------------

    @page("GET", "/dashboard/agents/new", action="agents:write")
    async def form(self, view: View) -> Any:
        typed = {"local": "", "domain": "", "name": "", "label": "", "mode": "local", "webhook_url": ""}
        return await self._form(view, typed, None)

    @page("POST", "/dashboard/agents/new", action="agents:write")
    async def create(self, view: View) -> Any:
        typed = {name: view.field(name) for name in ("local", "domain", "name", "label", "mode", "webhook_url")}
        await self._count_registration(view.principal.origin.client_ip)
        try:
            agent = await self._create(view, typed)
        except E2AError as error:
            return await self._form(view, typed, problem(_renamed(error), _NEW_FIELDS))
        return Redirect(agent_path(agent.id), "made")

    async def _create(self, view: View, typed: Mapping[str, str]) -> Agent:
        local, domain = typed["local"], typed["domain"]
        if not local:
            raise BadRequest("give the part of the address before the @", field="local")
        shared = domain == self._shared_domain
        mode = _mode(typed["mode"])
        return await self._agents.register(
            view.principal,
            slug=local if shared else "",
            email="" if shared else f"{local}@{domain}",
            name=_name(typed["name"]),
            webhook_url=typed["webhook_url"] if mode == "cloud" else "",
            agent_mode=mode,
            label=typed["label"],
        )

    async def _form(self, view: View, typed: Mapping[str, str], found: Problem | None) -> Html:
        domains = [self._shared_domain] if self._shared_domain else []
        domains += [domain.name for domain in await self._domains.list_claims(view.principal) if domain.verified]
        values = {"typed": typed, "domains": domains, "problem": found}
        return Html("agent_new.html", values, 400 if found is not None else 200)

    # --- settings -----------------------------------------------------------------------------------------------------

    @page("GET", "/dashboard/agents/{email}/settings", action="agents:read")
    async def settings(self, view: View) -> Any:
        return await self._settings(view)

    @page("POST", "/dashboard/agents/{email}/settings", action="agents:write")
    async def save(self, view: View) -> Any:
        agent = await self._agents.get(view.principal, view.agent_id)
        typed = {name: view.field(name) for name in ("name", "label", "mode", "webhook_url")}
        try:
            change = _changes(agent, typed)
            if not change.empty:
                await self._agents.update(view.principal, agent.id, change)
        except E2AError as error:
            return await self._settings(view, typed, problem(error, _SETTINGS_FIELDS))
        return Redirect(f"{agent_path(agent.id)}/settings", "saved")

    @page("POST", "/dashboard/agents/{email}/review", action="agents:write")
    async def review(self, view: View) -> Any:
        typed = {name: view.field(name) for name in ("time", "unit", "expiry", "reviewed")}
        try:
            change = AgentChange(
                hitl_enabled=typed["reviewed"] == "yes",
                hitl_ttl_seconds=_review_time(typed["time"], typed["unit"]),
                hitl_expiration_action="approve" if typed["expiry"] == "approve" else "reject",
            )
            await self._agents.update(view.principal, view.agent_id, change)
        except E2AError as error:
            return await self._settings(view, typed, problem(error, _SETTINGS_FIELDS, "time"))
        return Redirect(f"{agent_path(view.agent_id)}/settings", "saved")

    @page("POST", "/dashboard/agents/{email}/delegations", action="agents:write")
    async def propose(self, view: View) -> Any:
        person = view.field("person")
        try:
            await self._delegations.propose(view.principal, view.agent_id, person)
        except E2AError as error:
            return await self._settings(view, {"person": person}, problem(error, _SETTINGS_FIELDS, "person"))
        return Redirect(f"{agent_path(view.agent_id)}/settings", "asked")

    @page("POST", "/dashboard/agents/{email}/delegations/end", action="agents:write")
    async def end(self, view: View) -> Any:
        await self._delegations.end(view.principal, view.agent_id, view.required("id"))
        return Redirect(f"{agent_path(view.agent_id)}/settings", "ended")

    @page("POST", "/dashboard/agents/{email}/delete", action="agents:write")
    async def delete(self, view: View) -> Any:
        typed = view.field("confirm")
        try:
            await self._agents.get(view.principal, view.agent_id)
            if typed.lower() != view.agent_id:
                raise BadRequest(f"type {view.agent_id} to delete it", field="confirm")
            await self._agents.delete(view.principal, view.agent_id)
        except E2AError as error:
            return await self._settings(view, {"confirm": typed}, problem(error, _SETTINGS_FIELDS, "confirm"))
        return Redirect("/dashboard", "deleted")

    async def _settings(self, view: View, typed: Mapping[str, str] | None = None, found: Problem | None = None) -> Html:
        """:param typed: what the person had put into one of the forms."""
        values = await self._frame.values(view, "settings")
        agent = values["agent"]
        time, unit = units(agent.hitl_ttl_seconds)
        stands = {
            "name": agent.name,
            "label": agent.label,
            "mode": "webhook" if agent.agent_mode == "cloud" else "local",
            "webhook_url": agent.webhook_url,
            "reviewed": "yes" if agent.hitl_enabled else "",
            "time": str(time),
            "unit": unit,
            "expiry": agent.hitl_expiration_action,
            "person": "",
            "confirm": "",
        }
        bindings = await self._delegations.list_live(view.principal, agent.id)
        values |= {
            "typed": {**stands, **(typed or {})},
            "problem": found,
            "delegations": [(one, DELEGATIONS[self._delegations.state(one)]) for one in bindings],
        }
        return Html("agent_settings.html", values, 200 if found is None else found.status)


def _renamed(error: E2AError) -> E2AError:
    """What is said of a slug or an address is said beside the input that both are made from."""
    if error.field in ("slug", "email"):
        text = error.text.replace("a slug has", "the part before the @ has").replace("this slug is", "this name is")
        return BadRequest(text, field="local")
    if error.status == 409:
        return BadRequest(error.text, field="local")
    return error


def _changes(agent: Agent, typed: Mapping[str, str]) -> AgentChange:
    """What differs from how the agent stands."""
    mode, url = _mode(typed["mode"]), typed["webhook_url"]
    moved = mode != agent.agent_mode
    if mode == "cloud" and not url:
        raise BadRequest("give the URL to which mail is posted", field="webhook_url")
    other_url = mode == "cloud" and url != agent.webhook_url
    return AgentChange(
        name=_name(typed["name"]) if typed["name"] != agent.name else None,
        label=typed["label"] if typed["label"] != agent.label else None,
        agent_mode="local" if moved and mode == "local" else "cloud" if moved or other_url else None,
        webhook_url=url if (moved and mode == "cloud") or other_url else None,
    )


def _mode(text: str) -> str:
    if text not in _MODES:
        raise BadRequest("choose how mail reaches the agent")
    return _MODES[text]


def _name(text: str) -> str:
    if len(text) > LONGEST_NAME:
        raise BadRequest(f"name can have at most {LONGEST_NAME} characters", field="name")
    return text


def _review_time(text: str, unit: str) -> int:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else 0
    seconds = in_seconds(number, unit)
    if seconds is None or not 1 <= seconds <= LONGEST_REVIEW:
        raise BadRequest("give a whole number, and at most 7 days", field="time")
    return seconds
