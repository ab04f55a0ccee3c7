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
from e2a.core.errors import BadRequest, Forbidden, NotFound, RecipientSuppressed, SendingNotConfigured, TooManyRequests
from e2a.core.mail.conversations import ConversationMac
from e2a.core.rules import limits as rules
from e2a.core.rules.drafts import Draft
from e2a.core.rules.idempotency import Once
from e2a.core.rules.limits import Allowance
from e2a.store import admission, conversations, idempotency, intake, limits, suppressions
from e2a.store import outbound as store
from e2a.store.admission import Admission, Candidate
from e2a.store.changes import tell
from e2a.store.retention import forget_raws
from e2a.store.rows import Cursor

from .composing import Composer, Prepared, Recipients, Senders, Target
from .handover import Delegated, Full, HandOver, Missed, nobody_delegates, nobody_is_full
from .outcomes import Outcomes, Submitted, load_submitted
from .ports import Cpu, Now, Transactions
from .quotas import count_message
from .scope import covers

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
    ) -> None:
        self._database = database
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
        )
        self._delegated = delegated
        self._hand_over = HandOver(delegated, now=now, random=random, usage=usage, full=full)
        self._limit = limit
        self._quotas = quotas or rules.Quotas()
        self._usage = usage
        self.held = held
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
        _check_domain(agent)
        prepared = await self.prepare(agent, draft)
        with self._outcomes.watch(prepared.message.id) as watch:
            submitted = await self._database.run("submit", self._submit, agent, prepared, once)
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
        if message_id is None:
            return None
        found = await load_submitted(cur, message_id)
        if found is None or not await covers(cur, principal, found.message.agent_id):
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
        current, allowance = await self._admit(cur, agent, prepared)
        held = current.hitl_enabled
        submitted = await (self._hold(cur, current, prepared) if held else self._release(cur, prepared))
        if prepared.answers and message.conversation_id is not None:
            await conversations.adopt(cur, agent.id, prepared.answers, message.conversation_id)
        return replace(submitted, allowance=allowance)

    async def _admit(self, cur: Cursor, agent: Agent, prepared: Prepared) -> tuple[Agent, Allowance]:
        """Count the message, unless something stands in its way.

        :returns: the agent as it is now, and how it stands with its limit.
        :raises: what ``submit`` says.
        """
        message = prepared.message
        since = message.created_at - timedelta(seconds=rules.CONVERSATION_SECONDS)
        found = await admission.admit(
            cur,
            Candidate(
                organisation_id=agent.organisation_id,
                agent_id=agent.id,
                recipients=[target.address for target in prepared.targets],
                conversation_id=None if prepared.new_conversation else message.conversation_id,
                after_id=store.later_than(since),
                most=rules.CONVERSATION_SENDS,
            ),
            self._limit,
        )
        if found.agent is None:
            raise NotFound
        _check_domain(found.agent)
        if message.on_behalf_of and not await self._delegated(cur, agent.id, message.on_behalf_of):
            raise BadRequest("the agent does not act for this person", field="on_behalf_of")
        found.allowance.check()
        _break_loop(message, found)
        # Also before it is held: what cannot be sent now is not put before a reviewer.
        _refuse(found.suppressed)
        if prepared.answers and prepared.new_conversation:
            # A program that answers everything, and whose mail joins no conversation, is known by its address alone.
            limit = rules.AUTO_ANSWERS if message.automation.is_auto else rules.ANSWERS
            await limits.charge(cur, limit, f"{agent.id} {next(iter((*message.to, *message.cc)))}")
        if message.message_type != "test":
            await count_message(cur, agent.organisation_id, found.own_quota, self._quotas)
        return found.agent, found.allowance

    async def _hold(self, cur: Cursor, agent: Agent, prepared: Prepared) -> Submitted:
        message = replace(
            prepared.message,
            status="pending_approval",
            approval_expires_at=prepared.message.created_at + timedelta(seconds=agent.hitl_ttl_seconds),
            expiration_action=agent.hitl_expiration_action,
        )
        assert message.raw_id is not None
        await intake.add_raw(cur, message.raw_id, prepared.raw)
        await store.add_outbound(cur, message)
        # For those who watch the queue of reviews.
        await tell(cur, "outbound", [message.id])
        await self.held(cur, message, agent)
        return Submitted(message)

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
        _refuse(await suppressions.suppressed_among(cur, prepared.message.organisation_id, addresses))
        return await self._release(cur, prepared)

    async def _release(self, cur: Cursor, prepared: Prepared) -> Submitted:
        message = prepared.message
        assert message.raw_id is not None
        if prepared.to_people:
            await intake.add_raw(cur, message.raw_id, prepared.raw)
        # Mailboxes are locked before anything else is written for an agent.
        missed = await self._hand_over.deliver(cur, prepared)
        recipients = tuple(_state(target, missed) for target in prepared.targets)
        if not prepared.to_people:
            # Its outcome is known, and the copies alone hold the bytes.
            arrived = any(recipient.state == "sent" for recipient in recipients)
            message = replace(message, status=message.sent_status if arrived else "failed", raw_id=None)
            if arrived and self._usage and message.message_type != "test":
                await store.count_use(cur, message)
        if prepared.replaces is None:
            await store.add_outbound(cur, message)
        else:
            await store.replace_outbound(cur, message)
            await forget_raws(cur, [prepared.replaces])
        await store.queue(cur, message.id, recipients)
        return Submitted(message, recipients)

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


def _check_domain(agent: Agent) -> None:
    if not agent.domain_verified:
        raise Forbidden("the domain of this agent is not verified")


def _break_loop(message: OutboundMessage, found: Admission) -> None:
    """Two programs that answer each other stop here.

    :raises TooManyRequests: the agent has sent enough into this conversation for now.
    """
    if message.automation.is_auto and found.automatic >= rules.CONVERSATION_AUTO_SENDS:
        raise TooManyRequests(
            "an agent sends one automatic message an hour into a conversation",
            retry_after=rules.CONVERSATION_SECONDS,
        )
    if found.sent >= rules.CONVERSATION_SENDS:
        raise TooManyRequests(
            f"an agent sends at most {rules.CONVERSATION_SENDS} messages an hour into a conversation",
            retry_after=rules.CONVERSATION_SECONDS,
        )


def _refuse(suppressed: Sequence[str]) -> None:
    """:raises RecipientSuppressed: there are any."""
    if suppressed:
        addresses = list(suppressed)
        raise RecipientSuppressed(f"mail to {', '.join(addresses)} is suppressed", details={"recipients": addresses})


def _state(target: Target, missed: Mapping[str, Missed]) -> OutboundRecipient:
    if target.local is None:
        return OutboundRecipient(target.address, target.kind, "smtp")
    if target.address in missed:
        code, reply = _MISSED[missed[target.address]]
        return OutboundRecipient(target.address, target.kind, "loopback", state="failed", code=code, reply=reply)
    return OutboundRecipient(target.address, target.kind, "loopback", state="sent")
