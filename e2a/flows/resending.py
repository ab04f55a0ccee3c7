"""Sending a message once more whose outcome is unknown, or a failure: somebody decides to risk a second copy.

The gateway never does so by itself, beside the one late repetition that the operator may have configured. What goes
out are the stored bytes with their Message-ID, by which a recipient's server or program can know a second copy.
"""

from __future__ import annotations

from dataclasses import replace

from e2a.core.entities import OutboundMessage, Principal
from e2a.core.errors import Conflict, Forbidden, NotFound, RecipientSuppressed, SendingNotConfigured
from e2a.core.rules import limits as rules
from e2a.core.rules.idempotency import Once
from e2a.store import admission, audit, idempotency, resending
from e2a.store import outbound as store
from e2a.store.admission import Candidate
from e2a.store.rows import Cursor

from .handover import Delegated, nobody_delegates
from .outcomes import Outcomes, Submitted, load_submitted
from .ports import Transactions
from .quotas import count_message
from .scope import covers

#: Statuses of messages that nobody is known to have taken.
OPEN = ("unknown", "failed")


class Resending:
    """:param reaches_people: whether there is a way out for mail to people.
    :param limit: how many messages one agent may send; these count as well.
    :param quotas: what every organisation may have unless it has quotas of its own.
    """

    def __init__(
        self,
        database: Transactions,
        outcomes: Outcomes,
        *,
        reaches_people: bool,
        limit: rules.Limit = rules.SEND,
        quotas: rules.Quotas | None = None,
        delegated: Delegated = nobody_delegates,
    ) -> None:
        self._database = database
        self._outcomes = outcomes
        self._reaches_people = reaches_people
        self._limit = limit
        self._quotas = quotas or rules.Quotas()
        self._delegated = delegated

    async def resend(
        self, principal: Principal, message_id: str, *, once: Once | None = None, wait: float = 0.0
    ) -> Submitted:
        """Put a message on its way again: one whose outcome is unknown to the recipients of which nothing is known, a
        failed one to all that refused it.

        :param message_id: our id, or either Message-ID.
        :param wait: seconds to wait for the outcome; however it ends, the message goes on.
        :raises NotFound: unknown, another organisation's, or of an agent beyond the credential's reach.
        :raises Conflict: its status is another, its late repetition is under way, its bytes were let go, or its agent's
            mail is reviewed by now.
        :raises Forbidden: the agent's domain is not verified.
        :raises SendingNotConfigured: there is no way out any more.
        :raises RecipientSuppressed: a recipient must not be written to.
        :raises TooManyRequests: the agent has sent too much.
        :raises QuotaExceeded: the organisation has sent as much today as it may.
        :raises KeyReuse: the request's key came with another request.
        """
        submitted = await self._database.run("resend", self._resend, principal, message_id, once)
        with self._outcomes.watch(submitted.message.id) as watch:
            # It may have changed before anybody watched.
            watch.wake()
            found = await watch.settled(submitted, wait)
        return replace(found, allowance=submitted.allowance)

    async def _resend(self, cur: Cursor, principal: Principal, message_id: str, once: Once | None) -> Submitted:
        if "@" in message_id and not message_id.startswith("<"):
            message_id = f"<{message_id}>"
        found = await store.find_outbound(cur, principal.organisation_id, message_id)
        if found is None or not await covers(cur, principal, found.agent_id):
            raise NotFound
        if once is not None and await idempotency.claim(cur, once, found.id) is not None:
            earlier = await load_submitted(cur, found.id)
            if earlier is None:
                raise NotFound
            return replace(earlier, replayed=True)
        # The agent's limit is locked before the message, as where a message is submitted.
        allowance = await self._admit(cur, found)
        message = await resending.lock_outbound(cur, found.id)
        if message is None:
            raise NotFound
        _check(message)
        if await resending.is_transmitting(cur, message.id):
            raise Conflict("this message is being sent once more at this moment: see first what comes of that")
        addresses = await resending.in_state(cur, message.id, message.status)
        await resending.requeue(cur, message.id, addresses)
        await audit.record(
            cur,
            principal,
            "message.resent",
            "message",
            message.id,
            agent=message.agent_id,
            status=message.status,
            recipients=len(addresses),
        )
        submitted = await load_submitted(cur, message.id)
        assert submitted is not None
        return replace(submitted, allowance=allowance)

    async def _admit(self, cur: Cursor, message: OutboundMessage) -> rules.Allowance:
        """Count the message, unless something stands in its way."""
        _check(message)
        if not self._reaches_people:
            raise SendingNotConfigured
        candidate = Candidate(
            organisation_id=message.organisation_id,
            agent_id=message.agent_id,
            recipients=await resending.in_state(cur, message.id, message.status),
            conversation_id=None,
            after_id=message.id,
        )
        (admitted,) = await admission.admit(cur, [candidate], self._limit, 1)
        agent = admitted.agent
        if agent is None:
            raise NotFound
        if not agent.domain_verified:
            raise Forbidden("the domain of this agent is not verified")
        if agent.hitl_enabled and message.reviewed_at is None:
            raise Conflict("mail of this agent is reviewed now, and this message was not: send it as a new message")
        if message.on_behalf_of and not any(await self._delegated(cur, [(agent.id, message.on_behalf_of)])):
            raise Conflict("the agent does not act any more for the person in whose name this message was written")
        if admitted.suppressed:
            names = list(admitted.suppressed)
            raise RecipientSuppressed(f"mail to {', '.join(names)} is suppressed", details={"recipients": names})
        admitted.allowance.check()
        await admission.count(cur, self._limit, [agent.id])
        await count_message(cur, agent.organisation_id, admitted.own_quota, self._quotas)
        return admitted.allowance


def _check(message: OutboundMessage) -> None:
    """:raises Conflict: the message cannot be sent again."""
    if message.status not in OPEN:
        raise Conflict(f"only a message that is unknown or failed can be sent again; this one is {message.status}")
    if message.raw_id is None:
        raise Conflict("the bytes of this message were let go: send it as a new message")
