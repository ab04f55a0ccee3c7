"""Passes feedback on: at once, and again every minute while it fails."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from ..flows.feedback import FeedbackBox
from .periodic import Periodic

#: Seconds between two rounds.
INTERVAL = 60.0


class FeedbackWorker:
    def __init__(self, clock: IReactorTime, box: FeedbackBox) -> None:
        self._periodic = Periodic("feedback", INTERVAL, clock, box.pass_on)
        box.wake = self._periodic.wake

    def start(self) -> None:
        self._periodic.start()

    async def stop(self) -> None:
        """Returns when the round in hand has ended."""
        await self._periodic.stop()
