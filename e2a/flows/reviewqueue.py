"""The place of a held message among the others, for those who decide about one after the other."""

from __future__ import annotations

from dataclasses import dataclass

from e2a.core.entities import OutboundMessage, Principal
from e2a.core.rules.permissions import require_whole_account
from e2a.store import holds
from e2a.store.rows import Cursor

from .ports import Transactions


@dataclass(frozen=True, slots=True)
class Place:
    """:ivar before: the id of the more urgent one next to it, None when it is the first; ``after`` likewise.
    :ivar answered: the id of the received message that it answers; None when there is none, or it is gone.
    """

    before: str | None = None
    after: str | None = None
    answered: str | None = None


class ReviewQueue:
    def __init__(self, database: Transactions) -> None:
        self._database = database

    async def place(self, principal: Principal, message: OutboundMessage) -> Place:
        """Where a message of the caller's organisation stands, or stood.

        :raises Forbidden: the key sees only a part of the organisation.
        """
        require_whole_account(principal)
        return await self._database.run("place in queue", _place, principal, message)


async def _place(cur: Cursor, principal: Principal, message: OutboundMessage) -> Place:
    before = after = answered = None
    if message.approval_expires_at is not None:
        before, after = await holds.neighbours(cur, principal.organisation_id, message.approval_expires_at, message.id)
    if message.in_reply_to:
        answered = await holds.answered(cur, message.agent_id, message.in_reply_to)
    return Place(before, after, answered)
