"""Mail between agents of one deployment: a copy of the same bytes in the recipient's mailbox, without SMTP.

Nobody has to be believed: who sends is known. The copy says so with the sender's own address, verified, as an agent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from e2a.core import ids
from e2a.core.entities import Facts, Recipient
from e2a.store import intake
from e2a.store.intake import IntakeMail, IntakeRow
from e2a.store.rows import Cursor

from .composing import Prepared
from .ports import Now

#: What the hand-over says of itself where mail from outside has SPF and DKIM results.
INTERNAL_CHECK = "spf=none; dkim=none; internal=pass"

#: ``(cur, [(agent_id, on_behalf_of), ...])`` to the text of ``Facts.delegation`` for each; ``""`` for an agent that
#: acts for nobody.
Delegated = Callable[[Cursor, Sequence[tuple[str, str]]], Awaitable[list[str]]]


#: ``(cur, agent_ids, size)`` to those of these agents that have no room for a message of that size.
Full = Callable[[Cursor, Iterable[str], int], Awaitable[frozenset[str]]]
#: Why a recipient has no copy.
Missed = Literal["gone", "full"]


async def nobody_is_full(cur: Cursor, agent_ids: Iterable[str], size: int) -> frozenset[str]:
    """A ``Full`` for when there are no quotas."""
    return frozenset()


async def nobody_delegates(cur: Cursor, wanted: Sequence[tuple[str, str]]) -> list[str]:
    """A ``Delegated`` for when there are no delegations."""
    return [""] * len(wanted)


class HandOver:
    """:param usage: whether each copy writes a usage event, as received mail does.
    :param full: which recipients have no room.
    """

    def __init__(
        self,
        delegated: Delegated,
        *,
        now: Now,
        random: ids.RandomBytes,
        usage: bool,
        full: Full = nobody_is_full,
    ) -> None:
        self._full = full
        self._delegated = delegated
        self._now = now
        self._random = random
        self._usage = usage

    async def deliver(self, cur: Cursor, group: Sequence[Prepared]) -> dict[str, dict[str, Missed]]:
        """Of each message a copy for each recipient that is an agent here. It stores the bytes as well, unless they go
        to people too, and then they must be stored already.

        It locks mailboxes, so nothing else may have been written for an agent in the transaction of ``cur``.

        :param group: a test stands alone.
        :returns: by message id the addresses that have no copy, and why.
        """
        missed: dict[str, dict[str, Missed]] = {prepared.message.id: {} for prepared in group}
        local = [prepared for prepared in group if any(target.local is not None for target in prepared.targets)]
        if not local:
            return missed
        # A test comes from the deployment, which is no agent.
        agents = [prepared.message for prepared in local if prepared.message.message_type != "test"]
        texts = await self._delegated(cur, [(message.agent_id, message.on_behalf_of) for message in agents])
        delegations = {message.id: text for message, text in zip(agents, texts, strict=True)}
        mails: dict[str, IntakeMail] = {}
        for prepared in local:
            message = prepared.message
            reached = {target.address: target.local for target in prepared.targets if target.local is not None}
            full = await self._full(cur, [one.agent_id for one in reached.values()], len(prepared.raw))
            missed[message.id] = {address: "full" for address, one in reached.items() if one.agent_id in full}
            facts = _facts(prepared, delegations.get(message.id, ""))
            rows = tuple(
                self._copy(prepared, address, recipient, facts)
                for address, recipient in reached.items()
                if recipient.agent_id not in full
            )
            if rows:
                assert message.raw_id is not None
                mails[message.id] = IntakeMail(message.raw_id, prepared.raw, rows, raw_stored=prepared.to_people)
        if mails:
            outcomes = await intake.store_group(cur, list(mails.values()), self._usage and bool(agents))
            for message_id, mail in mails.items():
                gone = (row.recipient for row in mail.rows if outcomes[row.id] is intake.Outcome.GONE)
                missed[message_id] |= dict.fromkeys(gone, "gone")
        return missed

    def _copy(self, prepared: Prepared, address: str, recipient: Recipient, facts: Facts) -> IntakeRow:
        message, now = prepared.message, self._now()
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
            # For as long as the sender's own.
            expires_at=moment + (message.expires_at - message.created_at),
            automation=message.automation,
        )


def _facts(prepared: Prepared, delegation: str) -> Facts:
    message = prepared.message
    test = message.message_type == "test"
    return Facts(
        verified=True,
        sender=message.sender if test else message.agent_id,
        entity_type="human" if test else "agent",
        domain_check=INTERNAL_CHECK,
        body_hash=prepared.body_hash,
        delegation=delegation,
    )


def _internal(sender: str) -> dict[str, Any]:
    """What ``authentication`` says of a message that never left the deployment."""
    return {
        "spf": {"result": "none", "domain": "", "client_ip": ""},
        "dkim": [],
        "dmarc": {"result": "none", "policy": None, "domain": sender.rpartition("@")[2]},
        "arc": {"result": "none", "instances": 0, "sealer": None},
        "internal": {"result": "pass"},
    }
