"""e2a.store.messages and e2a.store.rawmail: reading received mail."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from e2a.core.entities import Automation, InboundMessage
from e2a.store import messages
from e2a.store.rawmail import RawGone, load_raw
from tests.support.postgres import sql

from .test_intake import BOT, NOW, OTHER, IntakeCase, a_mail, a_row


class ReadingCase(IntakeCase):
    async def fill(self, count: int = 5, agent_id: str = BOT, **changes: Any) -> list[str]:
        rows = [a_row(agent_id, **changes) for _ in range(count)]
        await self.store(*[a_mail(row) for row in rows])
        return [row.id for row in rows]

    async def listed(
        self, status: messages.Status = "all", after: int = 0, limit: int = 50, **filters: Any
    ) -> list[str]:
        found = await self.db.run(
            "list", lambda cur: messages.list_inbound(cur, BOT, status, after, limit, NOW, **filters)
        )
        return [message.id for message in found]

    async def read(self, message_id: str, agent_id: str = BOT) -> InboundMessage | None:
        return await self.db.run("read", messages.read_inbound, agent_id, message_id)


class SignsTests(ReadingCase):
    async def test_signs(self) -> None:
        """What was found of automation and of a strange thread is kept; most mail shows neither."""
        found = Automation(True, ("list_id", "precedence"))
        [plain] = await self.fill(1)
        [auto] = await self.fill(1, automation=found)
        [strange] = await self.fill(1, thread_hijack_suspected=True)
        for message_id, automation, suspected in (
            (plain, Automation(), False),
            (auto, found, False),
            (strange, Automation(), True),
        ):
            message = await self.read(message_id)
            assert message is not None
            self.assertEqual((message.automation, message.thread_hijack_suspected), (automation, suspected))


class ListTests(ReadingCase):
    async def test_pages_in_order_of_arrival(self) -> None:
        """Pages follow each other oldest first without gap or repeat, whatever arrives between them."""
        ids = await self.fill(5)
        await self.fill(2, OTHER)
        self.assertEqual(await self.listed(limit=2), ids[:2])
        ids += await self.fill(1)
        self.assertEqual(await self.listed(after=2, limit=2), ids[2:4])
        self.assertEqual(await self.listed(after=4, limit=9), ids[4:])
        self.assertEqual(await self.listed(after=6), [])

    async def test_newest_first(self) -> None:
        """The other way round, pages follow each other newest first."""
        ids = await self.fill(5)
        self.assertEqual(await self.listed(after=100, limit=2, newest_first=True), [ids[4], ids[3]])
        self.assertEqual(await self.listed(after=4, limit=9, newest_first=True), ids[2::-1])

    async def test_time_and_conversation(self) -> None:
        """Only what was received in the time asked for, the end not included, or belongs to the conversation."""
        [one] = await self.fill(1, conversation_id="c-1")
        [other] = await self.fill(1, conversation_id="c-2")
        self.assertEqual(await self.listed(conversation_id="c-2"), [other])
        created = sql(f"SELECT created_at FROM messages WHERE id = '{one}'", self.dsn)[0][0]
        self.assertEqual(await self.listed(conversation_id="c-1", since=created), [one])
        self.assertEqual(await self.listed(until=created), [])
        self.assertEqual(await self.listed(until=created + timedelta(days=1)), [one, other])

    async def test_status(self) -> None:
        """Unread and read mail can be listed apart."""
        ids = await self.fill(3)
        await self.read(ids[1])
        self.assertEqual(await self.listed("unread"), [ids[0], ids[2]])
        self.assertEqual(await self.listed("read"), [ids[1]])
        self.assertEqual(await self.listed("all"), ids)

    async def test_filters(self) -> None:
        """Sender and subject filters ignore case, take pattern signs literally, and apply together."""
        [first] = await self.fill(1, sender="Ann@Example.org", subject="100% Sure_thing\\")
        [second] = await self.fill(1, sender="bob@example.org", subject="100 percent")
        [third] = await self.fill(1, sender="bob@example.org", subject="Über 100%", created_at=NOW + timedelta(hours=1))
        self.assertEqual(await self.listed(sender="ann@EXAMPLE.org"), [first])
        self.assertEqual(await self.listed(sender="ann"), [])
        self.assertEqual(await self.listed(subject_contains="0% sURE_THING\\"), [first])
        self.assertEqual(await self.listed(subject_contains="100%", sender="bob@example.org"), [third])
        self.assertEqual(await self.listed(subject_contains="PERCENT"), [second])
        self.assertEqual(await self.listed(since=NOW + timedelta(minutes=1)), [third])

    async def test_expired_mail_is_not_there(self) -> None:
        """What has expired is neither listed nor read, before it is removed as after."""
        [expired] = await self.fill(1, expires_at=NOW)
        [kept] = await self.fill(1)
        self.assertEqual(await self.listed(), [kept])
        self.assertIsNone(await self.read(expired))
        self.assertIsNone(await self.db.run("get", messages.get_inbound, BOT, expired))

    async def test_unread_after(self) -> None:
        """The unread mail above a uid, oldest first, at most as many as asked for."""
        ids = await self.fill(4)
        await self.read(ids[2])
        found = await self.db.run("unread", messages.unread_after, BOT, 1, 2, NOW)
        self.assertEqual([(message.id, message.uid) for message in found], [(ids[1], 2), (ids[3], 4)])

    async def test_the_unread_page_uses_its_index(self) -> None:
        """The unread page walks the index of unread mail, not the read mail before it."""
        plan = "\n".join(
            row[0]
            for row in sql(
                "SET enable_seqscan = off; EXPLAIN "
                + messages._PAGE.format(side=">", order="ASC", filters=messages._STATUS["unread"])
                % {"agent": f"'{BOT}'", "after": 0, "now": "now()", "limit": 50},
                self.dsn,
            )
        )
        self.assertIn("messages_unread", plan)


class OneTests(ReadingCase):
    async def test_reading_marks_once(self) -> None:
        """Reading a message makes it read; reading it again answers the same and writes nothing."""
        [message_id] = await self.fill(1)
        before = await self.db.run("get", messages.get_inbound, BOT, message_id)
        assert before is not None
        self.assertEqual(before.inbox_status, "unread")
        first = await self.read(message_id)
        version = sql("SELECT xmin FROM messages", self.dsn)
        second = await self.read(message_id)
        assert first is not None
        self.assertEqual(first.inbox_status, "read")
        self.assertEqual(first, second)
        self.assertEqual(sql("SELECT xmin FROM messages", self.dsn), version)

    async def test_foreign_and_unknown_are_the_same(self) -> None:
        """Another agent's message and one that never was are both None, and stay unread."""
        [message_id] = await self.fill(1, OTHER)
        for wanted in (message_id, "msg_unknown"):
            self.assertIsNone(await self.read(wanted))
            self.assertIsNone(await self.db.run("get", messages.get_inbound, BOT, wanted))
        self.assertEqual(sql("SELECT inbox_status FROM messages", self.dsn), [("unread",)])

    async def test_uid_top(self) -> None:
        """The highest uid is 0 for a new and an unknown mailbox, and stays when mail is removed."""
        self.assertEqual(await self.db.run("top", messages.uid_top, BOT), 0)
        self.assertEqual(await self.db.run("top", messages.uid_top, "nobody@agents.test"), 0)
        await self.fill(3)
        sql("DELETE FROM messages", self.dsn)
        self.assertEqual(await self.db.run("top", messages.uid_top, BOT), 3)

    async def test_raw_that_is_gone(self) -> None:
        """Bytes that were removed, whole or in part, are reported, never handed out short."""
        with self.assertRaises(RawGone):
            await self.db.run("raw", load_raw, "raw_unknown")
        mail = a_mail(raw=b"x" * (2**20 + 1))
        await self.store(mail)
        self.assertEqual(await self.db.run("raw", load_raw, mail.raw_id), mail.raw)
        sql("DELETE FROM raw_parts", self.dsn)
        with self.assertRaises(RawGone):
            await self.db.run("raw", load_raw, mail.raw_id)
