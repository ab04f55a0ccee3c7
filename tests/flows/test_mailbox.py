"""The mailbox on a real database: tenancy, reading, paging, deliveries."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from twisted.internet.defer import Deferred

from e2a.core.entities import InboundMessage, Principal
from e2a.core.errors import BadRequest, Conflict, NotFound, Unauthenticated
from e2a.core.rules.permissions import ALL_PERMISSIONS
from e2a.core.trust import signing
from e2a.core.trust.pagetoken import PageTokens
from e2a.flows.mailbox import Filters, Mailbox
from tests.support.postgres import DatabaseTestCase, make_agent

NOW = datetime(2024, 4, 20, 8, 0, tzinfo=UTC)
BOT, HOOK, OTHER = "bot@agents.test", "hook@agents.test", "other@agents.test"
NOTHING = Filters()
RAW = (
    b"From: ana@corp.test\r\nTo: bot@agents.test\r\nSubject: Quote\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n"
    b"--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nUERG\r\n--b--\r\n"
)

_ADD = """
    WITH raw AS (INSERT INTO raw_messages (id, size, data) VALUES (%(raw_id)s, %(size)s, %(raw)s)),
    box AS (UPDATE mailboxes SET uid_next = uid_next + 1 WHERE agent_id = %(agent)s RETURNING uid_next - 1 AS uid)
    INSERT INTO messages (id, agent_id, direction, uid, raw_id, sender, recipient, subject, auth_sender, domain_check,
        body_hash, size, inbox_status, expires_at, created_at, verified)
    SELECT %(id)s, %(agent)s, 'inbound', uid, %(raw_id)s, %(sender)s, %(agent)s, %(subject)s, %(sender)s,
        'spf=pass; dkim=pass', %(hash)s, %(size)s, 'unread', %(expires)s, %(created)s, true FROM box
"""


class Inline:
    """The CPU pool of tests; remembers what was given to it."""

    def __init__(self) -> None:
        self.given: list[Any] = []

    async def run(self, work: Any, *args: Any) -> Any:
        self.given.append(work)
        return work(*args)


class Secrets:
    async def signers(self, organisation_id: str, attempt: int = 1) -> tuple[str, ...]:
        return ("secret of " + organisation_id,)


class MailboxTests(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await make_agent(self.db, BOT)
        await make_agent(self.db, HOOK, mode="cloud", webhook_url="https://hook.test/x")
        (self.organisation,) = await self.rows("SELECT DISTINCT organisation_id FROM agents")
        self.owner = Principal(self.organisation[0], "user", frozenset(ALL_PERMISSIONS))
        self.stranger = Principal("org_other", "user", frozenset(ALL_PERMISSIONS), "key")
        self.bound = Principal(self.organisation[0], "user", frozenset(ALL_PERMISSIONS), "key", agent_id=HOOK)
        self.cpu = Inline()
        self.waited: list[Any] = []
        secrets: Any = Secrets()
        self.mailbox = Mailbox(
            self.db, secrets, PageTokens(b"k" * 32), self.cpu, self.waiting, now=lambda: NOW.timestamp()
        )

    async def waiting(self, *args: Any) -> tuple[InboundMessage | None, int]:
        self.waited.append(args)
        return None, 3

    async def rows(self, sql: str, params: Any = None) -> list[Any]:
        async def work(cur: Any) -> list[Any]:
            await cur.execute(sql, params)
            return list(cur.fetchall()) if cur.description else []

        return await self.db.run("test", work)

    async def add(self, number: int, agent: str = BOT, raw: bytes = RAW, **values: Any) -> str:
        identifier = f"msg_{number:032x}"
        await self.rows(
            _ADD,
            {
                "id": identifier,
                "raw_id": f"raw_{number}",
                "raw": raw,
                "size": len(raw),
                "agent": agent,
                "hash": signing.body_hash(raw),
                "sender": "ana@corp.test",
                "subject": f"Subject {number}",
                "created": NOW,
                "expires": datetime.now(UTC) + timedelta(days=30),
                **values,
            },
        )
        return identifier

    async def listed(self, status: Any = "all", filters: Filters = NOTHING) -> list[str]:
        page = await self.mailbox.page(self.owner, BOT, status, 100, None, filters)
        return [message.subject for message in page.messages]

    async def test_tenancy(self) -> None:
        """Unknown and foreign agents and messages are one answer, whatever is asked of them, and nothing changes."""
        mine, hooked = await self.add(1), await self.add(2, agent=HOOK)
        cases = [(self.stranger, BOT, mine), (self.owner, "x@agents.test", mine), (self.bound, BOT, mine)]
        cases += [(self.owner, BOT, hooked), (self.owner, BOT, "msg_x"), (self.owner, HOOK, mine)]
        for who, agent, message in cases:
            for ask in (self.mailbox.detail, self.mailbox.raw, self.mailbox.delivery, self.mailbox.redeliver):
                error = await self.assertFailure(Deferred.fromCoroutine(ask(who, agent, message)), NotFound)  # type: ignore[operator]
                self.assertEqual(error.text, NotFound.default)
            await self.assertFailure(Deferred.fromCoroutine(self.mailbox.attachment(who, agent, message, 0)), NotFound)
        for who, agent, _ in cases[:3]:
            for question in (
                self.mailbox.agent(who, agent),
                self.mailbox.page(who, agent, "all", 10, None, NOTHING),
                self.mailbox.failed_deliveries(who, agent, 10, None),
                self.mailbox.wait(who, agent, None, NOTHING, 0),
            ):
                await self.assertFailure(Deferred.fromCoroutine(question), NotFound)  # type: ignore[arg-type]
        self.assertEqual(await self.listed("unread"), ["Subject 1"])
        self.assertEqual(self.waited, [])

    async def test_detail(self) -> None:
        """Fetching a message makes it read and signs it now, with the newest secret, over the bytes it carries."""
        identifier = await self.add(1)
        found = await self.mailbox.detail(self.owner, BOT, identifier)
        self.assertEqual(found.message.inbox_status, "read")
        self.assertEqual(found.raw, RAW)
        self.assertEqual((found.content.text.strip(), found.content.attachments[0].filename), ("Hello", "a.pdf"))
        secret = "secret of " + self.owner.organisation_id
        self.assertTrue(signing.check(found.auth_headers, RAW, [secret], NOW.timestamp()).accepted)
        self.assertEqual((await self.listed("unread"), await self.listed("read")), ([], ["Subject 1"]))

    async def test_looking(self) -> None:
        """The raw message, its attachments and the detail itself can be had without marking it read."""
        identifier = await self.add(1)
        detail = await self.mailbox.detail(self.owner, BOT, identifier, mark_read=False)
        self.assertEqual((detail.raw, detail.message.inbox_status), (RAW, "unread"))
        message, raw = await self.mailbox.raw(self.owner, BOT, identifier)
        self.assertEqual((message.inbox_status, raw), ("unread", RAW))
        info, octets = await self.mailbox.attachment(self.owner, BOT, identifier, 0)
        self.assertEqual((info.filename, octets), ("a.pdf", b"PDF"))
        await self.assertFailure(
            Deferred.fromCoroutine(self.mailbox.attachment(self.owner, BOT, identifier, 1)), NotFound
        )
        self.assertEqual(await self.listed("unread"), ["Subject 1"])

    async def test_big_messages(self) -> None:
        """Big messages are taken apart in the CPU pool, small ones at once."""
        small = await self.add(1)
        await self.mailbox.detail(self.owner, BOT, small)
        self.assertEqual(self.cpu.given, [])
        big = await self.add(2, raw=RAW + b"x" * 200_000)
        await self.mailbox.detail(self.owner, BOT, big)
        self.assertEqual(len(self.cpu.given), 1)

    async def test_expired(self) -> None:
        """An expired message is neither listed nor found."""
        identifier = await self.add(1, expires=NOW - timedelta(days=1))
        self.assertEqual(await self.listed(), [])
        await self.assertFailure(Deferred.fromCoroutine(self.mailbox.raw(self.owner, BOT, identifier)), NotFound)

    async def test_pages(self) -> None:
        """Pages hold every message once, oldest first, whatever arrives and is read meanwhile."""
        for number in range(1, 8):
            await self.add(number)
        page = await self.mailbox.page(self.owner, BOT, "unread", 3, None, NOTHING)
        seen = [message.subject for message in page.messages]
        await self.add(8)
        for message in page.messages:
            await self.mailbox.detail(self.owner, BOT, message.id)
        while page.next_token is not None:
            page = await self.mailbox.page(self.owner, BOT, "unread", 2, page.next_token, NOTHING)
            seen += [message.subject for message in page.messages]
        self.assertEqual(seen, [f"Subject {number}" for number in range(1, 9)])

    async def test_pages_newest_first(self) -> None:
        """Newest first, pages hold every message once, and what arrives meanwhile is on none of them."""
        for number in range(1, 6):
            await self.add(number)
        backwards = Filters(newest_first=True)
        page = await self.mailbox.page(self.owner, BOT, "all", 2, None, backwards)
        seen = [message.subject for message in page.messages]
        await self.add(6)
        while page.next_token is not None:
            page = await self.mailbox.page(self.owner, BOT, "all", 2, page.next_token, backwards)
            seen += [message.subject for message in page.messages]
        self.assertEqual(seen, [f"Subject {number}" for number in range(5, 0, -1)])

    async def test_last_page(self) -> None:
        """A page that happens to be full but last has no token."""
        for number in range(1, 4):
            await self.add(number)
        self.assertIsNone((await self.mailbox.page(self.owner, BOT, "all", 3, None, NOTHING)).next_token)
        self.assertIsNotNone((await self.mailbox.page(self.owner, BOT, "all", 2, None, NOTHING)).next_token)

    async def test_foreign_tokens(self) -> None:
        """A token goes with its agent, status and filters; any other, and a bent one, is 400 naming the field."""
        for number in range(1, 4):
            await self.add(number)
        token = (await self.mailbox.page(self.owner, BOT, "all", 1, None, NOTHING)).next_token
        assert token is not None
        bent = token[:-2] + ("AA" if token[-2:] != "AA" else "BB")
        for agent, status, given, filters in (
            (HOOK, "all", token, NOTHING),
            (BOT, "unread", token, NOTHING),
            (BOT, "all", token, Filters(sender="a@b")),
            (BOT, "all", token, Filters(subject_contains="x")),
            (BOT, "all", token, Filters(newest_first=True)),
            (BOT, "all", token, Filters(conversation_id="c")),
            (BOT, "all", token, Filters(until=NOW)),
            (BOT, "all", bent, NOTHING),
            (BOT, "all", "%%%", NOTHING),
        ):
            question = self.mailbox.page(self.owner, agent, status, 1, given, filters)  # type: ignore[arg-type]
            error = await self.assertFailure(Deferred.fromCoroutine(question), BadRequest)  # type: ignore[arg-type]
            self.assertEqual(error.field, "token")

    async def test_filters(self) -> None:
        """Sender and subject are matched without regard to case, and literally."""
        await self.add(1, subject="100% Quote", sender="Ana@corp.test")
        await self.add(2, subject="Invoice", sender="bo@corp.test")
        self.assertEqual(await self.listed(filters=Filters(sender="ANA@corp.test")), ["100% Quote"])
        self.assertEqual(await self.listed(filters=Filters(subject_contains="% quo")), ["100% Quote"])
        self.assertEqual(await self.listed(filters=Filters(subject_contains="_nvoice")), [])

    async def test_deliveries(self) -> None:
        """A failed delivery is listed, keyset by keyset, and redelivering takes it off the list and makes it due."""
        made = [await self.add(number, agent=HOOK) for number in range(1, 4)]
        for identifier in made:
            await self.rows(
                "INSERT INTO webhook_deliveries (message_id, agent_id, status, attempts, last_error, next_attempt_at) "
                "VALUES (%s, %s, 'failed', 10, 'timeout', NULL)",
                (identifier, HOOK),
            )
        first = await self.mailbox.failed_deliveries(self.owner, HOOK, 2, None)
        second = await self.mailbox.failed_deliveries(self.owner, HOOK, 2, first.next_token)
        listed = [record.message_id for page in (first, second) for record in page.deliveries]
        self.assertEqual((listed, second.next_token), (made[::-1], None))
        record = await self.mailbox.redeliver(self.owner, HOOK, made[0])
        self.assertEqual((record.status, record.attempts), ("pending", 0))
        self.assertEqual((await self.mailbox.delivery(self.owner, HOOK, made[0])).status, "pending")
        left = await self.mailbox.failed_deliveries(self.owner, HOOK, 5, None)
        self.assertEqual([record.message_id for record in left.deliveries], made[:0:-1])

    async def test_no_webhook(self) -> None:
        """An agent without a webhook has nothing to redeliver to."""
        identifier = await self.add(1)
        await self.assertFailure(Deferred.fromCoroutine(self.mailbox.redeliver(self.owner, BOT, identifier)), Conflict)
        await self.assertFailure(Deferred.fromCoroutine(self.mailbox.delivery(self.owner, BOT, identifier)), NotFound)

    async def test_wait_outlives_the_agent(self) -> None:
        """What comes to an address that another account has taken meanwhile is not told to who waited before."""
        identifier = await self.add(1)
        message = (await self.mailbox.detail(self.owner, BOT, identifier)).message

        async def taken(*args: Any) -> tuple[InboundMessage | None, int]:
            await self.rows("INSERT INTO organisations (id, name) VALUES ('org_new', 'new')")
            await self.rows("UPDATE agents SET organisation_id = 'org_new' WHERE id = %s", (BOT,))
            return message, 1

        self.patch(self.mailbox, "_waiting", taken)
        waiting = Deferred.fromCoroutine(self.mailbox.wait(self.owner, BOT, None, NOTHING, 5))
        await self.assertFailure(waiting, NotFound)  # type: ignore[arg-type]

    async def test_wait_outlives_the_key(self) -> None:
        """A key that was revoked while it waited is told of no mail."""
        message = (await self.mailbox.detail(self.owner, BOT, await self.add(1))).message

        async def revoked(*args: Any) -> tuple[InboundMessage | None, int]:
            return message, 1

        self.patch(self.mailbox, "_waiting", revoked)
        gone = replace(self.owner, key_id="apk_revoked")
        waiting = Deferred.fromCoroutine(self.mailbox.wait(gone, BOT, None, NOTHING, 5))
        await self.assertFailure(waiting, Unauthenticated)  # type: ignore[arg-type]

    async def test_wait(self) -> None:
        """Waiting hands on cursor, filters and time-out once the agent is known to be the asker's."""
        filters = Filters(sender="a@b")
        self.assertEqual(await self.mailbox.wait(self.owner, BOT, 2, filters, 5), (None, 3))
        self.assertEqual(self.waited, [(BOT, 2, filters, 5)])
