"""Sending on a real database: what one transaction stores, for whom, and what is refused."""

from __future__ import annotations

import base64
import os
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock

from e2a.core.entities import Automation, OutboundMessage, Principal
from e2a.core.errors import (
    AutoReplyBlocked,
    BadRequest,
    Forbidden,
    KeyReuse,
    NotFound,
    RecipientSuppressed,
    SendingNotConfigured,
    TooLarge,
    TooManyRequests,
    Unavailable,
)
from e2a.core.mail import parts
from e2a.core.mail.compose import entity_of
from e2a.core.mail.conversations import ConversationMac
from e2a.core.mail.headers import scan
from e2a.core.mail.message import parse
from e2a.core.rules.drafts import Asked, AskedFile, Draft, Recipients
from e2a.core.rules.holds import Edits, revised
from e2a.core.rules.idempotency import once
from e2a.core.rules.permissions import ALL_PERMISSIONS
from e2a.flows.directory import Directory
from e2a.flows.handover import INTERNAL_CHECK
from e2a.flows.outbound import Outbound
from e2a.flows.outcomes import Outcomes, Submitted
from e2a.flows.signing import SenderIdentity
from e2a.flows.writing import Writing
from e2a.store import outbound as store
from e2a.store import rawmail
from e2a.store.outbox import settle
from tests.support.cpu import QuickCpu
from tests.support.mail import store_message
from tests.support.postgres import ORGANISATION, USER, DatabaseTestCase, make_agent
from tests.support.tenants import execute, rows

BOT, PAL, HELD = "bot@agents.test", "pal@agents.test", "held@agents.test"
OPERATOR = "postmaster@mx.gateway.test"
OWNER = Principal(ORGANISATION, USER, frozenset(ALL_PERMISSIONS))
STRANGER = Principal("org_other", "user_other", frozenset(ALL_PERMISSIONS))
GOOD = Asked(to=["ana@corp.test"], subject="Quote", body="Hello")
#: As the database counts, which decides what has expired.
NOW = float(int(time.time()))
MAC = ConversationMac(b"k" * 32)


class Shared:
    """Everybody writes from the deployment's own domain."""

    async def sender_for(self, agent: Any) -> SenderIdentity:
        return SenderIdentity("agent@send.test", f"{agent.name or agent.id} via e2a", agent.id)


class OutboundTestCase(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await make_agent(self.db, BOT)
        self.clock = Clock()
        self.clock.advance(NOW)
        self.outcomes = Outcomes(self.db, self.clock)
        self.told: list[OutboundMessage] = []
        self.outbound = self.make()
        self.writing = Writing(self.db, self.outbound, QuickCpu(), operator=OPERATOR)

    def make(self, **given: Any) -> Outbound:
        async def held(cur: Any, message: OutboundMessage, agent: Any) -> None:
            self.told.append(message)

        values: dict[str, Any] = {
            "now": self.clock.seconds,
            "random": os.urandom,
            "system_agent": (OPERATOR, "org_operator"),
            "sender_domain": "send.test",
            "reaches_people": True,
            "max_message_bytes": 1_000_000,
            "usage": True,
            "held": held,
        }
        directory = Directory(self.db, self.clock.seconds, operator=OPERATOR)
        return Outbound(self.db, directory, Shared(), self.outcomes, QuickCpu(), MAC, **(values | given))

    def without_people(self) -> Writing:
        return Writing(self.db, self.make(reaches_people=False), QuickCpu(), operator=OPERATOR)

    async def send(self, **given: Any) -> Submitted:
        asked = Asked(**({"to": ["ana@corp.test"], "subject": "Quote", "body": "Hello"} | given))
        return await self.writing.send(OWNER, asked, sender=BOT)

    async def raw(self, message: OutboundMessage) -> bytes:
        assert message.raw_id is not None
        return await self.db.run("raw", rawmail.load_raw, message.raw_id)

    async def received(self, agent: str) -> Any:
        (row,) = await rows(self.db, "SELECT * FROM messages WHERE agent_id = %s AND direction = 'inbound'", agent)
        return row

    async def count(self, table: str) -> int:
        ((number,),) = await rows(self.db, f"SELECT count(*) FROM {table}")
        return int(number)


class PeopleTests(OutboundTestCase):
    async def test_answered_first_contact(self) -> None:
        """What is answered joins the conversation that its answer begins, and every further answer stays in it."""
        await store_message(self.db, "msg_first", BOT)
        first = (await self.writing.reply(OWNER, BOT, "msg_first", Asked(body="hello"))).message
        self.assertEqual((await self.received(BOT)).conversation_id, first.conversation_id)
        second = (await self.writing.reply(OWNER, BOT, "msg_first", Asked(body="one more thing"))).message
        self.assertEqual(second.conversation_id, first.conversation_id)

    async def test_queued(self) -> None:
        """A message to people is stored with its recipients, its bytes and one job."""
        submitted = await self.send(cc=["Bo <Bo@corp.test>"], bcc=["cy@corp.test"])
        message = submitted.message
        self.assertEqual((message.status, message.method, message.to), ("queued", "smtp", ("ana@corp.test",)))
        found = await rows(self.db, "SELECT message_id, destination, phase FROM outbox")
        self.assertEqual([tuple(row) for row in found], [(message.id, "", "ready")])
        self.assertEqual(
            [(one.address, one.kind, one.route, one.state) for one in submitted.recipients],
            [
                ("ana@corp.test", "to", "smtp", "pending"),
                ("bo@corp.test", "cc", "smtp", "pending"),
                ("cy@corp.test", "bcc", "smtp", "pending"),
            ],
        )
        stored = await self.db.run("get", store.find_outbound, ORGANISATION, message.id)
        self.assertEqual(stored, message)
        self.assertEqual(await self.db.run("all", store.recipients_of, message.id), submitted.recipients)
        block = scan(await self.raw(message))
        self.assertEqual(block.all(b"from")[0].unfolded, b'"bot@agents.test via e2a" <agent@send.test>')
        self.assertEqual(parse(block).reply_to, (BOT,))
        self.assertEqual(parse(block).email_message_id, message.email_message_id)
        self.assertTrue(message.email_message_id.endswith("@send.test>"))
        self.assertNotIn(b"cy@corp", await self.raw(message))
        self.assertEqual(MAC.conversation_of(block, "agent@send.test", NOW), message.conversation_id)

    async def test_found_by_every_id(self) -> None:
        """A message is found by our id, its Message-ID and the id that upstream gave it, in its organisation only."""
        message = (await self.send()).message
        await execute(self.db, "UPDATE messages SET provider_message_id = '<up@stream>' WHERE id = %s", message.id)
        for text in (message.id, message.email_message_id, "<up@stream>"):
            found = await self.db.run("find", store.find_outbound, ORGANISATION, text)
            assert found is not None
            self.assertEqual(found.id, message.id)
            self.assertIsNone(await self.db.run("find", store.find_outbound, "org_other", text))

    async def test_no_way_out(self) -> None:
        """Without a way out mail to people is refused before anything is stored; agents are reached all the same."""
        await make_agent(self.db, PAL)
        writing = self.without_people()
        with self.assertRaises(SendingNotConfigured) as caught:
            await writing.send(OWNER, GOOD, sender=BOT)
        self.assertEqual((caught.exception.status, caught.exception.text), (503, "sending is not configured"))
        self.assertEqual(await self.count("messages") + await self.count("rate_events"), 0)
        submitted = await writing.send(OWNER, Asked(to=[PAL], subject="x", body="y"), sender=BOT)
        self.assertEqual(submitted.message.status, "sent")

    async def test_suppressed(self) -> None:
        """A suppressed recipient is named, and nobody is written to."""
        await execute(self.db, "INSERT INTO suppressions VALUES (%s, 'bo@corp.test', 'bounced')", ORGANISATION)
        with self.assertRaises(RecipientSuppressed) as caught:
            await self.send(bcc=["bo@corp.test"])
        self.assertIn("bo@corp.test", caught.exception.text)
        self.assertEqual(await self.count("messages"), 0)

    async def test_too_large(self) -> None:
        """A message over the limit is refused by its own length, encoding included."""
        data = base64.b64encode(b"x" * 800_000).decode()
        with self.assertRaises(TooLarge):
            await self.send(attachments=[AskedFile("a", "", data)])

    async def test_unverified(self) -> None:
        """An agent whose domain is not proved any more does not send."""
        await execute(self.db, "UPDATE domains SET verified_at = NULL")
        with self.assertRaises(Forbidden):
            await self.send()

    async def test_sender(self) -> None:
        """The sender is the account's only agent, the one the key is bound to, or the one that is named and owned."""
        for principal, sender, field in ((STRANGER, BOT, "from"), (STRANGER, "", "from"), (OWNER, "x@y.test", "from")):
            with self.assertRaises(BadRequest) as caught:
                await self.writing.send(principal, GOOD, sender=sender)
            self.assertEqual(caught.exception.field, field)
        self.assertEqual((await self.writing.send(OWNER, GOOD)).message.agent_id, BOT)
        await make_agent(self.db, PAL)
        with self.assertRaises(BadRequest):
            await self.writing.send(OWNER, GOOD)
        bound = Principal(ORGANISATION, USER, frozenset(ALL_PERMISSIONS), "key", PAL)
        self.assertEqual((await self.writing.send(bound, GOOD)).message.agent_id, PAL)
        with self.assertRaises(BadRequest):
            await self.writing.send(bound, GOOD, sender=BOT)


class HandOverTests(OutboundTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await make_agent(self.db, PAL, organisation="org_pal")

    async def test_agents_only(self) -> None:
        """Mail between agents is theirs at once: same bytes, the sender proved, the conversation taken over."""
        submitted = await self.send(to=["Pal+desk@agents.test"], conversation_id="c-9")
        message = submitted.message
        self.assertEqual((message.status, message.method), ("sent", "loopback"))
        self.assertEqual([(one.route, one.state) for one in submitted.recipients], [("loopback", "sent")])
        copy = await self.received(PAL)
        self.assertEqual(
            (copy.sender, copy.auth_sender, copy.entity_type, copy.verified, copy.domain_check, copy.delegation),
            (BOT, BOT, "agent", True, INTERNAL_CHECK, ""),
        )
        self.assertEqual((copy.recipient, copy.tag, copy.subject), ("pal+desk@agents.test", "desk", "Quote"))
        self.assertEqual((copy.conversation_id, copy.email_message_id), ("c-9", message.email_message_id))
        raw = await self.db.run("raw", rawmail.load_raw, copy.raw_id)
        self.assertEqual((len(raw), message.raw_id), (copy.size, None))
        self.assertEqual(parts.content(raw).text, "Hello\r\n")
        self.assertIn(b"bot@agents.test\r\n", raw)
        self.assertEqual(await self.count("outbox"), 0)
        used = await rows(self.db, "SELECT organisation_id, direction FROM usage_events ORDER BY direction")
        self.assertEqual([tuple(row) for row in used], [("org_pal", "inbound"), (ORGANISATION, "outbound")])

    async def test_both(self) -> None:
        """A message to a person and an agent reaches both with the same bytes."""
        submitted = await self.send(bcc=[PAL])
        message = submitted.message
        self.assertEqual((message.status, message.method), ("queued", "smtp"))
        self.assertEqual([one.state for one in submitted.recipients], ["pending", "sent"])
        copy = await self.received(PAL)
        self.assertEqual((copy.raw_id, list(copy.reply_to), copy.sender), (message.raw_id, [BOT], BOT))
        self.assertEqual(list(copy.to_recipients), ["ana@corp.test"])

    async def test_long_message(self) -> None:
        """A message of several pieces is handed over whole."""
        self.writing = Writing(self.db, self.make(max_message_bytes=10_000_000), QuickCpu(), operator=OPERATOR)
        data = os.urandom(2_500_000)
        await self.send(to=[PAL], attachments=[AskedFile("a", "", base64.b64encode(data).decode())])
        raw = await self.db.run("raw", rawmail.load_raw, (await self.received(PAL)).raw_id)
        self.assertEqual([octets for _, octets in parts.attachments(raw)], [data])

    async def test_gone(self) -> None:
        """An agent that is deleted meanwhile is a failed recipient, and nothing is left of the bytes."""
        directory = Directory(self.db, self.clock.seconds, operator=OPERATOR)
        outbound = Outbound(
            self.db,
            directory,
            Shared(),
            self.outcomes,
            QuickCpu(),
            MAC,
            now=self.clock.seconds,
            random=os.urandom,
            system_agent=(OPERATOR, "org_operator"),
            sender_domain="",
            reaches_people=False,
            max_message_bytes=1_000_000,
        )
        await directory.recipient(PAL)
        await execute(self.db, "DELETE FROM agents WHERE id = %s", PAL)
        writing = Writing(self.db, outbound, QuickCpu(), operator=OPERATOR)
        submitted = await writing.send(OWNER, Asked(to=[PAL], subject="x", body="y"), sender=BOT)
        self.assertEqual(submitted.message.status, "failed")
        self.assertEqual([(one.state, one.code) for one in submitted.recipients], [("failed", 550)])
        self.assertEqual(await self.count("raw_messages"), 0)

    async def test_answer_between_agents(self) -> None:
        """An answer goes back to the agent, in the same conversation, with the chain."""
        first = (await self.send(to=[PAL])).message
        pal = Principal("org_pal", "user_of_org_pal", frozenset(ALL_PERMISSIONS))
        copy = await self.received(PAL)
        answer = (await self.writing.reply(pal, PAL, copy.id, Asked(body="ok"))).message
        self.assertEqual((answer.status, answer.to, answer.subject), ("sent", (BOT,), "Re: Quote"))
        self.assertEqual((answer.conversation_id, answer.in_reply_to), (first.conversation_id, first.email_message_id))
        received = await self.received(BOT)
        raw = await self.db.run("raw", rawmail.load_raw, received.raw_id)
        self.assertEqual(parse(scan(raw)).references, (first.email_message_id,))

    async def test_forward(self) -> None:
        """A forwarded message carries text and attachments along, or is enclosed whole without what is ours."""
        data = base64.b64encode(b"PDF").decode()
        await self.send(to=[PAL], attachments=[AskedFile("a.pdf", "application/pdf", data)])
        pal = Principal("org_pal", "user_of_org_pal", frozenset(ALL_PERMISSIONS))
        copy = await self.received(PAL)
        asked = Asked(to=["dee@corp.test"], body="fyi")
        inline = (await self.writing.forward(pal, PAL, copy.id, asked)).message
        content = parts.content(await self.raw(inline))
        self.assertIn("fyi\r\n\r\n---------- Forwarded message", content.text)
        self.assertIn("Hello", content.text)
        self.assertEqual([info.filename for info in content.attachments], ["a.pdf"])
        self.assertEqual((inline.subject, inline.message_type), ("Fwd: Quote", "forward"))
        self.assertNotEqual(inline.conversation_id, copy.conversation_id)
        whole = (await self.writing.forward(pal, PAL, copy.id, asked, form="attachment")).message
        ((info, octets),) = parts.attachments(await self.raw(whole))
        self.assertEqual((info.filename, info.content_type), ("Quote.eml", "message/rfc822"))
        self.assertNotIn(b"X-E2A-", octets)
        bare = (await self.writing.forward(pal, PAL, copy.id, asked, include_attachments=False)).message
        self.assertEqual(parts.content(await self.raw(bare)).attachments, ())

    async def test_foreign(self) -> None:
        """Another organisation's mail can be neither answered nor forwarded."""
        await self.send(to=[PAL])
        copy = await self.received(PAL)
        for write in (self.writing.reply, self.writing.forward):
            for agent in (PAL, BOT):
                with self.assertRaises(NotFound):
                    await write(OWNER, agent, copy.id, GOOD)


class HeldTests(OutboundTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await execute(
            self.db, "UPDATE agents SET hitl_enabled = true, hitl_ttl_seconds = 60, hitl_expiration_action = 'approve'"
        )

    async def test_held(self) -> None:
        """A held message is stored with its bytes and term, told to reviewers, and not sent."""
        submitted = await self.send(html_body="<p>Hello</p>")
        message = submitted.message
        self.assertEqual((message.status, message.expiration_action), ("pending_approval", "approve"))
        self.assertEqual(message.approval_expires_at, message.created_at + timedelta(seconds=60))
        self.assertEqual(await self.db.run("get", store.get_outbound, message.id), message)
        self.assertEqual((self.told, submitted.recipients), ([message], ()))
        self.assertEqual(await self.count("outbox") + await self.count("outbound_recipients"), 0)
        self.assertEqual(parts.content(await self.raw(message)).html, "<p>Hello</p>")

    async def release(self, message: OutboundMessage, edits: Edits) -> Submitted:
        draft = revised(message, await self.raw(message), edits, self.outbound.own_addresses(BOT)).draft
        agent = (await self.db.run("agent", _agent))[0]
        prepared = await self.outbound.prepare(agent, draft, held=message)
        return await self.db.run("release", self.outbound.release, prepared)

    async def test_released(self) -> None:
        """What is released unchanged keeps ids and content; only its date is new, and the held bytes are gone."""
        held = (await self.send(html_body="<p>ü</p>", attachments=[AskedFile("a", "", "UERG")])).message
        before = await self.raw(held)
        self.clock.advance(3600)
        message = (await self.release(held, Edits())).message
        after = await self.raw(message)
        self.assertEqual((message.id, message.status), (held.id, "queued"))
        self.assertEqual((message.email_message_id, message.created_at), (held.email_message_id, held.created_at))
        self.assertEqual(entity_of(after), entity_of(before))
        self.assertEqual(message, replace(held, status="queued", raw_id=message.raw_id, size=message.size))
        self.assertNotEqual(scan(after).first(b"date"), scan(before).first(b"date"))
        self.assertEqual((await self.count("raw_messages"), await self.count("outbox")), (1, 1))

    async def test_edited(self) -> None:
        """A reviewer's changes are what is sent, and nothing else changes."""
        held = (await self.send(cc=["bo@corp.test"], attachments=[AskedFile("a", "", "UERG")])).message
        edits = Edits(subject="New", text="Other", to=["dee@corp.test"], cc=[])
        message = (await self.release(held, edits)).message
        content = parts.content(await self.raw(message))
        self.assertEqual((message.subject, message.to, message.cc), ("New", ("dee@corp.test",), ()))
        self.assertEqual((content.text, [one.filename for one in content.attachments]), ("Other", ["a"]))
        self.assertEqual(await self.db.run("get", store.get_outbound, message.id), message)

    async def test_test_message(self) -> None:
        """A test is held like any mail, can be released, and then arrives."""
        held = (await self.writing.test(OWNER, BOT)).message
        self.assertEqual((held.status, held.message_type), ("pending_approval", "test"))
        message = (await self.release(held, Edits())).message
        self.assertEqual(message.status, "sent")
        self.assertEqual((await self.received(BOT)).sender, "noreply@send.test")


class ThreadTests(OutboundTestCase):
    async def automatic(self) -> str:
        """A message from a program, in the mailbox of BOT."""
        await self.writing.test(OWNER, BOT)
        return str((await self.received(BOT)).id)

    async def test_test_message(self) -> None:
        """A test arrives as from a human nobody, counts for no usage and needs no way out."""
        submitted = await self.without_people().test(OWNER, BOT)
        copy = await self.received(BOT)
        self.assertEqual(submitted.message.status, "sent")
        self.assertEqual((copy.entity_type, copy.verified, copy.auth_sender), ("human", True, "noreply@send.test"))
        self.assertEqual(await self.count("usage_events"), 0)

    async def test_automatic(self) -> None:
        """What a program sent is answered only with force."""
        message_id = await self.automatic()
        with self.assertRaises(AutoReplyBlocked):
            await self.writing.reply(OWNER, BOT, message_id, Asked(body="ok"))
        submitted = await self.writing.reply(OWNER, BOT, message_id, Asked(body="ok"), force=True)
        self.assertEqual(submitted.message.to, ("noreply@send.test",))

    async def test_circuit_breaker(self) -> None:
        """The twenty-first message an hour into one conversation is refused, and others are not."""
        for _ in range(20):
            await self.send(conversation_id="c-1")
            self.clock.advance(1)
        with self.assertRaises(TooManyRequests):
            await self.send(conversation_id="c-1")
        await self.send(conversation_id="c-2")
        self.clock.advance(3600)
        await self.send(conversation_id="c-1")

    async def test_automatic_twice(self) -> None:
        """A second automatic message an hour into one conversation is refused; one by a person is not."""
        submitted = await self.send(conversation_id="c-1", auto=True)
        self.assertEqual(submitted.message.automation, Automation(True, ("auto_submitted",)))
        self.assertIn(b"Auto-Submitted: auto-generated\r\n", await self.raw(submitted.message))
        with self.assertRaises(TooManyRequests):
            await self.send(conversation_id="c-1", auto=True)
        await self.send(conversation_id="c-1")

    async def test_answers_to_one_address(self) -> None:
        """The twenty-first answer an hour to an address whose mail joins no conversation is refused, and the second
        automatic one; answers to others are not."""
        for number in range(23):
            sender = "ann@people.test" if number < 22 else "bo@people.test"
            raw = f"From: {sender}\r\nSubject: hi\r\n\r\nhi\r\n".encode()
            await store_message(self.db, f"msg_{number}", BOT, raw=raw, sender=sender)
        await self.writing.reply(OWNER, BOT, "msg_0", Asked(body="ok", auto=True))
        with self.assertRaises(TooManyRequests):
            await self.writing.reply(OWNER, BOT, "msg_1", Asked(body="ok", auto=True))
        for number in range(1, 21):
            await self.writing.reply(OWNER, BOT, f"msg_{number}", Asked(body="ok"))
        with self.assertRaises(TooManyRequests):
            await self.writing.reply(OWNER, BOT, "msg_21", Asked(body="ok"))
        await self.writing.reply(OWNER, BOT, "msg_22", Asked(body="ok", auto=True))

    async def test_rate(self) -> None:
        """The sixty-first message a minute is refused, and says when to come again."""
        await execute(
            self.db,
            "INSERT INTO rate_events (key, at) SELECT 'send:' || %s, clock_timestamp() - n * interval '1 millisecond'"
            " FROM generate_series(1, 60) AS n",
            BOT,
        )
        with self.assertRaises(TooManyRequests) as caught:
            await self.send()
        self.assertIn(caught.exception.retry_after, (59, 60))
        self.assertEqual(await self.count("messages"), 0)


class OnceTests(OutboundTestCase):
    pool_size = 8

    def key(self, body: bytes = b"1", key: str = "k") -> Any:
        return once(ORGANISATION, "send", key, body)

    async def test_repeated(self) -> None:
        """The same request again is the same message; with another body its key is refused."""
        first = await self.writing.send(OWNER, GOOD, sender=BOT, once=self.key())
        again = await self.writing.send(OWNER, GOOD, sender=BOT, once=self.key())
        self.assertEqual((again.message, again.replayed, first.replayed), (first.message, True, False))
        with self.assertRaises(KeyReuse):
            await self.writing.send(OWNER, GOOD, sender=BOT, once=self.key(b"2"))
        other = await self.writing.send(OWNER, GOOD, sender=BOT, once=self.key(b"2", "k2"))
        self.assertNotEqual(other.message.id, first.message.id)

    async def test_at_once(self) -> None:
        """Many equal requests at one time make one message, and all are told of it."""
        wanted = [
            Deferred.fromCoroutine(self.writing.send(OWNER, GOOD, sender=BOT, once=self.key())) for _ in range(16)
        ]
        found = await gatherResults(wanted, consumeErrors=True)
        self.assertEqual(len({one.message.id for one in found}), 1)
        self.assertEqual(sorted(one.replayed for one in found), [False] + [True] * 15)
        self.assertEqual((await self.count("messages"), await self.count("rate_events")), (1, 1))

    async def test_refused(self) -> None:
        """A request that was refused leaves its key free."""
        with self.assertRaises(SendingNotConfigured):
            await self.without_people().send(OWNER, GOOD, sender=BOT, once=self.key())
        self.assertFalse((await self.writing.send(OWNER, GOOD, sender=BOT, once=self.key())).replayed)

    async def test_a_day_later(self) -> None:
        """After a day a key is free again."""
        first = await self.writing.send(OWNER, GOOD, sender=BOT, once=self.key())
        await execute(self.db, "UPDATE idempotency_keys SET created_at = now() - interval '24 hours'")
        second = await self.writing.send(OWNER, GOOD, sender=BOT, once=self.key(b"2"))
        self.assertNotEqual(second.message.id, first.message.id)


class WaitingTests(OutboundTestCase):
    async def test_outcome(self) -> None:
        """A request waits until the outcome is announced, and answers what the tables say."""
        waiting = Deferred.fromCoroutine(self.writing.send(OWNER, GOOD, sender=BOT, wait=20.0))
        while not (found := await rows(self.db, "SELECT id FROM messages")):
            pass
        message_id = found[0].id
        await execute(self.db, "UPDATE outbound_recipients SET state = 'sent', code = 250")
        await execute(self.db, "DELETE FROM outbox")
        await self.db.run("settle", _settle, message_id)
        self.outcomes.changed(f"outbound {message_id}")
        submitted = await waiting
        self.assertEqual((submitted.message.status, submitted.recipients[0].code), ("sent", 250))
        self.assertEqual(self.outcomes._watches, {})

    async def test_database_away(self) -> None:
        """A stored message whose outcome cannot be read now is waited for on, and never answered as one that failed."""
        waiting = Deferred.fromCoroutine(self.writing.send(OWNER, GOOD, sender=BOT, wait=20.0))
        late = Deferred.fromCoroutine(self.writing.send(OWNER, GOOD, sender=BOT, wait=10.0))
        while len(self.clock.getDelayedCalls()) < 2:
            await rows(self.db, "SELECT 1")
        with mock.patch.object(self.db, "read", side_effect=Unavailable):
            self.outcomes.gap()
            self.assertEqual((waiting.called, late.called), (False, False))
            self.clock.advance(10)
        self.assertEqual((await late).message.status, "queued")
        await execute(self.db, "UPDATE messages SET status = 'sent'")
        self.outcomes.gap()
        self.assertEqual((await waiting).message.status, "sent")

    async def test_time_over(self) -> None:
        """When the time is over the answer says queued."""
        waiting = Deferred.fromCoroutine(self.writing.send(OWNER, GOOD, sender=BOT, wait=20.0))
        while not self.clock.getDelayedCalls():
            await rows(self.db, "SELECT 1")
        self.clock.advance(19)
        self.assertFalse(waiting.called)
        self.clock.advance(1)
        self.assertEqual((await waiting).message.status, "queued")

    async def test_left(self) -> None:
        """Who stops waiting leaves a message that is sent all the same."""
        waiting = Deferred.fromCoroutine(self.writing.send(OWNER, GOOD, sender=BOT, wait=20.0))
        while not self.clock.getDelayedCalls():
            await rows(self.db, "SELECT 1")
        waiting.addErrback(lambda _: None)
        waiting.cancel()
        self.assertEqual((self.outcomes._watches, self.clock.getDelayedCalls()), ({}, []))
        self.assertEqual(await self.count("outbox"), 1)


class SystemMailTests(OutboundTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await make_agent(self.db, OPERATOR, organisation="org_operator")

    async def test_system_mail(self) -> None:
        """The deployment's own mail belongs to the operator and is queued in the caller's transaction."""
        draft = Draft("send", Recipients(("ana@corp.test",)), "Please decide", "text", "<p>html</p>")

        async def work(cur: Any) -> Submitted:
            return await self.outbound.system_mail(cur, draft, local="hitl-noreply")

        message = (await self.db.run("system mail", work)).message
        self.assertEqual((message.agent_id, message.status), (OPERATOR, "queued"))
        block = scan(await self.raw(message))
        self.assertEqual(block.all(b"from")[0].unfolded, b'"e2a" <hitl-noreply@send.test>')
        self.assertEqual(block.all(b"auto-submitted")[0].unfolded, b"auto-generated")
        outbound = self.make(sender_domain="")
        self.assertFalse(outbound.sends_system_mail)


async def _agent(cur: Any) -> Any:
    from e2a.store.agents import list_agents

    return await list_agents(cur, ORGANISATION, limit=1)


async def _settle(cur: Any, message_id: str) -> None:
    await cur.execute("SELECT id FROM messages WHERE id = %s FOR UPDATE", (message_id,))
    await settle(cur, [message_id], usage=False)
