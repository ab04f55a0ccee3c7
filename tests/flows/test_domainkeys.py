"""DKIM keys: made once, sealed, looked for in DNS, and signing from then on."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import capturedLogs

from e2a.core.errors import Conflict, Unavailable
from e2a.core.trust.sealing import Sealer
from e2a.flows import domainkeys as module
from e2a.flows.domainkeys import DomainKeys
from e2a.flows.masterkey import reseal
from e2a.store.dkimkeys import DkimKey, signing_key
from e2a.store.domains import claim_domain, ensure_system_domain, prove_domain
from e2a.verify.dkimsign import load_key
from e2a.verify.records import RecordReport
from tests.support.cpu import QuickCpu
from tests.support.postgres import DatabaseTestCase
from tests.support.tenants import OWN, SEALER, execute, make_tenant, rows, start

NOVEMBER = 1_795_000_000.0


class DomainKeysTests(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await start(self.db)
        self.ana = await make_tenant(self.db, "ana")
        #: What DNS says of a key record, by domain, else ``missing``.
        self.dns: dict[str, Any] = {}
        self.asked: list[str] = []
        self.changes: list[str] = []
        #: Selectors of keys that were asked for.
        self.noted: list[str] = []
        self.keys = self.make()

    def make(self) -> DomainKeys:
        return DomainKeys(
            self.db,
            SEALER,
            QuickCpu(),
            lambda: NOVEMBER,
            self.check_key,
            announced=(OWN.shared, ""),
            changed=self.changes.append,
        )

    async def check_key(self, name: str, host: str, record: str) -> RecordReport:
        self.asked.append(name)
        status = self.dns.get(name, "missing")
        if status == "silent":
            raise Unavailable
        return RecordReport("dkim", "TXT", f"{host}.{name}", record, (), status)

    async def domain(self, name: str, proved: bool = True) -> int:
        domain = await self.db.run("claim", claim_domain, self.ana.organisation_id, name, "e2a-verify=x")
        if proved:
            await self.db.run("prove", prove_domain, domain.id)
        return domain.id

    async def signing(self, name: str) -> DkimKey | None:
        return await self.db.run("signing", signing_key, name)

    async def due(self) -> None:
        """Let an hour pass for the checks."""
        await execute(self.db, "UPDATE dkim_keys SET checked_at = checked_at - interval '1 hour'")

    async def test_made_once(self) -> None:
        """Two at once make one key; it is named for its month and its private half can be read back only unsealed."""
        domain_id = await self.domain("corp.test")
        made = await gatherResults([Deferred.fromCoroutine(self.keys.ensure(domain_id)) for _ in "ab"])
        self.assertEqual(made[0], made[1])
        key = made[0]
        assert key is not None
        self.assertEqual((key.selector, key.domain, key.active_at), ("e2a202611a", "corp.test", None))
        self.assertEqual(await self.keys.all([domain_id, 0]), {domain_id: [key]})
        private = SEALER.open(key.row_id, key.sealed)
        self.assertEqual(load_key(private).key_size, 2048)
        self.assertNotIn(b"PRIVATE KEY", key.sealed)

    async def test_gone(self) -> None:
        """A domain that is gone gets no key."""
        self.assertIsNone(await self.keys.ensure(10**9))

    async def test_seen(self) -> None:
        """A key signs once it was seen, and everybody is told; seeing it again changes nothing."""
        domain_id = await self.domain("corp.test")
        key = await self.keys.ensure(domain_id)
        assert key is not None
        self.assertIsNone(await self.signing("corp.test"))
        await self.keys.seen(key)
        active = await self.signing("corp.test")
        assert active is not None and active.active_at is not None
        self.assertEqual(self.changes, ["domain corp.test"])
        await self.keys.seen(key)
        await self.keys.seen(active)
        self.assertEqual(await self.signing("corp.test"), active)
        self.assertEqual(self.changes, ["domain corp.test"])

    async def rotated(self, domain_id: int) -> DkimKey:
        async def note(cur: Any, selector: str) -> None:
            self.noted.append(selector)

        key = await self.keys.rotate(domain_id, note)
        assert key is not None
        return key

    async def test_rotated(self) -> None:
        """Two who ask for another key at once get the same one; it signs when the worker saw it in DNS, and
        everybody is told. No key changes without being asked for."""
        domain_id = await self.domain("corp.test")
        first = await self.keys.ensure(domain_id)
        assert first is not None
        self.assertEqual(await self.rotated(domain_id), first)
        await self.keys.seen(first)
        made = await gatherResults([Deferred.fromCoroutine(self.rotated(domain_id)) for _ in "ab"])
        self.assertEqual((made[0], made[0].selector, self.noted), (made[1], "e2a202611b", ["e2a202611b"]))
        self.assertEqual(load_key(SEALER.open(made[0].row_id, made[0].sealed)).key_size, 2048)
        await self.keys.look_after()
        await self.due()
        self.assertEqual((await self.signing("corp.test") or made[0]).selector, first.selector)
        self.dns = {"corp.test": "found"}
        for _ in "ab":
            await self.keys.look_after()
            await self.due()
        self.assertEqual((await self.signing("corp.test") or first).selector, "e2a202611b")
        self.assertEqual(self.changes.count("domain corp.test"), 2)
        keys = (await self.keys.all([domain_id]))[domain_id]
        self.assertEqual(
            [(key.selector, key.retired_at is None) for key in keys], [("e2a202611b", True), (first.selector, False)]
        )

    async def test_former_keys_go(self) -> None:
        """A key that has retired is forgotten after 40 days, so that its name does not come up again."""
        domain_id = await self.domain("corp.test")
        first = await self.keys.ensure(domain_id)
        assert first is not None
        await self.keys.seen(first)
        await self.keys.seen(await self.rotated(domain_id))
        for days, left in ((39, 2), (2, 1)):
            await execute(self.db, "UPDATE dkim_keys SET retired_at = retired_at - make_interval(days => %s)", days)
            await self.keys.look_after()
            self.assertEqual(len((await self.keys.all([domain_id]))[domain_id]), left)

    async def test_too_many_keys(self) -> None:
        """A month has names for 26 keys of a domain."""
        domain_id = await self.domain("corp.test")
        key = await self.keys.ensure(domain_id)
        assert key is not None
        self.patch(module, "make_key", lambda: ("private", "public"))
        for _ in range(25):
            await self.keys.seen(key)
            key = await self.rotated(domain_id)
        await self.keys.seen(key)
        self.assertEqual(key.selector, "e2a202611z")
        await self.assertFailure(Deferred.fromCoroutine(self.rotated(domain_id)), Conflict)

    async def test_unproved(self) -> None:
        """The key of a claim that is not proved does not sign, whatever DNS says."""
        key = await self.keys.ensure(await self.domain("corp.test", proved=False))
        assert key is not None
        await self.keys.seen(key)
        self.assertIsNone(await self.signing("corp.test"))
        self.assertEqual(self.changes, [])

    async def test_look_after(self) -> None:
        """Every domain gets its key, and what is found in DNS signs; claims that are not proved are not asked for."""
        await self.domain("corp.test")
        await self.domain("other.test")
        await self.domain("claimed.test", proved=False)
        self.dns = {"corp.test": "found", "agents.test": "found", "claimed.test": "found", "other.test": "mismatch"}
        await self.keys.look_after()
        self.assertEqual(
            sorted(self.asked), ["agents.test", "corp.test", "mx.gateway.test", "other.test", "send.gateway.test"]
        )
        self.assertEqual(
            [
                row.name
                for row in await rows(
                    self.db,
                    "SELECT name FROM domains d WHERE NOT EXISTS (SELECT 1 FROM dkim_keys WHERE domain_id = d.id)",
                )
            ],
            [],
        )
        signing = [name for name in [*self.asked, "claimed.test"] if await self.signing(name) is not None]
        self.assertEqual(sorted(signing), ["agents.test", "corp.test"])

    async def test_asked_once_an_hour(self) -> None:
        """However many replicas look, DNS is asked once an hour for a key, and no more once it signs."""
        await self.domain("corp.test")
        await gatherResults([Deferred.fromCoroutine(keys.look_after()) for keys in (self.keys, self.make())])
        await self.keys.look_after()
        self.assertEqual(self.asked.count("corp.test"), 1)
        self.dns = {"corp.test": "found"}
        await self.due()
        await self.keys.look_after()
        await self.due()
        await self.keys.look_after()
        self.assertEqual(self.asked.count("corp.test"), 2)

    async def test_dns_is_silent(self) -> None:
        """Where DNS gives no answer the other keys are looked for all the same."""
        for name in ("a.test", "b.test"):
            await self.domain(name)
        self.dns = {"a.test": "silent", "b.test": "found"}
        await self.keys.look_after()
        self.assertIsNone(await self.signing("a.test"))
        self.assertIsNotNone(await self.signing("b.test"))

    async def test_more_than_a_batch(self) -> None:
        """Any number of domains is looked after in one round."""
        for number in range(45):
            await self.domain(f"d{number}.test")
        self.dns = {f"d{number}.test": "found" for number in range(45)}
        await self.keys.look_after()
        self.assertEqual(len(await rows(self.db, "SELECT 1 FROM dkim_keys WHERE active_at IS NOT NULL")), 45)

    async def test_stop(self) -> None:
        """After a stop nothing more is made or asked."""
        await self.domain("corp.test")
        self.keys.stop()
        await self.keys.look_after()
        self.assertEqual((self.asked, await rows(self.db, "SELECT 1 FROM dkim_keys")), ([], []))

    async def test_announced(self) -> None:
        """The log names the record of the deployment's own domain, once, and nobody else's."""
        await self.domain("corp.test")
        with capturedLogs() as messages:
            await self.keys.look_after()
            await self.due()
            await self.keys.look_after()
        warned = [event["domain"] for event in messages if event["log_level"].name == "warn"]
        self.assertEqual(warned, ["agents.test"])

    async def test_rotation(self) -> None:
        """After a change of the deployment secret the keys can be sealed under the new one alone."""
        key = await self.keys.ensure(await self.domain("corp.test"))
        assert key is not None
        text = SEALER.open(key.row_id, key.sealed)
        rotated = Sealer(
            "another deployment secret, long enough", os.urandom, ("a deployment secret for tests, long enough",)
        )
        await reseal(self.db, rotated)
        await self.keys.seen(key)
        found = await self.signing("corp.test")
        assert found is not None
        fresh = Sealer("another deployment secret, long enough", os.urandom)
        self.assertEqual(fresh.open(found.row_id, found.sealed), text)

    async def test_system_domain(self) -> None:
        """The deployment's own domains have keys as well."""
        domain = await self.db.run("ensure", ensure_system_domain, OWN.sender)
        self.assertIsNotNone(await self.keys.ensure(domain.id))
