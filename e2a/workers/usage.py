"""Sums usage up by day, every ten minutes."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from ..flows.usage import Usage
from .periodic import Periodic

#: Seconds between two rounds.
INTERVAL = 600.0


class UsageWorker:
    def __init__(self, clock: IReactorTime, flow: Usage) -> None:
        self._flow = flow
        self._periodic = Periodic("usage summaries", INTERVAL, clock, flow.sum_up)

    def start(self) -> None:
        self._periodic.start()

    async def stop(self) -> None:
        """Returns after the batch in hand."""
        self._flow.stop()
        await self._periodic.stop()
