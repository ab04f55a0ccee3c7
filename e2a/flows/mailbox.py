"""An agent's mailbox as its owner sees it: pages, one message with all it carries, deliveries, waiting.

Every question first finds the agent within the asker's organisation, in the same transaction: foreign and unknown are
one answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from e2a.core.entities import Agent, AttachmentInfo, Delivery, InboundMessage, Principal
from e2a.core.errors import NotFound
from e2a.core.mail import parts
from e2a.core.trust import signing
from e2a.core.trust.pagetoken import PageTokens
from e2a.store import audit, deliveries, messages, rawmail
from e2a.store.messages import Status as Status
from e2a.store.rows import Cursor

from .ports import Cpu, Now, Transactions
from .scope import check_still, the_agent
from .secrets import SecretBook

#: Messages over this many octets are taken apart in the CPU pool; below, a reactor turn is cheaper than two threads.
INLINE_BYTES = 65_536


T = TypeVar("T")


#: A uid that no message reaches.
_ABOVE_ALL = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Filters:
    """Which messages are meant; None leaves that side open.

    :ivar sender: the From mailbox, in any case.
    :ivar subject_contains: a part of the subject, in any case.
    :ivar not_before: when it was received at the earliest.
    :ivar until: only what was received before it; for lists, as are the two that follow.
    :ivar conversation_id: the conversation it belongs to.
    :ivar newest_first: list the other way round.
    """

    sender: str | None = None
    subject_contains: str | None = None
    not_before: datetime | None = None
    until: datetime | None = None
    conversation_id: str | None = None
    newest_first: bool = False


class Waiting(Protocol):
    """The long poll (``flows.live``)."""

    async def __call__(
        self, agent_id: str, after: int | None, filters: Filters, timeout: float
    ) -> tuple[InboundMessage | None, int]:
        """The first message that matches, and the cursor to go on from.

        :param after: a cursor; None counts everything unread.
        :param timeout: seconds after which None is answered.
        """
        ...


@dataclass(frozen=True, slots=True)
class Page:
    """:ivar next_token: None on the last page."""

    messages: tuple[InboundMessage, ...]
    next_token: str | None


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """:ivar next_token: None on the last page."""

    deliveries: tuple[Delivery, ...]
    next_token: str | None


@dataclass(frozen=True, slots=True)
class Detail:
    """One message with everything it carries.

    :ivar auth_headers: signed for this answer.
    """

    message: InboundMessage
    raw: bytes
    content: parts.Content
    auth_headers: dict[str, str]


class Mailbox:
    """:param tokens: signs positions in lists, under a key that clients do not hold."""

    def __init__(
        self,
        database: Transactions,
        secrets: SecretBook,
        tokens: PageTokens,
        cpu: Cpu,
        waiting: Waiting,
        *,
        now: Now,
    ) -> None:
        self._database = database
        self._secrets = secrets
        self._tokens = tokens
        self._cpu = cpu
        self._waiting = waiting
        self._now = now

    async def agent(self, principal: Principal, agent_id: str) -> Agent:
        """:raises NotFound: unknown or foreign."""
        return await self._database.run("find agent", the_agent, principal, agent_id)

    async def page(
        self,
        principal: Principal,
        agent_id: str,
        status: Status,
        size: int,
        token: str | None,
        filters: Filters,
    ) -> Page:
        """Received messages, oldest first unless the filters say otherwise; listing changes nothing.

        Positions are uids, so a page is the same however much arrives or is read between two requests.

        :raises NotFound: no such agent.
        :raises BadRequest: the token is not of this list with these filters; ``field`` is ``token``.
        """
        moments = [moment and moment.isoformat() for moment in (filters.not_before, filters.until)]
        wanted = [filters.sender, filters.subject_contains, *moments, filters.conversation_id, filters.newest_first]
        kind = json.dumps(["messages", agent_id, status, *wanted])
        after = int(self._tokens.read(kind, token)[0] or 0) if token else _ABOVE_ALL if filters.newest_first else 0
        rows = await self._database.run(
            "list messages", _page, principal, agent_id, status, after, size + 1, filters, self._moment()
        )
        more = len(rows) > size
        return Page(tuple(rows[:size]), self._tokens.make(kind, [rows[size - 1].uid]) if more else None)

    async def detail(self, principal: Principal, agent_id: str, message_id: str, *, mark_read: bool = True) -> Detail:
        """One message, which becomes read in the same step unless told otherwise.

        :raises NotFound: no such message, or it is another agent's.
        """
        load = _read if mark_read else _look
        message, raw = await self._database.run("read message", load, principal, agent_id, message_id)
        secrets = await self._secrets.signers(principal.organisation_id)
        content = await self._take_apart(parts.content, raw)
        signed = signing.sign(message.facts, message.id, secrets[0], self._now(), secrets[1:])
        return Detail(message, raw, content, signed)

    async def raw(self, principal: Principal, agent_id: str, message_id: str) -> tuple[InboundMessage, bytes]:
        """The message as stored; it stays unread.

        :raises NotFound: as for ``detail``.
        """
        return await self._database.run("load message", _look, principal, agent_id, message_id)

    async def attachment(
        self, principal: Principal, agent_id: str, message_id: str, index: int
    ) -> tuple[AttachmentInfo, bytes]:
        """One attachment; the message stays unread.

        :raises NotFound: as for ``detail``, or the message has no such attachment.
        """
        _, raw = await self.raw(principal, agent_id, message_id)
        found = await self._take_apart(parts.attachment, raw, index)
        if found is None:
            raise NotFound
        return found

    async def wait(
        self, principal: Principal, agent_id: str, after: int | None, filters: Filters, timeout: float
    ) -> tuple[InboundMessage | None, int]:
        """The first message that matches and the cursor after it, or None and a cursor when ``timeout`` seconds pass.

        Waiting changes nothing: the message stays unread. Who stops waiting by cancelling leaves nothing behind.

        :param after: only what came after this cursor; None: the oldest unread message that matches, or the next.
        :raises NotFound: no such agent.
        :raises Unauthenticated: the credential was revoked while it waited.
        """
        await self.agent(principal, agent_id)
        message, cursor = await self._waiting(agent_id, after, filters, timeout)
        if message is not None:
            # The address may have gone to another account meanwhile, and the credential may have been revoked.
            await self._database.run("find agent", _still, principal, agent_id)
        return message, cursor

    async def delivery(self, principal: Principal, agent_id: str, message_id: str) -> Delivery:
        """The webhook delivery of a message, with every attempt.

        :raises NotFound: no such message, or it was never to be delivered to a webhook.
        """
        return await self._database.run("find delivery", _delivery, principal, agent_id, message_id)

    async def redeliver(self, principal: Principal, agent_id: str, message_id: str) -> Delivery:
        """Deliver a message to the webhook again, now, with the whole schedule ahead of it.

        :raises NotFound: as for ``detail``.
        :raises Conflict: the agent has no webhook.
        """
        return await self._database.run("redeliver", _redeliver, principal, agent_id, message_id)

    async def failed_deliveries(
        self, principal: Principal, agent_id: str, size: int, token: str | None
    ) -> DeliveryPage:
        """Deliveries that ran out of attempts, newest message first, without their logs.

        :raises NotFound: no such agent.
        :raises BadRequest: as for ``page``.
        """
        kind = json.dumps(["failed deliveries", agent_id])
        before = str(self._tokens.read(kind, token)[0]) if token else None
        rows = await self._database.run("list failed", _failed, principal, agent_id, before, size + 1)
        more = len(rows) > size
        return DeliveryPage(tuple(rows[:size]), self._tokens.make(kind, [rows[size - 1].message_id]) if more else None)

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)

    async def _take_apart(self, work: Callable[..., T], raw: bytes, *args: Any) -> T:
        return await self._cpu.run(work, raw, *args) if len(raw) > INLINE_BYTES else work(raw, *args)


async def _still(cur: Cursor, principal: Principal, agent_id: str) -> None:
    await check_still(cur, principal, "messages:read")
    await the_agent(cur, principal, agent_id)


async def _page(
    cur: Cursor,
    principal: Principal,
    agent_id: str,
    status: Status,
    after: int,
    limit: int,
    filters: Filters,
    now: datetime,
) -> list[InboundMessage]:
    await the_agent(cur, principal, agent_id)
    return await messages.list_inbound(
        cur,
        agent_id,
        status,
        after,
        limit,
        now,
        sender=filters.sender or "",
        subject_contains=filters.subject_contains or "",
        since=filters.not_before,
        until=filters.until,
        conversation_id=filters.conversation_id or "",
        newest_first=filters.newest_first,
    )


async def _read(cur: Cursor, principal: Principal, agent_id: str, message_id: str) -> tuple[InboundMessage, bytes]:
    """A message that becomes read only if its bytes could be loaded, since both happen in one transaction."""
    await the_agent(cur, principal, agent_id)
    return await _with_raw(cur, await messages.read_inbound(cur, agent_id, message_id))


async def _look(cur: Cursor, principal: Principal, agent_id: str, message_id: str) -> tuple[InboundMessage, bytes]:
    await the_agent(cur, principal, agent_id)
    return await _with_raw(cur, await messages.get_inbound(cur, agent_id, message_id))


async def _with_raw(cur: Cursor, message: InboundMessage | None) -> tuple[InboundMessage, bytes]:
    if message is None:
        raise NotFound
    return message, await rawmail.load_raw(cur, message.raw_id)


async def _redeliver(cur: Cursor, principal: Principal, agent_id: str, message_id: str) -> Delivery:
    await the_agent(cur, principal, agent_id)
    record = await deliveries.redeliver(cur, agent_id, message_id)
    if record is None:
        raise NotFound
    await audit.record(cur, principal, "message.redelivered", "message", message_id, agent=agent_id)
    return record


async def _delivery(cur: Cursor, principal: Principal, agent_id: str, message_id: str) -> Delivery:
    await the_agent(cur, principal, agent_id)
    record = await deliveries.get_delivery(cur, agent_id, message_id)
    if record is None:
        raise NotFound
    return record


async def _failed(cur: Cursor, principal: Principal, agent_id: str, before: str | None, limit: int) -> list[Delivery]:
    await the_agent(cur, principal, agent_id)
    return await deliveries.list_deliveries(cur, agent_id, "failed", limit=limit, before=before)
