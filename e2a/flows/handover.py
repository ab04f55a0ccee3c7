"""Mail between agents of one deployment: a copy of the same bytes in the recipient's mailbox, without SMTP.

Nobody has to be believed: who sends is known. The copy says so with the sender's own address, verified, as an agent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from e2a.core import ids
from e2a.core.entities import Facts, Recipient
from e2a.store import intake
from e2a.store.intake import IntakeMail, IntakeRow
from e2a.store.rows import Cursor

from .composing import Prepared
from .inbound import RETENTION
from .ports import Now

#: What the hand-over says of itself where mail from outside has SPF and DKIM results.
INTERNAL_CHECK = "spf=none; dkim=none; internal=pass"

#: ``(cur, agent_id, on_behalf_of)`` to the text of ``Facts.delegation``; ``""`` when the agent acts for nobody.
Delegated = Callable[[Cursor, str, str], Awaitable[str]]


#: ``(cur, agent_ids, size)`` to those of these agents that have no room for a message of that size.
Full = Callable[[Cursor, Iterable[str], int], Awaitable[frozenset[str]]]
#: Why a recipient has no copy.
Missed = Literal["gone", "full"]


async def nobody_is_full(cur: Cursor, agent_ids: Iterable[str], size: int) -> frozenset[str]:
    """A ``Full`` for when there are no quotas."""
    return frozenset()


async def nobody_delegates(cur: Cursor, agent_id: str, on_behalf_of: str) -> str:
    """A ``Delegated`` for when there are no delegations."""
    return ""


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

    async def deliver(self, cur: Cursor, prepared: Prepared) -> Mapping[str, Missed]:
        """A copy for each recipient that is an agent here. It stores the bytes as well, unless they go to people too,
        and then they must be stored already.

        It locks mailboxes, so nothing else may have been written for an agent in the transaction of ``cur``.

        :returns: the addresses that have no copy, and why.
        """
        local = [(target.address, target.local) for target in prepared.targets if target.local is not None]
        if not local:
            return {}
        full = await self._full(cur, [recipient.agent_id for _, recipient in local], len(prepared.raw))
        missed: dict[str, Missed] = {address: "full" for address, one in local if one.agent_id in full}
        local = [(address, one) for address, one in local if one.agent_id not in full]
        if not local:
            return missed
        message = prepared.message
        assert message.raw_id is not None
        # A test comes from the deployment, which is no agent.
        test = message.message_type == "test"
        facts = Facts(
            verified=True,
            sender=message.sender if test else message.agent_id,
            entity_type="human" if test else "agent",
            domain_check=INTERNAL_CHECK,
            body_hash=prepared.body_hash,
            delegation="" if test else await self._delegated(cur, message.agent_id, message.on_behalf_of),
        )
        rows = {address: self._copy(prepared, address, recipient, facts) for address, recipient in local}
        mail = IntakeMail(message.raw_id, prepared.raw, tuple(rows.values()), raw_stored=prepared.to_people)
        outcomes = await intake.store_group(cur, [mail], self._usage and not test)
        missed |= {address: "gone" for address, row in rows.items() if outcomes[row.id] is intake.Outcome.GONE}
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
            expires_at=moment + RETENTION,
            automation=message.automation,
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
