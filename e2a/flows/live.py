"""Mail as it comes: a cursor over one agent's uids, for sockets and for the long poll.

An agent's uids become visible in order: who has read up to uid n has seen everything below. So a reader keeps one
number, reads what is above it, and a notification is no more than a hint to read again. Nothing is lost when one is
missed, and draining what was there before needs no second path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime

from e2a.core.entities import InboundMessage, Principal
from e2a.store import messages
from e2a.store.live import find_dead
from e2a.store.rows import Cursor

from .mailbox import Filters
from .ports import Now, Transactions

#: Messages read at a time.
PAGE = 100
#: Feeds that may read at a time, so that ten thousand reconnecting clients leave the database to others.
READERS = 4


class Wakes(Protocol):
    """Who hears of new mail (``deliver.hub``)."""

    def subscribe(self, agent_id: str, callback: Callable[[], object]) -> Callable[[], None]:
        """Call back whenever that agent may have new mail; returns how to end it."""
        ...


class LiveFeed:
    """One agent's unread mail, oldest first, then what arrives.

    :ivar cursor: uid of the last message handed out.
    """

    def __init__(self, database: Transactions, agent_id: str, now: Now, readers: DeferredSemaphore) -> None:
        self._database = database
        self._agent_id = agent_id
        self._now = now
        self._readers = readers
        self.cursor = 0

    async def page(self) -> list[InboundMessage]:
        """The next unread messages; fewer than ``PAGE`` when there are no more now.

        :raises Unavailable: the database cannot be asked; asking again loses nothing.
        """
        await self._readers.acquire()
        try:
            found = await self._database.read(
                "live page", messages.unread_after, self._agent_id, self.cursor, PAGE, _moment(self._now)
            )
        finally:
            self._readers.release()
        if found:
            self.cursor = found[-1].uid
        return found


class LiveFeeds:
    """Makes feeds that share their readers."""

    def __init__(self, database: Transactions, now: Now) -> None:
        self._database = database
        self._now = now
        self._readers = DeferredSemaphore(READERS)

    def open(self, agent_id: str) -> LiveFeed:
        return LiveFeed(self._database, agent_id, self._now, self._readers)


class LiveRights:
    """Whether open connections may stay open."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    async def lost(self, connections: Sequence[tuple[str, Principal]]) -> list[tuple[int, str]]:
        """Which of them must go, by position from 0, each with the reason for the close frame.

        :param connections: agent id and who connected.
        :raises Unavailable: the database cannot be asked.
        """
        rows = [
            (agent_id, principal.organisation_id, principal.key_id or "", principal.session_id or "")
            for agent_id, principal in connections
        ]
        return await self._database.run("live rights", find_dead, rows)


class LongPoll:
    """Waits for one message. Implements ``flows.mailbox.Waiting``; cancelling the wait frees everything it holds."""

    def __init__(self, database: Transactions, wakes: Wakes, clock: IReactorTime, now: Now) -> None:
        self._database = database
        self._wakes = wakes
        self._clock = clock
        self._now = now
        self._bells: set[_Bell] = set()

    def stop(self) -> None:
        """Answer everybody who waits now: nothing came."""
        for bell in tuple(self._bells):
            bell.end()

    async def __call__(
        self, agent_id: str, after: int | None, filters: Filters, timeout: float
    ) -> tuple[InboundMessage | None, int]:
        """The first message that matches, and the cursor to go on from.

        :param after: look at everything above this cursor, read or not; None looks at everything unread.
        :param timeout: seconds after which the answer is None, with a cursor past everything that was looked at.
        :raises Unavailable: the database cannot be asked.
        """
        status: messages.Status = "unread" if after is None else "all"
        cursor = after or 0
        bell = _Bell()
        # Before the first read, so that nothing arrives unheard between reading and listening.
        unsubscribe = self._wakes.subscribe(agent_id, bell.ring)
        deadline = self._clock.callLater(timeout, bell.end)
        self._bells.add(bell)
        try:
            while True:
                message, cursor = await self._database.run(
                    "wait", _first_match, agent_id, status, cursor, filters, _moment(self._now)
                )
                if message is not None or timeout <= 0 or not await bell.heard():
                    return message, cursor
        finally:
            unsubscribe()
            self._bells.discard(bell)
            if deadline.active():
                deadline.cancel()


class _Bell:
    """Remembers being rung until somebody has heard it."""

    def __init__(self) -> None:
        self._rung = False
        self._ended = False
        self._listening: Deferred[None] | None = None

    def ring(self) -> None:
        self._rung = True
        self._tell()

    def end(self) -> None:
        self._ended = True
        self._tell()

    def _tell(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.callback(None)

    async def heard(self) -> bool:
        """Wait for a ring; False once the end has come."""
        if not self._rung and not self._ended:
            self._listening = Deferred()
            await self._listening
        rung, self._rung = self._rung, False
        return rung and not self._ended


async def _first_match(
    cur: Cursor, agent_id: str, status: messages.Status, after: int, filters: Filters, now: datetime
) -> tuple[InboundMessage | None, int]:
    # The top first: what commits between the two statements is found by the second or lies above the top.
    top = await messages.uid_top(cur, agent_id)
    found = await messages.list_inbound(
        cur,
        agent_id,
        status,
        after,
        1,
        now,
        sender=filters.sender or "",
        subject_contains=filters.subject_contains or "",
        since=filters.not_before,
    )
    if found:
        return found[0], found[0].uid
    return None, max(after, top)


def _moment(now: Now) -> datetime:
    return datetime.fromtimestamp(now(), UTC)
