"""Lists that people page through: an agent's mail in both directions, and webhook deliveries.

Foreign and unknown agents are one answer; looking changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from e2a.core.entities import Delivery, InboundMessage, OutboundMessage, Principal
from e2a.core.trust.pagetoken import PageTokens
from e2a.store import browsing, conversations, messages
from e2a.store.rows import Cursor

from .ports import Now, Transactions
from .scope import the_agent

#: A uid that no message reaches.
_ABOVE_ALL = 2**63 - 1


@dataclass(frozen=True, slots=True)
class MailPage:
    """:ivar next_token: None on the last page."""

    messages: tuple[InboundMessage | OutboundMessage, ...]
    next_token: str | None


@dataclass(frozen=True, slots=True)
class Delivering:
    """A webhook delivery with what it is about; with its attempts, where they were asked for."""

    delivery: Delivery
    sender: str
    subject: str


@dataclass(frozen=True, slots=True)
class DeliveringPage:
    """:ivar next_token: None on the last page."""

    deliveries: tuple[Delivering, ...]
    next_token: str | None


class Browsing:
    """:param tokens: signs positions in lists, under a key that clients do not hold."""

    def __init__(self, database: Transactions, tokens: PageTokens, now: Now) -> None:
        self._database = database
        self._tokens = tokens
        self._now = now

    async def mail(self, principal: Principal, agent_id: str, size: int, token: str | None) -> MailPage:
        """What an agent received and sent, newest first.

        :raises NotFound: no such agent.
        :raises BadRequest: the token is not of this list; ``field`` is ``token``.
        """
        kind = json.dumps(["mail", agent_id])
        # Each direction has an order of its own, so a position is one in each.
        uid, sent = self._tokens.read(kind, token) if token else (_ABOVE_ALL, conversations.TOP)
        came, went = await self._database.run(
            "list mail", _mail, principal, agent_id, int(uid or 0), str(sent), size + 1, self._moment()
        )
        found = merged(came, went)
        shown = found[:size]
        if len(found) <= size:
            return MailPage(tuple(shown), None)
        # Nothing that comes later gets before a position, also when a page shows one direction only.
        uid = min((one.uid for one in shown if isinstance(one, InboundMessage)), default=came[0].uid + 1 if came else 0)
        ids = (one.id for one in shown if isinstance(one, OutboundMessage))
        sent = min(ids, default=f"{went[0].id}~" if went else "")
        return MailPage(tuple(shown), self._tokens.make(kind, [uid, sent]))

    async def deliveries(self, principal: Principal, agent_id: str, size: int, token: str | None) -> DeliveringPage:
        """An agent's webhook deliveries with every attempt, newest message first.

        :raises: as ``mail``.
        """
        kind = json.dumps(["deliveries", agent_id])
        before = str(self._tokens.read(kind, token)[0]) if token else conversations.TOP
        found = await self._database.run("list deliveries", _deliveries, principal, agent_id, before, size + 1)
        return self._page(kind, found, size)

    async def failed(
        self, principal: Principal, size: int, token: str | None, agent_id: str | None = None
    ) -> DeliveringPage:
        """Deliveries of all agents that ran out of attempts, newest message first, without their attempts.

        :param agent_id: only this agent's.
        :raises: as ``mail``.
        """
        kind = json.dumps(["failed", principal.organisation_id, agent_id])
        before = str(self._tokens.read(kind, token)[0]) if token else conversations.TOP
        found = await self._database.run("list failed", _failed, principal, agent_id, before, size + 1)
        return self._page(kind, found, size)

    def _page(self, kind: str, found: Sequence[Delivering], size: int) -> DeliveringPage:
        more = len(found) > size
        token = self._tokens.make(kind, [found[size - 1].delivery.message_id]) if more else None
        return DeliveringPage(tuple(found[:size]), token)

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)


async def _mail(
    cur: Cursor, principal: Principal, agent_id: str, uid: int, sent: str, limit: int, now: datetime
) -> tuple[list[InboundMessage], list[OutboundMessage]]:
    await the_agent(cur, principal, agent_id)
    came = await messages.list_inbound(cur, agent_id, "all", uid, limit, now, newest_first=True)
    went = await browsing.list_sent(cur, agent_id, sent, limit, now)
    return came, went


def merged(came: Sequence[InboundMessage], went: Sequence[OutboundMessage]) -> list[InboundMessage | OutboundMessage]:
    """Both, newest first, each in its own order: a message of one direction never overtakes one of the same."""
    found: list[InboundMessage | OutboundMessage] = []
    one, other = list(reversed(came)), list(reversed(went))
    while one or other:
        later = one if not other or (one and one[-1].created_at >= other[-1].created_at) else other
        found.append(later.pop())
    return found


async def _deliveries(cur: Cursor, principal: Principal, agent_id: str, before: str, limit: int) -> list[Delivering]:
    await the_agent(cur, principal, agent_id)
    found = await browsing.list_deliveries(cur, agent_id, before, limit)
    logs = await browsing.attempts(cur, [delivery.message_id for delivery, _, _ in found])
    return [
        Delivering(replace(delivery, log=tuple(logs.get(delivery.message_id, ()))), sender, subject)
        for delivery, sender, subject in found
    ]


async def _failed(cur: Cursor, principal: Principal, agent_id: str | None, before: str, limit: int) -> list[Delivering]:
    if agent_id is not None:
        await the_agent(cur, principal, agent_id)
    only = principal.agent_id or agent_id
    found = await browsing.list_failed(
        cur, principal.organisation_id, before, limit, agent_id=only, label_prefix=principal.label_prefix
    )
    return [Delivering(*one) for one in found]
