"""Lets time decide about held mail: at the start, every minute, and the moment that the next one is due."""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from ..flows.approvals import Approvals
from .periodic import Periodic

#: Seconds between two rounds, at most.
INTERVAL = 60.0
#: Seconds after a time is over at which the database, whose clock decides, is asked; and between two rounds, at least.
DELAY = 0.05


class HoldsWorker:
    def __init__(self, clock: IReactorTime, flow: Approvals) -> None:
        self._clock = clock
        self._flow = flow
        self._periodic = Periodic("held mail", INTERVAL, clock, self._round)
        self._timer: IDelayedCall | None = None
        self._running = False

    def start(self) -> None:
        """The first round begins at once: time went on while nothing ran."""
        self._running = True
        self._periodic.start()

    async def stop(self) -> None:
        """Returns after the message in hand."""
        self._running = False
        self._cancel()
        self._flow.stop()
        await self._periodic.stop()

    def expect(self, seconds: float) -> None:
        """A message is held whose time is over in so many seconds."""
        if not self._running or seconds >= INTERVAL:
            # The next round learns of it before it is due.
            return
        due = self._clock.seconds() + max(seconds, 0.0) + DELAY
        if self._timer is not None and self._timer.active():
            if self._timer.getTime() <= due:
                return
            self._timer.cancel()
        self._timer = self._clock.callLater(due - self._clock.seconds(), self._periodic.wake)

    async def _round(self) -> None:
        self._cancel()
        seconds = await self._flow.sweep()
        if seconds is not None:
            self.expect(seconds)

    def _cancel(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
