"""Quotas on a real database: the last place goes to one, full mailboxes are known, and the operator decides."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred, DeferredList

from e2a.core.entities import Envelope, Principal, Recipient
from e2a.core.errors import Forbidden, MailboxFull, NeverFits, NotFound, QuotaExceeded
from e2a.core.rules.limits import DEFAULTS, QUOTAS, Quotas
from e2a.core.rules.permissions import ALL_PERMISSIONS
from e2a.core.trust.pagetoken import PageTokens
from e2a.flows.agents import Agents
from e2a.flows.bootstrap import OPERATOR
from e2a.flows.domains import Domains
from e2a.flows.limits import RateLimits
from e2a.flows.quotas import FRESH_SECONDS, OperatorQuotas, Storage
from e2a.flows.writing import Writing
from e2a.store import quotas, retention
from e2a.store.intake import store_group
from tests.flows.test_outbound import BOT, GOOD, NOW, OWNER, PAL, OutboundTestCase
from tests.store.test_intake import a_mail, a_row
from tests.support.cpu import QuickCpu
from tests.support.postgres import ORGANISATION, DatabaseTestCase, make_agent
from tests.support.tenants import OPERATOR_MAILBOX, OWN, execute, make_tenant, rows, start

OTHER = "other@agents.test"


async def outcomes(*wanted: Any) -> tuple[int, list[BaseException]]:
    """How many of these succeed at one time, and what the others raise."""
    done = await DeferredList([Deferred.fromCoroutine(one) for one in wanted], consumeErrors=True)
    return sum(1 for passed, _ in done if passed), [result.value for passed, result in done if not passed]  # type: ignore[attr-defined]


async def give(db: Any, organisation_id: str, **own: int) -> None:
    """Give an organisation quotas of its own."""
    await db.run("give", quotas.set_quotas, organisation_id, {name: own.get(name) for name in QUOTAS})


class CountedThingsTests(DatabaseTestCase):
    pool_size = 8

    async def setUp(self) -> None:
        await super().setUp()
        await start(self.db)
        self.ana = await make_tenant(self.db, "ana")

    def agents(self, most: int) -> Agents:
        async def addresses(host: str) -> list[str]:
            return []

        pages = PageTokens(b"k" * 32)
        return Agents(self.db, addresses, pages, own=OWN, production=True, quotas=Quotas(agents=most))

    async def test_agents(self) -> None:
        """Of many agents registered at one time exactly as many are made as the quota allows."""
        flow = self.agents(3)
        made, refused = await outcomes(
            *(flow.register(self.ana, slug=f"bot{number}", agent_mode="local") for number in range(8))
        )
        self.assertEqual((made, len(refused)), (3, 5))
        for error in refused:
            assert isinstance(error, QuotaExceeded)
            self.assertEqual((error.status, error.details), (402, {"quota": "agents", "limit": 3}))
        await give(self.db, self.ana.organisation_id, agents=0)
        await flow.register(self.ana, slug="more", agent_mode="local")

    async def test_domains(self) -> None:
        """The same for claims on domains."""

        nothing: Any = mock.Mock()
        nothing.ensure = mock.AsyncMock()
        flow = Domains(
            self.db, nothing, nothing, os.urandom, time.time, own=OWN, production=True, quotas=Quotas(domains=2)
        )
        made, refused = await outcomes(*(flow.claim(self.ana, f"d{number}.corp.test") for number in range(6)))
        self.assertEqual((made, len(refused)), (2, 4))
        self.assertTrue(all(isinstance(error, QuotaExceeded) for error in refused))
        await flow.claim(self.ana, (await flow.list_claims(self.ana))[0].name)

    async def test_operator(self) -> None:
        """The operator reads and sets any organisation's quotas, audited; for everybody else there are none."""
        flow = OperatorQuotas(self.db, Quotas(agents=5, domains=1))
        operator = Principal(OPERATOR, "user_op", frozenset(ALL_PERMISSIONS))
        own, in_force, used = await flow.set(operator, self.ana.organisation_id, dict.fromkeys(QUOTAS) | {"agents": 9})
        self.assertEqual((own["agents"], own["domains"]), (9, None))
        self.assertEqual((in_force, used), (Quotas(agents=9, domains=1), Quotas()))
        (line,) = await rows(self.db, "SELECT * FROM audit_events WHERE action = 'quota.changed'")
        self.assertEqual((line.organisation_id, line.resource_id), (OPERATOR, self.ana.organisation_id))
        self.assertEqual((await flow.get(operator, OPERATOR))[1], Quotas())
        with self.assertRaises(NotFound):
            await flow.set(operator, "org_unknown", dict.fromkeys(QUOTAS))
        for wanted in (self.ana.organisation_id, OPERATOR, "org_unknown"):
            with self.assertRaises(NotFound):
                await flow.get(self.ana, wanted)
            with self.assertRaises(NotFound):
                await flow.set(self.ana, wanted, dict.fromkeys(QUOTAS))
        with self.assertRaises(Forbidden):
            await flow.get(replace(operator, agent_id=OPERATOR_MAILBOX), OPERATOR)

    async def test_standing(self) -> None:
        """A caller sees what is left of limits and quotas, and looking costs nothing."""
        limits = RateLimits(self.db, DEFAULTS, Quotas(agents=2))
        await self.agents(0).register(self.ana, slug="bot", agent_mode="local")
        await limits.count("poll", self.ana.user_id)
        await limits.count("register", "192.0.2.1")
        for _ in range(2):
            found = await limits.standing(self.ana, "192.0.2.1")
            left = {one.name: (one.most, one.remaining) for one in found.limits}
            self.assertEqual(left, {"register": (20, 19), "send": (60, None), "poll": (60, 59), "feedback": (10, 10)})
            self.assertEqual({one.name: (one.most, one.used) for one in found.quotas}["agents"], (2, 1))
        bound = await limits.standing(replace(self.ana, agent_id="bot@agents.test"), "192.0.2.1")
        self.assertEqual({one.name: one.remaining for one in bound.limits}["send"], 60)
        self.assertEqual(list(bound.quotas), [])

    async def test_network(self) -> None:
        """One subscriber's IPv6 addresses count as one client."""
        limits = RateLimits(self.db)
        await limits.count("feedback", "2001:db8::1")
        second = await limits.count("feedback", "2001:db8::2")
        assert second is not None
        self.assertEqual(second.used, 2)


class MessagesTests(OutboundTestCase):
    pool_size = 8

    async def send_many(self, number: int, most: int) -> tuple[int, list[BaseException]]:
        writing = Writing(
            self.db, self.make(quotas=Quotas(messages_per_day=most)), QuickCpu(), operator=OPERATOR_MAILBOX
        )
        return await outcomes(*(writing.send(OWNER, GOOD, sender=BOT) for _ in range(number)))

    async def test_exact(self) -> None:
        """Of many messages sent at one time exactly as many are stored as the day's quota allows."""
        sent, refused = await self.send_many(9, 4)
        self.assertEqual((sent, len(refused)), (4, 5))
        self.assertEqual({error.details["quota"] for error in refused}, {"messages_per_day"})  # type: ignore[attr-defined]
        self.assertEqual(await self.count("outbox"), 4)
        self.assertEqual((await self.db.read("used", quotas.used, ORGANISATION)).messages_per_day, 4)

    async def test_together(self) -> None:
        """Messages of several organisations are counted together: all of an organisation's, or none of them."""
        await make_agent(self.db, OTHER, organisation="org_b")
        for wanted, counted in (
            ({ORGANISATION: (3, 4), "org_b": (5, 4)}, {ORGANISATION}),
            ({ORGANISATION: (2, 4), "org_b": (4, 4)}, {"org_b"}),
            ({ORGANISATION: (1, 4), "org_b": (1, 5)}, {ORGANISATION, "org_b"}),
        ):
            self.assertEqual(await self.db.run("take", quotas.take_messages, wanted), counted)

    async def test_next_day(self) -> None:
        """Another day begins anew, and the counts of days that are over go."""
        await self.send_many(2, 2)
        await execute(self.db, "UPDATE message_days SET day = day - 2")
        self.assertEqual((await self.send_many(3, 2))[0], 2)
        storage = Storage(self.db, self.clock.seconds)
        await storage.take_off_freed()
        self.assertEqual(await self.count("message_days"), 1)

    async def test_own_quota(self) -> None:
        """An organisation's own quota holds instead of the deployment's, and 0 lifts it; without one nothing counts."""
        await give(self.db, ORGANISATION, messages_per_day=1)
        self.assertEqual((await self.send_many(2, 0))[0], 1)
        await give(self.db, ORGANISATION, messages_per_day=0)
        self.assertEqual((await self.send_many(2, 1))[0], 2)
        self.assertEqual([row.messages for row in await rows(self.db, "SELECT messages FROM message_days")], [1])


class StorageTests(OutboundTestCase):
    def storage(self, most: int) -> Storage:
        return Storage(self.db, self.clock.seconds, most=most)

    async def receive(self, *sizes: int, agent: str = BOT) -> None:
        await self.db.run("store", store_group, [a_mail(a_row(agent, size=size)) for size in sizes], False)

    async def kept(self, agent: str = BOT) -> int:
        ((size,),) = await rows(self.db, "SELECT bytes FROM mailboxes WHERE agent_id = %s", agent)
        return int(size)

    def envelope(self, *agents: str) -> Envelope:
        return Envelope("192.0.2.1", "mx", "", tuple(Recipient(one, one) for one in agents), "ESMTP", "s", NOW)

    async def test_counts(self) -> None:
        """Each mailbox knows what it keeps: what intake stores is added, what retention removes is taken off."""
        await make_agent(self.db, PAL)
        await self.receive(100, 50)
        await self.receive(7, agent=PAL)
        repeated = a_mail(a_row(size=30))
        await self.db.run("store", store_group, [repeated], False)
        await self.db.run("store", store_group, [repeated], False)
        self.assertEqual((await self.kept(), await self.kept(PAL)), (180, 7))
        await execute(self.db, "UPDATE messages SET expires_at = now() WHERE size = 50 OR agent_id = %s", PAL)
        self.assertEqual(await self.db.run("forget", retention.forget_expired_messages), 2)
        await self.storage(0).take_off_freed()
        self.assertEqual((await self.kept(), await self.kept(PAL)), (130, 0))
        self.assertEqual(await self.count("storage_freed"), 0)

    async def test_full(self) -> None:
        """A recipient whose organisation keeps as much as it may is refused for now, until mail went."""
        storage = self.storage(100)
        bot = Recipient(BOT, BOT)
        await self.receive(99)
        await storage.check_recipient(bot)
        await self.receive(1)
        storage.stored([BOT], 1)
        with self.assertRaises(MailboxFull) as caught:
            await storage.check_recipient(bot)
        self.assertEqual(caught.exception.smtp, (452, "4.2.2"))
        await execute(self.db, "UPDATE messages SET expires_at = now()")
        await self.db.run("forget", retention.forget_expired_messages)
        await storage.take_off_freed()
        with self.assertRaises(MailboxFull):
            await storage.check_recipient(bot)
        self.clock.advance(FRESH_SECONDS)
        await storage.check_recipient(bot)
        await storage.check_recipient(None)

    async def test_never_fits(self) -> None:
        """A message larger than all that every recipient may keep is refused for good."""
        await make_agent(self.db, OTHER, organisation="org_b")
        await give(self.db, "org_b", storage_bytes=0)
        storage = self.storage(100)
        await storage.check_message(self.envelope(BOT), 100)
        with self.assertRaises(NeverFits) as caught:
            await storage.check_message(self.envelope(BOT), 101)
        self.assertEqual(caught.exception.smtp, (552, "5.2.2"))
        await storage.check_message(self.envelope(BOT, OTHER), 101)

    async def test_off(self) -> None:
        """While nobody has a quota the database is not asked; an organisation's own is learnt at the next look."""
        storage = Storage(None, time.time)  # type: ignore[arg-type]
        await storage.check_recipient(Recipient(BOT, BOT))
        await storage.check_message(self.envelope(BOT), 10**9)
        storage = self.storage(0)
        await give(self.db, ORGANISATION, storage_bytes=5)
        await self.receive(5)
        await storage.check_recipient(Recipient(BOT, BOT))
        await storage.refresh()
        with self.assertRaises(MailboxFull):
            await storage.check_recipient(Recipient(BOT, BOT))

    async def test_hand_over(self) -> None:
        """Mail from one agent to another whose mailbox is full says so to the sender; others have their copies."""
        await make_agent(self.db, PAL)
        await make_agent(self.db, OTHER, organisation="org_b")
        await give(self.db, "org_b", storage_bytes=10)
        storage = self.storage(0)
        await storage.refresh()
        outbound = self.make(full=storage.full)
        writing = Writing(self.db, outbound, QuickCpu(), operator=OPERATOR_MAILBOX)
        asked = replace(GOOD, to=[PAL, OTHER])
        submitted = await writing.send(OWNER, asked, sender=BOT)
        states = {one.address: (one.state, one.code) for one in submitted.recipients}
        self.assertEqual(states, {PAL: ("sent", None), OTHER: ("failed", 552)})
        lonely = await writing.send(OWNER, replace(asked, to=[OTHER]), sender=BOT)
        self.assertEqual(lonely.message.status, "failed")
