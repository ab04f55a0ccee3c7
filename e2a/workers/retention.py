"""Forgets what has expired, every hour."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from ..flows.retention import Retention
from .periodic import Periodic

#: Seconds between two rounds.
INTERVAL = 3600.0


class RetentionWorker:
    """The first round begins at the start, so that daemons which never live for an hour forget as well."""

    def __init__(self, clock: IReactorTime, flow: Retention) -> None:
        self._flow = flow
        self._periodic = Periodic("retention", INTERVAL, clock, flow.forget)

    def start(self) -> None:
        self._periodic.start()

    async def stop(self) -> None:
        """Returns after the batch in hand."""
        self._flow.stop()
        await self._periodic.stop()
