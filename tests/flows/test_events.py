"""Events of an organisation: from notifications to those who look, and to nobody else."""

from __future__ import annotations

from twisted.internet.task import Clock

from e2a.flows.events import GATHERING, MOST_GATHERED, Events
from tests.support.postgres import DatabaseTestCase, make_agent
from tests.support.tenants import execute, make_tenant, start


class EventsTests(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await start(self.db)
        self.ana = await make_tenant(self.db, "ana")
        self.bo = await make_tenant(self.db, "bo")
        await make_agent(self.db, "ana@corp.test", organisation=self.ana.organisation_id)
        await make_agent(self.db, "bo@corp.test", organisation=self.bo.organisation_id)
        self.clock = Clock()
        self.events = Events(self.db, self.clock)
        self.told: list[tuple[str, str]] = []
        for name, principal in (("ana", self.ana), ("bo", self.bo)):
            self.events.subscribe(principal.organisation_id, lambda kind, name=name: self.told.append((name, kind)))

    async def settle(self) -> list[tuple[str, str]]:
        """What was told once the moment is over."""
        (call,) = self.clock.getDelayedCalls()
        self.assertEqual(call.getTime() - self.clock.seconds(), GATHERING)
        self.events.stop()
        await self.events._settle()
        told, self.told = self.told, []
        return told

    async def outbound(self, message_id: str) -> None:
        await execute(
            self.db,
            "INSERT INTO messages (id, agent_id, organisation_id, direction, status) VALUES (%s, %s, %s, 'outbound', "
            "'queued')",
            message_id,
            "bo@corp.test",
            self.bo.organisation_id,
        )

    async def test_told(self) -> None:
        """Each organisation hears of its own mail, messages and agents, once for each kind."""
        self.events.mail("ana@corp.test msg_1\nana@corp.test msg_2\nnobody@corp.test msg_3")
        self.events.mail("ana@corp.test msg_4")
        self.events.changed("agent bo@corp.test")
        await self.outbound("msg_5")
        self.events.changed("outbound msg_5")
        self.events.changed("key apk_1")
        self.assertEqual(sorted(await self.settle()), [("ana", "mail"), ("bo", "agent"), ("bo", "outbound")])

    async def test_gap(self) -> None:
        """After a lost connection everybody reads everything; so they do when too much came at once."""
        self.events.gap()
        self.assertEqual(len(self.told), 6)
        self.told.clear()
        for number in range(MOST_GATHERED):
            self.events.changed(f"outbound msg_{number}")
        self.assertEqual(len(await self.settle()), 6)

    async def test_nobody_looks(self) -> None:
        """While nobody looks, nothing is asked."""
        quiet = Events(self.db, self.clock)
        quiet.mail("ana@corp.test msg_1")
        quiet.changed("outbound msg_5")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    async def test_ended(self) -> None:
        """Who has left hears nothing."""
        quiet = Events(self.db, self.clock)
        end = quiet.subscribe(self.ana.organisation_id, lambda kind: self.told.append(("left", kind)))
        end()
        end()
        quiet.gap()
        self.assertEqual((self.told, quiet.hearers), ([], 0))

    def test_stopped(self) -> None:
        """A daemon that stops leaves nothing to happen."""
        self.events.mail("ana@corp.test msg_1")
        self.events.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
