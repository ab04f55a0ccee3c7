"""Keeps webhook deliveries going: claims what can be run now, runs it, writes down what came of it.

Two ways lead to a claim. A notification of new mail names its messages, and these are claimed by id, so that fresh mail
never waits behind a backlog. Everything else (retries, other processes' leftovers, what a notification missed) is
found by a scan, on a timer and whenever a host that held the last scan back has room again.

Nobody waits for a slow receiver: a host has a limited number of requests at a time. It starts with ``START``, earns up
to ``per_host`` by succeeding and falls to ``FAILING`` when it only fails; failing hosts together have at most half of
all requests. A host that answers quickly may have a short queue here beside its running requests, which makes claims
few and large. Outcomes are written in groups: a group is what came in while the one before was being written.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from e2a.core.errors import Unavailable
from e2a.flows.delivery import Claim, Held, Outcome

from .ended import ended
from .periodic import Periodic

#: Requests at a time for a host that nothing is known of, and for one that only fails.
START = 4
FAILING = 2
#: Failures in a row after which a host counts as failing.
FAILURES = 5
#: A host that answers within this many seconds on average may queue ``QUEUE`` times its limit.
QUICK_SECONDS = 0.1
QUEUE = 8
#: Most deliveries of one claim.
CLAIM = 128
#: Ids from notifications that are remembered; what does not fit is found by the scan.
FRESH = 10_000
#: Seconds a claim is good for, and how many of them must be left to start its request (more than its deadline).
LEASE = 60.0
LEASE_LEFT = 20.0
#: Octets of messages in requests at one time; one message may exceed it alone.
OCTETS = 64 * 1024 * 1024
#: Seconds between scans when nothing else causes one.
SCAN_SECONDS = 1.0
#: Outcomes written in one transaction, and seconds to wait when they could not be written.
RECORD = 500
RECORD_RETRY = 1.0
#: Hosts remembered when idle.
HOSTS = 512


class Flow(Protocol):
    """``flows.delivery.DeliveryFlow``."""

    async def claim(
        self, limit: int, lease: float, room: int, rooms: Mapping[str, int], ids: Sequence[str] | None
    ) -> list[Claim]: ...

    async def attempt(self, claim: Claim) -> Outcome | None: ...

    async def record(self, outcomes: Sequence[Outcome], released: Sequence[Held], delay: float) -> None: ...


class _Host:
    """What this process knows of one receiver.

    :ivar limit: requests it may have at a time.
    :ivar failures: failures since the last success.
    :ivar seconds: how long it takes to answer, averaged; None until it has.
    :ivar queue: claims with the time of each.
    """

    __slots__ = ("failures", "limit", "queue", "running", "seconds", "starting")

    def __init__(self) -> None:
        self.limit = START
        self.failures = 0
        self.seconds: float | None = None
        self.running = 0
        self.starting = False
        self.queue: deque[tuple[Claim, float]] = deque()

    @property
    def failing(self) -> bool:
        return self.failures >= FAILURES

    @property
    def held(self) -> int:
        return self.running + len(self.queue)

    def room(self) -> int:
        """How many more to claim; 0 until it is worth a claim."""
        quick = not self.failures and self.seconds is not None and self.seconds < QUICK_SECONDS
        most = self.limit * QUEUE if quick else self.limit
        free = most - self.held
        return free if free >= max(1, most // 4) or not self.held else 0

    def finished(self, delivered: bool, seconds: float, per_host: int) -> None:
        self.seconds = seconds if self.seconds is None else 0.8 * self.seconds + 0.2 * seconds
        if delivered:
            self.limit = min(per_host, max(self.limit, START) + 1)
            self.failures = 0
        else:
            self.failures += 1
            if self.failing:
                self.limit = FAILING


class Deliveries:
    """The worker.

    :param total: requests at a time.
    :param per_host: requests at a time for one host that answers well.
    """

    _log = Logger()

    def __init__(self, flow: Flow, clock: IReactorTime, *, total: int = 256, per_host: int = 16) -> None:
        self._flow = flow
        self._clock = clock
        self._total = total
        self._per_host = per_host
        self._hosts: OrderedDict[str, _Host] = OrderedDict()
        self._held = 0
        self._octets = 0
        self._fresh: deque[str] = deque()
        self._scan_due = False
        self._scanned = 0.0
        self._held_back = False
        self._outcomes: list[Outcome] = []
        self._released: list[Held] = []
        self._recording: Deferred[None] | None = None
        self._running: set[Deferred[None]] = set()
        self._stopping = False
        self._pump = Periodic("webhook deliveries", SCAN_SECONDS, clock, self._round)

    # --- from outside -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._stopping = False
        self._scan_due = True
        self._pump.start()

    def mail(self, payload: str) -> None:
        """Take in a notification of ``e2a_mail``: lines of agent id, message id and, if it has a delivery, ``due``."""
        found = [line.split(" ")[1] for line in payload.split("\n") if line.endswith(" due")]
        if found:
            self._scan_due = self._scan_due or len(self._fresh) + len(found) > FRESH
            self._fresh.extend(found[: FRESH - len(self._fresh)])
            self._pump.wake()

    def gap(self) -> None:
        """Notifications may have been missed."""
        self._scan_due = True
        self._pump.wake()

    @property
    def in_flight(self) -> int:
        """Deliveries claimed and not finished."""
        return self._held

    @property
    def idle_seconds(self) -> float:
        """How long ago it last looked for work."""
        return self._pump.idle_seconds

    async def stop(self, grace: float = 20.0) -> None:
        """Claim nothing more, let running requests finish for ``grace`` seconds, write everything down.

        What was claimed and not begun is given back. A request that outlasts the grace is cut off and given back too:
        its receiver may see it twice.
        """
        self._stopping = True
        await self._pump.stop()
        for host in self._hosts.values():
            while host.queue:
                self._give_back(host.queue.popleft()[0])
        if self._running:
            timer = self._clock.callLater(grace, self._cut_off)
            while self._running:
                await ended(next(iter(self._running)))
            if timer.active():
                timer.cancel()
        self._write()
        while self._recording is not None:
            await ended(self._recording)

    # --- claiming -----------------------------------------------------------------------------------------------------

    async def _round(self) -> None:
        """Claim until there is no room, or nothing more to claim."""
        # By the clock and not by the timer alone: under steady notifications no timer ever fires.
        self._scan_due = self._scan_due or self._clock.seconds() - self._scanned >= SCAN_SECONDS
        while not self._stopping and self._held < self._total:
            limit = min(CLAIM, self._total - self._held)
            if self._fresh:
                ids = [self._fresh.popleft() for _ in range(min(limit, len(self._fresh)))]
                self._take(await self._claim(limit, ids))
            elif self._scan_due:
                self._scan_due = False
                self._scanned = self._clock.seconds()
                claims = await self._claim(limit, None)
                self._take(claims)
                # Hosts may now be full that were not, and what is due behind them has not been looked at.
                self._scan_due = self._scan_due or bool(claims)
            else:
                return
        self._held_back = True

    async def _claim(self, limit: int, ids: Sequence[str] | None) -> list[Claim]:
        rooms = {name: room for name, host in self._hosts.items() if (room := host.room()) != START}
        if self._failing_held() >= self._total // 2:
            rooms |= {name: 0 for name, host in self._hosts.items() if host.failing}
        self._held_back = self._held_back or 0 in rooms.values()
        return await self._flow.claim(limit, LEASE, START, rooms, ids)

    def _failing_held(self) -> int:
        return sum(host.held for host in self._hosts.values() if host.failing)

    def _take(self, claims: Iterable[Claim]) -> None:
        now = self._clock.seconds()
        touched = {}
        for claim in claims:
            name = claim.delivery.host
            host = self._hosts.get(name)
            if host is None:
                host = self._hosts[name] = _Host()
            host.queue.append((claim, now))
            self._held += 1
            touched[name] = host
        for name, host in touched.items():
            self._run(name, host)
        if self._released:
            self._write()
        while len(self._hosts) > HOSTS:
            for name, host in self._hosts.items():
                if not host.held:
                    del self._hosts[name]
                    break
            else:
                break

    # --- running ------------------------------------------------------------------------------------------------------

    def _run(self, name: str, host: _Host) -> None:
        """Start what the host may have at a time."""
        if host.starting:
            # An attempt that ended at once: the loop that started it goes on.
            return
        host.starting = True
        while host.queue and host.running < host.limit and not self._stopping:
            claim, claimed_at = host.queue.popleft()
            size = claim.delivery.message.size
            late = self._clock.seconds() - claimed_at > LEASE - LEASE_LEFT
            if late or (self._octets and self._octets + size > OCTETS):
                self._give_back(claim)
                continue
            host.running += 1
            self._octets += size
            attempt = Deferred.fromCoroutine(self._attempt(name, host, claim))
            if not attempt.called:
                self._running.add(attempt)
                attempt.addBoth(self._ended, attempt)
        host.starting = False

    def _ended(self, _: object, attempt: Deferred[None]) -> None:
        self._running.discard(attempt)

    async def _attempt(self, name: str, host: _Host, claim: Claim) -> None:
        started = self._clock.seconds()
        outcome: Outcome | None = None
        try:
            outcome = await self._flow.attempt(claim)
        except Exception:
            if not self._stopping:
                self._log.failure("webhook delivery attempt")
        host.running -= 1
        self._octets -= claim.delivery.message.size
        if outcome is None:
            self._give_back(claim)
        else:
            self._held -= 1
            host.finished(outcome.status == "delivered", self._clock.seconds() - started, self._per_host)
            self._outcomes.append(outcome)
        self._hosts.move_to_end(name)
        self._run(name, host)
        self._write()
        if self._held_back and host.room():
            self._held_back = False
            self._scan_due = True
            self._pump.wake()

    def _give_back(self, claim: Claim) -> None:
        self._held -= 1
        self._released.append(Held(claim.delivery.message.id, claim.delivery.fence))

    def _cut_off(self) -> None:
        for attempt in list(self._running):
            attempt.cancel()

    # --- writing ------------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        if self._recording is None and (self._outcomes or self._released):
            recording = self._recording = Deferred.fromCoroutine(self._record())
            recording.addBoth(self._recorded)

    def _recorded(self, result: object) -> None:
        self._recording = None

    async def _record(self) -> None:
        failures = 0
        while self._outcomes or self._released:
            outcomes, self._outcomes = self._outcomes[:RECORD], self._outcomes[RECORD:]
            released, self._released = self._released[:RECORD], self._released[RECORD:]
            try:
                await self._flow.record(outcomes, released, 0.0 if self._stopping else RECORD_RETRY)
                failures = 0
            except Exception as error:
                failures += 1
                if not isinstance(error, Unavailable) or self._stopping or failures > LEASE / RECORD_RETRY:
                    # Their leases end by themselves, and the deliveries are repeated.
                    self._log.failure("gave up writing the outcomes of {count} deliveries", count=len(outcomes))
                    continue
                self._outcomes[:0] = outcomes
                self._released[:0] = released
                await deferLater(self._clock, RECORD_RETRY)
