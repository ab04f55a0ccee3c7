"""Deciding about held mail on a real database: what is sent, what is not, and that one decision counts."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from twisted.internet.defer import Deferred, gatherResults
from twisted.python.failure import Failure

from e2a.core.entities import OutboundMessage, Principal
from e2a.core.errors import BadRequest, Conflict, Forbidden, Gone, KeyReuse, NotFound, TooManyRequests, Unavailable
from e2a.core.mail import parts
from e2a.core.mail.headers import scan
from e2a.core.rules.holds import Edits
from e2a.core.rules.idempotency import once
from e2a.core.rules.permissions import ALL_PERMISSIONS
from e2a.core.trust.approvaltoken import GRACE, ApprovalTokens, Link, TokenExpired, TokenRefused
from e2a.core.trust.pagetoken import PageTokens
from e2a.flows.approvals import Approvals, Status
from e2a.flows.reviewlinks import LINKS, REASON, ReviewLinks
from e2a.flows.reviewmail import ReviewMail, shortened
from e2a.store import holds
from e2a.store import outbound as store
from tests.flows.test_outbound import BOT, OPERATOR, OWNER, PAL, STRANGER, OutboundTestCase
from tests.support.cpu import QuickCpu
from tests.support.postgres import ORGANISATION, USER, make_agent
from tests.support.tenants import execute, rows

BOUND = Principal(ORGANISATION, USER, frozenset(ALL_PERMISSIONS), "key", agent_id=BOT)
OTHER = Principal(ORGANISATION, USER, frozenset(ALL_PERMISSIONS), "key", agent_id=PAL)
NOTHING = Edits()
TOKENS = ApprovalTokens(b"t" * 32)
#: Races that are run; more of them where there is time.
ROUNDS = int(os.environ.get("E2A_TEST_RACES", "25"))


class ApprovalsTestCase(OutboundTestCase):
    pool_size = 6

    async def setUp(self) -> None:
        await super().setUp()
        await make_agent(self.db, PAL)
        await execute(self.db, "UPDATE agents SET hitl_enabled = true, hitl_ttl_seconds = 3600 WHERE id = %s", BOT)
        self.approvals = self.approvals_over(self.outbound)

    def approvals_over(self, outbound: Any) -> Approvals:
        return Approvals(self.db, outbound, PageTokens(b"k" * 32), QuickCpu(), self.clock.seconds)

    async def hold(self, **given: Any) -> OutboundMessage:
        submitted = await self.send(**given)
        self.assertEqual(submitted.message.status, "pending_approval")
        return submitted.message

    async def stored(self, message: OutboundMessage) -> OutboundMessage:
        found = await self.db.run("get", store.get_outbound, message.id)
        assert found is not None
        return found

    async def pass_time(self, message: OutboundMessage, action: str = "reject") -> None:
        """Let the time to decide be over, by the database's clock and by ours."""
        self.clock.advance(max(0.0, time.time() - self.clock.seconds()) + 5)
        await execute(
            self.db,
            "UPDATE messages SET approval_expires_at = now() - interval '1 second', expiration_action = %s"
            " WHERE id = %s",
            action,
            message.id,
        )

    async def jobs(self) -> int:
        return await self.count("outbox")


class ApproveTests(ApprovalsTestCase):
    async def test_approve(self) -> None:
        """An approved message goes on its way as it was held, dated now, once."""
        message = await self.hold(bcc=["eve@corp.test"], html_body="<p>Hello</p>")
        before = await self.raw(message)
        self.assertEqual(await self.jobs(), 0)
        self.clock.advance(600)
        submitted = await self.approvals.approve(OWNER, message.id, NOTHING)
        after = await self.raw(submitted.message)
        self.assertEqual((submitted.message.status, submitted.message.edited), ("queued", False))
        self.assertEqual([one.address for one in submitted.recipients], ["ana@corp.test", "eve@corp.test"])
        self.assertEqual(await self.jobs(), 1)
        old, new = scan(before), scan(after)
        self.assertNotEqual(old.first(b"date"), new.first(b"date"))
        self.assertEqual(old.first(b"message-id"), new.first(b"message-id"))
        self.assertEqual(before[old.body_start :], after[new.body_start :])
        self.assertEqual(await self.count("raw_messages"), 1)
        stored = await self.stored(message)
        self.assertIsNotNone(stored.reviewed_at)
        self.assertEqual((stored.conversation_id, stored.created_at), (message.conversation_id, message.created_at))

    async def test_edits(self) -> None:
        """What a reviewer changes is what goes out, and the message says that it was edited."""
        message = await self.hold()
        edits = Edits(subject="Offer", text="Goodbye", to=["bo@corp.test"])
        submitted = await self.approvals.approve(OWNER, message.id, edits)
        self.assertTrue(submitted.message.edited)
        self.assertTrue((await self.stored(message)).edited)
        raw = await self.raw(submitted.message)
        self.assertEqual(parts.content(raw).text.strip(), "Goodbye")
        self.assertEqual([one.address for one in submitted.recipients], ["bo@corp.test"])
        stored = await self.stored(message)
        self.assertEqual((stored.subject, stored.to), ("Offer", ("bo@corp.test",)))

    async def test_bad_edit(self) -> None:
        """After an edit that cannot be used the message is held as before."""
        message = await self.hold()
        with self.assertRaises(BadRequest) as caught:
            await self.approvals.approve(OWNER, message.id, Edits(to=["nobody"]))
        self.assertEqual(caught.exception.field, "to[0]")
        self.assertEqual(await self.stored(message), message)

    async def test_to_an_agent(self) -> None:
        """Approved mail to an agent of the deployment is handed over in the same transaction."""
        message = await self.hold(to=[PAL])
        self.assertEqual(await rows(self.db, "SELECT 1 FROM messages WHERE direction = 'inbound'"), [])
        submitted = await self.approvals.approve(OWNER, message.id, NOTHING)
        self.assertEqual((submitted.message.status, submitted.message.method), ("sent", "loopback"))
        self.assertEqual((await self.received(PAL)).conversation_id, message.conversation_id)

    async def test_test_message(self) -> None:
        """A held test message can be approved, and reaches its agent."""
        held = await self.writing.test(OWNER, BOT)
        self.assertEqual(held.message.status, "pending_approval")
        submitted = await self.approvals.approve(OWNER, held.message.id, NOTHING)
        self.assertEqual(submitted.message.status, "sent")
        self.assertEqual((await self.received(BOT)).entity_type, "human")

    async def test_decided(self) -> None:
        """What is decided is not decided again."""
        message = await self.hold()
        await self.approvals.approve(OWNER, message.id, NOTHING)
        for again in (
            self.approvals.approve(OWNER, message.id, NOTHING),
            self.approvals.reject(OWNER, message.id, ""),
        ):
            with self.assertRaises(Conflict):
                await again
        self.assertEqual(await self.jobs(), 1)

    async def test_too_late(self) -> None:
        """Once its time is over a message cannot be approved, though nothing has swept yet; it can be rejected."""
        message = await self.hold()
        await self.pass_time(message, "approve")
        with self.assertRaises(Conflict):
            await self.approvals.approve(OWNER, message.id, NOTHING)
        self.assertEqual(await self.jobs(), 0)
        self.assertEqual((await self.approvals.reject(OWNER, message.id, "no")).status, "rejected")

    async def test_too_late_in_the_database(self) -> None:
        """The database's clock decides, whatever ours says."""
        message = await self.hold()
        found, raw = await self.db.run("load", _load, message.id)
        await self.pass_time(message)
        with self.assertRaises(Conflict):
            await self.approvals._approve(found, raw, NOTHING, None, OWNER)
        self.assertEqual((await self.stored(message)).status, "pending_approval")

    async def test_who(self) -> None:
        """A key bound to an agent decides nothing, and who is foreign finds nothing."""
        message = await self.hold()
        for caller, error in ((BOUND, Forbidden), (STRANGER, NotFound)):
            with self.assertRaises(error):
                await self.approvals.approve(caller, message.id, NOTHING)
            with self.assertRaises(error):
                await self.approvals.reject(caller, message.id, "")
        self.assertEqual(await self.stored(message), message)

    async def test_unverified_domain(self) -> None:
        """Nothing is sent for a domain that is not verified any more; the message stays held."""
        message = await self.hold()
        await execute(self.db, "UPDATE domains SET verified_at = NULL")
        with self.assertRaises(Forbidden):
            await self.approvals.approve(OWNER, message.id, NOTHING)
        self.assertEqual(await self.stored(message), message)

    async def test_no_way_out(self) -> None:
        """Without a way out the message stays held."""
        message = await self.hold()
        with self.assertRaises(Unavailable):
            await self.approvals_over(self.make(reaches_people=False)).approve(OWNER, message.id, NOTHING)
        self.assertEqual(await self.stored(message), message)

    async def test_repeated(self) -> None:
        """The same request gets the same answer and has one effect; another under its key is refused."""
        message = await self.hold()
        key = once(ORGANISATION, "approve", "key", b"body")
        first = await self.approvals.approve(OWNER, message.id, NOTHING, once=key)
        again = await self.approvals.approve(OWNER, message.id, NOTHING, once=key)
        self.assertEqual((first.replayed, again.replayed), (False, True))
        self.assertEqual(again.message.id, message.id)
        self.assertEqual(await self.jobs(), 1)
        with self.assertRaises(KeyReuse):
            await self.approvals.approve(OWNER, message.id, NOTHING, once=replace(key, digest=b"x"))

    async def test_repeated_at_once(self) -> None:
        """Equal requests that arrive together all get the answer of the one that counts."""
        message = await self.hold()
        key = once(ORGANISATION, "approve", "key", b"body")
        answers = await gatherResults(
            [Deferred.fromCoroutine(self.approvals.approve(OWNER, message.id, NOTHING, once=key)) for _ in range(4)],
            consumeErrors=True,
        )
        self.assertEqual({answer.message.status for answer in answers}, {"queued"})
        self.assertEqual(sum(not answer.replayed for answer in answers), 1)

    async def test_repeated_meanwhile(self) -> None:
        """An equal request that decides right after the look for it gives the answer, too; any other is a conflict."""
        message = await self.hold()
        key = once(ORGANISATION, "approve", "key", b"body")
        await self.approvals.approve(OWNER, message.id, NOTHING, once=key)
        look = self.outbound.replayed

        async def too_early(*_: Any) -> None:
            self.outbound.replayed = look  # type: ignore[method-assign]

        for equal in (True, False):
            self.patch(self.outbound, "replayed", too_early)
            asked = self.approvals.approve(OWNER, message.id, NOTHING, once=key if equal else replace(key, key="other"))
            if equal:
                self.assertTrue((await asked).replayed)
            else:
                with self.assertRaises(Conflict):
                    await asked
        self.assertEqual(await self.jobs(), 1)

    async def test_settings_later(self) -> None:
        """What is laid down when a message is held stays, whatever becomes of the agent's settings."""
        message = await self.hold()
        await execute(
            self.db,
            "UPDATE agents SET hitl_enabled = false, hitl_ttl_seconds = 1, hitl_expiration_action = 'approve'",
        )
        self.assertEqual(await self.stored(message), message)
        await self.pass_time(message, message.expiration_action or "")
        await self.approvals.sweep()
        self.assertEqual((await self.stored(message)).status, "expired_rejected")


async def _load(cur: Any, message_id: str) -> tuple[OutboundMessage, bytes]:
    from e2a.flows.approvals import _load as load

    found, raw = await load(cur, message_id)
    assert raw is not None
    return found.message, raw


class RejectTests(ApprovalsTestCase):
    async def test_reject(self) -> None:
        """A rejected message keeps its reason and nothing of its content, and is never sent."""
        message = await self.hold()
        rejected = await self.approvals.reject(OWNER, message.id, " too harsh ")
        self.assertEqual((rejected.status, rejected.rejection_reason), ("rejected", "too harsh"))
        self.assertIsNotNone(rejected.reviewed_at)
        self.assertEqual((rejected.raw_id, await self.count("raw_messages"), await self.jobs()), (None, 0, 0))


class ExpiryTests(ApprovalsTestCase):
    async def test_reject(self) -> None:
        """What nobody decided about in time is discarded, if that was laid down."""
        message, fresh = await self.hold(), await self.hold()
        await self.pass_time(message)
        seconds = await self.approvals.sweep()
        stored = await self.stored(message)
        self.assertEqual((stored.status, stored.rejection_reason), ("expired_rejected", "ttl_expired"))
        self.assertEqual((stored.raw_id, await self.jobs()), (None, 0))
        self.assertEqual((await self.stored(fresh)).status, "pending_approval")
        self.assertTrue(seconds is not None and 3000 < seconds <= 3600, seconds)

    async def test_approve(self) -> None:
        """Or it is sent, and says so when it was."""
        message, local = await self.hold(), await self.hold(to=[PAL])
        await self.pass_time(message, "approve")
        await self.pass_time(local, "approve")
        self.assertIsNone(await self.approvals.sweep())
        stored = await self.stored(message)
        self.assertEqual((stored.status, stored.sent_status, await self.jobs()), ("queued", "expired_approved", 1))
        self.assertIsNotNone(stored.reviewed_at)
        self.assertEqual((await self.stored(local)).status, "expired_approved")
        self.assertEqual((await self.received(PAL)).recipient, PAL)

    async def test_over_meanwhile(self) -> None:
        """A message whose time ends during a round, too late for that round, is told of and not left for a minute."""
        message, next_one = await self.hold(), await self.hold()
        await self.pass_time(message, "approve")
        outbound = self.make()
        prepare = outbound.prepare

        async def slow(*args: Any, **options: Any) -> Any:
            sql = "UPDATE messages SET approval_expires_at = clock_timestamp() WHERE id = %s"
            await execute(self.db, sql, next_one.id)
            return await prepare(*args, **options)

        outbound.prepare = slow  # type: ignore[method-assign]
        seconds = await self.approvals_over(outbound).sweep()
        self.assertEqual((await self.stored(next_one)).status, "pending_approval")
        self.assertTrue(seconds is not None and seconds <= 0, seconds)
        self.assertIsNone(await self.approvals.sweep())
        self.assertEqual((await self.stored(next_one)).status, "expired_rejected")

    async def test_trouble_costs_no_message(self) -> None:
        """What cannot be sent now stays held and is sent by a later round; others are not held up."""
        message, local = await self.hold(), await self.hold(to=[PAL])
        await self.pass_time(message, "approve")
        await self.pass_time(local, "approve")
        await self.approvals_over(self.make(reaches_people=False)).sweep()
        self.assertEqual((await self.stored(message)).status, "pending_approval")
        self.assertIsNotNone((await self.stored(message)).raw_id)
        self.assertEqual((await self.stored(local)).status, "expired_approved")
        await self.approvals.sweep()
        self.assertEqual((await self.stored(message)).status, "queued")

    async def test_a_fault_costs_no_message(self) -> None:
        """An error of our own leaves the message as it is, and the log says so."""
        message = await self.hold()
        await self.pass_time(message, "approve")
        broken = self.make()

        async def fail(*args: Any, **options: Any) -> Any:
            raise RuntimeError("broken")

        broken.prepare = fail  # type: ignore[method-assign]
        await self.approvals_over(broken).sweep()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual((await self.stored(message)).status, "pending_approval")

    async def test_never_to_be_sent(self) -> None:
        """What can never be sent is discarded with the reason."""
        message, suppressed = await self.hold(), await self.hold(to=["bo@corp.test"])
        await execute(self.db, "INSERT INTO suppressions VALUES (%s, 'bo@corp.test', 'manual')", ORGANISATION)
        await self.pass_time(message, "approve")
        await self.pass_time(suppressed, "approve")
        await self.approvals.sweep()
        self.assertEqual((await self.stored(message)).status, "queued")
        stored = await self.stored(suppressed)
        self.assertEqual((stored.status, stored.raw_id), ("expired_rejected", None))
        self.assertIn("suppressed", stored.rejection_reason or "")
        late = await self.hold()
        await self.pass_time(late, "approve")
        await execute(self.db, "UPDATE domains SET verified_at = NULL")
        await self.approvals.sweep()
        self.assertIn("not verified", (await self.stored(late)).rejection_reason or "")

    async def test_batches(self) -> None:
        """A round settles everything, however much it is."""
        first = await self.hold()
        await execute(
            self.db,
            """
            INSERT INTO messages (id, agent_id, organisation_id, direction, status, message_type, approval_expires_at,
                expiration_action)
            SELECT 'msg_' || n, %s, %s, 'outbound', 'pending_approval', 'send', now() - interval '1 hour', 'reject'
            FROM generate_series(1, 230) AS n
            """,
            BOT,
            ORGANISATION,
        )
        await self.approvals.sweep()
        left = await rows(self.db, "SELECT id FROM messages WHERE status = 'pending_approval'")
        self.assertEqual([row.id for row in left], [first.id])


class RaceTests(ApprovalsTestCase):
    async def test_one_winner(self) -> None:
        """Of approving, rejecting and expiring at the same moment, on two replicas, one counts; at most one is sent."""
        replica = self.approvals_over(self.make())
        seen = set()
        for round_number in range(ROUNDS):
            message = await self.hold()
            # Every third round time is over as well, so that sweeps take part.
            if round_number % 3 == 0:
                await self.pass_time(message, "approve" if round_number % 2 else "reject")
            results = await gatherResults(
                [
                    Deferred.fromCoroutine(work).addErrback(_lost)
                    for work in (
                        self.approvals.approve(OWNER, message.id, NOTHING),
                        replica.approve(OWNER, message.id, Edits(text="edited")),
                        replica.reject(OWNER, message.id, "no"),
                        self.approvals.sweep(),
                        replica.sweep(),
                    )
                ]
            )
            won = [result for result in results[:3] if result is not None]
            status = (await self.stored(message)).status
            seen.add(status)
            self.assertLessEqual(len(won), 1)
            copies = await rows(self.db, "SELECT 1 FROM outbox WHERE message_id = %s", message.id)
            self.assertEqual(len(copies), int(status == "queued"))
            self.assertNotEqual(status, "pending_approval")
            await execute(self.db, "DELETE FROM rate_events")
        self.assertGreaterEqual(len(seen), 2, seen)

    async def test_a_decision_under_way(self) -> None:
        """Who comes while somebody decides waits for that, and a sweep passes by."""
        message = await self.hold()
        await self.pass_time(message, "approve")

        async def both(cur: Any) -> tuple[bool, bool]:
            mine = await holds.lock_pending(cur, message.id, expired=True)

            async def other(inner: Any) -> bool:
                return await holds.lock_pending(inner, message.id, expired=True)

            return mine, await self.db.run("other", other)

        self.assertEqual(await self.db.run("both", both), (True, False))


def _lost(failure: Failure) -> None:
    failure.trap(Conflict)


class LookTests(ApprovalsTestCase):
    async def test_find(self) -> None:
        """A message is found by each of its ids, and shows what it says for as long as it is held."""
        message = await self.hold(html_body="<p>Hello</p>")
        for text in (message.id, message.email_message_id, message.email_message_id.strip("<>")):
            found = await self.approvals.find(OWNER, text)
            self.assertEqual(found.message, message)
            assert found.content is not None
            self.assertEqual((found.content.text.strip(), found.content.html.strip()), ("Hello", "<p>Hello</p>"))
        await self.approvals.approve(OWNER, message.id, NOTHING)
        found = await self.approvals.find(OWNER, message.id)
        self.assertIsNone(found.content)
        self.assertEqual([one.state for one in found.recipients], ["pending"])

    async def test_whose(self) -> None:
        """An agent's key sees its own agent's messages; nobody sees another organisation's."""
        message = await self.hold()
        self.assertEqual((await self.approvals.find(BOUND, message.id)).message, message)
        for caller in (OTHER, STRANGER):
            with self.assertRaises(NotFound):
                await self.approvals.find(caller, message.id)
            self.assertEqual((await self.approvals.page(caller, "pending_approval", 10, None)).messages, ())
        self.assertEqual(len((await self.approvals.page(BOUND, "pending_approval", 10, None)).messages), 1)

    async def pages(self, status: Status, size: int) -> list[str]:
        found: list[str] = []
        token: str | None = None
        while True:
            page = await self.approvals.page(OWNER, status, size, token)
            found += [message.id for message in page.messages]
            token = page.next_token
            if token is None:
                return found

    async def test_pages(self) -> None:
        """Pending ones come by urgency, others newest first, page after page without gap or repetition."""
        messages = [await self.hold() for _ in range(5)]
        for number, message in enumerate(messages):
            await execute(
                self.db,
                "UPDATE messages SET approval_expires_at = %s WHERE id = %s",
                message.created_at + timedelta(seconds=100 - number // 2),
                message.id,
            )
        ids = [message.id for message in messages]
        expected = [ids[4], *sorted(ids[2:4]), *sorted(ids[:2])]
        self.assertEqual(await self.pages("pending_approval", 2), expected)
        for message in messages[:3]:
            await self.approvals.reject(OWNER, message.id, "")
        self.assertEqual(await self.pages("rejected", 2), sorted(ids[:3], reverse=True))
        self.assertEqual(await self.pages("all", 2), sorted(ids, reverse=True))
        self.assertEqual(await self.pages("sent", 2), [])

    async def test_tokens(self) -> None:
        """A page's token is good for that list alone."""
        for _ in range(3):
            await self.hold()
        token = (await self.approvals.page(OWNER, "pending_approval", 1, None)).next_token
        for caller, status in ((OWNER, "all"), (BOUND, "pending_approval"), (STRANGER, "pending_approval")):
            with self.assertRaises(BadRequest):
                await self.approvals.page(caller, status, 1, token)  # type: ignore[arg-type]


class ReviewMailTests(ApprovalsTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await make_agent(self.db, OPERATOR, organisation="org_operator")
        self.expected: list[float] = []
        self.mail = ReviewMail(
            self.outbound, TOKENS, self.clock.seconds, public_url="https://e2a.test/", expect=self.expected.append
        )
        self.outbound.held = self.mail.held

    async def mails(self) -> list[Any]:
        return await rows(self.db, "SELECT * FROM messages WHERE organisation_id = 'org_operator' ORDER BY id")

    async def test_mail(self) -> None:
        """The owner is written to: who, to whom, what about, two links, and nothing of the body."""
        message = await self.hold(
            subject="Q" * 70, body="the secret text", cc=["bo@corp.test"], html_body="<p>secret</p>"
        )
        (row,) = await self.mails()
        self.assertEqual((row.sender, row.status), ("hitl-noreply@send.test", "queued"))
        self.assertEqual(row.to_recipients, [f"{USER}@people.test"])
        self.assertEqual(row.subject, f"[e2a] approve outbound from {BOT}: {'Q' * 57}...")
        self.assertEqual([round(seconds) for seconds in self.expected], [3600])
        raw = await self.raw(row)
        content = parts.content(raw)
        self.assertEqual(scan(raw).first(b"auto-submitted").unfolded, b"auto-generated")  # type: ignore[union-attr]
        for text in (content.text, content.html):
            self.assertNotIn("secret", text)
            for part in (BOT, "ana@corp.test", "bo@corp.test", "Q" * 70, "GMT", "discarded"):
                self.assertIn(part, text)
            self.assertIn(f"https://e2a.test/dashboard/pending/review?id={message.id}", text)
        expires = message.approval_expires_at
        assert expires is not None
        until = expires.timestamp() + GRACE
        for action in ("approve", "reject"):
            (link,) = [line for line in content.text.split() if line.startswith(f"https://e2a.test/api/v1/{action}?")]
            token = parse_qs(urlsplit(link).query)["token"][0]
            self.assertEqual(TOKENS.read(token, action, int(until)), Link(message.id, USER))  # type: ignore[arg-type]
            self.assertRaises(TokenExpired, TOKENS.read, token, action, int(until) + 1)

    async def test_nobody_to_write_to(self) -> None:
        """A message is held all the same when its reviewer's address bounced, or cannot be written to."""
        await execute(self.db, "INSERT INTO suppressions VALUES ('org_operator', %s, 'bounced')", f"{USER}@people.test")
        await self.hold()
        await execute(self.db, "UPDATE users SET email = 'operator@localhost..' WHERE id = %s", USER)
        await self.hold()
        self.assertEqual(await self.mails(), [])

    async def test_agents_get_no_links(self) -> None:
        """A reviewer whose address is an agent of this deployment is not written to: the agent would hold the link."""
        for address in (PAL, "Pal+review@agents.test"):
            await execute(self.db, "UPDATE users SET email = %s WHERE id = %s", address, USER)
            await self.hold()
        self.assertEqual(await self.mails(), [])

    async def test_disabled(self) -> None:
        """Without a public address there are no links, and no mail."""
        quiet = ReviewMail(self.outbound, TOKENS, self.clock.seconds, public_url="")
        self.outbound.held = quiet.held
        await self.hold()
        self.assertEqual((quiet.enabled, await self.mails()), (False, []))

    def test_shortened(self) -> None:
        """A subject is cut at 60 octets, never within a character."""
        self.assertEqual(shortened("q" * 60), "q" * 60)
        self.assertEqual(shortened("ä" * 40), "ä" * 28 + "...")


class LinkTests(ApprovalsTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.links = ReviewLinks(self.db, self.approvals, TOKENS, self.clock.seconds)
        self.message = await self.hold()
        self.until = int(self.clock.seconds()) + 3600 + GRACE
        self.approve = TOKENS.make(self.message.id, "approve", self.until, USER)
        self.reject = TOKENS.make(self.message.id, "reject", self.until, USER)

    async def test_looking(self) -> None:
        """Looking shows the message and changes nothing, however often."""
        for _ in range(2):
            self.assertEqual((await self.links.look(self.approve, "approve")).message, self.message)
            self.assertEqual((await self.links.look(self.reject, "reject")).message, self.message)
        self.assertEqual(await self.stored(self.message), self.message)

    async def test_deciding(self) -> None:
        """A link decides once; both are over then."""
        self.clock.callLater(0.5, self.clock.advance, 20)
        waiting = Deferred.fromCoroutine(self.links.approve(self.approve))
        while not waiting.called:
            await self.db.run("turn", _nothing)
            self.clock.advance(1)
        self.assertEqual((await waiting).message.status, "queued")
        for work in (
            self.links.look(self.approve, "approve"),
            self.links.look(self.reject, "reject"),
            self.links.approve(self.approve),
            self.links.reject(self.reject, ""),
        ):
            with self.assertRaises(Conflict):
                await work

    async def test_rejecting(self) -> None:
        """Without a reason the link is the reason; the audit log says whose link it was, and from where."""
        self.assertEqual((await self.links.reject(self.reject, "  ", "192.0.2.7")).rejection_reason, REASON)
        (line,) = await rows(self.db, "SELECT user_id, client_ip, detail FROM audit_events")
        self.assertEqual((line.user_id, line.client_ip, line.detail["by"]), (USER, "192.0.2.7", "link"))

    async def test_no_reviewer_any_more(self) -> None:
        """The links of somebody who has left show nothing and decide nothing; those of a member who stays do."""
        await execute(self.db, "INSERT INTO users (id, email, subject) VALUES ('usr_bo', 'bo@people.test', 'bo')")
        await execute(self.db, "INSERT INTO memberships VALUES (%s, 'usr_bo', 'member')", OWNER.organisation_id)
        stays = TOKENS.make(self.message.id, "reject", self.until, "usr_bo")
        await execute(self.db, "DELETE FROM memberships WHERE user_id = %s", USER)
        for work in (
            self.links.look(self.approve, "approve"),
            self.links.look(self.reject, "reject"),
            self.links.approve(self.approve),
            self.links.reject(self.reject, ""),
        ):
            with self.assertRaises(Gone):
                await work
        self.assertEqual(await self.stored(self.message), self.message)
        self.assertEqual((await self.links.reject(stays, "")).status, "rejected")

    async def test_leaves_while_it_is_approved(self) -> None:
        """Who is removed between the click and the decision does not decide."""
        prepare = self.outbound.prepare

        async def slow(*args: Any, **values: Any) -> Any:
            await execute(self.db, "DELETE FROM memberships WHERE user_id = %s", USER)
            return await prepare(*args, **values)

        self.patch(self.outbound, "prepare", slow)
        with self.assertRaises(Gone):
            await self.links.approve(self.approve)
        self.assertEqual(await self.stored(self.message), self.message)

    async def test_wrong(self) -> None:
        """A token for the other action, of another deployment, for no message, or too old decides nothing."""
        with self.assertRaises(TokenRefused):
            await self.links.approve(self.reject)
        with self.assertRaises(TokenRefused):
            await self.links.reject(ApprovalTokens(b"x" * 32).make(self.message.id, "reject", self.until), "")
        with self.assertRaises(TokenRefused):
            await self.links.look(TOKENS.make(self.message.id, "approve", self.until), "approve")
        with self.assertRaises(NotFound):
            await self.links.look(TOKENS.make("msg_gone", "approve", self.until, USER), "approve")
        self.clock.advance(3600 + GRACE + 1)
        with self.assertRaises(TokenExpired):
            await self.links.approve(self.approve)
        self.assertEqual(await self.stored(self.message), self.message)

    async def test_late(self) -> None:
        """When the time is over the approve link says so, and the reject link still works while nothing was sent."""
        await self.pass_time(self.message, "approve")
        with self.assertRaises(Conflict):
            await self.links.look(self.approve, "approve")
        self.assertEqual((await self.links.look(self.reject, "reject")).message.id, self.message.id)

    async def test_limit(self) -> None:
        """One address gets so many pages a minute; others are not concerned."""
        for _ in range(LINKS.most):
            await self.links.admit("192.0.2.7")
        with self.assertRaises(TooManyRequests):
            await self.links.admit("192.0.2.7")
        await self.links.admit("192.0.2.8")


async def _nothing(cur: Any) -> None:
    await cur.execute("SELECT 1")
