"""receive → verify → thread → store: what happens between the end of DATA and the 250.

Delivery starts from the committed rows (``workers.deliveries``, ``flows.live``), never from here.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Protocol

from e2a.core import ids
from e2a.core.entities import Automation, Envelope, Facts, Recipient
from e2a.core.errors import HeaderTooLarge, MailLoop, UnknownRecipient
from e2a.core.mail.automation import classify
from e2a.core.mail.conversations import Thread
from e2a.core.mail.headers import HeaderBlock, header_size, scan
from e2a.core.mail.message import MAX_HOPS, ParsedMessage, kept_bytes, parse
from e2a.core.mail.trace import trace_header
from e2a.core.trust.verdict import Verdict
from e2a.store.intake import IntakeMail, IntakeRow, Outcome

from .answers import MISS
from .bounces import Bounces
from .directory import Directory
from .intake import ALONE_BYTES, GroupIntake
from .ports import Cpu, Metrics, Now
from .quotas import Storage
from .threading import Threading

#: A header section over this is refused; other large servers draw the same line.
MAX_HEADER_BYTES = 256 * 2**10
#: From here on reading it could hold the reactor for milliseconds.
BIG_HEADER_BYTES = 16 * 2**10

#: Unless the deployment says otherwise.
RETENTION = timedelta(days=30)


class Judge(Protocol):
    """``verify.verifier.Verifier`` as this flow sees it."""

    async def verify(self, envelope: Envelope, raw: bytes, block: HeaderBlock) -> Verdict: ...


class Inbound:
    """The ``ports.Intake`` of this gateway.

    :param hostname: our name in ``Received`` and our authserv-id.
    :param storage: whether there is room for mail; None: there always is.
    """

    def __init__(
        self,
        directory: Directory,
        judge: Judge,
        threading: Threading,
        bounces: Bounces,
        intake: GroupIntake,
        cpu: Cpu,
        metrics: Metrics,
        *,
        hostname: str,
        now: Now,
        random: ids.RandomBytes,
        storage: Storage | None = None,
        kept: timedelta = RETENTION,
    ) -> None:
        self._directory = directory
        self._judge = judge
        self._threading = threading
        self._bounces = bounces
        self._intake = intake
        self._cpu = cpu
        self._metrics = metrics
        self._hostname = hostname
        self._now = now
        self._random = random
        self._storage = storage
        self._kept = kept

    async def recipient(self, address: str) -> Recipient | None:
        """Whom a RCPT address reaches: an agent by its own address, or the one that sent a message by its return path.

        :raises MailboxFull: its organisation keeps as much mail as it may.
        :raises Unavailable: the database cannot be asked.
        """
        if self._bounces.ours(address):
            found = await self._bounces.recipient(address)
        else:
            known = self._directory.cached_recipient(address)
            found = await self._directory.recipient(address) if known is MISS else known
        if self._storage is not None and self._storage.limited:
            await self._storage.check_recipient(found)
        return found

    async def accept(self, envelope: Envelope, data: bytes) -> str:
        """Verify and store one message for every recipient, or for none.

        :param data: the un-stuffed DATA bytes, exactly as sent.
        :returns: the text for the 250 reply.
        :raises HeaderTooLarge: the header section is over 256 KiB.
        :raises MailLoop: the message has passed too many servers.
        :raises NeverFits: it is larger than all that any of its recipients may keep.
        :raises UnknownRecipient: every recipient's agent was deleted since its RCPT.
        :raises Unavailable: nothing was stored, or it is not known; the sender must try again.
        """
        size = header_size(data)
        if size > MAX_HEADER_BYTES:
            raise HeaderTooLarge()
        block, parsed = await self._cpu.run(_read, data) if size > BIG_HEADER_BYTES else _read(data)
        if parsed.hops > MAX_HOPS:
            raise MailLoop()
        if self._storage is not None and self._storage.limited:
            await self._storage.check_message(envelope, len(data))
        verdict = await self._judge.verify(envelope, data, block)
        trace = trace_header(envelope, self._hostname, verdict.authentication_results(self._hostname))
        arguments = (data, block, trace, self._hostname)
        raw = await self._cpu.run(kept_bytes, *arguments) if size > BIG_HEADER_BYTES else kept_bytes(*arguments)
        if len(raw) > ALONE_BYTES:
            body_hash, content = await self._cpu.run(_digests, raw, data)
        else:
            body_hash, content = _digests(raw, data)
        signs = classify(block, envelope.mail_from, verdict.sender)
        threads = await self._threads(envelope, data, block, parsed, verdict)
        mail = self._mail(envelope, parsed, verdict, signs, threads, raw, body_hash, content)
        outcomes = await self._intake.store(mail)
        if self._storage is not None:
            fresh = [row.agent_id for row in mail.rows if outcomes[row.id] is Outcome.STORED]
            self._storage.stored(fresh, len(raw))
        for outcome in outcomes.values():
            self._metrics.count("inbound_copies", outcome=outcome.value)
        if all(outcome is Outcome.GONE for outcome in outcomes.values()):
            raise UnknownRecipient()
        self._metrics.count("inbound_messages", verified=str(verdict.verified).lower())
        return f"OK {mail.rows[0].id}"

    async def _threads(
        self, envelope: Envelope, data: bytes, block: HeaderBlock, parsed: ParsedMessage, verdict: Verdict
    ) -> dict[str, Thread]:
        """Each agent's thread for the message; a report about a message belongs where that message does.

        What a report changes is recorded before it is stored: if storing fails it comes again, and changes nothing.
        """
        reported: dict[str, str | None] = {}
        if self._bounces.may_report(envelope, block):
            reported = await self._bounces.take(envelope, data, block)
        others = list(dict.fromkeys(one.agent_id for one in envelope.recipients if one.agent_id not in reported))
        threads = await self._threading.resolve(others, block, parsed, verdict)
        return threads | {agent_id: Thread(conversation) for agent_id, conversation in reported.items()}

    def _mail(
        self,
        envelope: Envelope,
        parsed: ParsedMessage,
        verdict: Verdict,
        signs: Automation,
        threads: dict[str, Thread],
        raw: bytes,
        body_hash: str,
        content: bytes,
    ) -> IntakeMail:
        now = self._now()
        created_at = datetime.fromtimestamp(now, UTC)
        expires_at, size = created_at + self._kept, len(raw)
        facts = Facts(
            verified=verdict.verified,
            sender=verdict.sender,
            entity_type=verdict.entity_type,
            domain_check=verdict.domain_check,
            body_hash=body_hash,
        )

        rows = []
        for recipient in envelope.recipients:
            thread = threads[recipient.agent_id]
            row = IntakeRow(
                id=ids.message_id(now, self._random),
                agent_id=recipient.agent_id,
                sender=verdict.sender,
                recipient=recipient.address,
                tag=recipient.tag,
                to=parsed.to,
                cc=parsed.cc,
                reply_to=parsed.reply_to,
                subject=parsed.subject,
                email_message_id=parsed.email_message_id,
                conversation_id=thread.conversation_id,
                facts=facts,
                authentication=verdict.authentication,
                defects=parsed.defects,
                size=size,
                created_at=created_at,
                expires_at=expires_at,
                fingerprint=_fingerprint(recipient.tag, verdict.verified, parsed.email_message_id, content),
                automation=signs,
                thread_hijack_suspected=thread.hijack_suspected,
            )
            rows.append(row)
        # The bytes are named after the first copy.
        return IntakeMail(raw_id=f"raw_{rows[0].id.removeprefix('msg_')}", raw=raw, rows=tuple(rows))


def _read(data: bytes) -> tuple[HeaderBlock, ParsedMessage]:
    block = scan(data)
    return block, parse(block)


def _digests(raw: bytes, data: bytes) -> tuple[str, bytes]:
    return hashlib.sha256(raw).hexdigest(), hashlib.sha256(data).digest()


def _fingerprint(tag: str, verified: bool, email_message_id: str, content: bytes) -> bytes | None:
    """What makes two transmissions to one agent the same; None where a repeat cannot be told from a second message.

    The verdict belongs to it: whoever knows the bytes could otherwise send them first, and the agent would only ever
    see the copy that nobody vouches for.
    """
    if not email_message_id:
        return None
    return hashlib.sha256(f"{tag}\0{verified}\0{email_message_id}\0".encode() + content).digest()
