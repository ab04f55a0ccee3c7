"""What agents write: new messages, answers, forwarded ones, and the test that an agent's way works."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from e2a.core.entities import Agent, Principal
from e2a.core.errors import AutoReplyBlocked, BadRequest, E2AError, NotFound
from e2a.core.mail import parts
from e2a.core.mail.headers import HeaderBlock, scan
from e2a.core.mail.message import kept_bytes
from e2a.core.mail.words import decoded
from e2a.core.rules import drafts
from e2a.core.rules.drafts import Asked, Draft, File, Original
from e2a.core.rules.idempotency import Once
from e2a.core.rules.permissions import sees
from e2a.store import agents, idempotency, messages, rawmail
from e2a.store.rows import Cursor

from .composing import INLINE_BYTES
from .grouping import Grouped, Soon, at_once
from .outbound import Outbound
from .outcomes import Submitted
from .ports import Cpu, Transactions
from .scope import the_agent, within_reach

#: How a forwarded message shows what it forwards.
Form = Literal["inline", "attachment"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Found:
    """What a request is about: :ivar raw: the received message, or what is needed of it."""

    agent: Agent
    original: Original | None = None
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class _Question:
    """Who sends a new message: :ivar sender: an agent's address, ``""`` for the only one there is."""

    principal: Principal
    sender: str
    once: Once | None


class Writing:
    """:param operator: the operator's mailbox, which is never chosen by itself.
    :param soon: see ``Grouped``.
    """

    def __init__(
        self, database: Transactions, outbound: Outbound, cpu: Cpu, *, operator: str, soon: Soon = at_once
    ) -> None:
        self._database = database
        self._outbound = outbound
        self._cpu = cpu
        self._operator = operator
        self._senders: Grouped[_Question, Agent | Submitted] = Grouped(self._find_senders, soon)

    async def send(
        self,
        principal: Principal,
        asked: Asked,
        *,
        sender: str = "",
        in_reply_to: str = "",
        once: Once | None = None,
        wait: float = 0.0,
    ) -> Submitted:
        """A new message.

        :param sender: the agent; ``""`` for the only one there is.
        :raises BadRequest: ``field`` names what cannot be used. Beside that, as for ``Outbound.submit``.
        """
        found = await self._senders.ask(_Question(principal, sender.strip().lower(), once))
        if isinstance(found, Submitted):
            return await self._outbound.settled(found, wait)
        own = self._outbound.own_addresses(found.id)
        draft = await self._checked(asked, drafts.new_message, asked, own, in_reply_to)
        return await self._outbound.submit(found, draft, once=once, wait=wait)

    async def reply(
        self,
        principal: Principal,
        agent_id: str,
        message_id: str,
        asked: Asked,
        *,
        reply_all: bool = False,
        force: bool = False,
        once: Once | None = None,
        wait: float = 0.0,
    ) -> Submitted:
        """An answer to a received message.

        :param force: answer even a message that a program sent.
        :raises NotFound: no such agent or message.
        :raises AutoReplyBlocked: a program sent the message. Beside that, as for ``send``.
        """

        async def look(cur: Cursor) -> _Found:
            return await _received(cur, principal, agent_id, message_id, whole=False)

        found = await self._look(principal, once, look)
        if isinstance(found, Submitted):
            return await self._outbound.settled(found, wait)
        assert found.original is not None
        if found.original.message.automation.is_auto and not force:
            raise AutoReplyBlocked
        own = self._outbound.own_addresses(found.agent.id)

        def answer(original: Original) -> Draft:
            return drafts.answer(asked, original, own, reply_all=reply_all)

        draft = await self._checked(asked, answer, found.original)
        return await self._outbound.submit(found.agent, draft, once=once, wait=wait)

    async def forward(
        self,
        principal: Principal,
        agent_id: str,
        message_id: str,
        asked: Asked,
        *,
        form: Form = "inline",
        include_attachments: bool = True,
        once: Once | None = None,
        wait: float = 0.0,
    ) -> Submitted:
        """A received message sent on.

        :param form: ``inline`` quotes its text and carries its attachments along, ``attachment`` encloses it whole.
        :param include_attachments: whether ``inline`` carries the attachments along.
        :raises NotFound: no such agent or message. Beside that, as for ``send``.
        """

        async def look(cur: Cursor) -> _Found:
            return await _received(cur, principal, agent_id, message_id, whole=True)

        found = await self._look(principal, once, look)
        if isinstance(found, Submitted):
            return await self._outbound.settled(found, wait)
        original, raw = found.original, found.raw
        assert original is not None
        own = self._outbound.own_addresses(found.agent.id)

        def forwarded() -> Draft:
            if form == "attachment":
                return drafts.forwarded(asked, original, own, [_enclosed(original, raw)])
            files = carried_files(raw) if include_attachments else ()
            return drafts.forwarded(asked, original, own, files, quoted(original, raw))

        draft = await self._cpu.run(forwarded) if len(raw) > INLINE_BYTES else await self._checked(asked, forwarded)
        return await self._outbound.submit(found.agent, draft, once=once, wait=wait)

    async def test(
        self, principal: Principal, agent_id: str, *, once: Once | None = None, wait: float = 0.0
    ) -> Submitted:
        """A message to the agent itself, through everything that real mail passes: review, hand-over, delivery.

        :raises NotFound: no such agent. Beside that, as for ``Outbound.submit``.
        """

        async def look(cur: Cursor) -> _Found:
            return _Found(await the_agent(cur, principal, agent_id))

        found = await self._look(principal, once, look)
        if isinstance(found, Submitted):
            return await self._outbound.settled(found, wait)
        draft = Draft(
            message_type="test",
            recipients=drafts.Recipients((found.agent.id,)),
            subject="e2a test message",
            text=f"This is a test message for {found.agent.id}. If you can read it, its mail arrives.\r\n",
            auto="auto-generated",
        )
        return await self._outbound.submit(found.agent, draft, once=once, wait=wait)

    # --- what a request is about --------------------------------------------------------------------------------------

    async def _look(self, principal: Principal, once: Once | None, look: Callable[[Cursor], Any]) -> _Found | Submitted:
        """What the request is about, or what it made before."""

        async def work(cur: Cursor) -> _Found | Submitted:
            earlier = await self._outbound.replayed(cur, principal, once)
            if earlier is not None:
                return earlier
            found: _Found = await look(cur)
            return found

        return await self._database.read("prepare to send", work)

    async def _find_senders(self, group: Sequence[_Question]) -> list[Agent | Submitted | Exception]:
        return await self._database.read("senders", self._senders_of, group)

    async def _senders_of(self, cur: Cursor, group: Sequence[_Question]) -> list[Agent | Submitted | Exception]:
        """For each new message the agent that sends it, or what the same request made before."""
        once = [one.once for one in group if one.once is not None]
        earlier = iter(await idempotency.find_all(cur, once) if once else ())
        named = {one.sender for one in group if one.sender and within_reach(one.principal, one.sender)}
        found = await agents.get_agents(cur, named) if named else {}
        answers: list[Agent | Submitted | Exception] = []
        for one in group:
            made = None if one.once is None else next(earlier)
            try:
                if isinstance(made, Exception):
                    answers.append(made)
                elif made is not None:
                    answers.append(await self._outbound.made(cur, one.principal, made))
                else:
                    answers.append(await self._sender(cur, one.principal, one.sender, found))
            except E2AError as error:
                answers.append(error)
        return answers

    async def _sender(self, cur: Cursor, principal: Principal, sender: str, found: Mapping[str, Agent]) -> Agent:
        if sender:
            agent = found.get(sender)
            if agent is None or not sees(principal, agent):
                raise BadRequest("from is not an agent of this account", field="from")
            return agent
        only = await agents.list_agents(
            cur,
            principal.organisation_id,
            limit=2,
            hidden=self._operator,
            only=principal.agent_id,
            label_prefix=principal.label_prefix,
        )
        if len(only) != 1:
            raise BadRequest("from is required unless the account has exactly one agent", field="from")
        return only[0]

    async def _checked(self, asked: Asked, check: Callable[..., T], *args: Any) -> T:
        """A check where it belongs: decoding much base64 would hold up the reactor."""
        size = sum(len(file.data) for file in asked.attachments)
        return await self._cpu.run(check, *args) if size > INLINE_BYTES else check(*args)


async def _received(cur: Cursor, principal: Principal, agent_id: str, message_id: str, *, whole: bool) -> _Found:
    """:param whole: whether all of the message is wanted, or its beginning is enough.
    :raises NotFound: no such agent, or it received no such message.
    """
    agent = await the_agent(cur, principal, agent_id)
    message = await messages.get_inbound(cur, agent_id, message_id)
    if message is None:
        raise NotFound
    if whole:
        raw = await rawmail.load_raw(cur, message.raw_id)
    else:
        # The header is in the first piece.
        raw = await anext(rawmail.raw_slices(cur, message.raw_id))
    return _Found(agent, Original(message, scan(raw)), raw)


# --- forwarding -------------------------------------------------------------------------------------------------------


def quoted(original: Original, raw: bytes) -> str:
    """What a forwarded message shows of the one it forwards."""
    block = original.block
    heading = [
        f"{name}: {value}"
        for name, key in (("From", b"from"), ("Date", b"date"), ("Subject", b"subject"), ("To", b"to"), ("Cc", b"cc"))
        if (value := _shown(block, key))
    ]
    content = parts.content(raw)
    body = content.text or "(The message has no plain text.)"
    return "\r\n".join(["---------- Forwarded message ----------", *heading, "", body])


def carried_files(raw: bytes) -> tuple[File, ...]:
    """The attachments of a message, ready to go into another."""
    return tuple(File(info.filename, info.content_type, octets) for info, octets in parts.attachments(raw))


def _shown(block: HeaderBlock, key: bytes) -> str:
    field = block.first(key)
    return decoded(field.value) if field is not None else ""


def _enclosed(original: Original, raw: bytes) -> File:
    """The message as a file of its own, without what only this deployment should see."""
    subject = "".join(char if char.isalnum() or char in " -_." else "_" for char in original.message.subject)
    name = f"{subject.strip()[:100] or 'message'}.eml"
    return File(name, "message/rfc822", kept_bytes(raw, original.block, b"", "e2a.invalid"))
