"""Keeps what is known of full mailboxes fresh, and takes off the counts what was deleted."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from ..flows.quotas import FRESH_SECONDS, Storage
from .periodic import Periodic

#: Seconds between two rounds of taking off.
INTERVAL = 60.0


class StorageWorker:
    def __init__(self, clock: IReactorTime, storage: Storage) -> None:
        self._storage = storage
        self._looking = Periodic("storage quotas", FRESH_SECONDS, clock, storage.refresh)
        self._counting = Periodic("storage counts", INTERVAL, clock, storage.take_off_freed)

    def start(self) -> None:
        self._looking.start()
        self._counting.start()

    async def stop(self) -> None:
        """Returns after the batch in hand."""
        self._storage.stop()
        await self._looking.stop()
        await self._counting.stop()
