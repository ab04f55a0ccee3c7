"""e2a.store.intake on a real server: what a group stores, and what it must never do."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from e2a.core.entities import Facts
from e2a.store import agents, intake, rawmail, retention
from e2a.store.intake import IntakeMail, IntakeRow, Outcome, store_group
from e2a.store.listener import MAIL, Listener
from e2a.store.messages import get_inbound, unread_after
from e2a.store.rawmail import load_raw
from tests.support.postgres import DatabaseTestCase, make_agent, sql

NOW = datetime(2026, 3, 4, 5, 6, 7, 890000, tzinfo=UTC)
LATER = datetime(2100, 1, 1, tzinfo=UTC)
BOT, OTHER = "bot@agents.test", "other@agents.test"

_numbers = itertools.count(1)


def a_row(agent_id: str = BOT, **changes: Any) -> IntakeRow:
    n = next(_numbers)
    row = IntakeRow(
        id=f"msg_{n:032x}",
        agent_id=agent_id,
        sender="ann@example.org",
        recipient=agent_id,
        tag="",
        to=(agent_id,),
        cc=(),
        reply_to=(),
        subject="subject",
        email_message_id=f"<{n}@example.org>",
        conversation_id=None,
        facts=Facts(True, "ann@example.org", "human", "spf=pass; dkim=pass", "ab" * 32),
        authentication={"spf": {"result": "pass"}},
        size=10,
        created_at=NOW,
        expires_at=LATER,
        fingerprint=n.to_bytes(32, "big"),
    )
    return row._replace(**changes)


def a_mail(*rows: IntakeRow, raw: bytes = b"raw\r\n") -> IntakeMail:
    return IntakeMail(raw_id=f"raw_{next(_numbers):032x}", raw=raw, rows=rows or (a_row(),))


def turn() -> Deferred[None]:
    """One turn of the reactor."""
    turned: Deferred[None] = Deferred()
    reactor.callLater(0, turned.callback, None)
    return turned


class IntakeCase(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await make_agent(self.db, BOT)
        await make_agent(self.db, OTHER)

    async def store(self, *mails: IntakeMail, usage: bool = False) -> list[Outcome]:
        outcomes = await self.db.run("intake", store_group, mails, usage)
        return [outcomes[row.id] for mail in mails for row in mail.rows]

    def count(self, table: str) -> int:
        return int(sql(f"SELECT count(*) FROM {table}", self.dsn)[0][0])

    def waiting(self) -> int:
        """How many transactions wait for another's lock."""
        statement = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return int(sql(statement, self.dsn)[0][0])

    def uids(self, agent_id: str = BOT) -> list[int]:
        return [row[0] for row in sql(f"SELECT uid FROM messages WHERE agent_id = '{agent_id}' ORDER BY id", self.dsn)]


class ContentTests(IntakeCase):
    async def test_every_field_comes_back(self) -> None:
        """What was handed in is what is read, field by field, quotes, backslashes and all scripts included."""
        odd = "x\"'\\ {},%s\t\n\u2028\U0001f40d é"
        row = a_row(
            sender=odd,
            tag="news",
            to=(odd, ""),
            cc=("NULL",),
            reply_to=("{}",),
            subject=odd,
            conversation_id="conv_1",
            facts=Facts(False, odd, "agent", "spf=none; dkim=none", "cd" * 32, "agent=a;human=b"),
            authentication={"spf": {"result": "fail", "domain": None}, "dkim": [{"aligned": False}], "n": 1},
            size=123456,
            defects=("one", "two"),
            expires_at=LATER + timedelta(microseconds=1),
        )
        mail = a_mail(row)
        self.assertEqual(await self.store(mail), [Outcome.STORED])
        message = await self.db.run("get", get_inbound, BOT, row.id)
        assert message is not None
        for field in IntakeRow._fields:
            if field != "fingerprint":
                self.assertEqual(getattr(message, field), getattr(row, field), field)
        self.assertEqual((message.uid, message.inbox_status, message.raw_id), (1, "unread", mail.raw_id))

    async def test_bytes_of_every_size_come_back(self) -> None:
        """The raw bytes are kept exactly, at and around the size at which they are split, whatever they contain."""
        self.patch(intake, "PART_BYTES", 64)
        every = bytes(range(256))
        raws = [b"", b"x", every[:63], every[:64], every[:65], every[:128], every * 3 + b"\0\\'"]
        raws += [b"\\x41 it's\r\n\\\\%s"]
        mails = [a_mail(raw=raw) for raw in raws]
        await self.store(*mails)
        self.patch(rawmail, "PART_BYTES", 64)
        loaded = [await self.db.run("raw", load_raw, mail.raw_id) for mail in mails]
        self.assertEqual(loaded, raws)

    async def test_bytes_are_stored_once(self) -> None:
        """A mail to two agents keeps its bytes once and gives each its own copy."""
        mail = a_mail(a_row(BOT), a_row(OTHER))
        self.assertEqual(await self.store(mail), [Outcome.STORED] * 2)
        self.assertEqual((self.count("raw_messages"), self.count("messages")), (1, 2))

    async def test_a_row_that_cannot_be_stored_raises(self) -> None:
        """NUL in a text fails the group at once, and nothing of it stays."""
        with self.assertRaises(psycopg2.DataError):
            await self.store(a_mail(), a_mail(a_row(subject="a\0b")))
        self.assertEqual((self.count("messages"), self.count("raw_messages"), self.count("fingerprints")), (0, 0, 0))
        self.assertEqual(await self.store(a_mail()), [Outcome.STORED])
        self.assertEqual(self.uids(), [1])


class OrderTests(IntakeCase):
    async def test_uids_count_up_per_agent(self) -> None:
        """Each agent's mail is numbered from 1 in the order handed in, within a group and from group to group."""
        await self.store(a_mail(a_row(BOT)), a_mail(a_row(OTHER)), a_mail(a_row(BOT), a_row(OTHER)))
        await self.store(a_mail(a_row(BOT)))
        self.assertEqual((self.uids(BOT), self.uids(OTHER)), ([1, 2, 3], [1, 2]))

    async def test_who_saw_a_uid_saw_all_below(self) -> None:
        """A group waits for the one that has the mailbox, so a higher uid never becomes visible first."""
        first_done: Deferred[None] = Deferred()
        stored: Deferred[None] = Deferred()

        async def slow(cur: Any) -> None:
            await store_group(cur, [a_mail()], False)
            stored.callback(None)
            await first_done

        first = Deferred.fromCoroutine(self.db.run("slow", slow))
        await stored
        second = Deferred.fromCoroutine(self.db.run("intake", store_group, [a_mail()], False))
        while not self.waiting():
            await turn()
        self.assertEqual(self.uids(), [])
        first_done.callback(None)
        await gatherResults([first, second])
        self.assertEqual(self.uids(), [1, 2])

    async def test_groups_with_the_same_agents_do_not_deadlock(self) -> None:
        """Groups that name the same agents in opposite orders, each caught half way by a third, are all stored."""
        agents = [f"a{number}@agents.test" for number in range(9)]
        for agent in agents:
            await make_agent(self.db, agent)
        caught: Deferred[None] = Deferred()
        go_on: Deferred[None] = Deferred()

        async def block(cur: Any) -> None:
            await store_group(cur, [a_mail(a_row(agents[4]))], False)
            caught.callback(None)
            await go_on

        def group(order: list[str]) -> Deferred[dict[str, Outcome]]:
            mails = [a_mail(a_row(agent)) for agent in order]
            return Deferred.fromCoroutine(self.db.run("intake", store_group, mails, False))

        blocker = Deferred.fromCoroutine(self.db.run("block", block))
        await caught
        groups = [group(agents), group(agents[::-1])]
        while self.waiting() < 2:
            await turn()
        go_on.callback(None)
        await blocker
        for outcomes in await gatherResults(groups, consumeErrors=True):
            self.assertEqual(set(outcomes.values()), {Outcome.STORED})
        self.assertEqual(sorted(self.uids(agents[0])), [1, 2])
        self.assertEqual(sorted(self.uids(agents[4])), [1, 2, 3])


class DuplicateTests(IntakeCase):
    async def test_a_repeated_transmission_is_stored_once(self) -> None:
        """The same fingerprint for the same agent is a duplicate: no copy, no bytes, no delivery, no uid."""
        row = a_row()
        again = a_row()._replace(fingerprint=row.fingerprint)
        self.assertEqual(await self.store(a_mail(row)), [Outcome.STORED])
        self.assertEqual(await self.store(a_mail(again), a_mail()), [Outcome.DUPLICATE, Outcome.STORED])
        self.assertEqual((self.count("messages"), self.count("raw_messages"), self.uids()), (2, 2, [1, 2]))

    async def test_only_the_copy_that_is_there_is_left_out(self) -> None:
        """When one recipient has a repeated mail already and another has not, the other gets it, with its bytes."""
        row = a_row(BOT)
        await self.store(a_mail(row))
        mail = a_mail(a_row(BOT)._replace(fingerprint=row.fingerprint), a_row(OTHER, fingerprint=row.fingerprint))
        self.assertEqual(await self.store(mail), [Outcome.DUPLICATE, Outcome.STORED])
        self.assertEqual(await self.db.run("raw", load_raw, mail.raw_id), mail.raw)

    async def test_twice_in_one_group(self) -> None:
        """Of two equal transmissions in one group the first is stored."""
        row = a_row()
        again = a_row()._replace(fingerprint=row.fingerprint)
        self.assertEqual(await self.store(a_mail(row), a_mail(again)), [Outcome.STORED, Outcome.DUPLICATE])
        self.assertEqual(self.count("messages"), 1)

    async def test_after_seven_days_it_is_new(self) -> None:
        """A repeat after more than seven days is stored, and counts as seen from then on."""
        row = a_row()
        await self.store(a_mail(row))
        for age, outcome in (("6 days 23 hours", Outcome.DUPLICATE), ("7 days 1 hour", Outcome.STORED)):
            sql(f"UPDATE fingerprints SET seen_at = now() - interval '{age}'", self.dsn)
            again = a_row()._replace(fingerprint=row.fingerprint)
            self.assertEqual(await self.store(a_mail(again)), [outcome])
        again = a_row()._replace(fingerprint=row.fingerprint)
        self.assertEqual(await self.store(a_mail(again)), [Outcome.DUPLICATE])

    async def test_a_repeat_on_another_replica_at_the_same_time(self) -> None:
        """The same transmission arriving through two connections at once is stored once."""
        row = a_row()
        runs = [
            Deferred.fromCoroutine(
                self.db.run("intake", store_group, [a_mail(a_row()._replace(fingerprint=row.fingerprint))], False)
            )
            for _ in range(3)
        ]
        outcomes = [outcome for result in await gatherResults(runs) for outcome in result.values()]
        self.assertEqual(outcomes.count(Outcome.STORED), 1)
        self.assertEqual((self.count("messages"), self.count("raw_messages")), (1, 1))

    async def test_a_new_agent_of_the_same_name(self) -> None:
        """What a deleted agent had seen is new to an agent that gets its address."""
        row = a_row()
        await self.store(a_mail(row))
        await self.db.run("drop", agents.drop_agent, "org_test", BOT)
        await make_agent(self.db, BOT)
        again = a_row()._replace(fingerprint=row.fingerprint)
        self.assertEqual(await self.store(a_mail(again)), [Outcome.STORED])

    async def test_no_fingerprint_is_always_new(self) -> None:
        """Mail without a fingerprint is stored each time."""
        mails = [a_mail(a_row(fingerprint=None)) for _ in range(2)]
        self.assertEqual(await self.store(*mails), [Outcome.STORED] * 2)


class ConsequenceTests(IntakeCase):
    async def test_vanished_agents_are_reported(self) -> None:
        """A copy for an agent that is gone is reported so; the other recipients' copies are stored."""
        mail = a_mail(a_row("gone@agents.test"), a_row(BOT))
        self.assertEqual(
            await self.store(mail, a_mail(a_row("gone@agents.test"))),
            [
                Outcome.GONE,
                Outcome.STORED,
                Outcome.GONE,
            ],
        )
        self.assertEqual((self.count("messages"), self.count("raw_messages")), (1, 1))

    async def test_cloud_agents_get_a_delivery_that_is_due(self) -> None:
        """A copy for a cloud agent has a pending delivery, due at once; one for a local agent has none."""
        await make_agent(self.db, "cloud@agents.test", "cloud", "https://hook.test/x")
        row = a_row("cloud@agents.test")
        await self.store(a_mail(row, a_row(BOT)))
        due = "SELECT message_id, agent_id, status, attempts, next_attempt_at <= now() FROM webhook_deliveries"
        self.assertEqual(sql(due, self.dsn), [(row.id, "cloud@agents.test", "pending", 0, True)])

    async def test_usage_is_counted_when_asked(self) -> None:
        """With usage tracking each stored copy writes one event for its organisation; without, none."""
        row = a_row(OTHER)
        await self.store(a_mail(a_row(BOT)))
        await self.store(a_mail(row), usage=True)
        await self.store(a_mail(a_row(OTHER)._replace(fingerprint=row.fingerprint)), usage=True)
        events = sql(
            "SELECT organisation_id, agent_id, domain, direction, id ~ '^ue_[0-9a-f]{32}$' FROM usage_events", self.dsn
        )
        self.assertEqual(events, [("org_test", OTHER, "agents.test", "inbound", True)])

    async def test_announces_every_copy_in_few_notifications(self) -> None:
        """Each stored copy is announced once, in order, several per notification, none over PostgreSQL's limit, and
        those that are due at a webhook are marked."""
        heard: list[str] = []
        complete: Deferred[None] = Deferred()
        listener = Listener(reactor, self.dsn)

        def hear(payload: str) -> None:
            heard.append(payload)
            if sum(len(text.splitlines()) for text in heard) == 300:
                complete.callback(None)

        listener.observe(MAIL, hear)
        await listener.start()
        self.addCleanup(listener.stop)
        cloud = f"{'c' * 60}@agents.test"
        await make_agent(self.db, cloud, "cloud", "https://hook.test/x")
        rows = [a_row(cloud if number % 3 else BOT) for number in range(300)]
        duplicate = a_mail(a_row(BOT)._replace(fingerprint=rows[0].fingerprint))
        await self.store(*[a_mail(row) for row in rows], duplicate)
        await complete
        lines = [f"{row.agent_id} {row.id}{' due' if row.agent_id == cloud else ''}" for row in rows]
        self.assertEqual("\n".join(heard).splitlines(), lines)
        self.assertLess(len(heard), 7)
        self.assertLess(max(len(text) for text in heard), 8000)

    async def test_an_agent_deleted_at_the_same_time(self) -> None:
        """Deleting an agent while its mail arrives ends with the mail removed, or the agent gone; never in error."""
        stored: Deferred[None] = Deferred()
        go_on: Deferred[None] = Deferred()

        async def receive(cur: Any) -> Any:
            outcomes = await store_group(cur, [a_mail()], False)
            stored.callback(None)
            await go_on
            return outcomes

        async def delete(cur: Any) -> None:
            await retention.forget_agent(cur, BOT)
            await cur.execute("DELETE FROM agents WHERE id = %s", (BOT,))

        receiving = Deferred.fromCoroutine(self.db.run("receive", receive))
        await stored
        deleting = Deferred.fromCoroutine(self.db.run("delete", delete))
        late = Deferred.fromCoroutine(self.db.run("late", store_group, [a_mail()], False))
        go_on.callback(None)
        self.assertEqual(list((await receiving).values()), [Outcome.STORED])
        await deleting
        self.assertLessEqual(set((await late).values()), {Outcome.STORED, Outcome.GONE})
        self.assertEqual(await self.store(a_mail()), [Outcome.GONE])
        self.assertEqual(await self.db.run("unread", unread_after, BOT, 0, 10, NOW), [])
        self.assertEqual((self.count("messages"), self.count("raw_messages")), (0, 0))
