"""Storing messages that are submitted: what was asked before is answered, what may not pass is refused, the rest is
counted and stored. All that arrives while a transaction runs shares the next one.

Locks are taken in one order by everybody: requests' keys, agents' limits, organisations' days, mailboxes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from e2a.core.entities import Agent, OutboundMessage
from e2a.core.errors import BadRequest, E2AError, Forbidden, NotFound, RecipientSuppressed, TooManyRequests
from e2a.core.rules import limits as rules
from e2a.core.rules.idempotency import Once
from e2a.store import admission, conversations, idempotency, limits
from e2a.store import outbound as store
from e2a.store.admission import Admission, Candidate
from e2a.store.database import Orphaned, Undone
from e2a.store.rows import Cursor

from .composing import Prepared
from .grouping import Grouped, Soon
from .handover import Delegated
from .outcomes import Submitted, load_submitted
from .ports import Transactions
from .quotas import count_messages

#: Messages over this many octets are stored in a transaction of their own.
ALONE_BYTES = 256 * 2**10
#: How long a group waits for a lock.
_PATIENCE = "SET LOCAL lock_timeout = '250ms'"

#: Stores messages in one transaction and sends them on their way.
Release = Callable[[Cursor, Sequence[Prepared]], Awaitable[list[Submitted]]]
#: Stores messages in one transaction, each with its agent, to wait for a decision.
Hold = Callable[[Cursor, Sequence[tuple[Prepared, Agent]]], Awaitable[list[Submitted]]]


@dataclass(frozen=True, slots=True)
class Submission:
    """A message that is to be stored."""

    agent: Agent
    prepared: Prepared
    once: Once | None

    @property
    def id(self) -> str:
        return self.prepared.message.id

    @property
    def alone(self) -> bool:
        """Whether it needs a transaction of its own: it is big, or one that only a rollback undoes."""
        prepared = self.prepared
        return len(prepared.raw) > ALONE_BYTES or _begins_thread(prepared) or prepared.message.message_type == "test"

    def octets(self) -> int:
        return len(self.prepared.raw)

    def marks(self) -> list[Hashable]:
        """What no two messages of one transaction have in common: the limit of each agent is counted once."""
        once = self.once
        return [self.agent.id] if once is None else [self.agent.id, (once.organisation_id, once.route, once.key)]


#: By message id.
_Answers = dict[str, Submitted | Exception]


class Submissions:
    """:param limit: how many messages one agent may send.
    :param quotas: what every organisation may have unless it has quotas of its own.
    :param soon: see ``Grouped``.
    """

    def __init__(
        self,
        database: Transactions,
        release: Release,
        hold: Hold,
        delegated: Delegated,
        *,
        limit: rules.Limit,
        quotas: rules.Quotas,
        soon: Soon,
    ) -> None:
        self._database = database
        self._release, self._hold, self._delegated = release, hold, delegated
        self._limit, self._quotas = limit, quotas
        self._grouped = Grouped(self._store_group, soon, apart=Submission.marks, size=Submission.octets)

    async def store(self, one: Submission) -> Submitted:
        """Store a message, or find what the same request stored before.

        :raises: what ``Outbound.submit`` says.
        """
        try:
            if not one.alone:
                try:
                    return await self._grouped.ask(one)
                except Undone:
                    # Somebody keeps a lock that one of the group needs. Each waits by itself, so that none waits for
                    # all.
                    pass
            return await self._database.run("submit", self._submit_alone, one)
        except Orphaned as error:
            # The agent was there when it was looked for.
            raise NotFound from error

    async def _store_group(self, group: Sequence[Submission]) -> list[Submitted | Exception]:
        return await self._database.run("submit", self._submit_group, group)

    async def _submit_group(self, cur: Cursor, group: Sequence[Submission]) -> list[Submitted | Exception]:
        cur.later(_PATIENCE)
        return await self._submit(cur, group)

    async def _submit_alone(self, cur: Cursor, one: Submission) -> Submitted:
        """As ``_submit``; a refusal undoes whatever was counted."""
        (answer,) = await self._submit(cur, [one])
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _submit(self, cur: Cursor, group: Sequence[Submission]) -> list[Submitted | Exception]:
        """Store messages of different agents, each by itself: one that is refused leaves nothing behind.

        :returns: for each of them, in order, how it stands, or why it is refused.
        """
        answers = await self._made_before(cur, group)
        fresh = [one for one in group if one.id not in answers]
        found = await self._look(cur, fresh)
        for one in fresh:
            try:
                await self._check(cur, one.prepared, found[one.id])
            except E2AError as error:
                answers[one.id] = error
        await self._count(cur, [one for one in fresh if one.id not in answers], found, answers)
        sent: list[Submission] = []
        held: list[tuple[Submission, Agent]] = []
        for one in fresh:
            agent = found[one.id].agent
            if one.id not in answers and agent is not None:
                if agent.hitl_enabled:
                    held.append((one, agent))
                else:
                    sent.append(one)
        # What is sent comes first: it locks mailboxes.
        stored = await self._release(cur, [one.prepared for one in sent])
        stored += await self._hold(cur, [(one.prepared, agent) for one, agent in held])
        for one, submitted in zip([*sent, *(one for one, _ in held)], stored, strict=True):
            answers[one.id] = replace(submitted, allowance=found[one.id].allowance)
            message, answered = one.prepared.message, one.prepared.answers
            if answered and message.conversation_id is not None:
                await conversations.adopt(cur, message.agent_id, answered, message.conversation_id)
        for one in fresh:
            if one.once is not None and isinstance(answers[one.id], Exception):
                await idempotency.give_back(cur, one.once)
        return [answers[one.id] for one in group]

    async def _made_before(self, cur: Cursor, group: Sequence[Submission]) -> _Answers:
        """Claim the requests' keys; answers those requests that were made before."""
        answers: _Answers = {}
        once = [(one.once, one.id) for one in group if one.once is not None]
        if once:
            for (_, message_id), earlier in zip(once, await idempotency.claim_all(cur, once), strict=True):
                if isinstance(earlier, str):
                    found = await load_submitted(cur, earlier)
                    answers[message_id] = NotFound() if found is None else replace(found, replayed=True)
                elif earlier is not None:
                    answers[message_id] = earlier
        return answers

    async def _look(self, cur: Cursor, group: Sequence[Submission]) -> dict[str, Admission]:
        """What stands in the way of these messages, by their ids."""
        if not group:
            return {}
        candidates = [
            Candidate(
                organisation_id=one.agent.organisation_id,
                agent_id=one.agent.id,
                recipients=[target.address for target in one.prepared.targets],
                conversation_id=None if one.prepared.new_conversation else one.prepared.message.conversation_id,
                after_id=store.later_than(
                    one.prepared.message.created_at - timedelta(seconds=rules.CONVERSATION_SECONDS)
                ),
            )
            for one in group
        ]
        found = await admission.admit(cur, candidates, self._limit, rules.CONVERSATION_SENDS)
        return {one.id: admitted for one, admitted in zip(group, found, strict=True)}

    async def _check(self, cur: Cursor, prepared: Prepared, found: Admission) -> None:
        """:raises: what ``submit`` says."""
        message = prepared.message
        if found.agent is None:
            raise NotFound
        check_domain(found.agent)
        if message.on_behalf_of and not any(await self._delegated(cur, [(message.agent_id, message.on_behalf_of)])):
            raise BadRequest("the agent does not act for this person", field="on_behalf_of")
        found.allowance.check()
        _break_loop(message, found)
        # Also before it is held: what cannot be sent now is not put before a reviewer.
        refuse(found.suppressed)
        if _begins_thread(prepared):
            # A program that answers everything, and whose mail joins no conversation, is known by its address alone.
            limit = rules.AUTO_ANSWERS if message.automation.is_auto else rules.ANSWERS
            await limits.charge(cur, limit, f"{message.agent_id} {next(iter((*message.to, *message.cc)))}")

    async def _count(
        self, cur: Cursor, passed: Sequence[Submission], found: Mapping[str, Admission], answers: _Answers
    ) -> None:
        """Count messages for their organisations' quotas and their agents' limits; answers those over a quota."""
        counted = [one for one in passed if one.prepared.message.message_type != "test"]
        organisations = [(one.agent.organisation_id, found[one.id].own_quota) for one in counted]
        for one, error in zip(counted, await count_messages(cur, organisations, self._quotas), strict=True):
            if error is not None:
                answers[one.id] = error
        within = [one.agent.id for one in passed if one.id not in answers]
        if within:
            await admission.count(cur, self._limit, within)


def check_domain(agent: Agent) -> None:
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


def refuse(suppressed: Sequence[str]) -> None:
    """:raises RecipientSuppressed: there are any."""
    if suppressed:
        addresses = list(suppressed)
        raise RecipientSuppressed(f"mail to {', '.join(addresses)} is suppressed", details={"recipients": addresses})


def _begins_thread(prepared: Prepared) -> bool:
    """Whether it answers a message that belongs to no conversation yet."""
    return bool(prepared.answers) and prepared.new_conversation
