"""When time decides about held mail."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from e2a.workers.holds import DELAY, INTERVAL, HoldsWorker


class Flow:
    """An ``Approvals`` that counts its sweeps and says when the next message is due."""

    def __init__(self) -> None:
        self.sweeps = 0
        self.next: float | None = None
        self.waiting: Deferred[None] | None = None

    async def sweep(self) -> float | None:
        self.sweeps += 1
        if self.waiting is not None:
            await self.waiting
        return self.next

    def stop(self) -> None:
        if self.waiting is not None:
            self.waiting.callback(None)


class HoldsWorkerTests(TestCase):
    def setUp(self) -> None:
        self.clock, self.flow = Clock(), Flow()
        flow: Any = self.flow
        self.worker = HoldsWorker(self.clock, flow)

    def test_start_and_every_minute(self) -> None:
        """There is a round at the start, for what became due while nothing ran, and one every minute."""
        self.worker.start()
        self.assertEqual(self.flow.sweeps, 1)
        self.clock.advance(INTERVAL)
        self.assertEqual(self.flow.sweeps, 2)

    def test_next_expiry(self) -> None:
        """A message that is due before the next round gets a round of its own, at its time."""
        self.flow.next = 7.0
        self.worker.start()
        self.flow.next = None
        self.clock.advance(7.0)
        self.assertEqual(self.flow.sweeps, 1)
        self.clock.advance(DELAY)
        self.assertEqual(self.flow.sweeps, 2)

    def test_held_meanwhile(self) -> None:
        """So does one that is held between two rounds; the earliest counts, a distant one changes nothing."""
        self.worker.start()
        for seconds in (30.0, 5.0, 20.0, 3600.0):
            self.worker.expect(seconds)
        self.assertEqual(len(self.clock.getDelayedCalls()), 2)
        self.clock.advance(5.0 + DELAY)
        self.assertEqual(self.flow.sweeps, 2)
        self.worker.expect(-3.0)
        self.clock.advance(DELAY)
        self.assertEqual(self.flow.sweeps, 3)

    def test_held_during_a_round(self) -> None:
        """A message held while a round runs is not forgotten by it."""
        self.flow.waiting = Deferred()
        self.worker.start()
        self.worker.expect(5.0)
        waiting, self.flow.waiting = self.flow.waiting, None
        waiting.callback(None)
        self.clock.advance(5.0 + DELAY)
        self.assertEqual(self.flow.sweeps, 2)

    def test_stop(self) -> None:
        """Stopping ends the round in hand, and nothing is left on the clock."""
        self.flow.waiting = Deferred()
        self.worker.expect(1.0)
        self.worker.start()
        self.worker.expect(5.0)
        self.successResultOf(Deferred.fromCoroutine(self.worker.stop()))
        self.worker.expect(5.0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
