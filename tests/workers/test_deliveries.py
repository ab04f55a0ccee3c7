"""The webhook worker: who is claimed, who waits, what is written."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from e2a.core.entities import ClaimedDelivery, Facts, InboundMessage
from e2a.core.errors import Unavailable
from e2a.flows.delivery import Claim, Held, Outcome
from e2a.workers import deliveries
from e2a.workers.deliveries import Deliveries

MOMENT = datetime(2026, 5, 1, tzinfo=UTC)


def message(message_id: str, size: int) -> InboundMessage:
    return InboundMessage(
        id=message_id,
        uid=1,
        agent_id="bot@agents.test",
        raw_id="raw",
        sender="",
        recipient="",
        tag="",
        to=(),
        cc=(),
        reply_to=(),
        subject="",
        email_message_id="",
        conversation_id=None,
        facts=Facts(False, "", "human", "", ""),
        authentication={},
        size=size,
        inbox_status="unread",
        created_at=MOMENT,
        expires_at=MOMENT,
    )


class Rows:
    """Stands in for the flow and its table: due rows in order, attempts that end when the test says so."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.due: dict[str, tuple[str, int]] = {}
        self.attempts: dict[str, Deferred[str]] = {}
        self.running: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.recorded: list[str] = []
        self.released: list[str] = []
        self.transactions = 0
        self.claims = 0
        self.numbers = itertools.count()
        self.down = False
        self.instant = ""
        self.blocked: Deferred[None] | None = None

    def add(self, host: str, count: int, size: int = 100) -> list[str]:
        ids = [f"{host}-{next(self.numbers):05}" for _ in range(count)]
        self.due |= dict.fromkeys(ids, (host, size))
        return ids

    async def claim(
        self, limit: int, lease: float, room: int, rooms: Mapping[str, int], ids: Sequence[str] | None
    ) -> list[Claim]:
        self.claims += 1
        if self.down:
            raise Unavailable
        taken: list[Claim] = []
        seen: Counter[str] = Counter()
        candidates = [
            message_id
            for message_id in self.due
            if (ids is None or message_id in ids) and rooms.get(self.due[message_id][0], room) > 0
        ]
        for message_id in candidates[:limit]:
            host, size = self.due[message_id]
            if seen[host] >= rooms.get(host, room):
                continue
            seen[host] += 1
            del self.due[message_id]
            taken.append(Claim(ClaimedDelivery(message(message_id, size), "u", host, "org", 1, 1), b""))
        return taken

    async def attempt(self, claim: Claim) -> Outcome | None:
        name, host = claim.delivery.message.id, claim.delivery.host
        self.running[host] += 1
        self.most[host] = max(self.most[host], self.running[host])
        try:
            if self.instant:
                result = self.instant
            else:
                ending = self.attempts[name] = Deferred()
                result = await ending
        finally:
            self.attempts.pop(name, None)
            self.running[host] -= 1
        if result == "none":
            return None
        return Outcome(name, 1, result, None, "", None, 0.0, 0)  # type: ignore[arg-type]

    async def record(self, outcomes: Sequence[Outcome], released: Sequence[Held], delay: float) -> None:
        if self.blocked is not None:
            await self.blocked
        if self.down:
            raise Unavailable
        self.transactions += 1
        self.recorded += [outcome.message_id for outcome in outcomes]
        self.released += [held.message_id for held in released]

    def finish(self, status: str = "delivered", host: str = "") -> int:
        """End every running attempt of a host; returns how many."""
        endings = [ending for name, ending in self.attempts.items() if name.startswith(host)]
        for ending in endings:
            ending.callback(status)
        return len(endings)


class WorkerTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.rows = Rows(self.clock)

    def worker(self, **arguments: Any) -> Deliveries:
        worker = Deliveries(self.rows, self.clock, **arguments)
        worker.start()
        return worker

    def stop(self, worker: Deliveries) -> None:
        stopped = Deferred.fromCoroutine(worker.stop())
        self.rows.finish()
        self.clock.advance(0)
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class FlowTests(WorkerTestCase):
    def test_what_is_due_at_the_start(self) -> None:
        """Deliveries left by an earlier process are attempted and recorded without any notification."""
        ids = self.rows.add("a", 3)
        worker = self.worker()
        self.rows.finish()
        self.assertEqual(sorted(self.rows.recorded), ids)
        self.stop(worker)

    def test_notified_mail(self) -> None:
        """A notification leads to the attempt at once, without waiting for the timer."""
        worker = self.worker()
        (name,) = self.rows.add("a", 1)
        self.assertEqual(list(self.rows.attempts), [])
        worker.mail(f"bot@agents.test {name} due\nbot@agents.test unknown due")
        self.assertEqual(list(self.rows.attempts), [name])
        self.stop(worker)

    def test_mail_without_a_delivery(self) -> None:
        """Mail for agents that have no webhook causes no claim."""
        worker = self.worker()
        claims = self.rows.claims
        worker.mail("bot@agents.test msg_1\nbot@agents.test msg_2")
        self.assertEqual(self.rows.claims, claims)
        self.stop(worker)

    def test_the_timer_finds_the_rest(self) -> None:
        """What no notification told of is found within a second, also under a stream of notifications."""
        worker = self.worker()
        (name,) = self.rows.add("a", 1)
        for _ in range(11):
            self.clock.advance(0.1)
            worker.mail("bot@agents.test unknown due")
        self.assertEqual(list(self.rows.attempts), [name])
        self.stop(worker)

    def test_a_gap_is_scanned(self) -> None:
        """After lost notifications everything due is looked for at once."""
        worker = self.worker()
        self.rows.add("a", 1)
        worker.gap()
        self.assertEqual(len(self.rows.attempts), 1)
        self.stop(worker)

    def test_a_backlog_drains(self) -> None:
        """A long backlog of a quick host empties without the timer, in few claims and few transactions."""
        self.rows.add("a", 2000)
        self.rows.instant = "delivered"
        worker = self.worker()
        for _ in range(20):
            self.clock.advance(0)
        self.assertEqual((len(self.rows.recorded), len(set(self.rows.recorded))), (2000, 2000))
        self.assertLess(self.rows.claims, 100)
        self.assertEqual(worker.in_flight, 0)
        self.stop(worker)

    def test_outcomes_are_written_in_groups(self) -> None:
        """What ends while a transaction runs goes into the next one together."""
        self.rows.add("a", 4)
        self.rows.blocked = Deferred()
        worker = self.worker()
        self.rows.finish()
        blocked, self.rows.blocked = self.rows.blocked, None
        blocked.callback(None)
        self.assertEqual((len(self.rows.recorded), self.rows.transactions), (4, 2))
        self.stop(worker)

    def test_trouble_on_our_side_is_given_back(self) -> None:
        """An attempt that could not be made is released, not recorded."""
        (name,) = self.rows.add("a", 1)
        worker = self.worker()
        self.rows.finish("none")
        self.assertEqual((self.rows.released, self.rows.recorded), ([name], []))
        self.assertEqual(worker.in_flight, 0)
        self.stop(worker)

    def test_outcomes_survive_a_lost_database(self) -> None:
        """Outcomes that cannot be written are kept and written when the database is back."""
        (name,) = self.rows.add("a", 1)
        worker = self.worker()
        self.rows.down = True
        self.rows.finish()
        self.clock.pump([1.0] * 5)
        self.assertEqual(self.rows.recorded, [])
        self.rows.down = False
        self.clock.advance(1.0)
        self.assertEqual(self.rows.recorded, [name])
        self.stop(worker)


class FairnessTests(WorkerTestCase):
    def test_a_hanging_host_delays_nobody(self) -> None:
        """With a thousand older deliveries for a host that hangs, another host's mail is attempted at once."""
        self.rows.add("dead", 1000)
        worker = self.worker()
        (scanned,) = self.rows.add("good", 1)
        self.clock.advance(1.0)
        self.assertIn(scanned, self.rows.attempts)
        (told,) = self.rows.add("good", 1)
        worker.mail(f"x {told} due")
        self.assertIn(told, self.rows.attempts)
        self.assertLessEqual(self.rows.most["dead"], deliveries.START)
        self.stop(worker)

    def test_many_hanging_hosts_leave_room(self) -> None:
        """Hosts known to fail have at most half of all requests together."""
        names = [f"dead{number:02}" for number in range(40)]
        for name in names:
            self.rows.add(name, 10)
        worker = self.worker(total=40)
        for _ in range(40):
            self.rows.finish("pending", "dead")
            self.clock.advance(1.0)
        for name in names:
            self.rows.add(name, 50)
        for _ in range(10):
            self.clock.advance(1.0)
            self.rows.finish("pending", "dead")
        self.clock.advance(1.0)
        self.assertLessEqual(worker.in_flight, 20 + deliveries.FAILING)
        (told,) = self.rows.add("good", 1)
        worker.mail(f"x {told} due")
        self.assertIn(told, self.rows.attempts)
        self.stop(worker)

    def test_a_host_earns_its_requests(self) -> None:
        """A host that answers gets up to 16 requests at a time, never more; one that then only fails gets two."""
        self.rows.add("a", 3000)
        worker = self.worker()
        for _ in range(40):
            self.clock.advance(1.0)
            self.rows.finish()
        self.assertEqual(self.rows.most["a"], 16)
        for _ in range(10):
            self.clock.advance(1.0)
            self.rows.finish("pending")
        self.clock.advance(1.0)
        self.assertEqual(self.rows.running["a"], deliveries.FAILING)
        self.clock.advance(1.0)
        self.rows.finish("delivered")
        self.clock.advance(1.0)
        self.assertGreater(self.rows.running["a"], deliveries.FAILING)
        self.stop(worker)

    def test_the_total_is_a_bound(self) -> None:
        """Never more deliveries are held than the total, and a finished one makes room."""
        for number in range(100):
            self.rows.add(f"host{number:03}", 3)
        worker = self.worker(total=32)
        self.assertEqual(worker.in_flight, 32)
        self.rows.finish()
        self.assertEqual(worker.in_flight, 32)
        self.stop(worker)

    def test_big_messages_take_turns(self) -> None:
        """The octets in requests are bounded: what does not fit is given back, a single giant runs alone."""
        self.rows.add("a", 4, size=deliveries.OCTETS // 2)
        worker = self.worker()
        self.assertEqual((len(self.rows.attempts), len(self.rows.released)), (2, 2))
        self.rows.finish()
        self.rows.add("b", 2, size=deliveries.OCTETS * 2)
        self.clock.advance(1.0)
        self.assertEqual((len(self.rows.attempts), len(self.rows.released)), (1, 3))
        self.stop(worker)


class StopTests(WorkerTestCase):
    def test_running_attempts_finish(self) -> None:
        """Stopping waits for what runs, writes it down, and claims nothing more."""
        names = self.rows.add("a", deliveries.START)
        worker = self.worker()
        stopped = Deferred.fromCoroutine(worker.stop(grace=10.0))
        self.rows.add("b", 1)
        worker.mail("x b-00004 due")
        self.clock.advance(5.0)
        self.assertNoResult(stopped)
        self.rows.finish()
        self.successResultOf(stopped)
        self.assertEqual((sorted(self.rows.recorded), self.rows.released), (names, []))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_waiting_claims_go_back(self) -> None:
        """What was claimed and not begun is released at once."""
        self.rows.add("a", 400)
        worker = self.worker()
        for _ in range(15):
            self.rows.finish()
        held, running = worker.in_flight, len(self.rows.attempts)
        self.assertGreater(held, running)
        stopped = Deferred.fromCoroutine(worker.stop())
        self.rows.finish()
        self.successResultOf(stopped)
        self.assertEqual(len(self.rows.released), held - running)

    def test_the_grace_ends(self) -> None:
        """An attempt that outlasts the grace is cut off and given back."""
        (name,) = self.rows.add("a", 1)
        worker = self.worker()
        stopped = Deferred.fromCoroutine(worker.stop(grace=10.0))
        self.clock.advance(10.0)
        self.successResultOf(stopped)
        self.assertEqual((self.rows.released, self.rows.recorded), ([name], []))

    def test_a_lost_database_does_not_hold_the_stop(self) -> None:
        """If outcomes cannot be written at the end, the leases take care of them."""
        self.rows.add("a", 1)
        worker = self.worker()
        self.rows.down = True
        stopped = Deferred.fromCoroutine(worker.stop())
        self.rows.finish()
        self.successResultOf(stopped)
        self.flushLoggedErrors(Unavailable)
