"""Lists that people page through: complete, in order, quick, and nobody else's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from twisted.internet.defer import Deferred

from e2a.core.entities import InboundMessage, Principal
from e2a.core.errors import BadRequest, NotFound
from e2a.core.rules.permissions import ALL_PERMISSIONS
from e2a.core.trust.pagetoken import PageTokens
from e2a.flows.browsing import Browsing
from e2a.store import browsing as store
from tests.support.postgres import ORGANISATION, DatabaseTestCase, make_agent, sql
from tests.support.tenants import execute

NOW = datetime(2024, 4, 20, 8, 0, tzinfo=UTC)
BOT, HOOK = "bot@agents.test", "hook@agents.test"
OWNER = Principal(ORGANISATION, "user", frozenset(ALL_PERMISSIONS))
STRANGER = Principal("org_other", "user", frozenset(ALL_PERMISSIONS))

_IN = """
    WITH raw AS (INSERT INTO raw_messages (id, size, data) VALUES (%s, 1, 'x'))
    INSERT INTO messages (id, agent_id, direction, uid, raw_id, sender, subject, inbox_status, created_at, expires_at)
    VALUES (%s, %s, 'inbound', %s, %s, 'ana@corp.test', 'in', 'unread', %s, %s)
"""
_OUT = """
    INSERT INTO messages
        (id, agent_id, organisation_id, direction, status, sender, to_recipients, created_at, expires_at)
    VALUES (%s, %s, %s, 'outbound', 'sent', %s, '{ana@corp.test}', %s, %s)
"""
_DELIVERY = "INSERT INTO webhook_deliveries (message_id, agent_id, status, attempts) VALUES (%s, %s, %s, 1)"
_ATTEMPT = "INSERT INTO webhook_attempts VALUES (%s, %s, %s, 5, %s, '')"


class BrowsingTests(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        for address in (BOT, HOOK):
            await make_agent(self.db, address, mode="cloud", webhook_url="https://hook.test/x")
        self.browsing = Browsing(self.db, PageTokens(b"k" * 32), lambda: NOW.timestamp())

    async def came(self, number: int, agent: str = BOT, *, minute: int | None = None, days: int = 30) -> str:
        at = NOW + timedelta(minutes=number if minute is None else minute)
        message_id = f"msg_{number:06d}"
        values = (f"raw_{number}", message_id, agent, number + 1, f"raw_{number}", at, NOW + timedelta(days=days))
        await execute(self.db, _IN, *values)
        return message_id

    async def went(self, number: int, agent: str = BOT, *, minute: int | None = None, days: int = 30) -> str:
        at = NOW + timedelta(minutes=number if minute is None else minute)
        message_id = f"msg_{number:06d}"
        await execute(self.db, _OUT, message_id, agent, ORGANISATION, agent, at, NOW + timedelta(days=days))
        return message_id

    async def walk(self, size: int) -> list[list[str]]:
        """The pages of an agent's mail, by ids."""
        pages, token = [], None
        while True:
            page = await self.browsing.mail(OWNER, BOT, size, token)
            pages.append([message.id for message in page.messages])
            token = page.next_token
            if token is None:
                return pages

    async def test_both_directions(self) -> None:
        """Received and sent mail come together, newest first; every page size shows each once."""
        ids = [await (self.came(number) if number % 3 else self.went(number)) for number in range(11)]
        await self.came(90, HOOK)
        await self.went(91, HOOK)
        for size in (1, 2, 3, 10, 11, 50):
            pages = await self.walk(size)
            self.assertEqual([one for page in pages for one in page], ids[::-1], size)
            self.assertTrue(all(len(page) == size for page in pages[:-1]), size)

    async def test_one_moment(self) -> None:
        """Mail of one moment, and mail that was stored in another order than it came, is shown once all the same."""
        ids = {await self.came(number, minute=0) for number in range(5)}
        ids |= {await self.went(number, minute=0) for number in range(5, 10)}
        ids |= {await self.came(20, minute=-5), await self.went(21, minute=-9)}
        for size in (1, 3, 4):
            found = [one for page in await self.walk(size) for one in page]
            self.assertEqual((len(found), set(found)), (len(ids), ids))

    async def test_while_mail_comes(self) -> None:
        """What arrives while somebody pages neither moves a message away nor brings one twice."""
        ids = [await self.came(number) for number in range(4)]
        first = await self.browsing.mail(OWNER, BOT, 2, None)
        await self.came(10)
        await self.went(11)
        second = await self.browsing.mail(OWNER, BOT, 2, first.next_token)
        self.assertEqual([one.id for one in (*first.messages, *second.messages)], ids[::-1])
        self.assertIsInstance(second.messages[0], InboundMessage)

    async def test_expired(self) -> None:
        """What has expired is not listed, in either direction."""
        await self.came(1, days=0)
        await self.went(2, days=0)
        self.assertEqual(await self.walk(10), [[]])

    async def test_deliveries(self) -> None:
        """An agent's deliveries come newest first with their attempts; failed ones of all agents together."""
        for number, agent, status in (
            (1, BOT, "failed"),
            (2, HOOK, "failed"),
            (3, BOT, "delivered"),
            (4, BOT, "failed"),
        ):
            message_id = await self.came(number, agent)
            await execute(self.db, _DELIVERY, message_id, agent, status)
            await execute(self.db, _ATTEMPT, message_id, 2, NOW, 200)
            await execute(self.db, _ATTEMPT, message_id, 1, NOW, None)
        page = await self.browsing.deliveries(OWNER, BOT, 2, None)
        shown = [(one.delivery.message_id, [attempt.number for attempt in one.delivery.log]) for one in page.deliveries]
        self.assertEqual(shown, [("msg_000004", [1, 2]), ("msg_000003", [1, 2])])
        self.assertEqual((page.deliveries[0].sender, page.deliveries[0].subject), ("ana@corp.test", "in"))
        rest = await self.browsing.deliveries(OWNER, BOT, 2, page.next_token)
        self.assertEqual([one.delivery.message_id for one in rest.deliveries], ["msg_000001"])
        failed: list[Any] = []
        token = None
        while True:
            found = await self.browsing.failed(OWNER, 1, token)
            failed += [(one.delivery.agent_id, one.delivery.message_id[-1]) for one in found.deliveries]
            token = found.next_token
            if token is None:
                break
        self.assertEqual(failed, [(BOT, "4"), (HOOK, "2"), (BOT, "1")])
        only = await self.browsing.failed(OWNER, 10, None, HOOK)
        self.assertEqual([one.delivery.message_id for one in only.deliveries], ["msg_000002"])

    async def test_foreign(self) -> None:
        """Nobody sees another organisation's, nor uses a position of another list."""
        message_id = await self.came(1)
        await self.came(2)
        await execute(self.db, _DELIVERY, message_id, BOT, "failed")
        for asking in (
            self.browsing.mail(STRANGER, BOT, 10, None),
            self.browsing.deliveries(STRANGER, BOT, 10, None),
            self.browsing.failed(STRANGER, 10, None, BOT),
        ):
            await self.assertFailure(Deferred.fromCoroutine(asking), NotFound)
        self.assertEqual((await self.browsing.failed(STRANGER, 10, None)).deliveries, ())
        bound = Principal(ORGANISATION, "user", frozenset(ALL_PERMISSIONS), "key", agent_id=HOOK)
        self.assertEqual((await self.browsing.failed(bound, 10, None)).deliveries, ())
        labelled = Principal(ORGANISATION, "user", frozenset(ALL_PERMISSIONS), "key", label_prefix="team")
        self.assertEqual((await self.browsing.failed(labelled, 10, None)).deliveries, ())
        token = (await self.browsing.mail(OWNER, BOT, 1, None)).next_token
        for asking in (self.browsing.mail(OWNER, HOOK, 1, token), self.browsing.deliveries(OWNER, BOT, 1, token)):
            await self.assertFailure(Deferred.fromCoroutine(asking), BadRequest)

    async def test_indexes(self) -> None:
        """Every list walks an index from where the page begins, however much there is of it."""
        values = {"agent": "'a'", "before": "'msg_5'", "limit": 50, "now": "now()"}
        wide = {**values, "organisation": "'o'", "agent": "NULL", "label": "NULL"}
        settings = "".join(f"SET enable_{name} = off;" for name in ("seqscan", "bitmapscan", "sort"))
        for statement, named, index in (
            (store._SENT, values, "messages_written"),
            (store._OF_AGENT, values, "webhook_deliveries_newest"),
            (store._FAILED, wide, "webhook_deliveries_failed"),
        ):
            plan = "\n".join(row[0] for row in sql(settings + "EXPLAIN " + statement % named, self.dsn))
            self.assertRegex(plan, rf"Index Scan Backward using {index}\b[^\n]*\n\s+Index Cond: \(\(?ROW")
