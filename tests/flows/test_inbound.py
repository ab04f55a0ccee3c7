"""From the end of DATA to the committed rows, on a real database."""

from __future__ import annotations

import hashlib
import itertools
from datetime import UTC, datetime
from typing import Any

from e2a.core.entities import Envelope, InboundMessage, Recipient
from e2a.core.errors import HeaderTooLarge, MailLoop, Unavailable, UnknownRecipient
from e2a.core.mail.conversations import ConversationMac
from e2a.core.mail.headers import HeaderBlock
from e2a.core.trust.bouncetoken import BounceTokens
from e2a.core.trust.verdict import ArcResult, DmarcResult, SpfResult, Verdict, conclude
from e2a.flows.bounces import Bounces
from e2a.flows.directory import Directory
from e2a.flows.inbound import Inbound
from e2a.flows.intake import GroupIntake
from e2a.flows.threading import Threading
from e2a.store.messages import list_inbound
from e2a.store.rawmail import load_raw
from tests.support.cpu import QuickCpu
from tests.support.metrics import NoMetrics
from tests.support.postgres import DatabaseTestCase, make_agent

NOW = 1_777_636_800.0
MACS = ConversationMac(b"m" * 32)
TOKENS = BounceTokens(b"b" * 32)
MAIL = (
    b"From: Ana <ana@corp.test>\r\nTo: bot@agents.test, other@agents.test\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Message-ID: <1@corp.test>\r\nX-E2A-Auth-Verified: true\r\n\r\nHello \xff\0\r\n"
)


class SpfJudge:
    """Verdicts without DNS: SPF says what the test wants."""

    def __init__(self, spf: str = "pass", author: str = "ana@corp.test") -> None:
        self.spf = spf
        self.author = author

    async def verify(self, envelope: Envelope, raw: bytes, block: HeaderBlock) -> Verdict:
        spf = SpfResult(self.spf, "corp.test", aligned=True)
        return conclude(envelope, block, self.author, spf, (), DmarcResult("none"), ArcResult("none"))


class InboundCase(DatabaseTestCase):
    """An ``Inbound`` for two agents, with everything but the verdict real."""

    async def setUp(self) -> None:
        await super().setUp()
        await make_agent(self.db)
        await make_agent(self.db, "other@agents.test", "cloud", "https://hooks.test/x")
        self.judge = SpfJudge()
        self.counter = itertools.count()
        self.inbound = self.make()

    def make(self, **given: Any) -> Inbound:
        metrics = NoMetrics()
        return Inbound(
            Directory(self.db, lambda: NOW, operator="postmaster@mx.e2a.test"),
            self.judge,
            Threading(self.db, MACS, lambda: NOW),
            Bounces(self.db, TOKENS, QuickCpu(), metrics, sender_domain="send.e2a.test"),
            GroupIntake(self.db, lambda: NOW, metrics),
            QuickCpu(),
            metrics,
            hostname="mx.e2a.test",
            now=lambda: NOW,
            random=lambda count: next(self.counter).to_bytes(count, "big"),
            **given,
        )

    async def accept(self, raw: bytes = MAIL, *addresses: str, mail_from: str = "ana@corp.test") -> str:
        recipients = [await self.inbound.recipient(address) for address in addresses or ("bot@agents.test",)]
        assert all(recipients)
        return await self.inbound.accept(self.envelope(*recipients, mail_from=mail_from), raw)

    def envelope(self, *recipients: Recipient | None, mail_from: str = "ana@corp.test") -> Envelope:
        known = tuple(recipient for recipient in recipients if recipient is not None)
        return Envelope("192.0.2.7", "mail.corp.test", mail_from, known, "ESMTP", "0a1b2c3d", NOW)

    async def stored(self, agent_id: str = "bot@agents.test") -> list[InboundMessage]:
        async def work(cur: Any) -> list[InboundMessage]:
            return await list_inbound(cur, agent_id, "all", 0, 100, datetime.fromtimestamp(NOW, UTC))

        return await self.db.run("stored", work)

    async def raw(self, message: InboundMessage) -> bytes:
        async def work(cur: Any) -> bytes:
            return await load_raw(cur, message.raw_id)

        return await self.db.run("raw", work)


class InboundTests(InboundCase):
    """``Inbound.accept``"""

    async def test_row_and_bytes(self) -> None:
        """The row says what the header says; the bytes are the sender's below our trace, without forged headers."""
        text = await self.accept()
        (message,) = await self.stored()
        self.assertEqual(text, f"OK {message.id}")
        self.assertEqual((message.uid, message.inbox_status, message.subject), (1, "unread", "Grüße"))
        self.assertEqual(message.to, ("bot@agents.test", "other@agents.test"))
        self.assertTrue(message.facts.verified)
        self.assertEqual(message.facts.sender, "ana@corp.test")
        self.assertEqual(message.facts.domain_check, "spf=pass; dkim=none")
        raw = await self.raw(message)
        self.assertEqual(message.facts.body_hash, hashlib.sha256(raw).hexdigest())
        self.assertTrue(raw.startswith(b"Return-Path: <ana@corp.test>\r\nAuthentication-Results: mx.e2a.test;"))
        self.assertTrue(raw.endswith(MAIL.replace(b"X-E2A-Auth-Verified: true\r\n", b"")))
        self.assertEqual(message.size, len(raw))

    async def test_every_recipient_or_none(self) -> None:
        """Each recipient gets a row, and they share the bytes; a +tag and the RCPT's spelling are kept."""
        await self.accept(MAIL, "Bot+news@Agents.Test", "other@agents.test")
        (mine,) = await self.stored()
        (theirs,) = await self.stored("other@agents.test")
        self.assertEqual((mine.recipient, mine.tag), ("Bot+news@Agents.Test", "news"))
        self.assertEqual(mine.raw_id, theirs.raw_id)

    async def test_two_tags(self) -> None:
        """Two tagged addresses of one agent are two recipients, in one transaction and in two."""
        await self.accept(MAIL, "bot+a@agents.test", "bot+b@agents.test")
        await self.accept(MAIL, "bot+c@agents.test")
        await self.accept(MAIL, "bot+a@agents.test")
        self.assertEqual([message.tag for message in await self.stored()], ["a", "b", "c"])

    async def test_lost_answer(self) -> None:
        """The same transmission again is answered OK and stored once; another body under the same id is stored."""
        await self.accept()
        await self.accept()
        self.assertEqual(len(await self.stored()), 1)
        await self.accept(MAIL + b"changed\r\n")
        self.assertEqual(len(await self.stored()), 2)

    async def test_forged_copy_first(self) -> None:
        """Somebody else's copy of the same bytes, sent first, does not keep the genuine one out."""
        self.judge.spf = "fail"
        await self.accept()
        self.judge.spf = "pass"
        await self.accept()
        self.assertEqual([message.facts.verified for message in await self.stored()], [False, True])

    async def test_no_message_id(self) -> None:
        """Without a Message-ID a repeat cannot be told from a second message: both are kept."""
        raw = MAIL.replace(b"Message-ID: <1@corp.test>\r\n", b"")
        await self.accept(raw)
        await self.accept(raw)
        self.assertEqual(len(await self.stored()), 2)

    async def test_unparsable_mail_is_kept(self) -> None:
        """A message that is no message is stored, delivered and marked."""
        await self.accept(b"\0\xff no header at all\nFrom: ceo@bank.test\r\n")
        (message,) = await self.stored()
        self.assertIn("bare_newline", message.defects)
        self.assertFalse(message.facts.verified)

    async def test_loop(self) -> None:
        """A message that went through a hundred servers is refused for good and not stored."""
        with self.assertRaises(MailLoop):
            await self.accept(b"Received: x\r\n" * 101 + MAIL)
        self.assertEqual(await self.stored(), [])

    async def test_large_headers(self) -> None:
        """Ten thousand header fields are accepted; a header section over 256 KiB is refused."""
        many = b"".join(b"X-%d: v\r\n" % number for number in range(10_000))
        await self.accept(many + MAIL)
        self.assertEqual(len(await self.stored()), 1)
        for header in (b"x" * 2**18, b"a:\r\n" * 2**16):
            with self.assertRaises(HeaderTooLarge):
                await self.accept(header + MAIL)
        self.assertEqual(len(await self.stored()), 1)

    async def test_agent_deleted_meanwhile(self) -> None:
        """When every recipient went away between RCPT and the final dot the answer is 550, not 250."""
        recipient = await self.inbound.recipient("bot@agents.test")

        async def work(cur: Any) -> None:
            await cur.execute("DELETE FROM agents WHERE id = 'bot@agents.test'")

        await self.db.run("delete", work)
        with self.assertRaises(UnknownRecipient):
            await self.inbound.accept(self.envelope(recipient), MAIL)

    async def test_database_gone(self) -> None:
        """Without the database nothing is accepted."""
        recipient = await self.inbound.recipient("bot@agents.test")
        await self.db.stop()
        with self.assertRaises(Unavailable):
            await self.inbound.accept(self.envelope(recipient), MAIL)

    async def test_big_mail(self) -> None:
        """A message of several megabytes comes back to the byte."""
        raw = MAIL + b"0123456789abcdef\r\n" * 150_000
        await self.accept(raw)
        (message,) = await self.stored()
        self.assertTrue((await self.raw(message)).endswith(raw[-2_700_000:]))
        self.assertEqual(message.size, len(await self.raw(message)))
