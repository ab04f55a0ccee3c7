"""How long messages are kept, wherever they come from."""

from __future__ import annotations

from datetime import timedelta

from e2a.flows.writing import Writing
from tests.flows.test_inbound import InboundCase
from tests.flows.test_outbound import BOT, OPERATOR, PAL, OutboundTestCase
from tests.support.cpu import QuickCpu
from tests.support.postgres import make_agent
from tests.support.tenants import rows

KEPT = timedelta(days=60)


class ReceivedTests(InboundCase):
    async def test_kept(self) -> None:
        """What comes in is kept for as long as the deployment says, otherwise for thirty days."""
        for kept in (timedelta(days=30), KEPT):
            if kept is KEPT:
                self.inbound = self.make(kept=KEPT)
            await self.accept(b"Subject: %d\r\n\r\n" % kept.days)
            message = (await self.stored())[-1]
            self.assertEqual(message.expires_at - message.created_at, kept)


class SentTests(OutboundTestCase):
    async def test_kept(self) -> None:
        """What goes out is kept as long, and so is its copy at an agent of the deployment."""
        await make_agent(self.db, PAL)
        self.writing = Writing(self.db, self.make(kept=KEPT), QuickCpu(), operator=OPERATOR)
        message = (await self.send(to=[PAL, "ana@corp.test"])).message
        self.assertEqual((message.agent_id, message.expires_at - message.created_at), (BOT, KEPT))
        terms = await rows(self.db, "SELECT direction, expires_at - created_at AS kept FROM messages")
        self.assertEqual({row.direction: row.kept for row in terms}, {"outbound": KEPT, "inbound": KEPT})
