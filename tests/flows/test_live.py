"""Feeds and the long poll."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from e2a.core.errors import Unavailable
from e2a.deliver.hub import Hub
from e2a.flows import live
from e2a.flows.live import LiveFeeds, LiveRights, LongPoll
from e2a.flows.mailbox import Filters
from tests.support.mail import store_message
from tests.support.postgres import DatabaseTestCase, make_agent

AGENT = "bot@agents.test"
NOW = datetime(2024, 5, 1, tzinfo=UTC)


class LongPollTests(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await make_agent(self.db)
        await make_agent(self.db, "other@agents.test")
        self.clock = Clock()
        self.hub = Hub(LiveRights(self.db))
        self.poll = LongPoll(self.db, self.hub, self.clock, NOW.timestamp)

    def tearDown(self) -> None:
        self.assertEqual((self.clock.getDelayedCalls(), self.hub._hearers), ([], {}))

    def wait(self, after: int | None = None, timeout: float = 60.0, **filters: Any) -> Deferred[Any]:
        return Deferred.fromCoroutine(self.poll(AGENT, after, Filters(**filters), timeout))

    async def settled(self) -> None:
        """Until what was asked of the database so far has been answered: the pool serves in order."""

        async def nothing(cur: Any) -> None:
            await cur.execute("SELECT 1")

        for _ in range(2 * self.pool_size):
            await self.db.run("nothing", nothing)

    async def test_what_is_there(self) -> None:
        """The oldest unread message is answered at once, with its uid as the cursor."""
        await store_message(self.db, "msg_0")
        await self.db.run("read", lambda cur: cur.execute("UPDATE messages SET inbox_status = 'read'"))
        for number in (1, 2):
            await store_message(self.db, f"msg_{number}")
        message, cursor = await self.wait()
        self.assertEqual((message.id, cursor), ("msg_1", 2))

    async def test_after_a_cursor(self) -> None:
        """With a cursor everything above it counts, read or not, and nothing below."""
        for number in (1, 2):
            await store_message(self.db, f"msg_{number}")
        await self.db.run("read", lambda cur: cur.execute("UPDATE messages SET inbox_status = 'read'"))
        message, cursor = await self.wait(after=1)
        self.assertEqual((message.id, cursor), ("msg_2", 2))

    async def test_what_comes(self) -> None:
        """A message that arrives ends the wait; another agent's does not."""
        waiting = self.wait()
        await self.settled()
        await store_message(self.db, "msg_x", "other@agents.test")
        self.hub.mail("other@agents.test msg_x")
        await self.settled()
        self.assertNoResult(waiting)
        await store_message(self.db, "msg_1")
        self.hub.mail(f"{AGENT} msg_1")
        message, _ = await waiting
        self.assertEqual(message.id, "msg_1")

    async def test_a_message_during_the_first_read(self) -> None:
        """A notification that comes while the mailbox is being read is not forgotten."""
        waiting = self.wait()
        self.hub.mail(f"{AGENT} msg_1")
        await store_message(self.db, "msg_1")
        self.hub.mail(f"{AGENT} msg_1")
        message, _ = await waiting
        self.assertEqual(message.id, "msg_1")

    async def test_after_a_gap(self) -> None:
        """When notifications may have been missed, everybody looks again."""
        waiting = self.wait()
        await self.settled()
        await store_message(self.db, "msg_1")
        self.hub.gap()
        message, _ = await waiting
        self.assertEqual(message.id, "msg_1")

    async def test_filters(self) -> None:
        """Sender, subject and time must match; the cursor passes over what does not."""
        await store_message(self.db, "msg_1", sender="eve@corp.test", subject="code 1")
        await store_message(self.db, "msg_2", subject="nothing")
        await store_message(self.db, "msg_3", subject="Your CODE", created_at=NOW)
        message, cursor = await self.wait(sender="Ana@corp.test", subject_contains="code")
        self.assertEqual((message.id, cursor), ("msg_3", 3))
        message, _ = await self.wait(not_before=NOW, subject_contains="your")
        self.assertEqual(message.id, "msg_3")
        self.assertEqual(await self.wait(timeout=0, subject_contains="no such"), (None, 3))

    async def test_time_out(self) -> None:
        """At the end of the time the answer is nothing, and the cursor lies past all that was looked at."""
        await store_message(self.db, "msg_1", subject="other")
        waiting = self.wait(timeout=30.0, subject_contains="code")
        await self.settled()
        self.clock.advance(29.9)
        self.assertNoResult(waiting)
        self.clock.advance(0.1)
        self.assertEqual(await waiting, (None, 1))

    async def test_no_time(self) -> None:
        """With a time-out of zero the mailbox is looked at once."""
        self.assertEqual(await self.wait(timeout=0), (None, 0))

    async def test_stop(self) -> None:
        """When the daemon stops, those who wait are answered at once that nothing came."""
        waiting = self.wait()
        await self.settled()
        self.poll.stop()
        self.assertEqual(await waiting, (None, 0))

    async def test_who_leaves_frees_everything(self) -> None:
        """A cancelled wait keeps no timer and no subscription."""
        waiting = self.wait()
        await self.settled()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.tearDown()

    async def test_an_unreachable_database(self) -> None:
        """The wait ends with the error and frees everything."""
        await self.db.stop()
        with self.assertRaises(Unavailable):
            await self.wait()


class FeedTests(DatabaseTestCase):
    async def test_pages_in_order(self) -> None:
        """A feed hands out everything unread by uid, page by page, then what arrived since, each once."""
        await make_agent(self.db)
        self.patch(live, "PAGE", 2)
        feed = LiveFeeds(self.db, NOW.timestamp).open(AGENT)
        for number in range(3):
            await store_message(self.db, f"msg_{number}")
        self.assertEqual([m.id for m in await feed.page()], ["msg_0", "msg_1"])
        self.assertEqual([m.id for m in await feed.page()], ["msg_2"])
        self.assertEqual(await feed.page(), [])
        await store_message(self.db, "msg_3")
        self.assertEqual([m.id for m in await feed.page()], ["msg_3"])
        self.assertEqual(feed.cursor, 4)

    async def test_a_failed_read_frees_its_place(self) -> None:
        """Readers that fail do not use up the places of others."""
        await make_agent(self.db)
        feeds = LiveFeeds(self.db, NOW.timestamp)
        await self.db.stop()
        for _ in range(live.READERS * 2):
            with self.assertRaises(Unavailable):
                await feeds.open(AGENT).page()
