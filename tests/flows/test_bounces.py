"""Delivery reports: whom they reach and what they change."""

from __future__ import annotations

import itertools
import os
from typing import Any

from twisted.internet import reactor

from e2a.core import ids
from e2a.core.trust.bouncetoken import BounceTokens
from e2a.store.listener import CHANGED, Listener
from tests.support.postgres import ORGANISATION, make_agent
from tests.support.tenants import execute, rows

from .test_inbound import NOW, TOKENS, InboundCase

BOT = "bot@agents.test"
OURS = "<1@send.e2a.test>"


def report(*failed: str, status: str = "5.1.1", action: str = "failed", about: str = OURS, padding: int = 0) -> bytes:
    groups = "\r\n".join(
        f"Final-Recipient: rfc822; {address}\r\nAction: {action}\r\nStatus: {status}\r\n"
        f"Diagnostic-Code: smtp; 550 {status} no\r\n"
        for address in failed
    )
    return (
        "From: MAILER-DAEMON@corp.test\r\nSubject: Undelivered\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        f"--b\r\n\r\nSorry. {'x' * padding}\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        f"Reporting-MTA: dns; mx.corp.test\r\n\r\n{groups}\r\n"
        f"--b\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: {about}\r\n\r\nhi\r\n--b--\r\n"
    ).encode()


class BounceCase(InboundCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.judge.spf, self.judge.author = "none", "MAILER-DAEMON@corp.test"
        self._numbers = itertools.count()

    async def sent(
        self,
        *to: str,
        state: str = "sent",
        own: str = OURS,
        agent: str = BOT,
        kind: str | None = "send",
        route: str = "smtp",
    ) -> str:
        message_id = ids.message_id(NOW + next(self._numbers), os.urandom)
        await execute(
            self.db,
            """
            INSERT INTO messages (id, agent_id, direction, status, organisation_id, message_type, to_recipients,
                conversation_id, email_message_id)
            VALUES (%s, %s, 'outbound', 'sent', %s, %s, %s, 'conv_1', %s)
            """,
            message_id,
            agent,
            ORGANISATION,
            kind,
            list(to),
            own,
        )
        for address in to:
            await execute(
                self.db,
                "INSERT INTO outbound_recipients (message_id, address, kind, route, state)"
                " VALUES (%s, %s, 'to', %s, %s)",
                message_id,
                address,
                route,
                state,
            )
        return message_id

    def path(self, message_id: str, domain: str = "send.e2a.test") -> str:
        return TOKENS.address(message_id, domain)

    async def states(self) -> dict[str, tuple[str, int | None]]:
        found = await rows(self.db, "SELECT address, state, code FROM outbound_recipients")
        return {row.address: (row.state, row.code) for row in found}

    async def suppressed(self) -> list[tuple[str, str, str]]:
        found = await rows(self.db, "SELECT address, reason, message_id FROM suppressions ORDER BY address")
        return [(row.address, row.reason, row.message_id) for row in found]


class ReturnPathTests(BounceCase):
    """RCPT to a return path"""

    async def test_reaches_the_sender(self) -> None:
        """A return path on our sending domain or a hosted one reaches the agent that sent the message."""
        message_id = await self.sent("ana@corp.test")
        for address in (self.path(message_id), self.path(message_id).upper(), self.path(message_id, "agents.test")):
            recipient = await self.inbound.recipient(address)
            assert recipient is not None
            self.assertEqual((recipient.agent_id, recipient.address), (BOT, address))

    async def test_nobody(self) -> None:
        """Elsewhere, forged, or for a message that is gone or the gateway's own, it reaches nobody."""
        message_id = await self.sent("ana@corp.test")
        notice = await self.sent("owner@people.test", kind=None)
        gone = ids.message_id(NOW, os.urandom)
        for address in (
            self.path(message_id, "elsewhere.test"),
            BounceTokens(b"x" * 32).address(message_id, "send.e2a.test"),
            self.path(gone),
            self.path(notice),
        ):
            self.assertIsNone(await self.inbound.recipient(address), address)

    async def test_agent_named_bounce(self) -> None:
        """An agent whose name is bounce keeps its tagged addresses."""
        await make_agent(self.db, "bounce@agents.test")
        recipient = await self.inbound.recipient("bounce+news@agents.test")
        assert recipient is not None
        self.assertEqual((recipient.agent_id, recipient.tag), ("bounce@agents.test", "news"))


class ReportTests(BounceCase):
    """What a report changes"""

    async def test_hard(self) -> None:
        """A dead address is recorded, told to those who wait, and suppressed; the agent gets the report as mail."""
        message_id = await self.sent("ana@corp.test", "bob@corp.test")
        heard: list[str] = []
        listener = Listener(reactor, self.dsn)
        listener.observe(CHANGED, heard.append)
        await listener.start()
        self.addCleanup(listener.stop)
        await self.accept(report("Ana@Corp.test"), self.path(message_id), mail_from="")
        self.assertEqual(await self.states(), {"ana@corp.test": ("bounced", 550), "bob@corp.test": ("sent", None)})
        self.assertEqual(await self.suppressed(), [("ana@corp.test", "hard_bounce", message_id)])
        (message,) = await self.stored()
        self.assertEqual((message.conversation_id, message.thread_hijack_suspected), ("conv_1", False))
        self.assertEqual(message.automation.reasons, ("null_return_path", "delivery_report", "no_reply_sender"))
        self.assertFalse(message.facts.verified)
        while f"outbound {message_id}" not in heard:
            await self.db.run("turn", _nothing)

    async def test_soft(self) -> None:
        """A full mailbox bounces and is not suppressed; a delay and a delivery change nothing."""
        message_id = await self.sent("ana@corp.test")
        await self.accept(
            report("ana@corp.test", action="delayed", status="4.4.1"), self.path(message_id), mail_from=""
        )
        await self.accept(report("ana@corp.test", action="delivered", status="2.0.0"), self.path(message_id))
        self.assertEqual(await self.states(), {"ana@corp.test": ("sent", None)})
        await self.accept(report("ana@corp.test", status="5.2.2"), self.path(message_id), mail_from="")
        self.assertEqual(await self.states(), {"ana@corp.test": ("bounced", 550)})
        self.assertEqual(await self.suppressed(), [])

    async def test_by_message_id(self) -> None:
        """Without a return path the null sender, our Message-ID and a recipient of it count together."""
        message_id = await self.sent("ana@corp.test")
        await self.accept(report("ana@corp.test"), BOT, mail_from="")
        self.assertEqual(await self.states(), {"ana@corp.test": ("bounced", 550)})
        self.assertEqual(await self.suppressed(), [("ana@corp.test", "hard_bounce", message_id)])
        self.assertEqual((await self.stored())[0].conversation_id, "conv_1")

    async def test_forged(self) -> None:
        """With one of the three missing, or about another agent's message, a report is ordinary mail."""
        await self.sent("ana@corp.test")
        await self.sent("far@corp.test", own="<2@send.e2a.test>", agent="other@agents.test")
        for raw, mail_from in (
            (report("ana@corp.test"), "eve@corp.test"),
            (report("ana@corp.test", about="<3@send.e2a.test>"), ""),
            (report("eve@corp.test"), ""),
            (report("far@corp.test", about="<2@send.e2a.test>"), ""),
        ):
            await self.accept(raw, BOT, mail_from=mail_from)
        self.assertEqual({state for state, _ in (await self.states()).values()}, {"sent"})
        self.assertEqual(await self.suppressed(), [])
        self.assertEqual([message.conversation_id for message in await self.stored()], [None] * 4)

    async def test_only_its_recipients(self) -> None:
        """Even with a good return path a report touches nobody to whom that message did not go."""
        message_id = await self.sent("ana@corp.test", "bob@corp.test")
        await self.sent("eve@corp.test", own="<2@send.e2a.test>")
        await self.accept(report("eve@corp.test"), self.path(message_id), mail_from="")
        self.assertEqual({state for state, _ in (await self.states()).values()}, {"sent"})
        self.assertEqual(await self.suppressed(), [])

    async def test_not_by_message_id_alone(self) -> None:
        """A good return path proves its own message; another that is named needs the null sender as ever."""
        message_id = await self.sent("ana@corp.test")
        await self.sent("bob@corp.test", own="<2@send.e2a.test>")
        raw = report("bob@corp.test", "ana@corp.test", about="<2@send.e2a.test>")
        await self.accept(raw, self.path(message_id), mail_from="eve@corp.test")
        self.assertEqual(await self.states(), {"ana@corp.test": ("bounced", 550), "bob@corp.test": ("sent", None)})

    async def test_forwarded(self) -> None:
        """When the only recipient's mail was forwarded to a dead end it bounced, but the address is not suppressed."""
        message_id = await self.sent("ana@corp.test")
        await self.accept(report("ana.old@elsewhere.test"), self.path(message_id), mail_from="")
        self.assertEqual(await self.states(), {"ana@corp.test": ("bounced", 550)})
        self.assertEqual(await self.suppressed(), [])

    async def test_what_cannot_bounce(self) -> None:
        """What was never transmitted, was refused at once, or was handed over inside, does not bounce."""
        for state, route in (("pending", "smtp"), ("failed", "smtp"), ("sent", "loopback")):
            message_id = await self.sent(f"{state}.{route}@corp.test", state=state, route=route)
            await self.accept(report(f"{state}.{route}@corp.test"), self.path(message_id), mail_from="")
        self.assertNotIn("bounced", {state for state, _ in (await self.states()).values()})
        self.assertEqual(await self.suppressed(), [])

    async def test_faster_than_the_record(self) -> None:
        """A report about a message in transmission counts although its outcome is not recorded yet."""
        message_id = await self.sent("ana@corp.test", state="pending")
        await execute(self.db, "INSERT INTO outbox (message_id, phase) VALUES (%s, 'data')", message_id)
        await self.accept(report("ana@corp.test"), self.path(message_id), mail_from="")
        self.assertEqual(await self.states(), {"ana@corp.test": ("bounced", 550)})

    async def test_again(self) -> None:
        """A repeated report changes nothing, not even after the address was allowed again."""
        message_id = await self.sent("ana@corp.test")
        await self.accept(report("ana@corp.test"), self.path(message_id), mail_from="")
        await execute(self.db, "DELETE FROM suppressions")
        await self.accept(report("ana@corp.test") + b"again\r\n", self.path(message_id), mail_from="")
        self.assertEqual(await self.suppressed(), [])

    async def test_big(self) -> None:
        """A report with much text is read as well, off the reactor's thread."""
        message_id = await self.sent("ana@corp.test")
        await self.accept(report("ana@corp.test", padding=100_000), self.path(message_id), mail_from="")
        self.assertEqual(await self.states(), {"ana@corp.test": ("bounced", 550)})


async def _nothing(cur: Any) -> None:
    await cur.execute("SELECT 1")
