"""Keeps mail going out: claims jobs that are due, has them transmitted, writes down what came of it.

A claim is found by a scan: on a timer, when something was queued, and when a destination that was full has room again.
A destination has a limited number of attempts at a time. One that cannot be reached rests, for longer each time, and
is then tried with a single job: its other jobs stay due meanwhile, with their schedules untouched.

Leases are renewed while attempts run. What a server has answered is written until it is written, or until the database
says that it is no longer ours: a lost record would cost a second copy.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from e2a.core.errors import Unavailable
from e2a.flows.sending import LEASE, Claim, Held, Lease, Outcome

from .ended import ended
from .periodic import Periodic

#: Most jobs of one claim.
CLAIM = 64
#: Seconds between scans when nothing else causes one, and between looks for what other processes left.
SCAN_SECONDS = 1.0
RECOVER_SECONDS = 10.0
#: Octets of messages under way at one time; one message may exceed it alone.
OCTETS = 128 * 1024 * 1024
#: Outcomes written in one transaction, and seconds to wait when they could not be written.
RECORD = 200
RECORD_RETRY = 1.0
#: Seconds that a destination rests after its first failure to connect in a row; doubled up to the most.
REST_SECONDS = 2.0
MOST_REST_SECONDS = 120.0
#: Destinations remembered when idle.
DESTINATIONS = 1024


class Flow(Protocol):
    """``flows.sending.SendingFlow``."""

    async def claim(self, limit: int, room: int, rooms: Mapping[str, int]) -> list[Claim]: ...

    async def recover(self) -> int: ...

    async def renew(self, leases: Sequence[Lease]) -> None: ...

    async def attempt(self, claim: Claim) -> tuple[Outcome | None, bool]: ...

    async def record(self, outcomes: Sequence[Outcome], released: Sequence[Held], delay: float) -> None: ...


class _Destination:
    """:ivar failures: times in a row that it could not be reached.
    :ivar rests_until: on the clock.
    """

    __slots__ = ("failures", "rests_until", "running")

    def __init__(self) -> None:
        self.running = 0
        self.failures = 0
        self.rests_until = 0.0

    def room(self, most: int, now: float) -> int:
        """How many more to claim; 0 until it is worth a claim."""
        if now < self.rests_until:
            return 0
        most = 1 if self.failures else most
        free = most - self.running
        return free if free >= max(1, most // 4) or not self.running else 0


class Outbox:
    """The worker.

    :param total: attempts at a time.
    :param per_destination: attempts at a time for one destination.
    """

    _log = Logger()

    def __init__(self, flow: Flow, clock: IReactorTime, *, total: int = 64, per_destination: int = 16) -> None:
        self._flow, self._clock = flow, clock
        self._total, self._per_destination = total, per_destination
        self._destinations: OrderedDict[str, _Destination] = OrderedDict()
        self._running: dict[Deferred[None], Claim] = {}
        self._octets = 0
        self._held_back = False
        self._outcomes: list[Outcome] = []
        self._released: list[Held] = []
        self._unwritten: dict[Held, Lease] = {}
        self._recording: Deferred[None] | None = None
        self._stopping = False
        self._pump = Periodic("outbox", SCAN_SECONDS, clock, self._round)
        self._recovery = Periodic("outbox recovery", RECOVER_SECONDS, clock, self._recover)
        self._renewal = Periodic("outbox leases", LEASE / 4, clock, self._renew)

    # --- from outside -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._stopping = False
        for periodic in (self._recovery, self._renewal, self._pump):
            periodic.start()

    def wake(self, payload: str = "") -> None:
        """Something was queued: the observer of ``e2a_outbox`` and of gaps in it."""
        self._pump.wake()

    @property
    def in_flight(self) -> int:
        """Jobs claimed and not finished."""
        return len(self._running)

    @property
    def idle_seconds(self) -> float:
        """How long ago it last looked for work."""
        return self._pump.idle_seconds

    async def stop(self, grace: float = 30.0) -> None:
        """Claim nothing more, give back what is not being transmitted, let the rest end for ``grace`` seconds, and
        write everything down. What is cut off after that has an unknown outcome if it was transmitted whole.
        """
        self._stopping = True
        await self._pump.stop()
        await self._recovery.stop()
        for attempt, claim in list(self._running.items()):
            if not claim.lease.begun:
                claim.lease.lost = True
                attempt.cancel()
        if self._running:
            timer = self._clock.callLater(grace, self._cut_off)
            while self._running:
                await ended(next(iter(self._running)))
            if timer.active():
                timer.cancel()
        self._write()
        while self._recording is not None:
            await ended(self._recording)
        await self._renewal.stop()

    # --- claiming -----------------------------------------------------------------------------------------------------

    async def _round(self) -> None:
        self._held_back = False
        while not self._stopping:
            limit = min(CLAIM, self._total - len(self._running))
            if limit <= 0 or self._octets >= OCTETS:
                self._held_back = True
                return
            rooms = self._rooms()
            claims = await self._flow.claim(limit, self._per_destination, rooms)
            self._take(claims)
            # A destination that got all it may has more due, perhaps, or has hidden what is due for others.
            taken = Counter(claim.job.destination for claim in claims)
            full = [name for name, count in taken.items() if count >= rooms.get(name, self._per_destination)]
            full += [name for name, room in rooms.items() if not room and not self._resting(name)]
            if not full and len(claims) < limit:
                return
            if not claims and not any(self._rooms().get(name, 1) for name in full):
                self._held_back = True
                return

    def _resting(self, name: str) -> bool:
        """Whether the timer alone may bring the destination back."""
        destination = self._destinations.get(name)
        return destination is not None and self._clock.seconds() < destination.rests_until

    def _rooms(self) -> dict[str, int]:
        now = self._clock.seconds()
        return {name: one.room(self._per_destination, now) for name, one in self._destinations.items()}

    def _take(self, claims: Iterable[Claim]) -> None:
        for claim in claims:
            if self._stopping or (self._octets and self._octets + claim.job.size > OCTETS):
                self._released.append(claim.job.held)
                continue
            name = claim.job.destination
            destination = self._destinations.setdefault(name, _Destination())
            self._destinations.move_to_end(name)
            destination.running += 1
            self._octets += claim.job.size
            attempt = Deferred.fromCoroutine(self._attempt(destination, claim))
            if not attempt.called:
                self._running[attempt] = claim
                attempt.addBoth(self._finished, attempt)
        if self._released:
            self._write()
        idle = [name for name, one in self._destinations.items() if not one.running]
        for name in idle[: max(0, len(self._destinations) - DESTINATIONS)]:
            del self._destinations[name]

    async def _attempt(self, destination: _Destination, claim: Claim) -> None:
        outcome: Outcome | None = None
        unreachable = broken = False
        try:
            outcome, unreachable = await self._flow.attempt(claim)
        except Exception:
            broken = True
            if not self._stopping:
                self._log.failure("attempt to send")
        destination.running -= 1
        self._octets -= claim.job.size
        if outcome is None:
            # What broke after it was begun may have arrived: when its lease is over it is found as lost.
            if not (broken and claim.lease.begun):
                self._released.append(claim.job.held)
        else:
            self._outcomes.append(outcome)
            if claim.lease.begun:
                self._unwritten[claim.job.held] = claim.lease
            now = self._clock.seconds()
            if unreachable and now >= destination.rests_until:
                # Several attempts that fail together are one failure.
                rest = min(REST_SECONDS * 2.0 ** min(destination.failures, 10), MOST_REST_SECONDS)
                destination.failures += 1
                destination.rests_until = now + rest
            elif not unreachable:
                destination.failures = 0
        self._write()

    def _finished(self, _: object, attempt: Deferred[None]) -> None:
        claim = self._running.pop(attempt)
        if self._held_back and not self._stopping and self._total - len(self._running) >= self._total // 4:
            destination = self._destinations.get(claim.job.destination)
            if destination is None or destination.room(self._per_destination, self._clock.seconds()):
                self._held_back = False
                self._pump.wake()

    def _cut_off(self) -> None:
        for attempt in list(self._running):
            attempt.cancel()

    # --- leases -------------------------------------------------------------------------------------------------------

    async def _recover(self) -> None:
        while await self._flow.recover() and not self._stopping:
            pass

    async def _renew(self) -> None:
        # Also those whose outcome could not be written yet: nobody else may take them for lost.
        leases = {claim.job.held: claim.lease for claim in self._running.values()} | self._unwritten
        await self._flow.renew([lease for lease in leases.values() if not lease.lost])

    # --- writing ------------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        if self._recording is None and (self._outcomes or self._released):
            recording = self._recording = Deferred.fromCoroutine(self._record())
            recording.addBoth(self._recorded)

    def _recorded(self, result: object) -> None:
        self._recording = None

    async def _record(self) -> None:
        most = RECORD
        while self._outcomes or self._released:
            outcomes, self._outcomes = self._outcomes[:most], self._outcomes[most:]
            back = 0 if most == 1 and outcomes else most
            released, self._released = self._released[:back], self._released[back:]
            try:
                await self._flow.record(outcomes, released, 0.0 if self._stopping else RECORD_RETRY)
            except Unavailable:
                # The part that stops this one sets the end to it; until then the answer is not given up.
                self._outcomes[:0] = outcomes
                self._released[:0] = released
                await deferLater(self._clock, RECORD_RETRY)
                continue
            except Exception:
                if len(outcomes) + len(released) > 1:
                    # One that cannot be written must not take the others along.
                    self._outcomes[:0] = outcomes
                    self._released[:0] = released
                    most = 1
                    continue
                self._log.failure("gave up writing what came of {count} attempts", count=len(outcomes))
            for outcome in outcomes:
                self._unwritten.pop(outcome.held, None)
