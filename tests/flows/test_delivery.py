"""One delivery attempt, from the row to the row."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from e2a.core.errors import Unavailable
from e2a.core.trust import signing, webhooksignature
from e2a.flows.delivery import INLINE_OCTETS, DeliveryFlow, Held
from e2a.flows.ports import WebhookRequest, WebhookResult
from e2a.store import deliveries
from tests.support.mail import RAW, store_message
from tests.support.postgres import DatabaseTestCase, make_agent

AGENT = "bot@agents.test"


class Receiver:
    """Scripted ``ports.Webhooks``."""

    def __init__(self) -> None:
        self.requests: list[WebhookRequest] = []
        self.result: WebhookResult | Exception | Deferred[WebhookResult] = WebhookResult(200)

    async def post(self, request: WebhookRequest) -> WebhookResult:
        self.requests.append(request)
        if isinstance(self.result, Exception):
            raise self.result
        if isinstance(self.result, Deferred):
            return await self.result
        return self.result


class Secrets:
    def __init__(self) -> None:
        self.known = ("newest", "older")
        self.error: Exception | None = None
        self.attempts: list[int] = []

    async def signers(self, organisation_id: str, attempt: int = 1) -> tuple[str, ...]:
        if self.error is not None:
            raise self.error
        self.attempts.append(attempt)
        return self.known


class Cpu:
    def __init__(self) -> None:
        self.runs = 0

    async def run(self, work: Callable[..., Any], *args: Any) -> Any:
        self.runs += 1
        return work(*args)


class Silent:
    def count(self, name: str, amount: int = 1, **labels: str) -> None: ...

    def observe(self, name: str, seconds: float, **labels: str) -> None: ...


class AttemptTests(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await make_agent(self.db, AGENT, "cloud", "https://hooks.example.com/in")
        self.receiver, self.secrets, self.cpu, self.now = Receiver(), Secrets(), Cpu(), 1_777_636_800.0
        self.flow = DeliveryFlow(
            self.db,
            self.receiver,
            self.secrets,
            self.cpu,
            lambda payload: json.dumps(payload).encode(),
            lambda: self.now,
            lambda: 0.5,
            Silent(),
        )

    async def attempt(self) -> Any:
        (claim,) = await self.flow.claim(10, 60.0, 4, {}, None)
        outcome = await self.flow.attempt(claim)
        if outcome is not None:
            await self.flow.record([outcome], [], 0.0)
        return outcome

    async def delivery(self) -> Any:
        return await self.db.run("get", deliveries.get_delivery, AGENT, "msg_1")

    async def test_what_is_posted(self) -> None:
        """The receiver gets the message whole, signed in both ways, each verifiable with either live secret."""
        await store_message(self.db, "msg_1", delivery=True)
        await self.attempt()
        (request,) = self.receiver.requests
        self.assertEqual(request.url, "https://hooks.example.com/in")
        payload = json.loads(request.body)
        self.assertEqual(base64.b64decode(payload["raw_message"]), RAW)
        self.assertEqual((payload["message_id"], payload["text"]), ("msg_1", "hello\r\n"))
        self.assertTrue(signing.verify(payload["auth_headers"], RAW, ["newest"], self.now))
        self.assertTrue(signing.verify(request.headers, RAW, ["newest"], self.now))
        self.assertEqual(request.headers["X-E2A-Auth-Signatures"], payload["auth_headers"]["X-E2A-Auth-Signatures"])
        for secret in ("newest", "older"):
            self.assertTrue(signing.verify(payload["auth_headers"], RAW, [secret], self.now))
            self.assertTrue(webhooksignature.verify(request.headers, request.body, [secret], self.now))
        self.assertEqual(request.headers["webhook-id"], "msg_1")
        self.assertEqual(request.headers["Content-Type"], "application/json")
        self.assertEqual((await self.delivery()).status, "delivered")

    async def test_every_attempt_is_signed_anew(self) -> None:
        """A retry hours later carries the same id and a fresh timestamp in both schemes."""
        await store_message(self.db, "msg_1", delivery=True)
        self.receiver.result = WebhookResult(500)
        await self.attempt()
        await self.db.run("due", lambda cur: cur.execute("UPDATE webhook_deliveries SET next_attempt_at = now()"))
        self.now += 36_000
        await self.attempt()
        first, second = self.receiver.requests
        self.assertEqual(first.headers["webhook-id"], second.headers["webhook-id"])
        self.assertTrue(signing.verify(second.headers, RAW, ["newest"], self.now))
        self.assertFalse(signing.verify(first.headers, RAW, ["newest"], self.now))
        self.assertTrue(webhooksignature.verify(second.headers, second.body, ["newest"], self.now))
        self.assertEqual([a.status_code for a in (await self.delivery()).log], [500, 500])
        # Which secret signs may depend on which attempt it is.
        self.assertEqual(self.secrets.attempts, [1, 2])

    async def test_failures_are_scheduled(self) -> None:
        """The schedule decides: five seconds after the first failure, what Retry-After asks for, the end at 410."""
        await store_message(self.db, "msg_1", delivery=True)
        self.receiver.result = WebhookResult(503, "", 77.0)
        outcome = await self.attempt()
        self.assertEqual((outcome.status, outcome.delay, outcome.error), ("pending", 77.0, "HTTP 503"))
        await self.db.run("due", lambda cur: cur.execute("UPDATE webhook_deliveries SET next_attempt_at = now()"))
        self.receiver.result = WebhookResult(410)
        self.assertEqual((await self.attempt()).status, "failed")
        self.assertEqual((await self.delivery()).status, "failed")

    async def test_big_mail_leaves_the_reactor(self) -> None:
        """Mail over the bound is loaded by slices and composed on the CPU pool, and arrives unchanged."""
        raw = b"Subject: big\r\n\r\n" + b"x" * INLINE_OCTETS
        await store_message(self.db, "msg_1", raw=raw, delivery=True)
        await self.attempt()
        self.assertEqual(self.cpu.runs, 1)
        payload = json.loads(self.receiver.requests[0].body)
        self.assertEqual(base64.b64decode(payload["raw_message"]), raw)
        self.assertTrue(signing.verify(payload["auth_headers"], raw, ["newest"], self.now))

    async def test_an_agent_gone_local(self) -> None:
        """A delivery whose agent has no webhook any more ends without a request; the message stays unread."""
        await store_message(self.db, "msg_1", delivery=True)
        await self.db.run("mode", lambda cur: cur.execute("UPDATE agents SET agent_mode = 'local'"))
        outcome = await self.attempt()
        self.assertEqual((outcome.status, self.receiver.requests), ("failed", []))
        self.assertEqual((await self.delivery()).last_error, "the agent has no webhook any more")

        async def unread(cur: Any) -> Any:
            await cur.execute("SELECT inbox_status FROM messages")
            return cur.fetchone().inbox_status

        self.assertEqual(await self.db.run("unread", unread), "unread")

    async def test_trouble_on_our_side_is_no_attempt(self) -> None:
        """With the secrets out of reach nothing is posted and the claim can be given back, uncounted."""
        await store_message(self.db, "msg_1", delivery=True)
        self.secrets.error = Unavailable()
        self.assertIsNone(await self.attempt())
        self.assertEqual(self.receiver.requests, [])
        await self.flow.record([], [Held("msg_1", 1)], 0.0)
        self.assertEqual((await self.delivery()).attempts, 0)

    async def test_a_message_that_cannot_be_signed(self) -> None:
        """A fault of ours is logged and counted as a failed attempt, so that it cannot repeat without end."""
        await store_message(self.db, "msg_1", sender="a\nb", delivery=True)
        outcome = await self.attempt()
        self.assertEqual((outcome.status, outcome.error), ("pending", "the gateway could not make the request"))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    async def test_cancelling(self) -> None:
        """A cancelled attempt has no outcome: the canceller gives the claim back."""
        await store_message(self.db, "msg_1", delivery=True)
        self.receiver.result = Deferred()
        (claim,) = await self.flow.claim(10, 60.0, 4, {}, None)
        attempt = Deferred.fromCoroutine(self.flow.attempt(claim))
        self.assertNoResult(attempt)
        attempt.cancel()
        self.failureResultOf(attempt, CancelledError)
