"""Looks after DKIM keys, every ten minutes."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from ..flows.domainkeys import DomainKeys
from .periodic import Periodic

#: Seconds between two rounds; each key is asked for more rarely (``flows.domainkeys.CHECK_SECONDS``).
INTERVAL = 600.0


class DomainKeysWorker:
    def __init__(self, clock: IReactorTime, flow: DomainKeys) -> None:
        self._flow = flow
        self._periodic = Periodic("DKIM keys", INTERVAL, clock, flow.look_after)

    def start(self) -> None:
        self._periodic.start()

    async def stop(self) -> None:
        """Returns after the key in hand."""
        self._flow.stop()
        await self._periodic.stop()
