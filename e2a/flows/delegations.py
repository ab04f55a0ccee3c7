"""Delegations: an agent's owner proposes that it acts for a person, the person confirms, either ends it.

The question goes to the person by mail; what the mail links to is with nobody else, the owner and the agent included.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, TypeAlias

from e2a.core import ids
from e2a.core.entities import Origin, Principal, Recipient
from e2a.core.errors import BadRequest, Conflict, NotFound, SendingNotConfigured
from e2a.core.mail.addresses import split
from e2a.core.rules.domains import OwnNames
from e2a.core.rules.drafts import Draft, address
from e2a.core.rules.drafts import Recipients as To
from e2a.core.rules.limits import Limit, network_of
from e2a.core.rules.permissions import require_unbound
from e2a.core.trust.delegation import REST, Delegation, DelegationTokens, State, statement
from e2a.store import audit, limits
from e2a.store import delegations as store
from e2a.store.rows import Cursor

from .ports import Now, Transactions
from .scope import lock_agent, the_agent

#: Living bindings of one agent.
MOST_DELEGATIONS = 50
#: Proposals of one organisation, of one member in all of theirs, and to one person whoever asks: each is a mail to
#: somebody who did not ask for it.
PROPOSALS = Limit("delegations", 20, 86_400)
PROPOSALS_BY = Limit("delegations by", 20, 86_400)
QUESTIONS = Limit("delegation questions", 3, 86_400)
#: Requests of one address, or IPv6 network, with a good link.
PAGES = Limit("delegation pages", 60, 60)
#: Where the mail's link leads, below the public URL.
PATH = "/api/v1/delegation"

#: A binding of an agent to a person.
Binding: TypeAlias = Delegation
Choice = Literal["confirm", "end"]

_TEXT = """\
Somebody who runs the agent {agent} asks whether it may act for you.

If you agree, the messages that {agent} sends to other agents here will say
that it acts for {person}. It gets no access to your mailbox.

To agree, to decline, or to end it later, open this page:

{link}

You can agree within seven days. If you do nothing, nothing happens; if you do
not know what this is about, decline.
"""


class Writer(Protocol):
    """``flows.outbound.Outbound`` as this flow sees it."""

    @property
    def sends_system_mail(self) -> bool: ...

    async def system_mail(self, cur: Cursor, draft: Draft) -> Any: ...


class Recipients(Protocol):
    """``flows.directory.Directory`` as this flow sees it."""

    async def recipient(self, address: str) -> Recipient | None: ...


async def delegated(cur: Cursor, wanted: Sequence[tuple[str, str]]) -> list[str]:
    """``Facts.delegation`` for what agents send now; ``""`` for one that acts for nobody, or for several and
    ``on_behalf_of`` names none of them.

    :param wanted: for each message its agent and ``on_behalf_of``.
    """
    persons = await store.persons_of(cur, [agent_id for agent_id, _ in wanted])
    return [statement(agent_id, persons[agent_id], on_behalf_of) for agent_id, on_behalf_of in wanted]


class Delegations:
    """:param public_url: where the links lead, without a trailing slash; ``""`` when it is not known."""

    def __init__(
        self,
        database: Transactions,
        directory: Recipients,
        writer: Writer,
        tokens: DelegationTokens,
        *,
        own: OwnNames,
        public_url: str,
        now: Now,
        random: ids.RandomBytes,
    ) -> None:
        self._database = database
        self._directory = directory
        self._writer = writer
        self._tokens = tokens
        self._own = own
        self._public_url = public_url
        self._now = now
        self._random = random

    def state(self, delegation: Delegation) -> State:
        return delegation.state(datetime.fromtimestamp(self._now(), UTC))

    # --- for the owner ------------------------------------------------------------------------------------------------

    async def list_live(self, principal: Principal, agent_id: str) -> list[Delegation]:
        """The agent's living bindings, newest first.

        :raises NotFound: unknown, another organisation's, or beyond the key's reach.
        """
        return await self._database.run("list delegations", self._list, principal, agent_id)

    async def _list(self, cur: Cursor, principal: Principal, agent_id: str) -> list[Delegation]:
        await the_agent(cur, principal, agent_id)
        return await store.list_delegations(cur, agent_id)

    async def propose(self, principal: Principal, agent_id: str, person: str) -> Delegation:
        """Ask a person, by mail. An open proposal to the same person is replaced, and its link stops working.

        :raises NotFound: as ``list_live``.
        :raises BadRequest: not an address of a person; ``field`` is ``person``.
        :raises Conflict: the agent acts for them already, they said no lately, or there are too many.
        :raises TooManyRequests: too many were asked, or this person too often.
        :raises SendingNotConfigured: the deployment cannot write to people.
        :raises RecipientSuppressed: mail to the person came back.
        """
        require_unbound(principal)
        await self._database.run("find agent", the_agent, principal, agent_id)
        if not self._writer.sends_system_mail or not self._public_url:
            raise SendingNotConfigured("delegations need http.public_url and a way out for mail to people")
        canonical = address(person, "person")
        # Whoever can make or read the mailbox could confirm in the person's place.
        if split(canonical)[1] in (self._own.shared, self._own.smtp, self._own.sender) or (
            await self._directory.recipient(canonical) is not None
        ):
            raise BadRequest("an agent acts for people; this address is the deployment's own", field="person")
        return await self._database.run("propose delegation", self._propose, principal, agent_id, canonical)

    async def _propose(self, cur: Cursor, principal: Principal, agent_id: str, person: str) -> Delegation:
        await lock_agent(cur, principal, agent_id)
        live = await store.live_delegation(cur, agent_id, person)
        if live is not None and live.confirmed_at is not None:
            raise Conflict("the agent acts for this person already")
        if await store.has_refused(cur, agent_id, person, REST):
            raise Conflict(f"this person has said no in the last {REST.days} days")
        if live is not None:
            await store.end_delegation(cur, live.id, "owner")
        if len(await store.list_delegations(cur, agent_id)) >= MOST_DELEGATIONS:
            raise Conflict(f"an agent can have at most {MOST_DELEGATIONS} delegations; end some first")
        made = await store.add_delegation(cur, ids.prefixed("dlg", self._random), agent_id, person)
        await limits.charge(cur, PROPOSALS, principal.organisation_id)
        await limits.charge(cur, PROPOSALS_BY, principal.user_id)
        await limits.charge(cur, QUESTIONS, person)
        await self._writer.system_mail(cur, self._question(made))
        await audit.record(cur, principal, "delegation.proposed", "delegation", made.id, agent=agent_id)
        return made

    def _question(self, delegation: Delegation) -> Draft:
        link = f"{self._public_url}{PATH}?token={self._tokens.make(delegation.id)}"
        # Only what cannot be worded by the owner: a display name could carry a text of its own.
        text = _TEXT.format(agent=delegation.agent_id, person=delegation.person, link=link)
        subject = f"May {delegation.agent_id} act for you?"
        return Draft("send", To((delegation.person,)), subject, text)

    async def end(self, principal: Principal, agent_id: str, delegation_id: str) -> None:
        """
        :raises NotFound: no living binding of the agent, or as ``list_live``.
        """
        require_unbound(principal)
        await self._database.run("end delegation", self._end, principal, agent_id, delegation_id)

    async def _end(self, cur: Cursor, principal: Principal, agent_id: str, delegation_id: str) -> None:
        if delegation_id not in [each.id for each in await self._list(cur, principal, agent_id)]:
            raise NotFound
        if await store.end_delegation(cur, delegation_id, "owner") is None:
            raise NotFound
        await audit.record(cur, principal, "delegation.ended", "delegation", delegation_id, agent=agent_id)

    # --- for the person -----------------------------------------------------------------------------------------------

    async def look(self, token: str, client_ip: str) -> Delegation:
        """The binding that a link is about; nothing changes.

        :raises BadRequest: the link was not made here.
        :raises NotFound: the binding is gone.
        :raises TooManyRequests: too many requests of this client.
        """
        return await self._database.run("look at delegation", self._look, self._read(token), client_ip)

    async def _look(self, cur: Cursor, delegation_id: str, client_ip: str) -> Delegation:
        found = await store.get_delegation(cur, delegation_id)
        if found is None:
            raise NotFound
        await limits.charge(cur, PAGES, network_of(client_ip))
        return found

    async def decide(self, token: str, choice: Choice, client_ip: str) -> Delegation:
        """What the person says, which may be said twice.

        :returns: the binding as it is now: ``confirm`` leaves an expired or ended one as it was.
        :raises: as ``look``.
        """
        return await self._database.run("decide delegation", self._decide, self._read(token), choice, client_ip)

    async def _decide(self, cur: Cursor, delegation_id: str, choice: Choice, client_ip: str) -> Delegation:
        if choice == "confirm":
            changed = await store.confirm_delegation(cur, delegation_id)
        else:
            changed = await store.end_delegation(cur, delegation_id, "person")
        if changed is None:
            return await self._look(cur, delegation_id, client_ip)
        await _note(cur, changed, "delegation.confirmed" if choice == "confirm" else "delegation.ended", client_ip)
        return changed

    def _read(self, token: str) -> str:
        delegation_id = self._tokens.read(token)
        if delegation_id is None:
            raise BadRequest("this link is not complete or was not made here", field="token")
        return delegation_id


async def _note(cur: Cursor, delegation: Delegation, action: str, client_ip: str) -> None:
    """The bearer of the link is known by their place alone."""
    organisation_id = await store.organisation_of(cur, delegation.agent_id)
    bearer = Principal(organisation_id, "", frozenset(), origin=Origin(client_ip))
    await audit.record(cur, bearer, action, "delegation", delegation.id, agent=delegation.agent_id, by="link")
