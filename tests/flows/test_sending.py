"""One attempt, from the claim to the record, on PostgreSQL and against a scripted upstream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from e2a.core.errors import Unavailable
from e2a.core.rules.sending import UnknownPolicy
from e2a.flows.ports import Answer, Permit, Transmission
from e2a.flows.sending import LEASE, MARGIN, Claim, SendingFlow
from e2a.store import outbox
from tests.support.cpu import QuickCpu
from tests.support.metrics import NoMetrics
from tests.support.outgoing import AGENT, RAW, jobs, make_due, queue_message, states, status
from tests.support.postgres import DatabaseTestCase, make_agent
from tests.support.tenants import execute, rows

SENT = ("sent", 250, "2.0.0 queued as <q1@mx.example>")
REFUSED = ("refused", 550, "5.1.1 who?")
DEFERRED = ("deferred", 451, "4.3.0 later")
LOST = ("unknown", None, "the server closed the connection")


class Upstream:
    """Answers as scripted; transmits only with a permit, as the real one."""

    def __init__(self) -> None:
        self.script: dict[str, Any] = {}
        self.usual: Any = SENT
        self.transmitted: list[tuple[str, tuple[str, ...], bytes]] = []
        self.unreachable = False
        self.before_dot: Any = None
        self.block: Deferred[None] | None = None

    async def send(self, envelope_from: str, recipients: Sequence[str], data: bytes, permit: Permit) -> Transmission:
        answers = {recipient: Answer(*self.script.get(recipient, self.usual)) for recipient in recipients}
        if self.unreachable:
            return Transmission(answers, unreachable=True)
        if not await permit.begin():
            return Transmission({}, withheld=True)
        if self.before_dot is not None:
            await self.before_dot()
        if not permit.valid():
            return Transmission({}, withheld=True)
        self.transmitted.append((envelope_from, tuple(recipients), data))
        return Transmission(answers)


class Case(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await make_agent(self.db, AGENT)
        self.clock = Clock()
        self.upstream = Upstream()
        self.flow = self.make_flow()

    def make_flow(self, *, direct: bool = False, policy: UnknownPolicy = "retry", database: Any = None) -> SendingFlow:
        async def sign(raw: bytes, domain: str, at: float) -> bytes:
            return f"Signed-By: {domain} {at}\r\n".encode() + raw

        return SendingFlow(
            database or self.db,
            self.upstream,
            sign,
            lambda message_id, domain: f"bounce+{message_id}@{domain}",
            QuickCpu(),
            NoMetrics(),
            direct=direct,
            policy=policy,
            usage=True,
            now=self.clock.seconds,
            monotonic=self.clock.seconds,
            random=lambda: 0.0,
        )

    async def claim(self, flow: SendingFlow | None = None) -> list[Claim]:
        return await (flow or self.flow).claim(10, 10, {})

    async def run_due(self, flow: SendingFlow | None = None) -> int:
        """Attempt and record everything that is due; returns how many attempts there were."""
        flow = flow or self.flow
        claims = await self.claim(flow)
        for claim in claims:
            outcome, _ = await flow.attempt(claim)
            await flow.record([outcome] if outcome else [], [] if outcome else [claim.job.held], 0.0)
        return len(claims)


class Attempts(Case):
    async def test_sent(self) -> None:
        """An accepted message is sent: signed, from its bounce address; its job and its bytes are gone, its use counted
        once, and whoever waits is told."""
        await queue_message(self.db, "m1", "ann@people.test", "bob@people.test")
        await self.run_due()
        expected = ("bounce+msg_m1@agents.test", ("ann@people.test", "bob@people.test"))
        ((*envelope, data),) = self.upstream.transmitted
        self.assertEqual(tuple(envelope), expected)
        self.assertTrue(data.startswith(b"Signed-By: agents.test ") and data.endswith(b"\r\n" + RAW))
        self.assertEqual(await status(self.db), "sent")
        self.assertEqual(set((await states(self.db)).values()), {"sent"})
        self.assertEqual(await jobs(self.db), [])
        row = (await rows(self.db, "SELECT raw_id, provider_message_id FROM messages"))[0]
        self.assertEqual((row.raw_id, row.provider_message_id), (None, "<q1@mx.example>"))
        self.assertEqual(await rows(self.db, "SELECT id FROM raw_messages"), [])
        used = await rows(self.db, "SELECT agent_id, domain, direction FROM usage_events")
        self.assertEqual([tuple(row) for row in used], [(AGENT, "agents.test", "outbound")])

    async def test_bytes_that_others_hold(self) -> None:
        """Bytes that an agent of this deployment received stay with it."""
        await queue_message(self.db)
        await execute(
            self.db,
            "INSERT INTO messages (id, agent_id, direction, uid, raw_id, inbox_status)"
            " VALUES ('msg_in', %s, 'inbound', 1, 'raw_m1', 'unread')",
            AGENT,
        )
        await self.run_due()
        self.assertEqual(len(await rows(self.db, "SELECT id FROM raw_messages")), 1)

    async def test_expired_approved(self) -> None:
        """A message approved by expiry is called so when it is sent."""
        await queue_message(self.db, sent_status="expired_approved")
        await self.run_due()
        self.assertEqual(await status(self.db), "expired_approved")

    async def test_each_recipient(self) -> None:
        """Accepted by one is sent; the deferred are tried again alone, and the refused not at all."""
        await queue_message(self.db, "m1", "ann@people.test", "bob@people.test", "cy@people.test")
        self.upstream.script = {"bob@people.test": DEFERRED, "cy@people.test": REFUSED}
        await self.run_due()
        expected = {"ann@people.test": "sent", "bob@people.test": "pending", "cy@people.test": "failed"}
        self.assertEqual(await states(self.db), expected)
        self.assertEqual(await status(self.db), "sent")
        job = (await jobs(self.db))[0]
        self.assertTrue(50 < job.due_in <= 60)
        self.assertEqual((job.phase, job.attempts, job.last_error), ("ready", 1, "451 4.3.0 later"))
        self.assertEqual(await self.run_due(), 0)
        await make_due(self.db)
        self.upstream.script = {}
        await self.run_due()
        self.assertEqual(self.upstream.transmitted[1][1], ("bob@people.test",))
        self.assertEqual(len(await rows(self.db, "SELECT id FROM usage_events")), 1)
        self.assertEqual(await rows(self.db, "SELECT id FROM raw_messages"), [])

    async def test_all_refused(self) -> None:
        """Refused by everybody is failed, which is not charged."""
        await queue_message(self.db)
        self.upstream.usual = REFUSED
        await self.run_due()
        row = (await rows(self.db, "SELECT state, code, reply FROM outbound_recipients"))[0]
        self.assertEqual(tuple(row), ("failed", 550, "5.1.1 who?"))
        self.assertEqual((await status(self.db), await jobs(self.db)), ("failed", []))
        self.assertEqual(await rows(self.db, "SELECT id FROM usage_events"), [])

    async def test_days(self) -> None:
        """What nobody takes for five days has failed."""
        await queue_message(self.db)
        self.upstream.usual = DEFERRED
        await self.run_due()
        self.assertEqual(await status(self.db), "queued")
        await execute(self.db, "UPDATE outbox SET gives_up_at = now() - interval '1 hour'")
        await make_due(self.db)
        await self.run_due()
        self.assertEqual((await status(self.db), await jobs(self.db)), ("failed", []))

    async def test_inside_and_outside(self) -> None:
        """A copy handed over inside does not make the message sent while mail to people is still to go; when that fails
        it does."""
        await queue_message(self.db, "m1", "ann@people.test", loopback=("pal@agents.test",))
        self.upstream.usual = DEFERRED
        await self.run_due()
        self.assertEqual(await status(self.db), "queued")
        self.upstream.usual = REFUSED
        await make_due(self.db)
        await self.run_due()
        self.assertEqual(await status(self.db), "sent")

    async def test_bounce_meanwhile(self) -> None:
        """A recipient that has bounced keeps that when the record comes late."""
        await queue_message(self.db)
        (claim,) = await self.claim()
        outcome, _ = await self.flow.attempt(claim)
        await execute(self.db, "UPDATE outbound_recipients SET state = 'bounced'")
        assert outcome is not None
        await self.flow.record([outcome], [], 0.0)
        self.assertEqual(await states(self.db), {"ann@people.test": "bounced"})
        self.assertEqual(await status(self.db), "sent")

    async def test_bytes_gone(self) -> None:
        """A message without its bytes fails instead of being claimed for ever."""
        await queue_message(self.db)
        await execute(self.db, "UPDATE messages SET raw_id = NULL")
        await self.run_due()
        self.assertEqual(await status(self.db), "failed")

    async def test_line_ends(self) -> None:
        """Bare line ends never reach the wire."""
        await queue_message(self.db, raw=b"Subject: x\n\na\rb\r\n\nc\r\n")
        await self.run_due()
        self.assertTrue(self.upstream.transmitted[0][2].endswith(b"Subject: x\r\n\r\na\r\nb\r\n\r\nc\r\n"))

    async def test_signing_fails(self) -> None:
        """A message that cannot be prepared waits its turn like any other that does not go."""

        async def broken(raw: bytes, domain: str, at: float) -> bytes:
            raise ZeroDivisionError

        await queue_message(self.db)
        self.flow._sign = broken
        await self.run_due()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertTrue((await jobs(self.db))[0].due_in > 50)

    async def test_deleted_meanwhile(self) -> None:
        """The record of a message that was deleted changes nothing."""
        await queue_message(self.db)
        (claim,) = await self.claim()
        outcome, _ = await self.flow.attempt(claim)
        await execute(self.db, "DELETE FROM messages")
        assert outcome is not None
        await self.flow.record([outcome], [claim.job.held], 0.0)
        self.assertEqual(await jobs(self.db), [])

    async def test_notification(self) -> None:
        """Whoever waits for the message hears of the outcome."""
        await queue_message(self.db)
        said: list[tuple[str, str]] = []
        await execute(self.db, "LISTEN e2a_changed")
        # Every pooled connection may be the one that listens: notices arrive at whichever it was.
        for connection in self.db._open:
            connection.on_notify = lambda channel, payload: said.append((channel, payload))
        await self.run_due()
        for _ in range(self.pool_size * 2):
            await rows(self.db, "SELECT 1")
        self.assertIn(("e2a_changed", "outbound msg_m1"), said)


class Unknowns(Case):
    async def test_lost_answer(self) -> None:
        """A lost final answer is visible at once, tried again once with the same bytes not before fifteen minutes, and
        settled by that answer."""
        await queue_message(self.db)
        self.upstream.usual = LOST
        await self.run_due()
        self.assertEqual((await status(self.db), await states(self.db)), ("unknown", {"ann@people.test": "unknown"}))
        job = (await jobs(self.db))[0]
        self.assertTrue(job.due_in > 890)
        self.assertEqual(await self.run_due(), 0)
        await make_due(self.db)
        self.upstream.usual = SENT
        await self.run_due()
        first, second = self.upstream.transmitted
        self.assertEqual(first, second)
        self.assertEqual((await status(self.db), await jobs(self.db)), ("sent", []))

    async def test_lost_twice(self) -> None:
        """A second lost answer ends it: never a third copy by itself; the bytes stay."""
        await queue_message(self.db)
        self.upstream.usual = LOST
        for _ in range(4):
            await self.run_due()
            await make_due(self.db)
        self.assertEqual(len(self.upstream.transmitted), 2)
        self.assertEqual((await status(self.db), await jobs(self.db)), ("unknown", []))
        self.assertEqual(len(await rows(self.db, "SELECT id FROM raw_messages")), 1)

    async def test_hold(self) -> None:
        """With the policy to hold nothing is repeated, and the message stays as it is for a person to look at."""
        flow = self.make_flow(policy="hold")
        await queue_message(self.db)
        self.upstream.usual = LOST
        for _ in range(3):
            await self.run_due(flow)
            await make_due(self.db)
            await flow.recover()
        self.assertEqual(len(self.upstream.transmitted), 1)
        self.assertEqual(
            (await status(self.db), [job.next_attempt_at for job in await jobs(self.db)]), ("unknown", [None])
        )
        self.assertEqual(len(await rows(self.db, "SELECT id FROM raw_messages")), 1)

    async def test_killed_in_data(self) -> None:
        """What a process left between DATA and the record is unknown, and not sent again at once."""
        await queue_message(self.db)
        (claim,) = await self.claim()
        self.assertTrue(await claim.lease.begin())
        self.assertEqual(await self.flow.recover(), 0)
        await make_due(self.db)
        self.assertEqual(await self.run_due(), 0)
        self.assertEqual(await self.flow.recover(), 1)
        self.assertEqual(await status(self.db), "unknown")
        self.assertEqual(await self.run_due(), 0)
        self.assertTrue((await jobs(self.db))[0].due_in > 890)
        await make_due(self.db)
        await self.run_due()
        self.assertEqual((await status(self.db), len(self.upstream.transmitted)), ("sent", 1))

    async def test_killed_before_data(self) -> None:
        """What a process left before DATA is simply sent by another when the lease is over."""
        await queue_message(self.db)
        await self.claim()
        self.assertEqual(await self.run_due(), 0)
        await make_due(self.db)
        await self.run_due()
        self.assertEqual((await status(self.db), len(self.upstream.transmitted)), ("sent", 1))

    async def test_late_record(self) -> None:
        """An answer that could not be written in time counts after all, as long as nobody has tried again."""
        await queue_message(self.db)
        (claim,) = await self.claim()
        outcome, _ = await self.flow.attempt(claim)
        await make_due(self.db)
        await self.flow.recover()
        self.assertEqual(await status(self.db), "unknown")
        assert outcome is not None
        await self.flow.record([outcome], [], 0.0)
        self.assertEqual((await status(self.db), await jobs(self.db)), ("sent", []))

    async def test_record_written_twice(self) -> None:
        """Writing an outcome again, after an answer of the database was lost, changes nothing."""
        await queue_message(self.db)
        self.upstream.usual = LOST
        (claim,) = await self.claim()
        outcome, _ = await self.flow.attempt(claim)
        assert outcome is not None
        await self.flow.record([outcome], [], 0.0)
        before = (await jobs(self.db))[0]
        await self.flow.record([outcome], [], 0.0)
        after = (await jobs(self.db))[0]
        self.assertEqual(
            (after.unknowns, after.fence, after.next_attempt_at), (1, before.fence, before.next_attempt_at)
        )


class Leases(Case):
    async def test_two_workers(self) -> None:
        """A job is claimed by one worker alone, and each destination has its limit."""
        for number in range(6):
            await queue_message(self.db, f"m{number}")
        first = await self.flow.claim(10, 4, {})
        second = await self.flow.claim(10, 4, {})
        third = await self.flow.claim(10, 4, {"": 0})
        self.assertEqual((len(first), len(second), third), (4, 2, []))
        self.assertFalse({claim.job.message_id for claim in first} & {claim.job.message_id for claim in second})

    async def test_overtaken(self) -> None:
        """A worker that wakes up after another has taken its job cannot open DATA, nor write anything."""
        await queue_message(self.db)
        (old,) = await self.claim()
        await make_due(self.db)
        (new,) = await self.claim()
        self.assertEqual(await self.flow.attempt(old), (None, False))
        self.assertEqual(self.upstream.transmitted, [])
        await self.flow.record([], [old.job.held], 0.0)
        outcome, _ = await self.flow.attempt(new)
        assert outcome is not None
        await self.flow.record([outcome], [], 0.0)
        self.assertEqual((await status(self.db), len(self.upstream.transmitted)), ("sent", 1))

    async def test_lease_over_before_data(self) -> None:
        """A lease that is over opens nothing, even while nobody has taken the job."""
        await queue_message(self.db)
        (claim,) = await self.claim()
        await make_due(self.db)
        self.assertEqual(await self.flow.attempt(claim), (None, False))

    async def test_stopped_in_data(self) -> None:
        """A process that was stopped in the middle of DATA past its lease never writes the final dot."""

        async def sleep() -> None:
            self.clock.advance(LEASE - MARGIN)

        await queue_message(self.db)
        (claim,) = await self.claim()
        self.upstream.before_dot = sleep
        self.assertEqual(await self.flow.attempt(claim), (None, False))
        self.assertEqual(self.upstream.transmitted, [])

    async def test_renewed(self) -> None:
        """A lease that is renewed in time goes on, before DATA and in it."""
        await queue_message(self.db)
        (claim,) = await self.claim()
        for _ in range(3):
            self.clock.advance(LEASE / 2)
            await self.flow.renew([claim.lease])
        self.assertTrue(await claim.lease.begin())
        for _ in range(3):
            self.clock.advance(LEASE / 2)
            await self.flow.renew([claim.lease])
        self.assertTrue(claim.lease.valid())
        self.assertTrue((await jobs(self.db))[0].due_in > LEASE - 10)

    async def test_renewed_too_late(self) -> None:
        """A lease that is over, or whose job was taken for lost, is not renewed, and the attempt ends."""
        await queue_message(self.db)
        (claim,) = await self.claim()
        await claim.lease.begin()
        await make_due(self.db)
        await self.flow.recover()
        await self.flow.renew([claim.lease])
        self.assertTrue(claim.lease.lost)
        self.assertFalse(claim.lease.valid())
        self.assertTrue((await jobs(self.db))[0].due_in > 890)

    async def test_database_away(self) -> None:
        """Without the database DATA is not opened."""
        database = _Flaky(self.db)
        flow = self.make_flow(database=database)
        await queue_message(self.db)
        (claim,) = await self.claim(flow)
        database.down = {"begin data"}
        self.assertEqual(await flow.attempt(claim), (None, False))
        database.down = set()
        await flow.record([], [claim.job.held], 0.0)
        job = (await jobs(self.db))[0]
        self.assertEqual((job.attempts, job.phase), (0, "ready"))
        self.assertEqual(self.upstream.transmitted, [])

    async def test_big_message(self) -> None:
        """A big message is loaded when its turn comes; while the database is away it waits."""
        database = _Flaky(self.db)
        flow = self.make_flow(database=database)
        raw = RAW + (b"x" * 98 + b"\r\n") * 1000
        await queue_message(self.db, raw=raw)
        (claim,) = await self.claim(flow)
        self.assertIsNone(claim.job.raw)
        database.down = {"load raw"}
        self.assertEqual(await flow.attempt(claim), (None, False))
        database.down = set()
        await flow.attempt(claim)
        self.assertTrue(self.upstream.transmitted[0][2].endswith(raw))

    async def test_cut_off(self) -> None:
        """An attempt that is cancelled while it prepares is given back."""
        await queue_message(self.db)
        (claim,) = await self.claim()
        waiting: Deferred[bytes] = Deferred()

        async def slow(raw: bytes, domain: str, at: float) -> bytes:
            return await waiting

        self.flow._sign = slow
        attempt = Deferred.fromCoroutine(self.flow.attempt(claim))
        attempt.cancel()
        self.assertEqual(await attempt, (None, False))


class Direct(Case):
    async def test_divided(self) -> None:
        """On the direct route a message becomes one job for each domain, and each is settled by itself."""
        flow = self.make_flow(direct=True)
        await queue_message(self.db, "m1", "ann@people.test", "bob@people.test", "cy@Other.test")
        self.upstream.script = {"cy@Other.test": DEFERRED}
        self.assertEqual(await self.run_due(flow), 2)
        self.assertEqual(
            sorted(recipients for _, recipients, _ in self.upstream.transmitted),
            [("ann@people.test", "bob@people.test"), ("cy@Other.test",)],
        )
        self.assertEqual([job.destination for job in await jobs(self.db)], ["other.test"])
        self.assertEqual(await status(self.db), "sent")
        self.assertEqual(len(await rows(self.db, "SELECT id FROM raw_messages")), 1)
        await make_due(self.db)
        self.upstream.script = {}
        await self.run_due(flow)
        self.assertEqual(await rows(self.db, "SELECT id FROM raw_messages"), [])

    async def test_route_changed(self) -> None:
        """A message that was waiting for the upstream server goes the direct way when the route has changed."""
        await queue_message(self.db)
        self.upstream.usual = DEFERRED
        await self.run_due()
        await make_due(self.db)
        flow = self.make_flow(direct=True)
        self.upstream.usual = SENT
        self.assertEqual(await self.run_due(flow), 1)
        self.assertEqual(await status(self.db), "sent")

    async def test_backlog(self) -> None:
        """How much waits, and for how long, can be read."""
        self.assertEqual(await self.db.run("backlog", outbox.read_backlog), (0, 0.0))
        await queue_message(self.db)
        await execute(self.db, "UPDATE outbox SET created_at = now() - interval '1 hour'")
        count, oldest = await self.db.run("backlog", outbox.read_backlog)
        self.assertEqual((count, round(oldest / 3600)), (1, 1))


class _Flaky:
    """A database whose transactions of some names fail."""

    def __init__(self, db: Any) -> None:
        self._db = db
        self.down: set[str] = set()

    async def run(self, name: str, *work: Any) -> Any:
        return await self._unless_down(self._db.run, name, *work)

    async def statement(self, name: str, *work: Any) -> Any:
        return await self._unless_down(self._db.statement, name, *work)

    async def _unless_down(self, how: Any, name: str, *work: Any) -> Any:
        if name in self.down:
            raise Unavailable
        return await how(name, *work)
