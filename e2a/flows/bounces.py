"""Reports about undeliverable mail: whose they are, and what they change.

A report counts when it comes to a return path of ours (``core.trust.bouncetoken``), or when it comes from the null
sender, returns the Message-ID of a message that the agent sent, and names a recipient of it. Every other report is
ordinary mail. Even one that counts touches only recipients to whom that very message went.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twisted.logger import Logger

from e2a.core.entities import Envelope, Recipient
from e2a.core.mail import dsn
from e2a.core.mail.conversations import quoted
from e2a.core.mail.dsn import Report
from e2a.core.mail.headers import HeaderBlock
from e2a.core.trust.bouncetoken import BounceTokens
from e2a.store import bounces, suppressions
from e2a.store.bounces import Bounced, Sent
from e2a.store.rows import Cursor

from .ports import Cpu, Metrics, Transactions

#: Messages over this many octets are taken apart in the CPU pool.
INLINE_BYTES = 65_536
#: The reason that the list of suppressed addresses shows.
HARD_BOUNCE = "hard_bounce"


class Bounces:
    """:param sender_domain: the deployment's own sending domain; "" when there is none."""

    _log = Logger()

    def __init__(
        self, database: Transactions, tokens: BounceTokens, cpu: Cpu, metrics: Metrics, *, sender_domain: str
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._cpu = cpu
        self._metrics = metrics
        self._sender_domain = sender_domain

    def ours(self, address: str) -> bool:
        """Whether this is a return path made here. Costs one MAC, and that only for addresses that look like one."""
        return self._tokens.message_of(address) is not None

    async def recipient(self, address: str) -> Recipient | None:
        """Who receives what comes to a return path of ours: the agent that sent the message.

        :returns: None when the message is gone or its domain is not hosted any more.
        :raises Unavailable: the database cannot be asked now.
        """
        found = self._tokens.message_of(address)
        if found is None:
            return None
        message_id, domain = found
        own = domain == self._sender_domain
        agent_id = await self._database.run("return path", bounces.addressee, message_id, domain, own)
        return None if agent_id is None else Recipient(address, agent_id)

    def may_report(self, envelope: Envelope, block: HeaderBlock) -> bool:
        """Whether a message is worth a ``take``: most mail is not."""
        if not envelope.mail_from and _may_report(block):
            return True
        return any(self.ours(recipient.address) for recipient in envelope.recipients)

    async def take(self, envelope: Envelope, raw: bytes, block: HeaderBlock) -> dict[str, str | None]:
        """Record what a message reports, if it is a report that counts. Taking it twice changes nothing.

        :returns: for each agent that receives a report about its own message, that message's conversation.
        :raises Unavailable: the database cannot be asked now; nothing was recorded, or it is not known.
        """
        if not self.may_report(envelope, block):
            return {}
        tokens = [self._tokens.message_of(recipient.address) for recipient in envelope.recipients]
        message_ids = [token[0] for token in tokens if token is not None]
        if len(raw) > INLINE_BYTES:
            report = await self._cpu.run(dsn.read, raw, block)
        else:
            report = dsn.read(raw, block)
        if report is None or not (message_ids or report.failures):
            return {}
        agent_ids = [recipient.agent_id for recipient in envelope.recipients]
        proved, null_sender = frozenset(message_ids), not envelope.mail_from
        taken = await self._database.run("bounce", _record, proved, agent_ids, report, null_sender)
        for one in taken:
            if one.bounced:
                self._metrics.count("bounced_recipients", one.bounced - one.hard, kind="soft")
                self._metrics.count("bounced_recipients", one.hard, kind="hard")
                self._log.info(
                    "message {message_id}: {bounced} recipients bounced, {hard} of them for good",
                    message_id=one.message.id,
                    bounced=one.bounced,
                    hard=one.hard,
                )
        return {one.message.agent_id: one.message.conversation_id for one in taken}


@dataclass(frozen=True, slots=True)
class _Taken:
    """What a report changed at one message: recipients that newly bounced, and those of them that are suppressed."""

    message: Sent
    bounced: int
    hard: int


async def _record(
    cur: Cursor, proved: frozenset[str], agent_ids: Sequence[str], report: Report, null_sender: bool
) -> list[_Taken]:
    """:param proved: messages to whose return path the report came."""
    wanted = set(proved)
    if null_sender and report.message_ids:
        forms = {one.id for one in quoted(report.message_ids)}
        wanted |= set(await bounces.sent_with(cur, agent_ids, sorted(forms)))
    taken = []
    for message in await bounces.lock_sent(cur, sorted(wanted), agent_ids):
        bounced, hard = _matched(report, await bounces.recipients_by_smtp(cur, message.id), message.id in proved)
        if not bounced and message.id not in proved:
            continue
        changed = await bounces.record_bounces(cur, message.id, bounced) if bounced else []
        suppress = sorted(hard.intersection(changed))
        if suppress:
            await suppressions.add_suppressions(cur, message.organisation_id, suppress, HARD_BOUNCE, message.id)
        taken.append(_Taken(message, len(changed), len(suppress)))
    return taken


def _matched(report: Report, written_to: Sequence[str], proved: bool) -> tuple[list[Bounced], set[str]]:
    """Which of the addresses that were written to a report gives up, and which of them for good."""
    bounced: dict[str, Bounced] = {}
    hard: set[str] = set()
    for failure in report.failures:
        named = next((address for address in failure.addresses if address in written_to), None)
        if named is not None:
            address = named
        elif proved and len(written_to) == 1:
            # It was forwarded, and the dead end is further on: that says nothing for sure about this address.
            address = written_to[0]
        else:
            continue
        bounced.setdefault(address, Bounced(address, failure.code, f"{failure.status} {failure.text}".strip()))
        if failure.hard and named is not None:
            hard.add(address)
    return list(bounced.values()), hard


def _may_report(block: HeaderBlock) -> bool:
    """Whether a message from the null sender is worth taking apart."""
    kind = block.first(b"content-type")
    if kind is None or block.first(b"x-failed-recipients") is not None:
        return True
    value = kind.unfolded[:100].lower()
    return value.startswith((b"multipart/report", b"text/plain", b"multipart/mixed"))
