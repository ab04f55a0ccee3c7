"""Who outgoing mail is from, and under which domain it is signed."""

from __future__ import annotations

import time
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from e2a.core.entities import Agent
from e2a.flows import signing as module
from e2a.flows.domainkeys import DomainKeys
from e2a.flows.signing import SenderIdentity, Signing
from e2a.store.agents import get_agent
from e2a.store.dkimkeys import DkimKey
from e2a.store.domains import verified_domain
from tests.support.cpu import QuickCpu
from tests.support.postgres import ORGANISATION, DatabaseTestCase, make_agent
from tests.support.tenants import OWN, SEALER, execute, start
from tests.verify.signing import message


class CountingCpu(QuickCpu):
    def __init__(self) -> None:
        super().__init__()
        self.ran: list[str] = []

    async def run(self, work: Any, *args: Any) -> Any:
        self.ran.append(work.__name__)
        return await super().run(work, *args)


class SigningTests(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await start(self.db)
        self.clock = Clock()
        self.cpu = CountingCpu()
        self.signing = self.make()
        self.keys = DomainKeys(self.db, SEALER, QuickCpu(), time.time, self.check_key, changed=self.signing.changed)
        await make_agent(self.db, "bot@corp.test")

    def make(self, sender_domain: str = OWN.sender) -> Signing:
        return Signing(self.db, SEALER, self.cpu, self.clock.seconds, sender_domain=sender_domain)

    async def check_key(self, name: str, host: str, record: str) -> Any:
        raise AssertionError("not asked here")

    async def agent(self, name: str = "") -> Agent:
        await execute(self.db, "UPDATE agents SET name = %s WHERE id = 'bot@corp.test'", name)
        agent = await self.db.run("agent", get_agent, ORGANISATION, "bot@corp.test")
        assert agent is not None
        return agent

    async def key(self, name: str = "corp.test") -> DkimKey:
        domain = await self.db.run("domain", verified_domain, name)
        assert domain is not None
        key = await self.keys.ensure(domain.id)
        assert key is not None
        return key

    async def test_without_key(self) -> None:
        """Until the domain's key is active the agent writes under the sender domain, and answers find the agent."""
        await self.key()
        self.assertEqual(
            await self.signing.sender_for(await self.agent("Bot Ö")),
            SenderIdentity("agent@send.gateway.test", "Bot Ö via e2a", "bot@corp.test"),
        )
        identity = await self.signing.sender_for(await self.agent())
        self.assertEqual(identity.display_name, "bot@corp.test via e2a")
        self.assertEqual(await self.signing.sign(message(), "corp.test"), message())

    async def test_with_key(self) -> None:
        """From the moment the key is active the agent writes under its own address, and its mail is signed."""
        key = await self.key()
        await self.signing.sender_for(await self.agent("Bot"))
        await self.keys.seen(key)
        self.assertEqual(
            await self.signing.sender_for(await self.agent("Bot")),
            SenderIdentity("bot@corp.test", "Bot", None),
        )
        raw = message()
        done = await self.signing.sign(raw, "corp.test")
        self.assertTrue(done.endswith(raw))
        self.assertIn(f"d=corp.test;\r\n\ts={key.selector};".encode(), done)
        self.assertEqual(await self.signing.sign(raw, "other.test"), raw)

    async def test_sender_domain_signs(self) -> None:
        """Mail under the sender domain is signed with that domain's key."""
        await self.keys.seen(await self.key(OWN.sender))
        done = await self.signing.sign(message(), OWN.sender)
        self.assertIn(b"d=send.gateway.test;", done)

    async def test_no_sender_domain(self) -> None:
        """Where there is no sender domain, mail stays inside, and agents are themselves."""
        identity = await self.make("").sender_for(await self.agent("Bot"))
        self.assertEqual(identity, SenderIdentity("bot@corp.test", "Bot", None))

    async def test_cached(self) -> None:
        """The database is asked once a minute for a domain, unless something changed."""
        key = await self.key()
        await self.keys.seen(key)
        asked: list[str] = []
        run = self.db.run

        async def counted(name: str, *args: Any) -> Any:
            asked.append(name)
            return await run(name, *args)

        self.patch(self.db, "run", counted)
        for _ in range(3):
            await self.signing.sign(message(), "corp.test")
            await self.signing.sign(message(), "none.test")
        self.assertEqual(asked, ["DKIM key"] * 2)
        self.clock.advance(module.CACHE_SECONDS)
        await self.signing.sign(message(), "corp.test")
        self.signing.changed("domain corp.test")
        self.signing.changed("agent none.test")
        await self.signing.sign(message(), "corp.test")
        await self.signing.sign(message(), "corp.test")
        self.assertEqual(asked, ["DKIM key"] * 4)
        self.signing.clear()
        await self.signing.sign(message(), "corp.test")
        self.assertEqual(asked, ["DKIM key"] * 5)

    async def test_changed_meanwhile(self) -> None:
        """What was read while it changed is not kept."""
        key = await self.key()
        run = self.db.run

        async def overtaken(name: str, *args: Any) -> Any:
            found = await run(name, *args)
            self.patch(self.db, "run", run)
            await self.keys.seen(key)
            return found

        self.patch(self.db, "run", overtaken)
        self.assertEqual(await self.signing.sign(message(), "corp.test"), message())
        self.assertNotEqual(await self.signing.sign(message(), "corp.test"), message())

    async def test_large(self) -> None:
        """Large messages are signed outside the reactor's thread."""
        await self.keys.seen(await self.key())
        await self.signing.sign(message(), "corp.test")
        self.assertEqual(self.cpu.ran, ["load_key"])
        await self.signing.sign(message(b"x\r\n" * module.INLINE_BYTES), "corp.test")
        self.assertEqual(self.cpu.ran, ["load_key", "signed"])

    async def test_unreadable_key(self) -> None:
        """With a key that cannot be unsealed mail leaves unsigned, under the sender domain, and the log says so."""
        key = await self.key()
        await self.keys.seen(key)
        await execute(self.db, "UPDATE dkim_keys SET sealed = %s", SEALER.seal("another row", "text"))
        self.signing.clear()
        with capturedLogs() as messages:
            self.assertEqual(await self.signing.sign(message(), "corp.test"), message())
            self.assertEqual((await self.signing.sender_for(await self.agent())).reply_to, "bot@corp.test")
        self.assertEqual([event["log_level"].name for event in messages], ["error"])

    async def test_unsignable(self) -> None:
        """A message that cannot be signed leaves as it is, and the log says so."""
        await self.keys.seen(await self.key())
        raw = b"junk\r\n\r\n"
        with capturedLogs() as messages:
            self.assertEqual(await self.signing.sign(raw, "corp.test"), raw)
        self.assertEqual([event["log_level"].name for event in messages], ["error"])
