"""Sending once more what nobody is known to have taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from e2a.core.entities import Principal
from e2a.core.errors import (
    Conflict,
    Forbidden,
    KeyReuse,
    NotFound,
    QuotaExceeded,
    RecipientSuppressed,
    SendingNotConfigured,
    TooManyRequests,
)
from e2a.core.rules.idempotency import once
from e2a.core.rules.limits import Limit, Quotas
from e2a.core.rules.permissions import ALL_PERMISSIONS
from e2a.flows.outcomes import Outcomes
from e2a.flows.resending import Resending
from e2a.store import outbox
from tests.flows.test_sending import DEFERRED, LOST, REFUSED, SENT, Case
from tests.support.outgoing import AGENT, RAW, jobs, make_due, queue_message, states, status
from tests.support.postgres import ORGANISATION, USER, make_agent
from tests.support.tenants import execute, rows

OWNER = Principal(ORGANISATION, USER, frozenset(ALL_PERMISSIONS))


class ResendingTests(Case):
    async def setUp(self) -> None:
        await super().setUp()
        self.held = self.make_flow(policy="hold")
        self.resending = self.make()

    def make(self, **given: Any) -> Resending:
        return Resending(self.db, Outcomes(self.db, self.clock), **({"reaches_people": True} | given))

    async def resend(self, principal: Principal = OWNER, message_id: str = "msg_m1", **given: Any) -> Any:
        return await self.resending.resend(principal, message_id, **given)

    async def lose(self, *recipients: str) -> None:
        """A message whose answer was lost."""
        await queue_message(self.db, "m1", *recipients)
        self.upstream.usual = LOST
        await self.run_due(self.held)
        self.assertEqual(await status(self.db), "unknown")
        self.upstream.usual = SENT

    async def refuse(self) -> None:
        """A message that was refused."""
        await queue_message(self.db)
        self.upstream.usual = REFUSED
        await self.run_due()
        self.assertEqual(await status(self.db), "failed")
        self.upstream.usual = SENT

    async def refused(self, error: type[Exception], **given: Any) -> Any:
        """Nothing may have changed by it."""
        before = await status(self.db), await states(self.db), await jobs(self.db)
        with self.assertRaises(error) as caught:
            await self.resend(**given)
        self.assertEqual((await status(self.db), await states(self.db)), before[:2])
        self.assertEqual([job.fence for job in await jobs(self.db)], [job.fence for job in before[2]])
        return caught.exception

    # --- what goes out ------------------------------------------------------------------------------------------------

    async def test_held_back(self) -> None:
        """A message of unknown outcome that is held back for ever goes out once somebody says so: the same bytes, to
        those alone of whom nothing is known; it is audited."""
        self.upstream.script = {"bob@people.test": REFUSED}
        await self.lose("ann@people.test", "bob@people.test")
        self.upstream.script = {}
        submitted = await self.resend()
        self.assertEqual((submitted.message.status, submitted.replayed), ("queued", False))
        self.assertEqual([one.state for one in submitted.recipients], ["pending", "failed"])
        await self.run_due(self.held)
        self.assertEqual(await states(self.db), {"ann@people.test": "sent", "bob@people.test": "failed"})
        self.assertEqual(await status(self.db), "sent")
        first, second = self.upstream.transmitted
        self.assertEqual(second[1], ("ann@people.test",))
        self.assertTrue(first[2].endswith(RAW) and second[2].endswith(RAW))
        self.assertEqual((await rows(self.db, "SELECT id FROM raw_messages"), await jobs(self.db)), ([], []))
        line = (await rows(self.db, "SELECT * FROM audit_events"))[0]
        self.assertEqual((line.action, line.resource_id, line.user_id), ("message.resent", "msg_m1", USER))
        self.assertEqual(line.detail, {"agent": AGENT, "status": "unknown", "recipients": 1})

    async def test_after_its_repetition(self) -> None:
        """A message that was lost a second time keeps its bytes, and can be sent again."""
        await queue_message(self.db)
        self.upstream.usual = LOST
        for _ in range(2):
            await self.run_due()
            await make_due(self.db)
        self.assertEqual((await status(self.db), await jobs(self.db)), ("unknown", []))
        self.upstream.usual = SENT
        await self.resend()
        await self.run_due()
        self.assertEqual((await status(self.db), len(self.upstream.transmitted)), ("sent", 3))

    async def test_failed(self) -> None:
        """A message that failed is tried anew, with as many attempts and as much time as a new one; by its Message-ID
        as well."""
        await self.refuse()
        await execute(self.db, "UPDATE messages SET expires_at = now() + interval '1 hour'")
        await self.resend(message_id="m1@agents.test")
        job = (await jobs(self.db))[0]
        self.assertEqual((job.attempts, job.unknowns), (0, 0))
        left = await rows(self.db, "SELECT expires_at - now() > interval '5 days' AS enough FROM messages")
        self.assertTrue(left[0].enough)
        self.upstream.usual = DEFERRED
        await self.run_due()
        self.assertEqual(await status(self.db), "queued")
        self.upstream.usual = SENT
        await make_due(self.db)
        await self.run_due()
        self.assertEqual(await status(self.db), "sent")

    async def test_direct(self) -> None:
        """It is divided by recipients' domains like a new one where mail goes straight to their servers."""
        direct = self.make_flow(direct=True, policy="hold")
        await queue_message(self.db, "m1", "ann@people.test", "dee@corp.test")
        self.upstream.usual = LOST
        await self.run_due(direct)
        before = max(job.fence for job in await jobs(self.db))
        self.upstream.usual = SENT
        await self.resend()
        await self.run_due(direct)
        self.assertEqual(await status(self.db), "sent")
        again = sorted(one[1] for one in self.upstream.transmitted[2:])
        self.assertEqual(again, [("ann@people.test",), ("dee@corp.test",)])
        self.assertLess(before, 1000)

    async def test_late_outcome(self) -> None:
        """Whoever is late with the outcome of the earlier transmission changes nothing of the new one."""
        await queue_message(self.db)
        (claim,) = await self.claim(self.held)
        outcome, _ = await self.held.attempt(claim)
        assert outcome is not None
        await execute(self.db, "UPDATE outbox SET next_attempt_at = now() - interval '1 second'")
        await self.held.recover()
        self.assertEqual(await status(self.db), "unknown")
        await self.resend()
        (again,) = await self.claim(self.held)
        self.assertEqual(await self.db.run("late", _record, outcome), 0)
        self.assertEqual(await status(self.db), "queued")
        self.assertGreater(again.job.fence, 1000)

    async def test_old(self) -> None:
        """A message can be sent again however long messages are kept."""
        await self.refuse()
        await execute(self.db, "UPDATE messages SET created_at = now() - interval '3650 days'")
        await self.resend()
        await self.run_due()
        self.assertEqual(await status(self.db), "sent")

    async def test_under_way(self) -> None:
        """While its late repetition is transmitted a message is not sent by another way as well; what comes of that
        repetition counts."""
        await queue_message(self.db)
        self.upstream.usual = LOST
        await self.run_due()
        self.upstream.usual = SENT
        await make_due(self.db)
        (claim,) = await self.claim()
        outcome, _ = await self.flow.attempt(claim)
        assert outcome is not None
        self.assertIn("at this moment", (await self.refused(Conflict)).text)
        await self.flow.record([outcome], [], 0.0)
        self.assertEqual((await status(self.db), len(self.upstream.transmitted)), ("sent", 2))

    async def test_claimed(self) -> None:
        """A repetition that has not begun gives way: the message goes out once."""
        await queue_message(self.db)
        self.upstream.usual = LOST
        await self.run_due()
        self.upstream.usual = SENT
        await make_due(self.db)
        (claim,) = await self.claim()
        await self.resend()
        self.assertEqual(await self.flow.attempt(claim), (None, False))
        await self.run_due()
        self.assertEqual((await status(self.db), len(self.upstream.transmitted)), ("sent", 2))

    # --- once ---------------------------------------------------------------------------------------------------------

    async def test_repeated_request(self) -> None:
        """A request with a key sends once however often it is made, also when the message is sent by then; the key of
        another request is refused."""
        await self.lose()
        key = once(ORGANISATION, "resend", "k1", b"msg_m1")
        self.assertFalse((await self.resend(once=key)).replayed)
        self.assertTrue((await self.resend(once=key)).replayed)
        await self.run_due(self.held)
        again = await self.resend(once=key)
        self.assertEqual((again.replayed, again.message.status), (True, "sent"))
        self.assertEqual(len(self.upstream.transmitted), 2)
        with self.assertRaises(KeyReuse):
            await self.resend(once=once(ORGANISATION, "resend", "k1", b"other"))

    async def test_two_at_once(self) -> None:
        """Of two who decide at the same time one sends."""
        await self.lose()
        found = await gatherResults([_outcome(self.resend()), _outcome(self.resend())])
        self.assertEqual(sorted(found), ["Conflict", "Submitted"])
        self.assertEqual(len(await rows(self.db, "SELECT 1 AS n FROM audit_events")), 1)

    # --- what stands in the way ---------------------------------------------------------------------------------------

    async def test_status(self) -> None:
        """A message that is on its way, sent or not decided about is not sent again."""
        await queue_message(self.db)
        await self.refused(Conflict)
        await self.run_due()
        self.assertIn("this one is sent", (await self.refused(Conflict)).text)
        for word in ("pending_approval", "rejected", "expired_rejected", "expired_approved"):
            await execute(self.db, "UPDATE messages SET status = %s", word)
            await self.refused(Conflict)

    async def test_bytes_gone(self) -> None:
        """A message whose bytes were let go is to be written anew."""
        await self.refuse()
        await execute(self.db, "UPDATE messages SET raw_id = NULL")
        self.assertIn("let go", (await self.refused(Conflict)).text)

    async def test_foreign(self) -> None:
        """For whoever does not see the agent the message does not exist."""
        await self.lose()
        await make_agent(self.db, "pal@agents.test", organisation="org_pal")
        stranger = Principal("org_pal", "user_of_org_pal", ALL_PERMISSIONS)
        await make_agent(self.db, "ant@agents.test")
        for who in (stranger, replace(OWNER, agent_id="ant@agents.test"), replace(OWNER, label_prefix="x/")):
            await self.refused(NotFound, principal=who)
        for name in ("msg_none", "<none@agents.test>"):
            await self.refused(NotFound, message_id=name)
        await self.resend(replace(OWNER, agent_id=AGENT))

    async def test_reviewed_by_now(self) -> None:
        """When the agent's mail has come under review meanwhile, a message that nobody approved does not slip past."""
        await self.lose()
        await execute(self.db, "UPDATE agents SET hitl_enabled = true")
        await self.refused(Conflict)
        await execute(self.db, "UPDATE messages SET reviewed_at = now()")
        await self.resend()

    async def test_may_not_send(self) -> None:
        """A domain that is not proved any more, a person who has ended the delegation, a recipient who must not be
        written to, and no way out stand in the way as for a new message."""
        await self.lose()
        await execute(self.db, "INSERT INTO suppressions VALUES (%s, 'ann@people.test', 'manual')", ORGANISATION)
        await self.refused(RecipientSuppressed)
        await execute(self.db, "DELETE FROM suppressions")
        await execute(self.db, "UPDATE messages SET on_behalf_of = 'cy@people.test'")
        await self.refused(Conflict)
        await execute(self.db, "UPDATE messages SET on_behalf_of = ''")
        await execute(self.db, "UPDATE domains SET verified_at = NULL")
        await self.refused(Forbidden)
        self.resending = self.make(reaches_people=False)
        await self.refused(SendingNotConfigured)

    async def test_counted(self) -> None:
        """It counts for the agent's limit and for the organisation's quota as a new message does."""
        await self.lose()
        self.resending = self.make(limit=Limit("send", 1, 60), quotas=Quotas(messages_per_day=1))
        self.assertEqual((await self.resend()).allowance.used, 1)
        self.upstream.usual = LOST
        await self.run_due(self.held)
        await self.refused(TooManyRequests)
        self.resending = self.make(quotas=Quotas(messages_per_day=1))
        await self.refused(QuotaExceeded)


async def _record(cur: Any, outcome: Any) -> int:
    return await outbox.record(cur, [outcome], usage=False)


def _outcome(work: Any) -> Any:
    return Deferred.fromCoroutine(work).addBoth(lambda found: type(getattr(found, "value", found)).__name__)
