"""Claiming, recording and renewing webhook deliveries."""

from __future__ import annotations

import time
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from e2a.core.errors import Conflict
from e2a.store import deliveries
from e2a.store.deliveries import Claim, Outcome
from tests.support.mail import RAW, store_message
from tests.support.postgres import DatabaseTestCase, make_agent

AGENT = "bot@agents.test"
HOOK = "https://hooks.example.com/in"


class DeliveryTestCase(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await make_agent(self.db, AGENT, "cloud", HOOK)

    async def claim(self, **arguments: Any) -> list[Claim]:
        arguments = {"limit": 10, "lease": 60.0, "room": 16, "rooms": {}, **arguments}
        return await self.db.run("claim", lambda cur: deliveries.claim(cur, **arguments))

    async def record(self, claim: Claim, status: Any = "delivered", **fields: Any) -> int:
        outcome = Outcome(
            message_id=claim.delivery.message.id,
            fence=claim.delivery.fence,
            status=status,
            **{"delay": None, "error": "", "status_code": 200, "started_at": 1000.5, "duration_ms": 7, **fields},
        )
        return await self.db.run("record", deliveries.record_outcomes, [outcome])

    async def get(self, message_id: str, agent_id: str = AGENT) -> Any:
        return await self.db.run("get", deliveries.get_delivery, agent_id, message_id)

    async def execute(self, statement: str, *parameters: Any) -> None:
        await self.db.run("execute", lambda cur: cur.execute(statement, parameters))


class ClaimTests(DeliveryTestCase):
    async def test_a_claim_brings_everything(self) -> None:
        """One round trip gives the message, where it goes, whose it is, and its bytes."""
        await store_message(self.db, "msg_1", delivery=True)
        (claim,) = await self.claim()
        delivery = claim.delivery
        self.assertEqual(
            (delivery.webhook_url, delivery.host, delivery.organisation_id), (HOOK, "hooks.example.com", "org_test")
        )
        self.assertEqual((delivery.attempt, delivery.fence, claim.raw), (1, 1, RAW))
        self.assertEqual((delivery.message.id, delivery.message.uid, delivery.message.to), ("msg_1", 1, (AGENT,)))
        self.assertTrue(delivery.message.facts.verified)

    async def test_big_messages_come_without_bytes(self) -> None:
        """What is over the bound is claimed without its bytes; what is at the bound comes with them."""
        await store_message(self.db, "msg_1", raw=b"x" * deliveries.INLINE, delivery=True)
        await store_message(self.db, "msg_2", raw=b"x" * (deliveries.INLINE + 1), delivery=True)
        first, second = await self.claim()
        self.assertEqual(len(first.raw or b""), deliveries.INLINE)
        self.assertIsNone(second.raw)

    async def test_a_claim_is_exclusive_until_its_lease_ends(self) -> None:
        """A claimed delivery is nobody else's until the lease is over; then its next holder has another fence."""
        await store_message(self.db, "msg_1", delivery=True)
        self.assertEqual(len(await self.claim()), 1)
        self.assertEqual(await self.claim(), [])
        await self.execute("UPDATE webhook_deliveries SET next_attempt_at = now() - interval '1 s'")
        (again,) = await self.claim()
        self.assertEqual((again.delivery.attempt, again.delivery.fence), (2, 2))

    async def test_concurrent_claims_share(self) -> None:
        """Two claims at the same moment never take the same delivery."""
        for number in range(20):
            await store_message(self.db, f"msg_{number:02}", delivery=True)
        both = await gatherResults([Deferred.fromCoroutine(self.claim(limit=15)) for _ in range(2)])
        taken = [claim.delivery.message.id for claims in both for claim in claims]
        self.assertEqual(len(taken), len(set(taken)))

    async def test_hosts_have_room(self) -> None:
        """No host gets more than its room, and one without room is passed over for those behind it."""
        await make_agent(self.db, "other@agents.test", "cloud", "https://other.example.com/")
        for number in range(6):
            await store_message(self.db, f"msg_a{number}", delivery=True)
        await store_message(self.db, "msg_b", "other@agents.test", delivery=True)
        claims = await self.claim(room=2, limit=7)
        self.assertEqual([c.delivery.message.id for c in claims], ["msg_a0", "msg_a1", "msg_b"])
        claims = await self.claim(limit=3, rooms={"hooks.example.com": 1})
        self.assertEqual([c.delivery.message.id for c in claims], ["msg_a2"])
        self.assertEqual(await self.claim(rooms={"hooks.example.com": 0}), [])

    async def test_overdue_first(self) -> None:
        """A scan takes what has been due the longest."""
        for number in range(3):
            await store_message(self.db, f"msg_{number}", delivery=True)
        await self.execute(
            "UPDATE webhook_deliveries SET next_attempt_at = now() - interval '1 h' WHERE message_id = 'msg_2'"
        )
        await self.execute(
            "UPDATE webhook_deliveries SET next_attempt_at = now() + interval '1 h' WHERE message_id = 'msg_0'"
        )
        claims = await self.claim(limit=1)
        self.assertEqual([c.delivery.message.id for c in claims], ["msg_2"])
        self.assertEqual([c.delivery.message.id for c in await self.claim()], ["msg_1"])

    async def test_by_ids(self) -> None:
        """Named messages are claimed if they are due; ids without a delivery are nothing."""
        await store_message(self.db, "msg_1", delivery=True)
        await store_message(self.db, "msg_2", delivery=True)
        claims = await self.claim(ids=["msg_2", "msg_none"])
        self.assertEqual([c.delivery.message.id for c in claims], ["msg_2"])

    async def test_an_agent_gone_local_has_nowhere_to_post(self) -> None:
        """After the switch to local mode the claim has no URL, whatever is left in the agent's row."""
        await store_message(self.db, "msg_1", delivery=True)
        await self.execute("UPDATE agents SET agent_mode = 'local'")
        (claim,) = await self.claim()
        self.assertEqual((claim.delivery.webhook_url, claim.delivery.host), ("", ""))


class OutcomeTests(DeliveryTestCase):
    async def test_delivered(self) -> None:
        """Success ends the delivery and leaves its attempt in the log."""
        await store_message(self.db, "msg_1", delivery=True)
        (claim,) = await self.claim()
        self.assertEqual(await self.record(claim), 1)
        delivery = await self.get("msg_1")
        self.assertEqual((delivery.status, delivery.next_attempt_at), ("delivered", None))
        self.assertIsNotNone(delivery.delivered_at)
        (attempt,) = delivery.log
        self.assertEqual((attempt.number, attempt.status_code, attempt.duration_ms), (1, 200, 7))
        self.assertEqual(attempt.started_at.timestamp(), 1000.5)

    async def test_retry(self) -> None:
        """A failed attempt is due again after its delay, and not before."""
        await store_message(self.db, "msg_1", delivery=True)
        (claim,) = await self.claim()
        await self.record(claim, "pending", delay=300.0, error="timed out", status_code=None)
        self.assertEqual(await self.claim(), [])
        delivery = await self.get("msg_1")
        assert delivery.next_attempt_at is not None
        seconds = delivery.next_attempt_at.timestamp() - time.time()
        self.assertTrue(240 < seconds <= 300, seconds)
        self.assertEqual((delivery.status, delivery.last_error), ("pending", "timed out"))
        self.assertEqual((delivery.log[0].status_code, delivery.log[0].error), (None, "timed out"))

    async def test_an_outdated_fence_changes_nothing(self) -> None:
        """Who slept past the lease cannot overwrite the outcome of the one who took over."""
        await store_message(self.db, "msg_1", delivery=True)
        (slow,) = await self.claim()
        await self.execute("UPDATE webhook_deliveries SET next_attempt_at = now()")
        (quick,) = await self.claim()
        self.assertEqual(await self.record(slow, "failed", error="late"), 0)
        self.assertEqual(await self.record(quick), 1)
        self.assertEqual(await self.record(slow, "failed", error="late"), 0)
        delivery = await self.get("msg_1")
        self.assertEqual((delivery.status, [a.number for a in delivery.log]), ("delivered", [2]))

    async def test_release(self) -> None:
        """A claim given back is due again and not counted, but only by its holder."""
        await store_message(self.db, "msg_1", delivery=True)
        (claim,) = await self.claim()
        held = [("msg_1", claim.delivery.fence + 1)]
        self.assertEqual(await self.db.run("release", deliveries.release, held, 0.0), 0)
        held = [("msg_1", claim.delivery.fence)]
        self.assertEqual(await self.db.run("release", deliveries.release, held, 0.0), 1)
        (again,) = await self.claim()
        self.assertEqual((again.delivery.attempt, again.delivery.fence), (1, 2))


class RedeliveryTests(DeliveryTestCase):
    async def failed(self, message_id: str) -> None:
        await store_message(self.db, message_id, delivery=True)
        (claim,) = await self.claim(ids=[message_id])
        await self.record(claim, "failed", error="HTTP 500", status_code=500)

    async def redeliver(self, message_id: str, agent_id: str = AGENT) -> Any:
        return await self.db.run("redeliver", deliveries.redeliver, agent_id, message_id)

    async def test_failed_and_delivered_start_anew(self) -> None:
        """Redelivery makes an ended delivery due now with the whole schedule ahead, and keeps its log."""
        await self.failed("msg_1")
        delivery = await self.redeliver("msg_1")
        self.assertEqual((delivery.status, delivery.attempts, len(delivery.log)), ("pending", 0, 1))
        (claim,) = await self.claim()
        self.assertEqual(claim.delivery.attempt, 1)
        await self.record(claim)
        await self.redeliver("msg_1")
        (claim,) = await self.claim()
        await self.record(claim)
        self.assertEqual([a.number for a in (await self.get("msg_1")).log], [1, 2, 3])

    async def test_pending_stays(self) -> None:
        """A delivery that somebody is attempting is not made due a second time."""
        await store_message(self.db, "msg_1", delivery=True)
        await self.claim()
        self.assertEqual((await self.redeliver("msg_1")).attempts, 1)
        self.assertEqual(await self.claim(), [])

    async def test_a_message_without_a_delivery_gets_one(self) -> None:
        """Mail that came while the agent was local can be sent to its new webhook."""
        await store_message(self.db, "msg_1")
        self.assertEqual((await self.redeliver("msg_1")).status, "pending")
        self.assertEqual(len(await self.claim()), 1)

    async def test_foreign_unknown_and_local(self) -> None:
        """Another agent's message is as unknown as one that is not there; a local agent is a conflict."""
        await make_agent(self.db, "other@agents.test", "cloud", HOOK)
        await self.failed("msg_1")
        self.assertIsNone(await self.redeliver("msg_1", "other@agents.test"))
        self.assertIsNone(await self.redeliver("msg_2"))
        self.assertIsNone(await self.get("msg_1", "other@agents.test"))
        await self.execute("UPDATE agents SET agent_mode = 'local' WHERE id = %s", AGENT)
        with self.assertRaises(Conflict):
            await self.redeliver("msg_1")

    async def test_failed_list(self) -> None:
        """What ran out of attempts is listed newest first, page by page, each agent's own."""
        await make_agent(self.db, "other@agents.test", "cloud", HOOK)
        for number in range(5):
            await self.failed(f"msg_{number}")
        await store_message(self.db, "msg_5", delivery=True)

        async def page(before: str | None, agent_id: str = AGENT) -> list[str]:
            found = await self.db.run(
                "list", lambda cur: deliveries.list_deliveries(cur, agent_id, "failed", limit=3, before=before)
            )
            return [delivery.message_id for delivery in found]

        self.assertEqual(await page(None), ["msg_4", "msg_3", "msg_2"])
        self.assertEqual(await page("msg_2"), ["msg_1", "msg_0"])
        self.assertEqual(await page(None, "other@agents.test"), [])
