"""Agents: register by slug or on a proved domain, change, delete."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from e2a.core.entities import Agent, Mode, Principal
from e2a.core.errors import BadRequest, Conflict, NotFound, Unavailable
from e2a.core.mail.addresses import agent_address, slug, split
from e2a.core.rules import netpolicy
from e2a.core.rules.agents import check_label, display_name
from e2a.core.rules.agents import label as checked_label
from e2a.core.rules.domains import OwnNames
from e2a.core.rules.idempotency import Once
from e2a.core.rules.limits import Quotas
from e2a.core.rules.permissions import require, require_unbound
from e2a.core.trust.pagetoken import PageTokens
from e2a.store import agents as store
from e2a.store import audit, domains, idempotency
from e2a.store.organisations import lock_organisation
from e2a.store.retention import forget_agent
from e2a.store.rows import Cursor

from .bootstrap import operator_address
from .ports import Changed, Transactions, nobody
from .quotas import check_agents
from .scope import lock_agent, the_agent

MOST_AGENTS = 10_000

#: From a host name to its addresses, as text; none when it has none. Raises ``Unavailable`` when DNS gives no answer.
Addresses = Callable[[str], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class AgentChange:
    """What a caller wants changed; None leaves a field as it is."""

    name: str | None = None
    agent_mode: Mode | None = None
    webhook_url: str | None = None
    hitl_enabled: bool | None = None
    hitl_ttl_seconds: int | None = None
    hitl_expiration_action: Literal["approve", "reject"] | None = None
    label: str | None = None

    @property
    def given(self) -> dict[str, Any]:
        """What is to change, by field."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name)) is not None}

    @property
    def empty(self) -> bool:
        return not self.given

    @property
    def touches_review(self) -> bool:
        asked = (self.hitl_enabled, self.hitl_ttl_seconds, self.hitl_expiration_action)
        return any(value is not None for value in asked)


class Agents:
    """:param own: the deployment's names, in stored spelling.
    :param changed: told of what changed here without waiting for the notification to come round.
    :param quotas: what every organisation may have unless it has quotas of its own.
    """

    def __init__(
        self,
        database: Transactions,
        addresses: Addresses,
        pages: PageTokens,
        *,
        own: OwnNames,
        production: bool,
        changed: Changed = nobody,
        quotas: Quotas | None = None,
    ) -> None:
        self._database = database
        self._addresses = addresses
        self._pages = pages
        self._own = own
        self._operator = operator_address(own)
        self._production = production
        self._changed = changed
        self._quotas = quotas or Quotas()

    async def get(self, principal: Principal, agent_id: str) -> Agent:
        """:raises NotFound: unknown, another organisation's, or beyond the key's reach."""
        return await self._database.run("get agent", the_agent, principal, agent_id)

    async def list_page(
        self, principal: Principal, page_size: int | None = None, token: str | None = None
    ) -> tuple[list[Agent], str | None]:
        """Agents, newest first, and the token of the next page if there is one.

        The operator's mailbox is not among them: it is read by its address.

        :param page_size: None for all.
        :raises BadRequest: the token belongs to no page of this list.
        """
        kind = f"agents {principal.organisation_id}"
        before = None
        if token is not None:
            at, agent_id = self._pages.read(kind, token)
            before = datetime.fromisoformat(str(at)), str(agent_id)
        limit = MOST_AGENTS if page_size is None else page_size
        found = await self._database.run("list agents", self._list, principal, limit + 1, before)
        page = found[:limit]
        if len(found) <= limit:
            return page, None
        return page, self._pages.make(kind, [page[-1].created_at.isoformat(), page[-1].id])

    async def _list(
        self, cur: Cursor, principal: Principal, limit: int, before: tuple[datetime, str] | None
    ) -> list[Agent]:
        return await store.list_agents(
            cur,
            principal.organisation_id,
            limit=limit,
            hidden=self._operator,
            only=principal.agent_id,
            label_prefix=principal.label_prefix,
            before=before,
        )

    # --- register -------------------------------------------------------------------------------------------------

    async def register(
        self,
        principal: Principal,
        *,
        slug: str = "",
        email: str = "",
        name: str = "",
        webhook_url: str = "",
        agent_mode: str = "cloud",
        label: str = "",
    ) -> Agent:
        """Make an agent: ``slug`` on the shared domain, or ``email`` on a domain that the organisation has proved.

        :param label: groups agents; keys can be limited to labels that begin alike.
        :raises BadRequest: ``field`` says what is wrong.
        :raises Forbidden: the label is beyond the key's reach.
        :raises Conflict: the address is taken, or there are too many agents.
        :raises QuotaExceeded: the organisation has as many agents as it may.
        """
        agent, _ = await self.register_once(
            principal,
            None,
            slug=slug,
            email=email,
            name=name,
            webhook_url=webhook_url,
            agent_mode=agent_mode,
            label=label,
        )
        return agent

    async def register_once(
        self,
        principal: Principal,
        once: Once | None,
        *,
        slug: str = "",
        email: str = "",
        name: str = "",
        webhook_url: str = "",
        agent_mode: str = "cloud",
        label: str = "",
    ) -> tuple[Agent, bool]:
        """As ``register``, for a request that may be repeated.

        :returns: the agent; and whether this very request had made it before.
        :raises KeyReuse: the request's key came with another request.
        """
        require_unbound(principal)
        if once is not None:
            earlier = await self._database.run("find agent made", self._made, principal, once)
            if earlier is not None:
                return earlier, True
        agent_id = self._address(slug, email)
        check_label(principal, label)
        values = {
            "name": display_name(name),
            "agent_mode": _checked_mode(agent_mode),
            "webhook_url": webhook_url,
            "label": checked_label(label),
        }
        if webhook_url:
            values["webhook_host"] = await self._webhook_host(webhook_url)
        elif agent_mode == "cloud":
            raise BadRequest("an agent in cloud mode needs a webhook_url", field="webhook_url")
        shared = bool(slug.strip())
        agent, replayed = await self._database.run(
            "register agent", self._register, principal, agent_id, shared, values, once
        )
        self._changed(f"agent {agent_id}")
        return agent, replayed

    async def _made(self, cur: Cursor, principal: Principal, once: Once) -> Agent | None:
        """What this very request made before; None when it is new."""
        agent_id = await idempotency.find(cur, once)
        if agent_id is None:
            return None
        return await the_agent(cur, principal, agent_id)

    def _address(self, slug_text: str, email: str) -> str:
        if slug_text.strip():
            if not self._own.shared:
                raise BadRequest("this deployment has no shared domain; give email instead of slug", field="slug")
            return f"{slug(slug_text)}@{self._own.shared}"
        if not email.strip():
            raise BadRequest("give slug or email", field="email")
        return agent_address(email)

    async def _register(
        self,
        cur: Cursor,
        principal: Principal,
        agent_id: str,
        shared: bool,
        values: Mapping[str, str],
        once: Once | None,
    ) -> tuple[Agent, bool]:
        if once is not None and await idempotency.claim(cur, once, agent_id) is not None:
            made = await self._made(cur, principal, once)
            if made is None:
                raise NotFound
            return made, True
        organisation_id, name = principal.organisation_id, split(agent_id)[1]
        await lock_organisation(cur, organisation_id)
        if shared:
            domain = await domains.verified_domain(cur, name)
        else:
            domain = await domains.own_domain(cur, organisation_id, name)
            if domain is None:
                raise BadRequest(f"{name} is not a domain of this account; register it first", field="email")
            # Held until the agent stands on it.
            domain = await domains.keep_domain(cur, domain.id)
        if domain is None or not domain.verified:
            raise BadRequest(f"{name} is not verified yet", field="email")
        if await store.has_agents(cur, organisation_id, MOST_AGENTS):
            raise Conflict(f"an account can have at most {MOST_AGENTS} agents; delete some first")
        await check_agents(cur, organisation_id, self._quotas)
        if not await store.add_agent(cur, agent_id, organisation_id, domain.id, **values):
            raise Conflict("this address is taken")
        agent = await store.get_agent(cur, organisation_id, agent_id)
        if agent is None:
            raise Unavailable
        await audit.record(cur, principal, "agent.created", "agent", agent_id, mode=agent.agent_mode, label=agent.label)
        return agent, False

    # --- change ---------------------------------------------------------------------------------------------------

    async def update(self, principal: Principal, agent_id: str, change: AgentChange) -> Agent:
        """All of the change, or none of it.

        :raises NotFound: as ``get``.
        :raises BadRequest: nothing to change, or ``field`` says what is wrong.
        :raises Forbidden: how mail is reviewed is changed by those who may decide reviews; or the label is beyond the
            key's reach.
        """
        await self.get(principal, agent_id)
        if change.empty:
            raise BadRequest("nothing to change: give name, label, agent_mode, webhook_url or a hitl field")
        if change.touches_review:
            require(principal, "reviews:decide")
            require_unbound(principal)
        if change.label is not None:
            require_unbound(principal)
            check_label(principal, checked_label(change.label))
        if change.agent_mode is not None:
            _checked_mode(change.agent_mode)
        if change.agent_mode == "cloud" and not change.webhook_url:
            raise BadRequest("agent_mode cloud needs a webhook_url in the same request", field="webhook_url")
        if change.name is not None:
            change = replace(change, name=display_name(change.name))
        if change.webhook_url:
            await self._webhook_host(change.webhook_url)
        agent = await self._database.run("update agent", self._update, principal, agent_id, change)
        self._changed(f"agent {agent_id}")
        return agent

    async def _update(self, cur: Cursor, principal: Principal, agent_id: str, change: AgentChange) -> Agent:
        agent = changed_agent(await lock_agent(cur, principal, agent_id), change)
        host = netpolicy.parse(agent.webhook_url).receiver if agent.webhook_url else ""
        await store.update_agent(cur, agent, host)
        # A webhook's address may hold a secret of its receiver; that it was changed is enough.
        shown = {name: value for name, value in change.given.items() if name != "webhook_url"}
        await audit.record(
            cur, principal, "agent.updated", "agent", agent_id, changed=sorted(change.given), values=shown
        )
        return agent

    # --- delete ---------------------------------------------------------------------------------------------------

    async def delete(self, principal: Principal, agent_id: str) -> None:
        """Delete the agent with its mail, deliveries and keys.

        :raises NotFound: as ``get``.
        :raises Forbidden: its mail is reviewed, and the caller may not decide reviews: registered anew, under the same
            address, it would send without review.
        :raises Conflict: it is the operator's mailbox.
        """
        await self.get(principal, agent_id)
        if agent_id == self._operator:
            raise Conflict("the operator's mailbox cannot be deleted")
        await self._database.run("delete agent", self._delete, principal, agent_id)
        self._changed(f"agent {agent_id}")

    async def _delete(self, cur: Cursor, principal: Principal, agent_id: str) -> None:
        if not await store.lock_mailbox(cur, principal.organisation_id, agent_id):
            raise NotFound
        agent = await lock_agent(cur, principal, agent_id)
        if agent.hitl_enabled:
            require(principal, "reviews:decide")
        messages = await forget_agent(cur, agent_id)
        await store.drop_agent(cur, principal.organisation_id, agent_id)
        await audit.record(cur, principal, "agent.deleted", "agent", agent_id, messages=messages)

    # --- webhooks -------------------------------------------------------------------------------------------------

    async def _webhook_host(self, url: str) -> str:
        """The URL's host and port, once the URL and every address of the host may be connected to.

        :raises BadRequest: they may not; ``field`` is ``webhook_url``.
        :raises Unavailable: DNS gave no answer, and it is needed.
        """
        complaints = netpolicy.check_url(url, self._production)
        if complaints:
            raise BadRequest(complaints[0], field="webhook_url")
        target = netpolicy.parse(url)
        if target.literal or netpolicy.is_local_name(target.host):
            return target.receiver
        try:
            found = await self._addresses(target.host)
        except Unavailable as error:
            if self._production:
                raise Unavailable("the host of webhook_url could not be looked up, try again") from error
            found = ()
        # Development hosts often exist in a hosts file only; what is dialled is judged again at every delivery.
        if not found and self._production:
            raise BadRequest("the host of webhook_url has no address", field="webhook_url")
        if not all(netpolicy.may_connect(address, self._production) for address in found):
            raise BadRequest("webhook_url must not point to a private or reserved address", field="webhook_url")
        return target.receiver


def changed_agent(agent: Agent, change: AgentChange) -> Agent:
    """The agent with the change made.

    Going local without naming a webhook drops the webhook.

    :raises BadRequest: it would be in cloud mode without a webhook.
    """
    wanted = change.given
    if change.agent_mode == "local":
        wanted.setdefault("webhook_url", "")
    agent = replace(agent, **wanted)
    if agent.agent_mode == "cloud" and not agent.webhook_url:
        raise BadRequest("an agent in cloud mode needs a webhook_url", field="webhook_url")
    return agent


def _checked_mode(text: str) -> str:
    if text not in ("cloud", "local"):
        raise BadRequest("agent_mode must be cloud or local", field="agent_mode")
    return text
