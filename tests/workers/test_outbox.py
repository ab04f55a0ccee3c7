"""The outbox worker: who is claimed, who rests, what is written, how it stops."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from e2a.core.errors import Unavailable
from e2a.flows.sending import LEASE, Claim, Held, Lease, Outcome
from e2a.store.outbox import Job
from e2a.workers import outbox
from e2a.workers.outbox import Outbox

MOMENT = datetime(2026, 5, 1, tzinfo=UTC)


class Rows:
    """Stands in for the flow and its table: due jobs in order, attempts that end when the test says so."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.due: list[Job] = []
        self.attempts: dict[str, Deferred[str]] = {}
        self.leases: dict[str, Lease] = {}
        self.running: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.recorded: list[str] = []
        self.released: list[str] = []
        self.renewed: list[str] = []
        self.claims = self.recoveries = 0
        self.numbers = itertools.count()
        self.down = False
        self.broken: set[str] = set()
        self.blocked: Deferred[None] | None = None

    def add(self, destination: str, count: int = 1, size: int = 100) -> list[str]:
        ids = [f"{destination}-{next(self.numbers):03}" for _ in range(count)]
        for name in ids:
            self.due.append(Job(name, destination, 1, 0, 1, "bot@agents.test", "raw", size, (), 1e6, MOMENT))
        return ids

    async def claim(self, limit: int, room: int, rooms: Mapping[str, int]) -> list[Claim]:
        self.claims += 1
        if self.blocked is not None:
            await self.blocked
        if self.down:
            raise Unavailable
        seen: Counter[str] = Counter()
        taken = []
        for job in [job for job in self.due if rooms.get(job.destination, room) > 0][:limit]:
            if seen[job.destination] < rooms.get(job.destination, room):
                seen[job.destination] += 1
                self.due.remove(job)
                until = self.clock.seconds() + LEASE
                taken.append(Claim(job, Lease(job.held, until, self.clock.seconds, self._begin)))
        return taken

    async def _begin(self, lease: Lease) -> bool:
        lease.begun = True
        return True

    async def attempt(self, claim: Claim) -> tuple[Outcome | None, bool]:
        name, destination = claim.job.message_id, claim.job.destination
        self.running[destination] += 1
        self.most[destination] = max(self.most[destination], self.running[destination])
        self.leases[name] = claim.lease
        ending = self.attempts[name] = Deferred()
        try:
            result = await ending
        except CancelledError:
            result = "unknown" if claim.lease.begun else "withheld"
        finally:
            self.running[destination] -= 1
            del self.attempts[name]
        if result == "withheld":
            return None, False
        if result == "broken":
            raise ZeroDivisionError
        return Outcome(claim.job.held, (), None, False, 0, result), result == "unreachable"

    async def record(self, outcomes: Sequence[Outcome], released: Sequence[Held], delay: float) -> None:
        if self.down:
            raise Unavailable
        if self.broken & {outcome.held.message_id for outcome in outcomes}:
            raise ZeroDivisionError
        self.recorded += [f"{outcome.held.message_id} {outcome.error}" for outcome in outcomes]
        self.released += [held.message_id for held in released]

    async def recover(self) -> int:
        self.recoveries += 1
        return 0

    async def renew(self, leases: Sequence[Lease]) -> None:
        self.renewed = [lease.held.message_id for lease in leases]

    def end(self, name: str, result: str = "sent") -> None:
        self.attempts[name].callback(result)


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.rows = Rows(self.clock)
        self.worker = Outbox(self.rows, self.clock, total=6, per_destination=3)

    def start(self) -> None:
        self.worker.start()
        self.addCleanup(self._stop)

    def _stop(self) -> None:
        self.rows.down = False
        stopping = Deferred.fromCoroutine(self.worker.stop(0.0))
        self.clock.pump([0.0, outbox.RECORD_RETRY, outbox.RECORD_RETRY])
        self.successResultOf(stopping)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class Claiming(Case):
    def test_limits(self) -> None:
        """No destination has more attempts at a time than its limit, nor all together; places that come free are
        taken at once."""
        names = self.rows.add("a", 5) + self.rows.add("b", 5)
        self.start()
        self.assertEqual(sorted(self.rows.attempts), [*names[:3], *names[5:8]])
        self.assertEqual(self.worker.in_flight, 6)
        self.rows.end(names[0])
        self.assertIn(names[3], self.rows.attempts)
        while self.rows.attempts:
            self.rows.end(next(iter(self.rows.attempts)))
        self.assertEqual(len(self.rows.recorded), 10)
        self.assertEqual((self.rows.most["a"], self.rows.most["b"]), (3, 3))

    def test_places_that_come_free_meanwhile(self) -> None:
        """A place that comes free while a claim is under way is taken without waiting for the timer."""
        names = self.rows.add("a", 4)
        self.start()
        blocked = self.rows.blocked = Deferred()
        self.worker.wake()
        self.rows.end(names[0])
        self.rows.blocked = None
        blocked.callback(None)
        self.assertIn(names[3], self.rows.attempts)

    def test_woken(self) -> None:
        """A notification is followed by a claim without waiting for the timer; the timer finds what none told of."""
        self.start()
        (name,) = self.rows.add("a")
        self.worker.wake("")
        self.assertIn(name, self.rows.attempts)
        (other,) = self.rows.add("b")
        self.clock.advance(outbox.SCAN_SECONDS)
        self.assertIn(other, self.rows.attempts)

    def test_memory(self) -> None:
        """Big messages are not all held at once; one that is bigger than everything goes alone."""
        first, second = self.rows.add("a", 1, outbox.OCTETS + 1), self.rows.add("b", 1, 10)
        self.start()
        self.assertEqual(list(self.rows.attempts), first)
        self.assertEqual(self.rows.released, second)

    def test_rest(self) -> None:
        """A destination that cannot be reached rests, longer each time, then is tried with one job; others go on."""
        names = self.rows.add("dead", 5)
        self.start()
        for name in names[:3]:
            self.rows.end(name, "unreachable")
        self.assertEqual(self.rows.attempts, {})
        (other,) = self.rows.add("good")
        self.worker.wake()
        self.assertEqual(list(self.rows.attempts), [other])
        self.clock.pump([1.0])
        self.assertEqual(list(self.rows.attempts), [other])
        self.clock.pump([1.0])
        self.assertEqual(list(self.rows.attempts), [other, names[3]])
        self.rows.end(names[3], "unreachable")
        self.clock.pump([1.0] * 3)
        self.assertEqual(list(self.rows.attempts), [other])
        self.clock.pump([1.0])
        self.assertEqual(list(self.rows.attempts), [other, names[4]])

    def test_database_away(self) -> None:
        """A database that is away for a while stops nothing for good."""
        self.rows.down = True
        self.start()
        (name,) = self.rows.add("a")
        self.clock.advance(outbox.SCAN_SECONDS)
        self.rows.down = False
        self.clock.advance(outbox.SCAN_SECONDS)
        self.assertIn(name, self.rows.attempts)

    def test_recovery(self) -> None:
        """What other processes left is looked for at the start and ever after."""
        self.start()
        self.assertEqual(self.rows.recoveries, 1)
        self.clock.pump([outbox.RECOVER_SECONDS])
        self.assertEqual(self.rows.recoveries, 2)


class Writing(Case):
    def test_until_written(self) -> None:
        """An answer is written until it is written, and its lease renewed until then."""
        (name,) = self.rows.add("a")
        self.start()
        self.rows.leases[name].begun = True
        self.rows.down = True
        self.rows.end(name)
        self.clock.pump([1.0] * 120)
        self.assertEqual((self.rows.recorded, self.rows.renewed), ([], [name]))
        self.rows.down = False
        self.clock.pump([1.0] * 20)
        self.assertEqual((self.rows.recorded, self.rows.renewed), ([f"{name} sent"], []))

    def test_error_of_our_own(self) -> None:
        """An outcome that cannot be written for a reason of its own does not hold up the others."""
        first, second = self.rows.add("a", 2)
        self.start()
        self.rows.broken = {first}
        self.rows.end(first)
        self.rows.end(second)
        self.assertEqual(self.rows.recorded, [f"{second} sent"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_error_among_others(self) -> None:
        """Written together with others, such an outcome costs none of them theirs, and no job its way back."""
        first, second, third = self.rows.add("a", 3)
        (early,) = self.rows.add("b")
        self.start()
        self.rows.broken = {first}
        self.rows.down = True
        for name in (first, second, third):
            self.rows.end(name)
        self.rows.end(early, "withheld")
        self.rows.down = False
        self.clock.pump([outbox.RECORD_RETRY])
        self.assertEqual(self.rows.recorded, [f"{second} sent", f"{third} sent"])
        self.assertEqual(self.rows.released, [early])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_broken_attempt(self) -> None:
        """An attempt that breaks on our side is given back before it is begun; afterwards the message may have arrived,
        and it is left to be found as lost."""
        first, second = self.rows.add("a", 2)
        self.start()
        self.rows.leases[second].begun = True
        for name in (first, second):
            self.rows.end(name, "broken")
        self.clock.pump([1.0] * int(LEASE / 4))
        self.assertEqual((self.rows.released, self.rows.recorded, self.rows.renewed), ([first], [], []))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_leases(self) -> None:
        """The leases of running attempts are renewed well before their end; lost ones are not."""
        first, second = self.rows.add("a", 2)
        self.start()
        self.rows.leases[second].lost = True
        self.clock.pump([1.0] * int(LEASE / 4))
        self.assertEqual(self.rows.renewed, [first])


class Stopping(Case):
    def test_stop(self) -> None:
        """What is not in DATA is given back at once; what is may end."""
        early, late = self.rows.add("a", 2)
        self.worker.start()
        self.rows.leases[late].begun = True
        stopping = Deferred.fromCoroutine(self.worker.stop())
        self.assertEqual(self.rows.released, [early])
        self.assertTrue(self.rows.leases[early].lost)
        self.clock.advance(29)
        self.assertNoResult(stopping)
        self.rows.end(late)
        self.successResultOf(stopping)
        self.assertEqual(self.rows.recorded, [f"{late} sent"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cut_off(self) -> None:
        """What does not end in time is cut off, and its outcome written as unknown."""
        (name,) = self.rows.add("a")
        self.worker.start()
        self.rows.leases[name].begun = True
        stopping = Deferred.fromCoroutine(self.worker.stop(30.0))
        self.clock.advance(30)
        self.successResultOf(stopping)
        self.assertEqual(self.rows.recorded, [f"{name} unknown"])

    def test_nothing_new(self) -> None:
        """After the word to stop nothing more is claimed."""
        self.worker.start()
        self.successResultOf(Deferred.fromCoroutine(self.worker.stop()))
        claims = self.rows.claims
        self.rows.add("a")
        self.worker.wake()
        self.clock.advance(60)
        self.assertEqual(self.rows.claims, claims)
