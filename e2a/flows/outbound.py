"""Sending: a checked draft becomes one stored message, held for review or on its way.

The message is composed before the transaction and stored in one: with its request's key, the count of its rate limit,
the copies for agents of this deployment and the jobs for everybody else. What is committed will be sent; what is not
was never promised.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from e2a.core import ids
from e2a.core.entities import Agent, OutboundMessage, OutboundRecipient, Principal
from e2a.core.errors import (
    NotFound,
    SendingNotConfigured,
)
from e2a.core.mail.conversations import ConversationMac
from e2a.core.rules import limits as rules
from e2a.core.rules.drafts import Draft
from e2a.core.rules.idempotency import Once
from e2a.store import idempotency, intake, suppressions
from e2a.store import outbound as store
from e2a.store.changes import tell
from e2a.store.retention import forget_raws
from e2a.store.rows import Cursor

from .composing import Composer, Prepared, Recipients, Senders, Target
from .grouping import Soon, at_once
from .handover import Delegated, Full, HandOver, Missed, nobody_delegates, nobody_is_full
from .inbound import RETENTION
from .outcomes import Outcomes, Submitted, load_submitted
from .ports import Cpu, Now, Transactions
from .scope import covers
from .submission import Submission, Submissions, check_domain, refuse

__all__ = ["Outbound", "Prepared", "Target"]

_MISSED: Mapping[Missed, tuple[int, str]] = {
    "gone": (550, "5.1.1 recipient not found"),
    "full": (552, "5.2.2 the mailbox is full"),
}

#: Told, in its transaction, of a message that is held: writes to those who decide.
Held = Callable[[Cursor, OutboundMessage, Agent], Awaitable[None]]


async def nobody_reviews(cur: Cursor, message: OutboundMessage, agent: Agent) -> None:
    """A ``Held`` for when nobody is told."""


class Outbound:
    """:param system_agent: the agent, with its organisation, in whose name the deployment itself writes.
    :param sender_domain: the domain of the deployment's own mail; ``""`` when it has none.
    :param reaches_people: whether there is a way out for mail to people.
    :param usage: whether messages that were sent write usage events.
    :param limit: how many messages one agent may send.
    :param quotas: what every organisation may have unless it has quotas of its own.
    :param full: which recipients of this deployment have no room for a message.
    :param held: told of every message that is held; may be set later.
    :param soon: see ``Grouped``.
    :param kept: how long messages are kept.
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
        limit: rules.Limit = rules.SEND,
        quotas: rules.Quotas | None = None,
        full: Full = nobody_is_full,
        delegated: Delegated = nobody_delegates,
        held: Held = nobody_reviews,
        soon: Soon = at_once,
        kept: timedelta = RETENTION,
    ) -> None:
        self._outcomes = outcomes
        self._system_agent, self._system_organisation = system_agent
        self._composer = Composer(
            directory,
            senders,
            cpu,
            mac,
            now=now,
            random=random,
            system_address=self._system_agent,
            sender_domain=sender_domain,
            reaches_people=reaches_people,
            max_message_bytes=max_message_bytes,
            kept=kept,
        )
        self._hand_over = HandOver(delegated, now=now, random=random, usage=usage, full=full)
        self._usage = usage
        self.held = held
        self._submissions = Submissions(
            database, self._release, self._hold, delegated, limit=limit, quotas=quotas or rules.Quotas(), soon=soon
        )
        #: Whether the deployment itself can write to people.
        self.sends_system_mail = reaches_people and bool(sender_domain)
        #: The addresses that lead back to an agent, by its id.
        self.own_addresses = self._composer.own_addresses

    # --- submitting ---------------------------------------------------------------------------------------------------

    async def submit(self, agent: Agent, draft: Draft, *, once: Once | None = None, wait: float = 0.0) -> Submitted:
        """Store a message: held when the agent's mail is reviewed, else on its way.

        :param wait: seconds to wait for the outcome; however it ends, what was stored goes on.
        :raises Forbidden: the agent's domain is not verified.
        :raises BadRequest: it is on behalf of somebody who has not agreed to that.
        :raises SendingNotConfigured: it goes to people, and there is no way out.
        :raises RecipientSuppressed: a recipient must not be written to.
        :raises TooManyRequests: the agent has sent too much, or too much into this conversation.
        :raises QuotaExceeded: the organisation has sent as much today as it may.
        :raises TooLarge: the message is over the limit.
        :raises KeyReuse: the request's key came with another request.
        :raises NotFound: the agent was deleted meanwhile.
        """
        check_domain(agent)
        prepared = await self.prepare(agent, draft)
        with self._outcomes.watch(prepared.message.id) as watch:
            submitted = await self._submissions.store(Submission(agent, prepared, once))
            if not submitted.replayed:
                return replace(await watch.settled(submitted, wait), allowance=submitted.allowance)
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
        return None if message_id is None else await self.made(cur, principal, message_id)

    async def made(self, cur: Cursor, principal: Principal, message_id: str) -> Submitted:
        """What an earlier request made.

        :raises NotFound: it is gone, or beyond the caller's reach.
        """
        found = await load_submitted(cur, message_id)
        if found is None or not await covers(cur, principal, found.message.agent_id):
            raise NotFound
        return replace(found, replayed=True)

    async def _hold(self, cur: Cursor, group: Sequence[tuple[Prepared, Agent]]) -> list[Submitted]:
        """Store messages that wait for a decision."""
        held: list[tuple[OutboundMessage, Agent]] = []
        raws: dict[str, bytes] = {}
        for prepared, agent in group:
            message = prepared.message
            assert message.raw_id is not None
            raws[message.raw_id] = prepared.raw
            expires = message.created_at + timedelta(seconds=agent.hitl_ttl_seconds)
            message = replace(
                message,
                status="pending_approval",
                approval_expires_at=expires,
                expiration_action=agent.hitl_expiration_action,
            )
            held.append((message, agent))
        if held:
            await intake.add_raws(cur, raws)
            await store.add_outbound(cur, [message for message, _ in held])
            # For those who watch the queue of reviews.
            await tell(cur, "outbound", [message.id for message, _ in held])
        for message, agent in held:
            await self.held(cur, message, agent)
        return [Submitted(message) for message, _ in held]

    async def prepare(self, agent: Agent, draft: Draft, *, held: OutboundMessage | None = None) -> Prepared:
        """Compose a draft; see ``Composer.prepare``."""
        return await self._composer.prepare(agent, draft, held=held)

    # --- releasing ----------------------------------------------------------------------------------------------------

    async def release(self, cur: Cursor, prepared: Prepared) -> Submitted:
        """Store a message and send it on its way, in the transaction of ``cur``: copies for agents of this deployment,
        jobs for the rest. Of a message that was held the row is replaced; whoever calls has locked it and made sure
        that nobody else decides.

        :raises RecipientSuppressed: a recipient must not be written to.
        """
        addresses = [target.address for target in prepared.targets]
        refuse(await suppressions.suppressed_among(cur, prepared.message.organisation_id, addresses))
        (submitted,) = await self._release(cur, [prepared])
        return submitted

    async def _release(self, cur: Cursor, group: Sequence[Prepared]) -> list[Submitted]:
        if not group:
            return []
        raws = {one.message.raw_id: one.raw for one in group if one.to_people and one.message.raw_id is not None}
        if raws:
            await intake.add_raws(cur, raws)
        # Mailboxes are locked before anything else is written for an agent.
        missed = await self._hand_over.deliver(cur, group)
        submitted = [_sent(prepared, missed[prepared.message.id]) for prepared in group]
        if self._usage:
            arrived = [one.message for one in submitted if one.message.status == one.message.sent_status]
            used = [message for message in arrived if message.message_type != "test"]
            if used:
                await store.count_use(cur, used)
        new = [one.message for one, prepared in zip(submitted, group, strict=True) if prepared.replaces is None]
        if new:
            await store.add_outbound(cur, new)
        for one, prepared in zip(submitted, group, strict=True):
            if prepared.replaces is not None:
                await store.replace_outbound(cur, one.message)
                await forget_raws(cur, [prepared.replaces])
        await store.queue(cur, {one.message.id: one.recipients for one in submitted})
        return submitted

    # --- the deployment's own mail ------------------------------------------------------------------------------------

    async def system_mail(self, cur: Cursor, draft: Draft, *, local: str = "noreply", name: str = "e2a") -> Submitted:
        """Write in the deployment's own name, in the transaction of ``cur``. Never held, never limited.

        The message belongs to the operator: an agent cannot read it, whatever it is about.

        :param local: the local part of the From address, on the sender domain.
        :raises SendingNotConfigured: the deployment cannot write to people; see ``sends_system_mail``.
        """
        if not self.sends_system_mail:
            raise SendingNotConfigured
        identity = self._composer.system_identity(local, name)
        targets = tuple(Target(*one) for one in draft.recipients.envelope())
        draft = replace(draft, auto="auto-generated")
        prepared = await self._composer.composed(
            self._system_agent, self._system_organisation, draft, targets, identity
        )
        return await self.release(cur, prepared)


def _sent(prepared: Prepared, missed: Mapping[str, Missed]) -> Submitted:
    """How a message stands that was just released."""
    message, recipients = prepared.message, tuple(_state(target, missed) for target in prepared.targets)
    if not prepared.to_people:
        # Its outcome is known, and the copies alone hold the bytes.
        arrived = any(recipient.state == "sent" for recipient in recipients)
        message = replace(message, status=message.sent_status if arrived else "failed", raw_id=None)
    return Submitted(message, recipients)


def _state(target: Target, missed: Mapping[str, Missed]) -> OutboundRecipient:
    if target.local is None:
        return OutboundRecipient(target.address, target.kind, "smtp")
    if target.address in missed:
        code, reply = _MISSED[missed[target.address]]
        return OutboundRecipient(target.address, target.kind, "loopback", state="failed", code=code, reply=reply)
    return OutboundRecipient(target.address, target.kind, "loopback", state="sent")
