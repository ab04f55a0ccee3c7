"""Signing secrets: who signs, the cap, the floor, and rotation of the deployment secret."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock

from e2a.core.entities import Principal
from e2a.core.errors import BadRequest, Forbidden, NotFound, Unavailable
from e2a.core.trust.sealing import Sealer, UnknownKey
from e2a.flows.secrets import CACHE_SECONDS, SecretBook, reseal
from tests.support.postgres import DatabaseTestCase
from tests.support.tenants import SEALER, execute, make_tenant, rows

MOMENT = 1_800_000_000.0
FALLBACK = "the deployment secret"


class SecretBookTests(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.clock = Clock()
        self.clock.advance(MOMENT)
        self.owner = await make_tenant(self.db, "owner")
        self.book = self.make_book()

    def make_book(self, sealer: Sealer = SEALER) -> SecretBook:
        return SecretBook(self.db, sealer, self.clock.seconds, os.urandom, fallback=FALLBACK)

    async def names(self) -> list[str]:
        return [secret.name for secret in await self.book.list_secrets(self.owner)]

    async def test_default(self) -> None:
        """Every organisation starts with one secret named default, which signs."""
        self.assertEqual(await self.names(), ["default"])
        newest = await self.book.newest(self.owner.organisation_id)
        self.assertTrue(re.fullmatch("[0-9a-f]{64}", newest))
        self.assertEqual(await self.book.all(self.owner.organisation_id), (newest,))

    async def test_newest_signs_at_once(self) -> None:
        """A new secret signs the next message; the older ones still verify, newest first."""
        old = await self.book.newest(self.owner.organisation_id)
        secret, text = await self.book.create(self.owner, " second ")
        self.assertEqual((secret.name, secret.secret_prefix), ("second", text[:12]))
        self.assertEqual(await self.book.newest(self.owner.organisation_id), text)
        self.assertEqual(await self.book.all(self.owner.organisation_id), (text, old))

    async def test_sealed(self) -> None:
        """No secret can be read in the database."""
        _, text = await self.book.create(self.owner, "")
        for row in await rows(self.db, "SELECT row_to_json(s)::text AS text FROM signing_secrets s"):
            self.assertNotIn(text, row.text)
            self.assertNotIn(text.encode().hex(), row.text)

    async def test_unnamed(self) -> None:
        """A secret without a name is called unnamed."""
        secret, _ = await self.book.create(self.owner, "  ")
        self.assertEqual(secret.name, "unnamed")

    async def test_cap(self) -> None:
        """There are five at the most, also when many are made at once."""
        attempts = [Deferred.fromCoroutine(self.book.create(self.owner, f"{number}")) for number in range(7)]
        failed = []
        for attempt in attempts:
            attempt.addErrback(lambda failure: failed.append(failure.trap(BadRequest)))
        await gatherResults(attempts)
        self.assertEqual(len(failed), 3)
        self.assertEqual(len(await self.names()), 5)

    async def test_floor(self) -> None:
        """The last one stays, also when both of two are deleted at once."""
        await self.book.create(self.owner, "second")
        secrets = await self.book.list_secrets(self.owner)
        attempts = [Deferred.fromCoroutine(self.book.delete(self.owner, secret.id)) for secret in secrets]
        failed = []
        for attempt in attempts:
            attempt.addErrback(lambda failure: failed.append(failure.trap(BadRequest)))
        await gatherResults(attempts)
        self.assertEqual(len(failed), 1)
        self.assertEqual(len(await self.names()), 1)

    async def test_deleted_verifies_no_more(self) -> None:
        """A deleted secret neither signs nor verifies from then on."""
        secret, text = await self.book.create(self.owner, "second")
        await self.book.newest(self.owner.organisation_id)
        await self.book.delete(self.owner, secret.id)
        self.assertNotIn(text, await self.book.all(self.owner.organisation_id))

    async def test_foreign(self) -> None:
        """Another organisation's secret is not found, before anything else is said of it."""
        stranger = await make_tenant(self.db, "stranger")
        (secret,) = await self.book.list_secrets(self.owner)
        for secret_id in (secret.id, "wsec_unknown"):
            await self.assertFailure(Deferred.fromCoroutine(self.book.delete(stranger, secret_id)), NotFound)
        self.assertEqual(await self.names(), ["default"])

    async def test_bound_key(self) -> None:
        """A key bound to an agent has no business with secrets, whatever it holds."""
        bound = Principal(
            self.owner.organisation_id, self.owner.user_id, self.owner.permissions, "apk_1", "bot@agents.test"
        )
        await self.assertFailure(Deferred.fromCoroutine(self.book.list_secrets(bound)), Forbidden)
        await self.assertFailure(Deferred.fromCoroutine(self.book.create(bound, "")), Forbidden)
        await self.assertFailure(Deferred.fromCoroutine(self.book.delete(bound, "wsec_1")), Forbidden)

    async def test_fallback(self) -> None:
        """The deployment secret signs for an organisation that has none of its own."""
        self.assertEqual(await self.book.newest("org_none"), FALLBACK)
        self.assertEqual(await self.book.all("org_none"), (FALLBACK,))

    async def test_cached_until_told(self) -> None:
        """Secrets are read once, again after a notification or a gap, and after a while without any."""
        first = await self.book.newest(self.owner.organisation_id)
        await execute(self.db, "DELETE FROM signing_secrets")
        self.assertEqual(await self.book.newest(self.owner.organisation_id), first)
        self.book.changed("secret org_other")
        self.book.changed(f"agent {self.owner.organisation_id}")
        self.assertEqual(await self.book.newest(self.owner.organisation_id), first)
        self.book.changed(f"secret {self.owner.organisation_id}")
        self.assertEqual(await self.book.newest(self.owner.organisation_id), FALLBACK)
        _, second = await self.book.create(self.owner, "")
        await self.book.newest(self.owner.organisation_id)
        await execute(self.db, "DELETE FROM signing_secrets")
        self.clock.advance(CACHE_SECONDS - 1)
        self.assertEqual(await self.book.newest(self.owner.organisation_id), second)
        self.clock.advance(1)
        self.assertEqual(await self.book.newest(self.owner.organisation_id), FALLBACK)

    async def test_gap(self) -> None:
        """After a gap nothing is believed."""
        await self.book.newest(self.owner.organisation_id)
        await execute(self.db, "DELETE FROM signing_secrets")
        self.book.clear()
        self.assertEqual(await self.book.newest(self.owner.organisation_id), FALLBACK)

    async def test_changed_while_reading(self) -> None:
        """What changed while it was read is not kept."""
        reading = Deferred.fromCoroutine(self.book.newest(self.owner.organisation_id))
        self.book.changed(f"secret {self.owner.organisation_id}")
        await reading
        await execute(self.db, "DELETE FROM signing_secrets")
        self.assertEqual(await self.book.newest(self.owner.organisation_id), FALLBACK)

    async def test_last_signed(self) -> None:
        """When a secret last signed is written in batches, and not lost when that fails once."""
        await self.book.newest(self.owner.organisation_id)
        await self.db.stop()
        await self.assertFailure(Deferred.fromCoroutine(self.book.record_signing()), Unavailable)
        await self.db.start()
        await self.book.record_signing()
        (secret,) = await self.book.list_secrets(self.owner)
        self.assertEqual(secret.last_signed_at, datetime.fromtimestamp(MOMENT, UTC))

    async def test_rotation(self) -> None:
        """With a new deployment secret everything sealed under the old one is sealed anew and stays what it was."""
        text = await self.book.newest(self.owner.organisation_id)
        unprepared = self.make_book(Sealer("new deployment secret", os.urandom))
        await self.assertFailure(Deferred.fromCoroutine(unprepared.newest(self.owner.organisation_id)), UnknownKey)
        rotated = Sealer("new deployment secret", os.urandom, old=["a deployment secret for tests, long enough"])
        self.assertEqual(await self.db.run("reseal", reseal, rotated), 1)
        self.assertEqual(await self.db.run("reseal", reseal, rotated), 0)
        self.assertEqual(await unprepared.newest(self.owner.organisation_id), text)
