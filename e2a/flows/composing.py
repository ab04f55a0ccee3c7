"""From a checked draft to a message that is ready to be stored: where it goes, who it is from, its bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from e2a.core import ids
from e2a.core.entities import Agent, Automation, OutboundMessage, Recipient, RecipientKind
from e2a.core.errors import SendingNotConfigured, TooLarge
from e2a.core.mail.compose import Letter, Part, compose
from e2a.core.mail.conversations import ConversationMac, new_id
from e2a.core.rules.drafts import Draft

from .inbound import RETENTION
from .ports import Cpu, Now
from .signing import SHARED_SENDER, SenderIdentity

#: Messages over this many octets are composed in the CPU pool.
INLINE_BYTES = 65_536


class Senders(Protocol):
    """``flows.signing.Signing`` as this flow sees it."""

    async def sender_for(self, agent: Agent) -> SenderIdentity: ...


class Recipients(Protocol):
    """``flows.directory.Directory`` as this flow sees it."""

    async def recipient(self, address: str) -> Recipient | None: ...


@dataclass(frozen=True, slots=True)
class Target:
    """One envelope recipient.

    :ivar local: the agent of this deployment that it reaches; None: by SMTP.
    """

    address: str
    kind: RecipientKind
    local: Recipient | None = None


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


class Composer:
    """:param system_address: whom the deployment's mail is from when it has no sender domain.
    :param sender_domain: the domain of the deployment's own mail; ``""`` when it has none.
    :param reaches_people: whether there is a way out for mail to people.
    :param kept: how long messages are kept.
    """

    def __init__(
        self,
        directory: Recipients,
        senders: Senders,
        cpu: Cpu,
        mac: ConversationMac,
        *,
        now: Now,
        random: ids.RandomBytes,
        system_address: str,
        sender_domain: str,
        reaches_people: bool,
        max_message_bytes: int,
        kept: timedelta = RETENTION,
    ) -> None:
        self._directory = directory
        self._senders = senders
        self._cpu = cpu
        self._mac = mac
        self._kept = kept
        self._now = now
        self._random = random
        self._system_address = system_address
        self._sender_domain = sender_domain
        self._reaches_people = reaches_people
        self._max_message_bytes = max_message_bytes

    def own_addresses(self, agent_id: str) -> frozenset[str]:
        """The addresses that lead back to an agent."""
        own = {agent_id}
        if self._sender_domain:
            own.add(f"{SHARED_SENDER}@{self._sender_domain}")
        return frozenset(own)

    async def prepare(self, agent: Agent, draft: Draft, *, held: OutboundMessage | None = None) -> Prepared:
        """Compose an agent's draft and find out where its recipients are. Nothing is stored.

        :param held: the stored message that this is a new version of: it keeps its ids.
        :raises SendingNotConfigured: it goes to people, and there is no way out.
        :raises TooLarge: the message is over the limit.
        :raises Unavailable: the database cannot be asked.
        """
        targets = tuple([Target(*one, await self._directory.recipient(one[0])) for one in draft.recipients.envelope()])
        if draft.message_type == "test":
            identity = self.system_identity("noreply", "e2a")
        elif any(target.local is None for target in targets):
            identity = await self._senders.sender_for(agent)
        else:
            # Nobody outside will judge the domain.
            identity = SenderIdentity(agent.id, agent.name, None)
        return await self.composed(agent.id, agent.organisation_id, draft, targets, identity, held)

    def system_identity(self, local: str, name: str) -> SenderIdentity:
        """Whom the deployment's own mail is from."""
        address = f"{local}@{self._sender_domain}" if self._sender_domain else self._system_address
        return SenderIdentity(address, name, None)

    async def composed(
        self,
        agent_id: str,
        organisation_id: str,
        draft: Draft,
        targets: tuple[Target, ...],
        identity: SenderIdentity,
        held: OutboundMessage | None = None,
    ) -> Prepared:
        """As ``prepare``, for given recipients and sender."""
        if not self._reaches_people and any(target.local is None for target in targets):
            raise SendingNotConfigured
        now = self._now()
        moment = datetime.fromtimestamp(now, UTC)
        conversation_id = draft.conversation_id if held is None else held.conversation_id
        new_conversation = conversation_id is None
        conversation_id = conversation_id or new_id(self._random)
        if held is None:
            email_message_id = f"<{self._random(16).hex()}@{identity.from_address.rpartition('@')[2]}>"
        else:
            email_message_id = held.email_message_id
        letter = Letter(
            from_address=identity.from_address,
            from_name=identity.display_name,
            to=draft.recipients.to,
            cc=draft.recipients.cc,
            subject=draft.subject,
            text=draft.text,
            html=draft.html,
            parts=tuple(Part(file.filename, file.content_type, file.data) for file in draft.files),
            message_id=email_message_id,
            date=moment,
            reply_to=identity.reply_to or "",
            in_reply_to=draft.in_reply_to,
            references=draft.references,
            conversation_id=conversation_id,
            conversation_mac=self._mac.make(conversation_id, identity.from_address, now),
            auto_submitted=draft.auto,
            entity=draft.entity,
        )
        raw, body_hash = await self._written(letter)
        message = OutboundMessage(
            id=ids.message_id(now, self._random),
            agent_id=agent_id,
            organisation_id=organisation_id,
            status="queued",
            message_type=draft.message_type,
            sender=identity.from_address,
            to=draft.recipients.to,
            cc=draft.recipients.cc,
            bcc=draft.recipients.bcc,
            subject=draft.subject,
            email_message_id=email_message_id,
            conversation_id=conversation_id,
            in_reply_to=draft.in_reply_to,
            raw_id=ids.prefixed_by_time("raw", now, self._random),
            size=len(raw),
            created_at=moment,
            expires_at=moment + self._kept,
            method="smtp" if any(target.local is None for target in targets) else "loopback",
            on_behalf_of=draft.on_behalf_of,
            automation=Automation(True, ("auto_submitted",)) if draft.auto else Automation(),
        )
        if held is not None:
            message = replace(
                message,
                id=held.id,
                created_at=held.created_at,
                expires_at=held.expires_at,
                sent_status=held.sent_status,
                approval_expires_at=held.approval_expires_at,
                expiration_action=held.expiration_action,
                reviewed_at=held.reviewed_at,
                edited=held.edited,
            )
        return Prepared(
            message,
            raw,
            body_hash,
            targets,
            reply_to=identity.reply_to or "",
            new_conversation=new_conversation,
            replaces=None if held is None else held.raw_id,
            answers=draft.answers,
        )

    async def _written(self, letter: Letter) -> tuple[bytes, str]:
        """The message and its SHA-256 in hexadecimal.

        :raises TooLarge: it is over the limit.
        """
        too_large = TooLarge(f"a message can have at most {self._max_message_bytes} bytes")
        size = len(letter.entity) + len(letter.text) + len(letter.html) + sum(len(part.data) for part in letter.parts)
        if size > self._max_message_bytes:
            raise too_large
        raw, body_hash = (
            await self._cpu.run(_written, letter, self._random)
            if size > INLINE_BYTES
            else _written(letter, self._random)
        )
        if len(raw) > self._max_message_bytes:
            raise too_large
        return raw, body_hash


def _written(letter: Letter, random: ids.RandomBytes) -> tuple[bytes, str]:
    raw = compose(letter, random)
    return raw, hashlib.sha256(raw).hexdigest()
