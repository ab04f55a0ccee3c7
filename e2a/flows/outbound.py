"""Sending: a checked draft becomes one stored message, held for review or on its way.

The message is composed before the transaction and stored in one: with its request's key, the count of its rate limit,
the copies for agents of this deployment and the jobs for everybody else. What is committed will be sent; what is not
was never promised.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from e2a.core import ids
from e2a.core.entities import (
    Agent,
    Automation,
    Facts,
    OutboundMessage,
    OutboundRecipient,
    Principal,
    Recipient,
    RecipientKind,
)
from e2a.core.errors import (
    Forbidden,
    NotFound,
    RecipientSuppressed,
    SendingNotConfigured,
    TooLarge,
    TooManyRequests,
)
from e2a.core.mail.compose import Letter, Part, compose
from e2a.core.mail.conversations import ConversationMac, new_id
from e2a.core.rules import limits as rules
from e2a.core.rules.drafts import Draft
from e2a.core.rules.idempotency import Once
from e2a.store import agents, conversations, idempotency, intake, limits, outbox, suppressions
from e2a.store import outbound as store
from e2a.store.intake import IntakeMail, IntakeRow
from e2a.store.retention import forget_raws
from e2a.store.rows import Cursor

from .inbound import RETENTION
from .outcomes import Outcomes, Submitted, load_submitted
from .ports import Cpu, Now, Transactions
from .signing import SHARED_SENDER, SenderIdentity

#: Messages over this many octets are composed in the CPU pool.
INLINE_BYTES = 65_536
#: What the hand-over says of itself where mail from outside has SPF and DKIM results.
INTERNAL_CHECK = "spf=none; dkim=none; internal=pass"

_GONE = OutboundRecipient("", "to", "loopback", state="failed", code=550, reply="5.1.1 recipient not found")


class Senders(Protocol):
    """``flows.signing.Signing`` as this flow sees it."""

    async def sender_for(self, agent: Agent) -> SenderIdentity: ...


class Recipients(Protocol):
    """``flows.directory.Directory`` as this flow sees it."""

    async def recipient(self, address: str) -> Recipient | None: ...


#: ``(cur, agent_id, on_behalf_of)`` to the text of ``Facts.delegation``; ``""`` when the agent acts for nobody.
Delegated = Callable[[Cursor, str, str], Awaitable[str]]
#: Told, in its transaction, of a message that is held: writes to those who decide.
Held = Callable[[Cursor, OutboundMessage, Agent], Awaitable[None]]


async def nobody_delegates(cur: Cursor, agent_id: str, on_behalf_of: str) -> str:
    """A ``Delegated`` for when there are no delegations."""
    return ""


async def nobody_reviews(cur: Cursor, message: OutboundMessage, agent: Agent) -> None:
    """A ``Held`` for when nobody is told."""


@dataclass(frozen=True, slots=True)
class Target:
    """One envelope recipient. :ivar local: the agent of this deployment that it reaches; None: by SMTP."""

    address: str
    kind: RecipientKind
    local: Recipient | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A message composed and ready to be stored.

    :ivar message: its row; the status is decided when it is stored.
    :ivar replaces: the bytes of the same message as they were held; None for a message that is not stored yet.
    :ivar answers: the received message that it answers, "" when it answers none.
    """

    message: OutboundMessage
    raw: bytes = field(repr=False)
    body_hash: str
    targets: tuple[Target, ...]
    reply_to: str = ""
    new_conversation: bool = False
    replaces: str | None = None
    answers: str = ""

    @property
    def to_people(self) -> bool:
        return any(target.local is None for target in self.targets)


class Outbound:
    """:param own_names: addresses that lead back to every agent: the shared sender's.
    :param system_agent: the agent, with its organisation, in whose name the deployment itself writes.
    :param sender_domain: the domain of the deployment's own mail; ``""`` when it has none.
    :param reaches_people: whether there is a way out for mail to people.
    :param usage: whether messages that were sent write usage events.
    """

    def __init__(
        self,
        database: Transactions,
        directory: Recipients,
        senders: Senders,
        outcomes: Outcomes,
        cpu: Cpu,
        mac: ConversationMac,
        *,
        now: Now,
        random: ids.RandomBytes,
        system_agent: tuple[str, str],
        sender_domain: str,
        reaches_people: bool,
        max_message_bytes: int,
        usage: bool = False,
        delegated: Delegated = nobody_delegates,
        held: Held = nobody_reviews,
    ) -> None:
        self._database = database
        self._directory = directory
        self._senders = senders
        self._outcomes = outcomes
        self._cpu = cpu
        self._mac = mac
        self._now = now
        self._random = random
        self._system_agent, self._system_organisation = system_agent
        self._sender_domain = sender_domain
        self._reaches_people = reaches_people
        self._max_message_bytes = max_message_bytes
        self._usage = usage
        self._delegated = delegated
        #: May be set once those who review are known.
        self.held = held

    @property
    def sends_system_mail(self) -> bool:
        """Whether the deployment itself can write to people."""
        return self._reaches_people and bool(self._sender_domain)

    def own_addresses(self, agent_id: str) -> frozenset[str]:
        """The addresses that lead back to an agent."""
        own = {agent_id}
        if self._sender_domain:
            own.add(f"{SHARED_SENDER}@{self._sender_domain}")
        return frozenset(own)

    # --- submitting ---------------------------------------------------------------------------------------------------

    async def submit(self, agent: Agent, draft: Draft, *, once: Once | None = None, wait: float = 0.0) -> Submitted:
        """Store a message: held when the agent's mail is reviewed, else on its way.

        :param wait: seconds to wait for the outcome; however it ends, what was stored goes on.
        :raises Forbidden: the agent's domain is not verified.
        :raises SendingNotConfigured: it goes to people, and there is no way out.
        :raises RecipientSuppressed: a recipient must not be written to.
        :raises TooManyRequests: the agent has sent too much, or too much into this conversation.
        :raises TooLarge: the message is over the limit.
        :raises KeyReuse: the request's key came with another request.
        :raises NotFound: the agent was deleted meanwhile.
        """
        _check_domain(agent)
        prepared = await self.prepare(agent, draft)
        with self._outcomes.watch(prepared.message.id) as watch:
            submitted = await self._database.run("submit", self._submit, agent, prepared, once)
            if not submitted.replayed:
                return await watch.settled(submitted, wait)
        return await self.settled(submitted, wait)

    async def settled(self, submitted: Submitted, wait: float) -> Submitted:
        """A stored message once its outcome is known, or as it stands after ``wait`` seconds."""
        with self._outcomes.watch(submitted.message.id) as watch:
            # It may have changed before anybody watched.
            watch.wake()
            return await watch.settled(submitted, wait)

    async def replayed(self, cur: Cursor, principal: Principal, once: Once | None) -> Submitted | None:
        """What this very request made before; None when it is new.

        :raises KeyReuse: its key came with another request.
        """
        message_id = None if once is None else await idempotency.find(cur, once)
        if message_id is None:
            return None
        found = await load_submitted(cur, message_id)
        if found is None or principal.agent_id not in (None, found.message.agent_id):
            raise NotFound
        return replace(found, replayed=True)

    async def _submit(self, cur: Cursor, agent: Agent, prepared: Prepared, once: Once | None) -> Submitted:
        message = prepared.message
        earlier = None if once is None else await idempotency.claim(cur, once, message.id)
        if earlier is not None:
            found = await load_submitted(cur, earlier)
            if found is None:
                raise NotFound
            return replace(found, replayed=True)
        current = await agents.get_agent(cur, agent.organisation_id, agent.id)
        if current is None:
            raise NotFound
        _check_domain(current)
        await limits.charge(cur, rules.SEND, agent.id)
        if not prepared.new_conversation:
            await self._break_loop(cur, message)
        held = current.hitl_enabled
        submitted = await (self._hold(cur, current, prepared) if held else self.release(cur, prepared))
        if prepared.answers and message.conversation_id is not None:
            await conversations.adopt(cur, agent.id, prepared.answers, message.conversation_id)
        return submitted

    async def _break_loop(self, cur: Cursor, message: OutboundMessage) -> None:
        """Two programs that answer each other stop here.

        :raises TooManyRequests: the agent has sent enough into this conversation for now.
        """
        assert message.conversation_id is not None
        since = message.created_at - timedelta(seconds=rules.CONVERSATION_SECONDS)
        sent, automatic = await store.recent_sends(
            cur, message.agent_id, message.conversation_id, store.later_than(since), rules.CONVERSATION_SENDS
        )
        if message.automation.is_auto and automatic >= rules.CONVERSATION_AUTO_SENDS:
            raise TooManyRequests(
                "an agent sends one automatic message an hour into a conversation",
                retry_after=rules.CONVERSATION_SECONDS,
            )
        if sent >= rules.CONVERSATION_SENDS:
            raise TooManyRequests(
                f"an agent sends at most {rules.CONVERSATION_SENDS} messages an hour into a conversation",
                retry_after=rules.CONVERSATION_SECONDS,
            )

    async def _hold(self, cur: Cursor, agent: Agent, prepared: Prepared) -> Submitted:
        # What cannot be sent now is not put before a reviewer.
        await self._refuse_suppressed(cur, prepared)
        message = replace(
            prepared.message,
            status="pending_approval",
            approval_expires_at=prepared.message.created_at + timedelta(seconds=agent.hitl_ttl_seconds),
            expiration_action=agent.hitl_expiration_action,
        )
        assert message.raw_id is not None
        await intake.add_raw(cur, message.raw_id, prepared.raw)
        await store.add_outbound(cur, message)
        await self.held(cur, message, agent)
        return Submitted(message)

    # --- preparing ----------------------------------------------------------------------------------------------------

    async def prepare(self, agent: Agent, draft: Draft, *, held: OutboundMessage | None = None) -> Prepared:
        """Compose a draft and find out where its recipients are. Nothing is stored.

        :param held: the stored message that this is a new version of: it keeps its ids.
        :raises SendingNotConfigured: it goes to people, and there is no way out.
        :raises TooLarge: the message is over the limit.
        :raises Unavailable: the database cannot be asked.
        """
        envelope = draft.recipients.envelope()
        found = [await self._directory.recipient(address) for address, _ in envelope]
        targets = tuple(Target(*one, local) for one, local in zip(envelope, found, strict=True))
        if draft.message_type == "test":
            identity = SenderIdentity(self._system_address("noreply"), "e2a", None, self._sender_domain)
        elif any(target.local is None for target in targets):
            identity = await self._senders.sender_for(agent)
        else:
            # Nobody outside will judge the domain.
            identity = SenderIdentity(agent.id, agent.name, None, agent.domain)
        return await self._composed(agent.id, agent.organisation_id, draft, targets, identity, held)

    def _system_address(self, local: str) -> str:
        return f"{local}@{self._sender_domain}" if self._sender_domain else self._system_agent

    async def _composed(
        self,
        agent_id: str,
        organisation_id: str,
        draft: Draft,
        targets: tuple[Target, ...],
        identity: SenderIdentity,
        held: OutboundMessage | None = None,
    ) -> Prepared:
        if not self._reaches_people and any(target.local is None for target in targets):
            raise SendingNotConfigured
        now = self._now()
        moment = datetime.fromtimestamp(now, UTC)
        conversation_id = held.conversation_id if held is not None else draft.conversation_id
        new_conversation = conversation_id is None
        conversation_id = conversation_id or new_id(self._random)
        email_message_id = f"<{self._random(16).hex()}@{identity.from_address.rpartition('@')[2]}>"
        letter = Letter(
            from_address=identity.from_address,
            from_name=identity.display_name,
            to=draft.recipients.to,
            cc=draft.recipients.cc,
            subject=draft.subject,
            text=draft.text,
            html=draft.html,
            parts=tuple(Part(file.filename, file.content_type, file.data) for file in draft.files),
            message_id=email_message_id if held is None else held.email_message_id,
            date=moment,
            reply_to=identity.reply_to or "",
            in_reply_to=draft.in_reply_to,
            references=draft.references,
            conversation_id=conversation_id,
            conversation_mac=self._mac.make(conversation_id, identity.from_address, now),
            auto_submitted=draft.auto,
            entity=draft.entity,
        )
        size = len(draft.entity) + len(draft.text) + len(draft.html) + sum(len(file.data) for file in draft.files)
        if size > self._max_message_bytes:
            raise TooLarge(f"a message can have at most {self._max_message_bytes} bytes")
        if size > INLINE_BYTES:
            raw, body_hash = await self._cpu.run(_written, letter, self._random)
        else:
            raw, body_hash = _written(letter, self._random)
        if len(raw) > self._max_message_bytes:
            raise TooLarge(f"a message can have at most {self._max_message_bytes} bytes")
        message = OutboundMessage(
            id=ids.message_id(now, self._random) if held is None else held.id,
            agent_id=agent_id,
            organisation_id=organisation_id,
            status="queued",
            message_type=draft.message_type,
            sender=identity.from_address,
            to=draft.recipients.to,
            cc=draft.recipients.cc,
            bcc=draft.recipients.bcc,
            subject=draft.subject,
            email_message_id=letter.message_id,
            conversation_id=conversation_id,
            in_reply_to=draft.in_reply_to,
            raw_id=ids.prefixed_by_time("raw", now, self._random),
            size=len(raw),
            created_at=moment if held is None else held.created_at,
            expires_at=moment + RETENTION if held is None else held.expires_at,
            method="smtp" if any(target.local is None for target in targets) else "loopback",
            sent_status="sent" if held is None else held.sent_status,
            on_behalf_of=draft.on_behalf_of,
            automation=Automation(True, ("auto_submitted",)) if draft.auto else Automation(),
        )
        replaces = None if held is None else held.raw_id
        return Prepared(
            message, raw, body_hash, targets, identity.reply_to or "", new_conversation, replaces, draft.answers
        )

    # --- releasing ----------------------------------------------------------------------------------------------------

    async def release(self, cur: Cursor, prepared: Prepared) -> Submitted:
        """Store a message and send it on its way, in the transaction of ``cur``: copies for agents of this deployment,
        jobs for the rest. Of a message that was held the row is replaced; whoever calls has locked it and made sure
        that nobody else decides.

        :raises RecipientSuppressed: a recipient must not be written to.
        """
        await self._refuse_suppressed(cur, prepared)
        message = prepared.message
        assert message.raw_id is not None
        await intake.add_raw(cur, message.raw_id, prepared.raw)
        # Mailboxes are locked before anything else is written for an agent.
        gone = await self._hand_over(cur, prepared)
        recipients = tuple(_state(target, gone) for target in prepared.targets)
        if prepared.replaces is None:
            await store.add_outbound(cur, message)
        else:
            await store.replace_outbound(cur, message)
            await forget_raws(cur, [prepared.replaces])
        await store.queue(cur, message.id, recipients)
        if prepared.to_people:
            return Submitted(message, recipients)
        await outbox.settle(cur, [message.id], usage=self._usage and message.message_type != "test")
        settled = await load_submitted(cur, message.id)
        assert settled is not None
        return settled

    async def _refuse_suppressed(self, cur: Cursor, prepared: Prepared) -> None:
        addresses = [target.address for target in prepared.targets]
        refused = await suppressions.suppressed_among(cur, prepared.message.organisation_id, addresses)
        if refused:
            raise RecipientSuppressed(f"mail to {', '.join(refused)} is suppressed", details={"recipients": refused})

    async def _hand_over(self, cur: Cursor, prepared: Prepared) -> frozenset[str]:
        """Deliver to agents of this deployment; returns the addresses whose agents are gone."""
        message = prepared.message
        local = [target for target in prepared.targets if target.local is not None]
        if not local:
            return frozenset()
        assert message.raw_id is not None
        tested = message.message_type == "test"
        facts = Facts(
            verified=True,
            sender=message.sender if tested else message.agent_id,
            entity_type="human" if tested else "agent",
            domain_check=INTERNAL_CHECK,
            body_hash=prepared.body_hash,
            delegation="" if tested else await self._delegated(cur, message.agent_id, message.on_behalf_of),
        )
        now = self._now()
        rows = {
            target.address: self._copy(prepared, target.address, target.local, facts, now)
            for target in local
            if target.local is not None
        }
        mail = IntakeMail(message.raw_id, prepared.raw, tuple(rows.values()), raw_stored=True)
        outcomes = await intake.store_group(cur, [mail], self._usage and not tested)
        return frozenset(address for address, row in rows.items() if outcomes[row.id] is intake.Outcome.GONE)

    def _copy(self, prepared: Prepared, address: str, recipient: Recipient, facts: Facts, now: float) -> IntakeRow:
        message = prepared.message
        moment = datetime.fromtimestamp(now, UTC)
        return IntakeRow(
            id=ids.message_id(now, self._random),
            agent_id=recipient.agent_id,
            sender=facts.sender,
            recipient=address,
            tag=recipient.tag,
            to=message.to,
            cc=message.cc,
            reply_to=(prepared.reply_to,) if prepared.reply_to else (),
            subject=message.subject,
            email_message_id=message.email_message_id,
            conversation_id=message.conversation_id,
            facts=facts,
            authentication=_internal(facts.sender),
            size=len(prepared.raw),
            created_at=moment,
            expires_at=moment + RETENTION,
            automation=message.automation,
        )

    # --- the deployment's own mail ------------------------------------------------------------------------------------

    async def system_mail(self, cur: Cursor, draft: Draft, *, local: str = "noreply", name: str = "e2a") -> Submitted:
        """Write in the deployment's own name, in the transaction of ``cur``. Never held, never limited.

        The message belongs to the operator: an agent cannot read it, whatever it is about.

        :param local: the local part of the From address, on the sender domain.
        :raises SendingNotConfigured: the deployment cannot write to people; see ``sends_system_mail``.
        """
        if not self.sends_system_mail:
            raise SendingNotConfigured
        address = self._system_address(local)
        identity = SenderIdentity(address, name, address, self._sender_domain)
        targets = tuple(Target(*one, None) for one in draft.recipients.envelope())
        prepared = await self._composed(
            self._system_agent, self._system_organisation, replace(draft, auto="auto-generated"), targets, identity
        )
        return await self.release(cur, prepared)


def _check_domain(agent: Agent) -> None:
    if not agent.domain_verified:
        raise Forbidden("the domain of this agent is not verified")


def _written(letter: Letter, random: ids.RandomBytes) -> tuple[bytes, str]:
    raw = compose(letter, random)
    return raw, hashlib.sha256(raw).hexdigest()


def _state(target: Target, gone: frozenset[str]) -> OutboundRecipient:
    if target.local is None:
        return OutboundRecipient(target.address, target.kind, "smtp")
    if target.address in gone:
        return replace(_GONE, address=target.address, kind=target.kind)
    return OutboundRecipient(target.address, target.kind, "loopback", state="sent")


def _internal(sender: str) -> dict[str, Any]:
    """What ``authentication`` says of a message that never left the deployment."""
    return {
        "spf": {"result": "none", "domain": "", "client_ip": ""},
        "dkim": [],
        "dmarc": {"result": "none", "policy": None, "domain": sender.rpartition("@")[2]},
        "arc": {"result": "none", "instances": 0, "sealer": None},
        "internal": {"result": "pass"},
    }
