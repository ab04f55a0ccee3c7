"""Every write that caches must hear of says so when it is committed."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from e2a.core.trust import apikeys
from e2a.core.trust.pagetoken import PageTokens
from e2a.flows.accounts import Accounts
from e2a.flows.agents import AgentChange, Agents
from e2a.flows.domainkeys import DomainKeys
from e2a.flows.domains import Domains
from e2a.flows.secrets import SecretBook
from e2a.store import changes
from e2a.store.listener import CHANGED, Listener
from tests.support.cpu import QuickCpu
from tests.support.postgres import DatabaseTestCase
from tests.support.signin import sessions_of, sign_in
from tests.support.tenants import OWN, SEALER, make_tenant, start


def now() -> float:
    return datetime(2026, 1, 1, tzinfo=UTC).timestamp()


async def nothing(*_: str) -> Sequence[Any]:
    return ()


class ChangeTests(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await start(self.db)
        self.ana = await make_tenant(self.db, "ana")
        self.heard: list[str] = []
        self.ended: Deferred[None] = Deferred()
        listener = Listener(reactor, self.dsn)
        listener.observe(CHANGED, self.hear)
        self.addCleanup(listener.stop)
        await listener.start()

    def hear(self, payload: str) -> None:
        if payload == "key end":
            self.ended.callback(None)
        else:
            self.heard.append(payload)

    async def check(self, *payloads: str) -> None:
        """These, and no others, were announced."""
        await self.db.run("end", changes.tell, "key", ["end"])
        await self.ended
        self.ended = Deferred()
        self.assertEqual(self.heard, list(payloads))
        self.heard.clear()

    async def test_keys(self) -> None:
        """A revoked key is announced; a new one concerns no cache."""
        accounts = Accounts(self.db, now, os.urandom)
        key, _ = await accounts.create_key(self.ana)
        await accounts.revoke_key(self.ana, key.id)
        await self.check(f"key {key.id}")

    async def test_sessions(self) -> None:
        """A closed session is announced by the digest of its token, never by the token."""
        token, principal = await sign_in(self.db, self.ana.user_id)
        book = sessions_of(self.db)
        await book.close(token, principal)
        await book.close(token, principal)
        await self.check(f"session {apikeys.digest(token).hex()}")

    async def test_secrets(self) -> None:
        """Made and deleted secrets are announced by their organisation."""
        book = SecretBook(self.db, SEALER, now, os.urandom, fallback="")
        secret, _ = await book.create(self.ana, "")
        await book.delete(self.ana, secret.id)
        await self.check(*[f"secret {self.ana.organisation_id}"] * 2)

    async def test_agents(self) -> None:
        """Made, changed and deleted agents are announced."""
        agents = Agents(self.db, nothing, PageTokens(b"k" * 32), own=OWN, production=True)
        agent = await agents.register(self.ana, slug="bot", agent_mode="local")
        await agents.update(self.ana, agent.id, AgentChange(name="n"))
        await agents.delete(self.ana, agent.id)
        await self.check(*[f"agent {agent.id}"] * 3)

    async def test_domains(self) -> None:
        """Proved and released domains are announced; a claim concerns no cache."""
        keys = DomainKeys(self.db, SEALER, QuickCpu(), now, nothing)
        domains = Domains(self.db, keys, nothing, os.urandom, time.time, own=OWN, production=False)
        await domains.claim(self.ana, "corp.test")
        await domains.verify(self.ana, "corp.test")
        await domains.verify(self.ana, "corp.test")
        await domains.release(self.ana, "corp.test")
        await self.check("domain corp.test", "domain corp.test")

    async def test_start(self) -> None:
        """A start that changes nothing announces nothing."""
        await start(self.db)
        await self.check()
