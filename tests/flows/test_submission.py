"""Many messages submitted at one time: they share transactions, and nobody notices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure

from e2a.core.errors import KeyReuse, NotFound, QuotaExceeded, RecipientSuppressed, TooManyRequests, Unavailable
from e2a.core.rules.idempotency import once
from e2a.core.rules.limits import Limit, Quotas
from e2a.flows import submission
from e2a.flows.outcomes import Submitted
from e2a.flows.writing import Writing
from tests.flows.test_outbound import BOT, GOOD, OPERATOR, OWNER, PAL, OutboundTestCase
from tests.support.cpu import QuickCpu
from tests.support.postgres import ORGANISATION, make_agent
from tests.support.tenants import execute, rows

TEAM = tuple(f"bot{number}@agents.test" for number in range(6))


class SubmissionTests(OutboundTestCase):
    pool_size = 8

    async def setUp(self) -> None:
        await super().setUp()
        for agent in TEAM:
            await make_agent(self.db, agent)

    def use(self, **given: Any) -> None:
        self.writing = Writing(self.db, self.make(**given), QuickCpu(), operator=OPERATOR)

    async def at_once(self, *wanted: tuple[str, str, str]) -> list[Submitted | BaseException]:
        """What comes of messages that are submitted together.

        :param wanted: of each its sender, its recipient and the key of its request, "" without one.
        """
        asked = [
            Deferred.fromCoroutine(
                self.writing.send(
                    OWNER,
                    replace(GOOD, to=[to]),
                    sender=sender,
                    once=once(ORGANISATION, "send", key, f"{sender} {to}".encode()) if key else None,
                )
            )
            for sender, to, key in wanted
        ]
        done = await DeferredList(asked, consumeErrors=True)
        return [result.value if isinstance(result, Failure) else result for _, result in done]

    def kinds(self, answers: list[Submitted | BaseException]) -> list[str]:
        return [one.message.status if isinstance(one, Submitted) else type(one).__name__ for one in answers]

    async def transactions(self) -> int:
        """How many transactions stored the messages that there are."""
        ((number,),) = await rows(self.db, "SELECT count(DISTINCT xmin::text) FROM messages")
        return int(number)

    async def test_shared(self) -> None:
        """Messages of different agents share transactions, and each has its own row, recipients, job and count."""
        answers = await self.at_once(*((agent, f"{number}@corp.test", "") for number, agent in enumerate(TEAM)))
        self.assertEqual(self.kinds(answers), ["queued"] * 6)
        self.assertLess(await self.transactions(), 6)
        found = await rows(
            self.db,
            "SELECT m.agent_id, r.address, convert_from(w.data, 'UTF8') AS raw, e.key"
            " FROM messages m JOIN outbound_recipients r ON r.message_id = m.id JOIN outbox o ON o.message_id = m.id"
            " JOIN raw_messages w ON w.id = m.raw_id JOIN rate_events e ON e.key = 'send:' || m.agent_id"
            " ORDER BY m.agent_id",
        )
        self.assertEqual(
            [(row.agent_id, row.address) for row in found], [(a, f"{n}@corp.test") for n, a in enumerate(TEAM)]
        )
        for row in found:
            self.assertIn(f"To: {row.address}\r\n", row.raw)

    async def test_handed_over(self) -> None:
        """Agents that write to one agent at a time have one copy each in its mailbox, numbered without a gap."""
        await make_agent(self.db, PAL)
        answers = await self.at_once(*((agent, PAL, "") for agent in TEAM))
        self.assertEqual(self.kinds(answers), ["sent"] * 6)
        found = await rows(
            self.db,
            "SELECT uid, auth_sender FROM messages WHERE agent_id = %s AND direction = 'inbound' ORDER BY uid",
            PAL,
        )
        self.assertEqual([row.uid for row in found], [1, 2, 3, 4, 5, 6])
        self.assertEqual(sorted(row.auth_sender for row in found), list(TEAM))

    async def test_refused(self) -> None:
        """What is refused leaves nothing behind, not even its request's key, and its neighbours are stored."""
        await execute(
            self.db,
            "INSERT INTO suppressions (organisation_id, address, reason) VALUES (%s, 'no@corp.test', 'manual')",
            ORGANISATION,
        )
        await make_agent(self.db, "held@agents.test")
        await execute(self.db, "UPDATE agents SET hitl_enabled = true WHERE id = 'held@agents.test'")
        wanted = [(agent, "no@corp.test" if agent in TEAM[2:4] else "ana@corp.test", agent) for agent in TEAM]
        answers = await self.at_once(*wanted, ("held@agents.test", "ana@corp.test", "held"))
        refused = [RecipientSuppressed.__name__] * 2
        self.assertEqual(self.kinds(answers), ["queued"] * 2 + refused + ["queued"] * 2 + ["pending_approval"])
        self.assertEqual(len(self.told), 1)
        self.assertEqual((await self.count("messages"), await self.count("raw_messages")), (5, 5))
        self.assertEqual((await self.count("rate_events"), await self.count("idempotency_keys")), (5, 5))
        await execute(self.db, "DELETE FROM suppressions")
        again = await self.at_once(*wanted)
        self.assertEqual(
            [one.replayed for one in again if isinstance(one, Submitted)], [True, True, False, False, True, True]
        )

    async def test_used_keys(self) -> None:
        """A key that came with another request is refused; its neighbours are stored."""
        await self.at_once((BOT, "ana@corp.test", "k"))
        answers = await self.at_once(
            (BOT, "bo@corp.test", ""), (TEAM[0], "ana@corp.test", "k"), (TEAM[1], "ana@corp.test", "l")
        )
        self.assertEqual(self.kinds(answers), ["queued", KeyReuse.__name__, "queued"])

    async def test_limit(self) -> None:
        """Of one agent's messages among others' exactly as many pass as may."""
        self.use(limit=Limit("send", 3, 60))
        answers = await self.at_once(*((agent, "ana@corp.test", "") for _ in range(5) for agent in TEAM[:3]))
        kinds = self.kinds(answers)
        self.assertEqual((kinds.count("queued"), kinds.count(TooManyRequests.__name__)), (9, 6))
        counted = await rows(self.db, "SELECT count(*) FROM rate_events GROUP BY key ORDER BY key")
        self.assertEqual([row.count for row in counted], [3, 3, 3])
        left = sorted(one.allowance.remaining for one in answers if isinstance(one, Submitted) and one.allowance)
        self.assertEqual(left, [0, 0, 0, 1, 1, 1, 2, 2, 2])

    async def test_quota(self) -> None:
        """The organisation's last places of a day are taken by exactly as many, and who has none is not counted."""
        self.use(quotas=Quotas(messages_per_day=4))
        answers = await self.at_once(*((agent, "ana@corp.test", agent) for agent in TEAM))
        kinds = self.kinds(answers)
        self.assertEqual((kinds.count("queued"), kinds.count(QuotaExceeded.__name__)), (4, 2))
        ((used,),) = await rows(self.db, "SELECT messages FROM message_days")
        self.assertEqual((used, await self.count("rate_events"), await self.count("idempotency_keys")), (4, 4, 4))

    async def test_a_fault_of_one(self) -> None:
        """A message that cannot be stored fails alone."""
        await execute(
            self.db,
            "ALTER TABLE messages ADD CONSTRAINT broken CHECK (agent_id <> 'bot3@agents.test')",
        )
        self.addCleanup(execute, self.db, "ALTER TABLE messages DROP CONSTRAINT broken")
        answers = await self.at_once(*((agent, "ana@corp.test", "") for agent in TEAM))
        self.assertEqual(self.kinds(answers), ["queued"] * 3 + ["CheckViolation"] + ["queued"] * 2)
        self.assertEqual((await self.count("messages"), await self.count("rate_events")), (5, 5))

    async def test_a_lock_that_is_kept(self) -> None:
        """While somebody keeps what one agent needs, the others' messages are stored; its own waits."""
        free: Deferred[None] = Deferred()
        kept: Deferred[None] = Deferred()

        async def keep(cur: Any) -> None:
            await cur.execute("SELECT pg_advisory_xact_lock(hashtextextended('send:bot3@agents.test', 20))")
            kept.callback(None)
            await free

        keeping = Deferred.fromCoroutine(self.db.run("keep", keep))
        await kept
        first = Deferred.fromCoroutine(self.at_once((BOT, "ana@corp.test", "")))
        stuck = Deferred.fromCoroutine(self.at_once((TEAM[3], "ana@corp.test", "")))
        others = await self.at_once(*((agent, "ana@corp.test", "") for agent in TEAM if agent != TEAM[3]))
        self.assertEqual(self.kinds(await first + others), ["queued"] * 6)
        free.callback(None)
        await keeping
        self.assertEqual(self.kinds(await stuck), ["queued"])

    async def test_unknown(self) -> None:
        """When it is not known whether a group is stored all are told so, and each finds by its key what was."""
        wanted = [(agent, "ana@corp.test", agent) for agent in TEAM]
        run = self.db.run

        async def committed(name: str, *rest: Any) -> Any:
            await run(name, *rest)
            raise Unavailable

        with mock.patch.object(self.db, "run", committed):
            self.assertEqual(self.kinds(await self.at_once(*wanted)), [Unavailable.__name__] * 6)
        again = await self.at_once(*wanted)
        self.assertEqual([one.replayed for one in again if isinstance(one, Submitted)], [True] * 6)
        self.assertEqual((await self.count("messages"), await self.count("rate_events")), (6, 6))

    async def test_deleted_meanwhile(self) -> None:
        """A message of an agent that is being deleted is answered as that of an unknown one, alone and in a group."""
        free: Deferred[None] = Deferred()
        kept: Deferred[None] = Deferred()

        async def delete(cur: Any) -> None:
            await cur.execute("DELETE FROM agents WHERE id = ANY (%s)", ([TEAM[3], TEAM[4]],))
            kept.callback(None)
            await free

        self.patch(submission, "_PATIENCE", "SET LOCAL lock_timeout = '10s'")
        deleting = Deferred.fromCoroutine(self.db.run("delete", delete))
        await kept
        big = replace(GOOD, body="x" * submission.ALONE_BYTES)
        alone = Deferred.fromCoroutine(self.writing.send(OWNER, big, sender=TEAM[3]))
        group = Deferred.fromCoroutine(self.at_once((TEAM[4], "ana@corp.test", ""), (TEAM[5], "ana@corp.test", "")))
        waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        while len(await rows(self.db, waiting)) < 2:
            pass
        free.callback(None)
        await deleting
        await self.assertFailure(alone, NotFound)
        self.assertEqual(self.kinds(await group), [NotFound.__name__, "queued"])
