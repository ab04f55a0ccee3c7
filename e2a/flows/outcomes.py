"""Waiting for what becomes of a message that was queued.

A notification wakes whoever waits; what they answer is read from the tables.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from e2a.core.entities import OutboundMessage, OutboundRecipient
from e2a.core.errors import Unavailable
from e2a.core.rules.limits import Allowance
from e2a.store import outbound as store
from e2a.store.rows import Cursor

from .grouping import Grouped, Soon, at_once
from .ports import Transactions

#: Statuses that a message leaves by itself, soon.
UNSETTLED = ("queued",)


@dataclass(frozen=True, slots=True)
class Submitted:
    """A message that was taken in, and how it stands.

    :ivar recipients: empty until it is released.
    :ivar replayed: the request had been made before; nothing was done now.
    :ivar allowance: how its agent stands with the limit of sending, when the message was counted just now.
    """

    message: OutboundMessage
    recipients: tuple[OutboundRecipient, ...] = ()
    replayed: bool = False
    allowance: Allowance | None = None


async def load_submitted(cur: Cursor, message_id: str) -> Submitted | None:
    """How a message stands; None when there is no such message any more."""
    return (await _load(cur, [message_id])).get(message_id)


async def _load(cur: Cursor, message_ids: Sequence[str]) -> dict[str, Submitted]:
    found = await store.with_recipients(cur, message_ids)
    return {message_id: Submitted(*one) for message_id, one in found.items()}


class Outcomes:
    """Fed by ``store.listener``: ``changed`` takes notifications of ``e2a_changed``, ``gap`` its return after a
    loss.

    :param soon: see ``Grouped``.
    """

    def __init__(self, database: Transactions, clock: IReactorTime, soon: Soon = at_once) -> None:
        self._database = database
        self._clock = clock
        self._watches: dict[str, set[Watch]] = {}
        self._patient = True
        self._reading: Grouped[str, Submitted | None] = Grouped(self._read, soon)

    def watch(self, message_id: str) -> Watch:
        """Hear of every change from now on, until the ``with`` block ends. Begin before the message is committed."""
        return Watch(message_id, self._watches, self._clock, self._reading.ask, lambda: self._patient)

    def changed(self, payload: str) -> None:
        """Take in ``outbound <message id>``; other kinds are not meant for us."""
        kind, _, message_id = payload.partition(" ")
        if kind == "outbound":
            for watch in tuple(self._watches.get(message_id, ())):
                watch.wake()

    def gap(self) -> None:
        """Anything may have changed unheard."""
        for watches in tuple(self._watches.values()):
            for watch in tuple(watches):
                watch.wake()

    def stop(self) -> None:
        """Nobody waits any longer: everybody is answered how things stand."""
        self._patient = False
        self.gap()

    async def _read(self, message_ids: Sequence[str]) -> list[Submitted | Exception | None]:
        """How messages stand now."""
        found = await self._database.read("read outcome", _load, sorted(set(message_ids)))
        return [found.get(message_id) for message_id in message_ids]


class Watch:
    """One who waits for one message."""

    def __init__(
        self,
        message_id: str,
        watches: dict[str, set[Watch]],
        clock: IReactorTime,
        read: Callable[[str], Awaitable[Submitted | None]],
        patient: Callable[[], bool],
    ) -> None:
        self._message_id = message_id
        self._watches = watches
        self._clock = clock
        self._read = read
        self._patient = patient
        self._woken = False
        self._waiting: Deferred[None] | None = None

    def __enter__(self) -> Watch:
        self._watches.setdefault(self._message_id, set()).add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        watches = self._watches[self._message_id]
        watches.discard(self)
        if not watches:
            del self._watches[self._message_id]

    def wake(self) -> None:
        """The message may have changed."""
        self._woken = True
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    async def settled(self, submitted: Submitted, seconds: float) -> Submitted:
        """The message once its outcome is known, or as it was last seen when the time is over: while the database
        cannot be asked it is waited for, because a message that is stored must not be answered as one that is not.
        """
        deadline = self._clock.seconds() + seconds
        while submitted.message.status in UNSETTLED:
            left = deadline - self._clock.seconds()
            if left <= 0:
                break
            if not self._woken and self._patient():
                await self._pause(left)
            if not self._patient():
                break
            if self._woken:
                self._woken = False
                try:
                    found = await self._read(self._message_id)
                except Unavailable:
                    # Once it is back everybody is woken.
                    continue
                if found is None:
                    break
                submitted = Submitted(found.message, found.recipients, submitted.replayed)
        return submitted

    async def _pause(self, seconds: float) -> None:
        waiting: Deferred[None] = Deferred()
        self._waiting = waiting

        def over() -> None:
            self._waiting = None
            waiting.callback(None)

        timer = self._clock.callLater(seconds, over)
        try:
            await waiting
        finally:
            self._waiting = None
            if timer.active():
                timer.cancel()
