"""What a key with a label prefix sees of mail: its agents' and nothing else. Where there is nothing to see it is told
what it would be told of a thing that does not exist.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred

from e2a.core.entities import Principal
from e2a.core.errors import BadRequest, Forbidden, NotFound, Unauthenticated
from e2a.core.rules.idempotency import once
from e2a.core.rules.permissions import ALL_PERMISSIONS
from e2a.core.trust.pagetoken import PageTokens
from e2a.flows import scope
from e2a.flows.conversations import Conversations
from e2a.flows.mailbox import Filters, Mailbox
from tests.flows.test_approvals import NOTHING, ApprovalsTestCase
from tests.flows.test_outbound import BOT, GOOD, NOW, OPERATOR, OWNER, PAL
from tests.support.cpu import QuickCpu
from tests.support.mail import store_message
from tests.support.postgres import ORGANISATION, USER
from tests.support.tenants import execute

#: Sees BOT, whose label is "eu/1", and not PAL, whose label is "us/1".
EU = Principal(ORGANISATION, USER, frozenset(ALL_PERMISSIONS), "apk_eu", label_prefix="eu/")


class ScopeTests(ApprovalsTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await execute(
            self.db,
            "UPDATE agents SET hitl_enabled = true, label = CASE id WHEN %s THEN 'eu/1' ELSE 'us/1' END",
            BOT,
        )

    async def hidden(self, work: Any) -> None:
        await self.assertFailure(Deferred.fromCoroutine(work), NotFound)

    async def held_by(self, agent: str) -> Any:
        return (await self.writing.send(OWNER, GOOD, sender=agent)).message

    async def test_find(self) -> None:
        """The agent inside is found; outside, unknown and impossible ones are not."""
        for agent_id, found in ((BOT, True), (PAL, False), (OPERATOR, False), ("no@agents.test", False), ("\0", False)):
            agent = await self.db.run("find", scope.find_agent, EU, agent_id)
            self.assertEqual(agent is not None, found, agent_id)

    async def test_received(self) -> None:
        """Mail, conversations and deliveries of agents outside are not found."""
        mailbox: Any = Mailbox(self.db, None, PageTokens(b"k" * 32), QuickCpu(), None, now=lambda: NOW)  # type: ignore[arg-type]
        threads = Conversations(self.db, PageTokens(b"k" * 32), lambda: NOW)
        await store_message(self.db, "msg_1", BOT)
        await store_message(self.db, "msg_2", PAL)
        page = await mailbox.page(EU, BOT, "all", 10, None, Filters())
        self.assertEqual([message.id for message in page.messages], ["msg_1"])
        await mailbox.raw(EU, BOT, "msg_1")
        for work in (
            mailbox.agent(EU, PAL),
            mailbox.page(EU, PAL, "all", 10, None, Filters()),
            mailbox.detail(EU, PAL, "msg_2"),
            mailbox.raw(EU, PAL, "msg_2"),
            mailbox.raw(EU, BOT, "msg_2"),
            mailbox.attachment(EU, PAL, "msg_2", 0),
            mailbox.wait(EU, PAL, None, Filters(), 0.0),
            mailbox.delivery(EU, PAL, "msg_2"),
            mailbox.redeliver(EU, PAL, "msg_2"),
            mailbox.failed_deliveries(EU, PAL, 10, None),
            threads.page(EU, PAL, 10, None),
            threads.thread(EU, PAL, "c", 10, None),
        ):
            await self.hidden(work)

    async def test_sending(self) -> None:
        """It writes as its only agent without naming it, and as no other."""
        self.assertEqual((await self.writing.send(EU, GOOD)).message.agent_id, BOT)
        await store_message(self.db, "msg_2", PAL)
        with self.assertRaises(BadRequest) as caught:
            await self.writing.send(EU, GOOD, sender=PAL)
        self.assertEqual(caught.exception.field, "from")
        await self.hidden(self.writing.reply(EU, PAL, "msg_2", replace(GOOD, to=[], subject="")))
        await self.hidden(self.writing.forward(EU, PAL, "msg_2", GOOD))
        await self.hidden(self.writing.test(EU, PAL))

    async def test_repeated_requests(self) -> None:
        """What the whole account sent as another agent is not shown to it under the same key of a request."""
        key = once(ORGANISATION, "send", "k", b"1")
        await self.writing.send(OWNER, GOOD, sender=PAL, once=key)
        await self.hidden(self.writing.send(EU, GOOD, sender=BOT, once=key))

    async def test_submitted(self) -> None:
        """Lists show what its agents submitted, pending or not; what others submitted is not found by any id."""
        inside, outside = await self.held_by(BOT), await self.held_by(PAL)
        for status in ("pending_approval", "all"):
            page = await self.approvals.page(EU, status, 10, None)  # type: ignore[arg-type]
            self.assertEqual([message.id for message in page.messages], [inside.id], status)
        await self.approvals.find(EU, inside.id)
        for name in (outside.id, outside.email_message_id, outside.email_message_id.strip("<>")):
            await self.hidden(self.approvals.find(EU, name))
        await self.hidden(self.approvals.attachment(EU, outside.id, 0))

    async def test_deciding(self) -> None:
        """It decides about its agents' mail, and about no other."""
        inside, second, outside = await self.held_by(BOT), await self.held_by(BOT), await self.held_by(PAL)
        await self.hidden(self.approvals.approve(EU, outside.id, NOTHING))
        await self.hidden(self.approvals.reject(EU, outside.id, ""))
        self.assertEqual((await self.approvals.approve(EU, inside.id, NOTHING)).message.status, "queued")
        self.assertEqual((await self.approvals.reject(EU, second.id, "")).status, "rejected")

    async def test_bound_keys_never_decide(self) -> None:
        """The agent's own credential decides nothing, limited by labels or not."""
        message = await self.held_by(BOT)
        for bound in (replace(EU, agent_id=BOT), replace(OWNER, agent_id=BOT)):
            with self.assertRaises(Forbidden):
                await self.approvals.approve(bound, message.id, NOTHING)
            with self.assertRaises(Forbidden):
                await self.approvals.reject(bound, message.id, "")


class EndedTests(ApprovalsTestCase):
    """What was begun with a credential that ends meanwhile."""

    async def check(self, **credential: str) -> None:
        await self.db.run("check", scope.check_still, replace(OWNER, **credential), "messages:read")  # type: ignore[arg-type]

    async def test_session(self) -> None:
        """It counts while the session lasts in the same organisation, and its owner belongs there."""
        await execute(
            self.db,
            "INSERT INTO user_sessions (token_hash, user_id, organisation_id, expires_at, id)"
            " VALUES ('x', %s, %s, now() + interval '1 day', 'ses_1')",
            USER,
            ORGANISATION,
        )
        await execute(self.db, "INSERT INTO organisations (id) VALUES ('org_else')")
        await self.check(session_id="ses_1")
        later = "UPDATE user_sessions SET organisation_id = %s, expires_at = now() + interval '1 day'"
        for bad in (
            "UPDATE user_sessions SET expires_at = now()",
            "UPDATE user_sessions SET organisation_id = 'org_else'",
            "DELETE FROM memberships",
        ):
            await execute(self.db, bad)
            with self.assertRaises(Unauthenticated):
                await self.check(session_id="ses_1")
            await execute(self.db, later, ORGANISATION)

    async def test_key(self) -> None:
        """It counts while its key is good, and no longer once that is revoked, expired, or without its creator."""
        await execute(
            self.db,
            "INSERT INTO api_keys (id, organisation_id, user_id, key_prefix, key_hash, permissions)"
            " VALUES ('apk_1', %s, %s, 'e2a_', 'x', '{messages:read}')",
            ORGANISATION,
            USER,
        )
        await self.check(key_id="apk_1")
        await self.check()
        for good, bad in (
            ("UPDATE api_keys SET revoked_at = NULL", "UPDATE api_keys SET revoked_at = now()"),
            ("UPDATE api_keys SET expires_at = NULL", "UPDATE api_keys SET expires_at = now()"),
            (
                "UPDATE api_keys SET permissions = '{messages:read}'",
                "UPDATE api_keys SET permissions = '{agents:read}'",
            ),
            ("SELECT 1", "DELETE FROM memberships"),
        ):
            await execute(self.db, bad)
            with self.assertRaises(Unauthenticated):
                await self.check(key_id="apk_1")
            await execute(self.db, good)
