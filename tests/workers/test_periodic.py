"""Repeating work."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from e2a.core.errors import Unavailable
from e2a.workers.periodic import Periodic


class PeriodicTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.rounds = 0
        self.pending: list[Deferred[None]] = []

    async def quick(self) -> None:
        self.rounds += 1

    async def slow(self) -> None:
        self.rounds += 1
        self.pending.append(Deferred())
        await self.pending[-1]

    def test_repeats(self) -> None:
        """A round at the start and one after each interval, until it is stopped."""
        periodic = Periodic("test", 10.0, self.clock, self.quick)
        periodic.start()
        self.assertEqual(self.rounds, 1)
        self.clock.advance(9.9)
        self.assertEqual(self.rounds, 1)
        self.clock.advance(0.1)
        self.assertEqual(self.rounds, 2)
        self.successResultOf(Deferred.fromCoroutine(periodic.stop()))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(100)
        self.assertEqual(self.rounds, 2)

    def test_interrupt(self) -> None:
        """A stop asks the round that runs to end early, and returns when it has."""
        periodic = Periodic("test", 10.0, self.clock, self.slow, interrupt=lambda: self.pending[0].callback(None))
        periodic.start()
        self.successResultOf(Deferred.fromCoroutine(periodic.stop()))
        self.clock.advance(100)
        self.assertEqual(self.rounds, 1)

    def test_sign_of_life(self) -> None:
        """The time since the last round ended tells a stuck worker from a resting one."""
        periodic = Periodic("test", 10.0, self.clock, self.slow)
        self.clock.advance(7)
        periodic.start()
        self.clock.advance(30)
        self.assertEqual(periodic.idle_seconds, 30)
        self.pending[0].callback(None)
        self.assertEqual(periodic.idle_seconds, 0)

    def test_survives_errors(self) -> None:
        """Any error is logged and the next round comes all the same; an unavailable database is no traceback."""
        errors: list[Exception] = [RuntimeError("boom"), Unavailable("no database")]

        async def work() -> None:
            self.rounds += 1
            if errors:
                raise errors.pop(0)

        periodic = Periodic("test", 1.0, self.clock, work)
        periodic.start()
        self.clock.pump([1.0] * 3)
        self.assertEqual(self.rounds, 4)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.successResultOf(Deferred.fromCoroutine(periodic.stop()))

    def test_never_overlaps(self) -> None:
        """While a round runs no other starts, however much time passes and however often it is woken."""
        periodic = Periodic("test", 1.0, self.clock, self.slow)
        periodic.start()
        self.clock.pump([1.0] * 5)
        periodic.wake()
        periodic.wake()
        self.assertEqual(self.rounds, 1)
        self.pending[0].callback(None)
        self.assertEqual(self.rounds, 2)
        self.pending[1].callback(None)
        self.assertEqual(self.rounds, 2)
        self.clock.advance(1.0)
        self.assertEqual(self.rounds, 3)

    def test_wakes_early(self) -> None:
        """Waking does not wait for the interval, and the interval starts anew."""
        periodic = Periodic("test", 10.0, self.clock, self.quick)
        periodic.wake()
        self.assertEqual(self.rounds, 0)
        periodic.start()
        self.clock.advance(9.0)
        periodic.wake()
        self.assertEqual(self.rounds, 2)
        self.clock.advance(9.0)
        self.assertEqual(self.rounds, 2)

    def test_stop_waits(self) -> None:
        """Stopping lasts until the running round has ended, and no other follows it."""
        periodic = Periodic("test", 1.0, self.clock, self.slow)
        periodic.start()
        periodic.wake()
        stopped = Deferred.fromCoroutine(periodic.stop())
        self.assertNoResult(stopped)
        self.pending[0].callback(None)
        self.successResultOf(stopped)
        self.assertEqual((self.rounds, self.clock.getDelayedCalls()), (1, []))
