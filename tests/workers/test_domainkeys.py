"""The worker that looks after DKIM keys."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from e2a.workers.domainkeys import INTERVAL, DomainKeysWorker


class Flow:
    """A ``DomainKeys`` that counts its rounds; one waits until it is told to stop."""

    def __init__(self) -> None:
        self.rounds = 0
        self.waiting: Deferred[None] | None = None

    async def look_after(self) -> None:
        self.rounds += 1
        if self.waiting is not None:
            await self.waiting

    def stop(self) -> None:
        if self.waiting is not None:
            self.waiting.callback(None)


class Rounds(TestCase):
    def setUp(self) -> None:
        self.clock, self.flow = Clock(), Flow()
        flow: Any = self.flow
        self.worker = DomainKeysWorker(self.clock, flow)

    def test_rounds(self) -> None:
        """There is a round at the start and one after every interval."""
        self.worker.start()
        self.clock.advance(INTERVAL)
        self.assertEqual(self.flow.rounds, 2)
        self.successResultOf(Deferred.fromCoroutine(self.worker.stop()))
        self.assertFalse(self.clock.getDelayedCalls())

    def test_stop_in_a_round(self) -> None:
        """Stopping in the middle of a round ends after the key in hand."""
        self.flow.waiting = Deferred()
        self.worker.start()
        self.successResultOf(Deferred.fromCoroutine(self.worker.stop()))
        self.assertEqual(self.flow.rounds, 1)
