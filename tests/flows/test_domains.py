"""Claims: several for one name, the first to prove it wins."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from e2a.core.errors import BadRequest, Conflict, Forbidden, NotFound, PreconditionFailed, Unavailable
from e2a.flows import domains as module
from e2a.flows.domainkeys import DomainKeys
from e2a.flows.domains import Domains, Key, Record
from e2a.store.dkimkeys import signing_key
from e2a.store.domains import claim_domain
from tests.support.cpu import QuickCpu
from tests.support.postgres import DatabaseTestCase, make_agent
from tests.support.tenants import OWN, SEALER, execute, make_tenant, rows, start


def record(purpose: Any, status: Any, name: str = "corp.test") -> Record:
    return Record(purpose, "TXT", name, "expected", (), status, "")


class DomainTests(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await start(self.db)
        self.ana = await make_tenant(self.db, "ana")
        self.bo = await make_tenant(self.db, "bo")
        #: What DNS says of the ownership record; by token, else ``missing``.
        self.dns: dict[str, str] = {}
        self.asked: list[tuple[str, str]] = []
        self.now = time.time()
        self.domains = self.make(production=True)

    def make(self, production: bool) -> Domains:
        keys = DomainKeys(self.db, SEALER, QuickCpu(), time.time, self.check_key)
        return Domains(self.db, keys, self.check_records, os.urandom, lambda: self.now, own=OWN, production=production)

    async def check_records(self, name: str, token: str, keys: Sequence[Key]) -> Sequence[Record]:
        self.asked.append((name, token))
        return (
            record("ownership", self.dns.get(token, "missing"), name),
            record("mx", "mismatch", name),
            *(record("dkim", self.dns.get(key.record, "missing"), f"{key.host}.{name}") for key in keys),
        )

    async def check_key(self, name: str, host: str, record_text: str) -> Record:
        raise AssertionError("not asked here")

    async def refused(self, error: type[Exception], work: Any) -> Any:
        return await self.assertFailure(Deferred.fromCoroutine(work), error)

    async def test_claim(self) -> None:
        """A claim has one spelling and a token that never changes, however often it is made."""
        first = await self.domains.claim(self.ana, "Corp.Test.")
        again = await self.domains.claim(self.ana, "corp.test")
        self.assertEqual(first, again)
        self.assertEqual((first.name, first.verified), ("corp.test", False))

    async def test_claims_at_once(self) -> None:
        """Two requests at once make one claim."""
        found = await gatherResults([Deferred.fromCoroutine(self.domains.claim(self.ana, "corp.test")) for _ in "ab"])
        self.assertEqual(found[0], found[1])

    async def test_stored_token(self) -> None:
        """A token that was given out stays, even when another one is stored for the same claim."""
        claim = await self.domains.claim(self.ana, "corp.test")
        args = (self.ana.organisation_id, "corp.test", "e2a-verify=other")
        self.assertEqual(await self.db.run("claim", claim_domain, *args), claim)

    async def test_not_claimable(self) -> None:
        """The service's own names cannot be claimed."""
        for name in ("agents.test", "x.Agents.test", "mx.gateway.test", "send.gateway.test", "no domain", "test"):
            self.assertEqual((await self.refused(BadRequest, self.domains.claim(self.ana, name))).field, "domain")

    async def test_several_claims(self) -> None:
        """A second claimant takes nothing away from the first, and has a token of their own."""
        ana = await self.domains.claim(self.ana, "corp.test")
        bo = await self.domains.claim(self.bo, "corp.test")
        self.assertNotEqual(ana.verification_token, bo.verification_token)
        self.assertEqual(await self.domains.list_claims(self.ana), [ana])
        self.assertEqual(await self.domains.list_claims(self.bo), [bo])

    async def test_first_to_prove_wins(self) -> None:
        """Once a name is proved nobody else can prove or claim it, whatever their DNS record says."""
        ana = await self.domains.claim(self.ana, "corp.test")
        bo = await self.domains.claim(self.bo, "corp.test")
        self.dns = {ana.verification_token: "found", bo.verification_token: "found"}
        proved, records = await self.domains.verify(self.bo, "corp.test")
        self.assertTrue(proved.verified)
        self.assertEqual([each.purpose for each in records], ["ownership", "mx", "dkim"])
        await self.refused(Conflict, self.domains.verify(self.ana, "corp.test"))
        carl = await make_tenant(self.db, "carl")
        await self.refused(BadRequest, self.domains.claim(carl, "corp.test"))
        self.assertEqual(await self.domains.claim(self.ana, "corp.test"), ana)

    async def test_proving_at_once(self) -> None:
        """Of two who prove at once one wins."""
        claims = [await self.domains.claim(tenant, "corp.test") for tenant in (self.ana, self.bo)]
        self.dns = {claim.verification_token: "found" for claim in claims}
        attempts = [Deferred.fromCoroutine(self.domains.verify(each, "corp.test")) for each in (self.ana, self.bo)]
        failed = []
        for attempt in attempts:
            attempt.addErrback(lambda failure: failed.append(failure.trap(Conflict)))
        await gatherResults(attempts)
        self.assertEqual(len(failed), 1)
        self.assertEqual(
            len(await rows(self.db, "SELECT 1 FROM domains WHERE verified_at IS NOT NULL AND name = 'corp.test'")), 1
        )

    async def test_not_there(self) -> None:
        """Without the record, or with another one, the claim stays unproved, and the answer says what to publish."""
        claim = await self.domains.claim(self.ana, "corp.test")
        for status in ("missing", "mismatch"):
            self.dns[claim.verification_token] = status
            error = await self.refused(PreconditionFailed, self.domains.verify(self.ana, "corp.test"))
            self.assertIn(claim.verification_token, error.text)
            self.assertIn("mx mismatch", error.text)
        self.assertEqual(await self.domains.list_claims(self.ana), [claim])

    async def test_dns_is_silent(self) -> None:
        """When DNS gives no answer the claim is not refused but to be tried again."""
        claim = await self.domains.claim(self.ana, "corp.test")
        self.dns[claim.verification_token] = "deferred"
        await self.refused(Unavailable, self.domains.verify(self.ana, "corp.test"))

    async def test_stays_proved(self) -> None:
        """A proved domain stays proved, with its date, when the record is gone; the report says that it is."""
        claim = await self.domains.claim(self.ana, "corp.test")
        self.dns[claim.verification_token] = "found"
        proved, _ = await self.domains.verify(self.ana, "corp.test")
        self.dns.clear()
        again, records = await self.domains.verify(self.ana, "Corp.test")
        self.assertEqual(again, proved)
        self.assertEqual(records[0].status, "missing")

    async def test_development(self) -> None:
        """In development asking is enough, and the report still says what is in DNS."""
        await self.domains.claim(self.ana, "corp.test")
        proved, records = await self.make(production=False).verify(self.ana, "corp.test")
        self.assertTrue(proved.verified)
        self.assertEqual([each.status for each in records], ["missing", "mismatch", "missing"])

    async def test_report(self) -> None:
        """The report asks for this claim's own token and changes nothing."""
        claim = await self.domains.claim(self.ana, "corp.test")
        self.dns[claim.verification_token] = "found"
        domain, records = await self.domains.report(self.ana, "corp.test")
        self.assertEqual((domain, records[0].status), (claim, "found"))
        self.assertEqual(self.asked, [("corp.test", claim.verification_token)])
        self.assertFalse((await self.domains.list_claims(self.ana))[0].verified)

    async def test_foreign(self) -> None:
        """Unknown, another's and malformed names are not found, and DNS is not asked about them."""
        await self.domains.claim(self.ana, "corp.test")
        for name in ("corp.test", "agents.test", "unknown.test", "no domain", ""):
            for work in (
                self.domains.verify,
                self.domains.report,
                self.domains.release,
                self.domains.rotate_key,
                self.domains.records,
            ):
                await self.refused(NotFound, work(self.bo, name))
        self.assertEqual(self.asked, [])

    async def test_release(self) -> None:
        """A claim can be given up, after which the name is free for others."""
        claim = await self.domains.claim(self.ana, "corp.test")
        self.dns[claim.verification_token] = "found"
        await self.domains.verify(self.ana, "corp.test")
        await self.domains.release(self.ana, "Corp.test")
        self.assertEqual(await self.domains.list_claims(self.ana), [])
        await self.domains.claim(self.bo, "corp.test")

    async def test_release_in_use(self) -> None:
        """A domain with agents stays."""
        await self.domains.claim(self.ana, "corp.test")
        await self.make(production=False).verify(self.ana, "corp.test")
        await make_agent(self.db, "bot@corp.test", organisation=self.ana.organisation_id)
        await self.refused(BadRequest, self.domains.release(self.ana, "corp.test"))
        await execute(self.db, "DELETE FROM agents WHERE id = 'bot@corp.test'")
        await self.domains.release(self.ana, "corp.test")

    async def test_bound_key(self) -> None:
        """A key bound to an agent sees no domains."""
        bound = replace(self.ana, agent_id="bot@agents.test")
        await self.refused(Forbidden, self.domains.list_claims(bound))
        await self.refused(Forbidden, self.domains.claim(bound, "corp.test"))
        await self.refused(Forbidden, self.domains.verify(bound, "corp.test"))

    async def test_cap(self) -> None:
        """There is a most of claims; claiming again what is claimed needs no room."""
        self.patch(module, "MOST_DOMAINS", 2)
        for name in ("a.test", "b.test"):
            await self.domains.claim(self.ana, name)
        await self.refused(Conflict, self.domains.claim(self.ana, "c.test"))
        await self.domains.claim(self.ana, "b.test")
        self.assertEqual([claim.name for claim in await self.domains.list_claims(self.ana)], ["b.test", "a.test"])

    async def test_dkim_key(self) -> None:
        """A claim has a key from the start, and each claimant of a name has its own."""
        ana = await self.domains.claim(self.ana, "corp.test")
        bo = await self.domains.claim(self.bo, "corp.test")
        keys = await self.domains.keys([ana, bo])
        self.assertEqual(set(keys), {ana.id, bo.id})
        self.assertNotEqual(keys[ana.id][0].record, keys[bo.id][0].record)
        await self.domains.claim(self.ana, "corp.test")
        self.assertEqual(await self.domains.keys([ana, bo]), keys)

    async def test_dkim_at_verify(self) -> None:
        """Asking to verify starts signing once the key's record is there, at the first proof or later; the key of a
        claim that is not proved never signs.
        """
        ana = await self.domains.claim(self.ana, "corp.test")
        bo = await self.domains.claim(self.bo, "corp.test")
        keys = await self.domains.keys([ana, bo])
        self.dns = {key.record: "found" for (key,) in keys.values()}
        await self.refused(PreconditionFailed, self.domains.verify(self.bo, "corp.test"))
        self.dns = {ana.verification_token: "found"}
        await self.domains.verify(self.ana, "corp.test")
        self.assertEqual(await self.domains.keys([ana, bo]), keys)
        self.dns = {keys[ana.id][0].record: "found"}
        await self.domains.report(self.ana, "corp.test")
        self.assertEqual(await self.domains.keys([ana, bo]), keys)
        await self.domains.verify(self.ana, "corp.test")
        found = await self.domains.keys([ana, bo])
        self.assertIsNotNone(found[ana.id][0].active_at)
        self.assertIsNone(found[bo.id][0].active_at)

    async def states(self, name: str = "corp.test") -> list[str]:
        """The states of Ana's keys for the domain."""
        (claim,) = await self.domains.list_claims(self.ana)
        return [self.domains.state(key) for key in (await self.domains.keys([claim]))[claim.id]]

    async def signing(self, name: str) -> str | None:
        """The selector of the key that signs."""
        found = await self.db.run("signing", signing_key, name)
        return None if found is None else found.selector

    async def test_rotation(self) -> None:
        """Another key waits beside the one that signs until its record is there; then the former is to stay in DNS for
        seven days. Each record says what it is for, and what was asked for is audited, once."""
        claim = await self.domains.claim(self.ana, "corp.test")
        (first,) = (await self.domains.keys([claim]))[claim.id]
        self.dns = {claim.verification_token: "found", first.record: "found"}
        await self.domains.verify(self.ana, "corp.test")
        await self.domains.rotate_key(self.ana, "Corp.test")
        await self.domains.rotate_key(self.ana, "corp.test")
        self.assertEqual(await self.states(), ["active", "pending"])
        _, keys, records = await self.domains.records(self.ana, "corp.test")
        shown = {record.name: record.hint for record in records if record.purpose == "dkim"}
        self.assertEqual(list(shown), [f"{key.host}.corp.test" for key in keys])
        self.assertIn("next key", shown[f"{keys[1].host}.corp.test"])
        await self.domains.verify(self.ana, "corp.test")
        self.assertEqual(
            (await self.states(), await self.signing("corp.test")), (["active", "pending"], first.selector)
        )
        self.dns[keys[1].record] = "found"
        await self.domains.verify(self.ana, "corp.test")
        self.assertEqual(await self.signing("corp.test"), keys[1].selector)
        self.assertEqual(await self.states(), ["active", "retiring"])
        _, records = await self.domains.report(self.ana, "corp.test")
        hints = [record.hint for record in records if record.purpose == "dkim"]
        self.assertEqual((hints[0], "former key" in hints[1]), ("", True))
        self.now += 7 * 86_400 + 60
        self.assertEqual(await self.states(), ["active", "removable"])
        _, records = await self.domains.report(self.ana, "corp.test")
        self.assertEqual([record.purpose for record in records].count("dkim"), 1)
        lines = await rows(self.db, "SELECT detail FROM audit_events WHERE action = 'domain.key_rotated'")
        self.assertEqual([row.detail for row in lines], [{"selector": keys[1].selector}])

    async def test_rotation_before_signing(self) -> None:
        """While the first key waits, asking for another answers it, and nothing has happened."""
        await self.domains.claim(self.ana, "corp.test")
        await self.domains.rotate_key(self.ana, "corp.test")
        self.assertEqual(await self.states(), ["pending"])
        self.assertEqual(await rows(self.db, "SELECT id FROM audit_events WHERE action = 'domain.key_rotated'"), [])

    async def test_dkim_key_goes(self) -> None:
        """The key goes with the claim."""
        claim = await self.domains.claim(self.ana, "corp.test")
        await self.domains.release(self.ana, "corp.test")
        self.assertEqual(await self.domains.keys([claim]), {})
