"""e2a.store.conversations: quoted ids and threads, on a real database."""

from __future__ import annotations

import itertools
import os
from datetime import UTC, datetime, timedelta
from typing import Any

from e2a.core import ids
from e2a.core.entities import Conversation
from e2a.core.mail.conversations import Ancestor, quoted
from e2a.store import conversations
from tests.support.postgres import ORGANISATION, DatabaseTestCase, make_agent
from tests.support.tenants import execute, rows

NOW = 1_777_636_800.0
MOMENT = datetime.fromtimestamp(NOW, UTC)
BOT, OTHER = "bot@agents.test", "other@agents.test"
ANA = "ana@corp.test"


class ThreadCase(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await make_agent(self.db, BOT)
        await make_agent(self.db, OTHER)
        self._clock = itertools.count()
        self._uids = itertools.count(1)

    async def sent(self, conversation: str | None = "c1", agent: str = BOT, **columns: Any) -> str:
        """An outbound message of the agent, to Ana unless said otherwise."""
        return await self._insert(
            agent,
            {
                "direction": "outbound",
                "status": "sent",
                "organisation_id": ORGANISATION,
                "sender": agent,
                "to_recipients": [ANA],
                "conversation_id": conversation,
                **columns,
            },
        )

    async def received(self, conversation: str | None = "c1", agent: str = BOT, **columns: Any) -> str:
        """An inbound message from Ana."""
        await execute(self.db, "INSERT INTO raw_messages VALUES ('raw', 1, 'x') ON CONFLICT DO NOTHING")
        return await self._insert(
            agent,
            {
                "direction": "inbound",
                "uid": next(self._uids),
                "raw_id": "raw",
                "inbox_status": "unread",
                "sender": ANA,
                "auth_sender": ANA,
                "verified": True,
                "to_recipients": [agent],
                "conversation_id": conversation,
                **columns,
            },
        )

    async def _insert(self, agent: str, columns: dict[str, Any]) -> str:
        at = NOW + next(self._clock)
        moment = datetime.fromtimestamp(at, UTC)
        row = {
            "id": ids.message_id(at, os.urandom),
            "agent_id": agent,
            "created_at": moment,
            "expires_at": moment + timedelta(days=30),
            **columns,
        }
        names, places = ", ".join(row), ", ".join(["%s"] * len(row))
        await execute(self.db, f"INSERT INTO messages ({names}) VALUES ({places})", *row.values())
        return str(row["id"])

    async def ancestors(self, *references: str, sender: str = ANA, agents: tuple[str, ...] = (BOT,)) -> Any:
        return await self.db.run("find", conversations.find_ancestors, agents, quoted(references), sender)


class AncestorTests(ThreadCase):
    """``find_ancestors``"""

    async def test_both_ids(self) -> None:
        """A message is found by its own Message-ID, by what the upstream server called it, also in bare form."""
        await self.sent("c1", email_message_id="<a@x.test>", provider_message_id="<0100@eu.test>")
        await self.sent("c2", email_message_id="<b@x.test>", provider_message_id="<0200>")
        for reference, conversation in (
            ("<a@x.test>", "c1"),
            ("<0100@eu.test>", "c1"),
            ("<0200>", "c2"),
            ("<0200@eu.test>", "c2"),
        ):
            self.assertEqual(await self.ancestors(reference), {BOT: Ancestor(conversation, True)}, reference)
        # The bare form is for ids that upstream servers told; and nothing in an id is a pattern.
        await self.sent("c3", email_message_id="<bare>")
        for reference in ("<bare@x.test>", "<%@x.test>", "<_@x.test>", "<01@eu.test>", "<A@X.TEST>"):
            self.assertEqual(await self.ancestors(reference), {}, reference)

    async def test_nearest_first(self) -> None:
        """The nearest known ancestor decides; of several messages with one id the newest."""
        await self.received("old", email_message_id="<a@x.test>")
        await self.received("new", email_message_id="<a@x.test>")
        await self.sent("far", email_message_id="<far@x.test>")
        self.assertEqual(await self.ancestors("<?@x.test>", "<far@x.test>", "<a@x.test>"), {BOT: Ancestor("far", True)})
        self.assertEqual(await self.ancestors("<a@x.test>", "<far@x.test>"), {BOT: Ancestor("new", True)})

    async def test_without_conversation(self) -> None:
        """A message that belongs to no conversation leads to none."""
        await self.received(None, email_message_id="<a@x.test>")
        self.assertEqual(await self.ancestors("<a@x.test>"), {})

    async def test_each_agent_its_own(self) -> None:
        """Agents are answered together, each from its own mail."""
        await self.sent("mine", email_message_id="<a@x.test>")
        await self.sent("theirs", OTHER, email_message_id="<a@x.test>", to_recipients=["bob@corp.test"])
        await self.sent("theirs too", OTHER, email_message_id="<b@x.test>")
        found = await self.ancestors("<a@x.test>", "<b@x.test>", agents=(BOT, OTHER))
        self.assertEqual(found, {BOT: Ancestor("mine", True), OTHER: Ancestor("theirs", False)})

    async def test_participants(self) -> None:
        """Who wrote or was written to takes part, in any case of letters; who was only claimed or drafted does not."""
        await self.sent(
            email_message_id="<a@x.test>", to_recipients=["To@x.test"], cc=["cc@x.test"], bcc=["bcc@x.test"]
        )
        await self.received(sender="from@x.test", auth_sender="From@x.test", cc=["Seen@x.test"])
        await self.received(sender="liar@x.test", auth_sender="liar@x.test", verified=False, cc=["claimed@x.test"])
        await self.sent(status="pending_approval", to_recipients=["held@x.test"])
        await self.sent(status="rejected", to_recipients=["refused@x.test"])
        await self.sent("another", to_recipients=["elsewhere@x.test"])
        for address in ("TO@x.test", "cc@X.test", "bcc@x.test", "from@x.test", "seen@x.test"):
            self.assertEqual(await self.ancestors("<a@x.test>", sender=address), {BOT: Ancestor("c1", True)}, address)
        for name in ("liar", "claimed", "held", "refused", "elsewhere", ""):
            found = await self.ancestors("<a@x.test>", sender=f"{name}@x.test" if name else "")
            self.assertEqual(found, {BOT: Ancestor("c1", False)}, name)

    async def test_long_conversation(self) -> None:
        """Only the newest messages are searched, and always the quoted one."""
        await self.sent(email_message_id="<first@x.test>", to_recipients=["early@x.test"])
        await self.sent(email_message_id="<second@x.test>")
        for _ in range(conversations.RECENT):
            await self.sent(to_recipients=["late@x.test"])
        self.assertEqual(await self.ancestors("<first@x.test>", sender="early@x.test"), {BOT: Ancestor("c1", True)})
        self.assertEqual(await self.ancestors("<second@x.test>", sender="early@x.test"), {BOT: Ancestor("c1", False)})
        self.assertEqual(await self.ancestors("<first@x.test>", sender="late@x.test"), {BOT: Ancestor("c1", True)})

    async def test_adopted(self) -> None:
        """A message without a conversation is taken into one; one that has a conversation keeps it."""
        message = await self.received(None)
        await self.db.run("adopt", conversations.adopt, BOT, message, "c1")
        await self.db.run("adopt", conversations.adopt, BOT, message, "c2")
        found = await rows(self.db, "SELECT conversation_id FROM messages WHERE id = %s", message)
        self.assertEqual(found[0].conversation_id, "c1")

    async def test_cost(self) -> None:
        """However much mail quotes or bears an id, a lookup reads a handful of index entries."""
        await execute(
            self.db,
            """
            INSERT INTO messages (id, agent_id, direction, status, organisation_id, sender, to_recipients,
                email_message_id, conversation_id, created_at, expires_at)
            SELECT 'msg_' || lpad(to_hex(n), 32, '0'), %s, 'outbound', 'sent', %s, %s, ARRAY['x@x.test'],
                '<same@x.test>', CASE WHEN n %% 2 = 0 THEN 'c' || n %% 100 END, %s, %s
            FROM generate_series(1, 20000) AS n
            """,
            BOT,
            ORGANISATION,
            BOT,
            MOMENT,
            MOMENT + timedelta(days=30),
        )
        await execute(self.db, "ANALYZE messages")

        async def work(cur: Any) -> int:
            await cur.execute(
                "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) AS n FROM pg_stat_xact_user_tables"
                " WHERE relname = 'messages'"
            )
            before = cur.fetchone().n
            await conversations.find_ancestors(cur, [BOT], quoted(["<none@x.test>", "<same@x.test>"]), ANA)
            await cur.execute(
                "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) AS n FROM pg_stat_xact_user_tables"
                " WHERE relname = 'messages'"
            )
            return int(cur.fetchone().n) - int(before)

        self.assertLess(await self.db.run("cost", work), 4 * conversations.RECENT)


class ListTests(ThreadCase):
    """``list_conversations`` and ``list_messages``"""

    async def page(
        self, before: str = conversations.TOP, top: str = conversations.TOP, limit: int = 50
    ) -> tuple[list[Conversation], str | None]:
        return await self.db.run("list", conversations.list_conversations, BOT, before, top, limit, MOMENT)

    async def test_entry(self) -> None:
        """An entry says what the thread is about, who takes part, how much there is, and when it last moved."""
        await self.sent(subject="Offer", to_recipients=["Ana@corp.test"], cc=["bob@corp.test"], bcc=["eve@corp.test"])
        await self.received(subject="Re: Offer", to_recipients=[BOT])
        last = await self.received(subject="Re: Offer", inbox_status="read")
        await self.received(None)
        ((entry,), more) = await self.page()
        self.assertIsNone(more)
        self.assertEqual(
            entry,
            Conversation("c1", "Offer", (ANA, "bob@corp.test"), 3, 1, last, MOMENT + timedelta(seconds=2)),
        )

    async def test_own_address(self) -> None:
        """The agent is not among those who take part, also where it writes from the deployment's own address."""
        await self.sent(sender="agent@send.gateway.test", to_recipients=[ANA])
        await self.received(sender="bob@corp.test", to_recipients=[BOT])
        ((entry,), _) = await self.page()
        self.assertEqual(entry.participants, (ANA, "bob@corp.test"))

    async def test_order_and_pages(self) -> None:
        """The thread with the latest message comes first, and pages follow each other without gap or repeat."""
        for name in ("a", "b", "c", "d", "a", "e", "b"):
            await self.sent(name)
        (found, more) = await self.page(limit=2)
        walked = [entry.id for entry in found]
        top = found[0].last_message_id
        # What moves meanwhile neither vanishes from the walk nor comes twice.
        await self.sent("c")
        await self.sent("b")
        while more is not None:
            found, more = await self.page(more, top, 2)
            walked += [entry.id for entry in found]
        self.assertEqual(walked, ["b", "e", "a", "d", "c"])
        self.assertEqual([entry.id for entry in (await self.page())[0]], ["b", "c", "e", "a", "d"])

    async def test_bounded_scan(self) -> None:
        """A huge thread costs a page, not a scan of everything: the walk goes on behind what was looked at."""
        self.patch(conversations, "SCAN", 3)
        await self.sent("small")
        for _ in range(7):
            await self.sent("huge")
        found, more = await self.page()
        walked = [entry.id for entry in found]
        while more is not None:
            found, more = await self.page(more, limit=50)
            walked += [entry.id for entry in found]
        self.assertEqual(walked, ["huge", "small"])

    async def test_expired(self) -> None:
        """What has expired is neither listed nor counted."""
        past = MOMENT - timedelta(seconds=1)
        await self.sent("gone", expires_at=past)
        await self.sent("half", subject="first", expires_at=past)
        await self.sent("half", subject="second")
        ((entry,), _) = await self.page()
        self.assertEqual((entry.id, entry.subject, entry.message_count), ("half", "second", 1))

    async def test_nothing(self) -> None:
        """Another agent's threads are not this one's."""
        await self.sent("theirs", OTHER)
        self.assertEqual(await self.page(), ([], None))

    async def test_messages(self) -> None:
        """A thread's messages come in order, both directions, page by page, and reading the list changes nothing."""
        ids_ = [await self.sent(), await self.received(), await self.sent(status="queued"), await self.received()]
        await self.sent("another")

        async def listed(after: str, limit: int) -> list[Any]:
            return await self.db.run("list", conversations.list_messages, BOT, "c1", after, limit, MOMENT)

        first, rest = await listed("", 2), await listed(ids_[1], 9)
        self.assertEqual([one.id for one in [*first, *rest]], ids_)
        self.assertEqual([one.status for one in [*first, *rest]], ["sent", "unread", "queued", "unread"])
        self.assertEqual([one.direction for one in first], ["outbound", "inbound"])
